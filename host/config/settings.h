#pragma once

#include "host/config/config.h"
#include "host/config/table_reader.h"
#include "host/config/toml_tree.h"

namespace catchup {

// A plugin's `config` table as JSON and value by value. What JSON cannot say (inf, nan) is reported
// to `problems` and left out.
PluginSettings MakeSettings(const TomlValue& table, ConfigProblems* problems);

}  // namespace catchup
