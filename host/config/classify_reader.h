#pragma once

#include "host/config/table_reader.h"
#include "host/config/toml_tree.h"

namespace catchup {

// Reads a group's `classify` table. Rules of one's own do not exist yet, so a list must hold the
// built-in ones, in any order; another is reported with both lists.
void ReadClassify(const TomlValue& table, ConfigProblems* problems);

}  // namespace catchup
