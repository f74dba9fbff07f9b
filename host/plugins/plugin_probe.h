#pragma once

#include <filesystem>
#include <string>

#include "host/base/status.h"
#include "host/plugins/runner_process.h"

namespace catchup {

// Loads `plugin` in a child of its own and checks header, descriptor and tables, without making an
// instance. Returns "NAME VERSION PROJECTION"; kIncompatible with the runner's one-line reason,
// also when it dies or takes longer than 30 s.
Result<std::string> ProbePlugin(const RunnerBinary& binary, const std::filesystem::path& plugin,
                                const std::string& projection);

}  // namespace catchup
