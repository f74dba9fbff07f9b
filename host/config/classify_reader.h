#pragma once

#include "host/config/config.h"
#include "host/config/table_reader.h"
#include "host/config/toml_tree.h"

namespace catchup {

// Reads a group's `classify` table. A rule that cannot be used is reported at its own place.
void ReadClassify(const TomlValue& table, ConfigProblems* problems, ClassifyConfig* out);

}  // namespace catchup
