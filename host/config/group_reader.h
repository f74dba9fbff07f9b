#pragma once

#include <string>

#include "host/config/config.h"
#include "host/config/table_reader.h"
#include "host/config/toml_tree.h"

namespace catchup {

// Reads a group's table, [defaults] already merged into it. Returns what could be read; it is whole
// only when `problems` stays empty.
GroupConfig ReadGroup(const std::string& name, const TomlValue& table, ConfigProblems* problems);

// Checks [defaults] by itself: the same keys, none of them required.
void CheckDefaults(const TomlValue& table, ConfigProblems* problems);

// `table` with what only `defaults` has; tables in both are merged key by key, lists are not. Keeps
// the place of `table`.
TomlValue MergeDefaults(const TomlValue& defaults, const TomlValue& table);

bool IsGroupName(std::string_view name);

}  // namespace catchup
