#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "host/base/status.h"
#include "host/plugins/runner_process.h"

namespace catchup {

struct PluginProbe {
  std::filesystem::path plugin;             // Absolute: the copy that would run.
  std::vector<std::string> projections;     // Empty: the only one of the file.
  std::vector<std::string> env;             // Names passed through from our environment.
  std::filesystem::path working_directory;  // A directory with nothing in it.
  std::chrono::milliseconds limit{};        // For loading it and looking at it.
};

// What was found, and how long that took from the start of the process, without the time for other
// projections.
struct Probed {
  Status found;
  std::chrono::milliseconds took{};

  // The same for a caller who allows less time than the probe did.
  Status Within(std::chrono::milliseconds start_timeout, const std::filesystem::path& plugin) const;
};

struct ProbedPlugin {
  Probed loaded;
  std::vector<Probed> projections;  // In the order of the question.
};

// Loads a plugin in a process of its own and checks header, descriptor and tables, without making
// an instance. Says whether it loads and whether a group could run each projection: with the
// runner's reason, or with how the process ended or was ended without one (kIncompatible). The file
// is loaded once, but again for what comes behind a projection whose tables end the process.
//
// The outer failure is this machine's: there was no process to ask. What the plugin prints is
// ignored, but for its last line, which is shown when nothing better is known. Everything it
// started is gone at the end, provided that this process has called Children::Adopt().
Result<ProbedPlugin> ProbePlugin(const RunnerBinary& binary, const PluginProbe& probe);

}  // namespace catchup
