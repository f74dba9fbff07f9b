#pragma once

#include "host/config/table_reader.h"
#include "host/config/toml_tree.h"

namespace catchup {

// Reads a group's `classify` table. There are no rules but the built-in ones yet, so a list must
// hold exactly those, in any order; any other is reported with both lists.
void ReadClassify(const TomlValue& table, ConfigProblems* problems);

}  // namespace catchup
