#pragma once

#include <CLI/CLI.hpp>

#include "host/cli/commands.h"

namespace catchup {

// Adds `dlq` and what it offers to the program's commands. Both must outlive the parsing.
void AddDlq(CLI::App* app, DlqArguments* arguments);

}  // namespace catchup
