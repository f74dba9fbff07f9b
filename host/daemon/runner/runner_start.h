#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "host/base/status.h"
#include "host/config/config.h"
#include "host/daemon/runner/runner_link.h"
#include "host/plugins/runner_process.h"

namespace catchup {

// What a runner is started with, by a group as by `catchup try` and `check`. Borrowed.
struct RunnerStart {
  const RunnerBinary* binary = nullptr;
  // Name, projection, configuration, limits and environment.
  const GroupConfig* group = nullptr;
  std::filesystem::path plugin;             // What is loaded; absolute.
  std::filesystem::path working_directory;  // The plugin's.
  SpawnNumber spawn = 1;
  std::uint64_t token = 0;
  LaneNumber lane = 0;
  const ControlGroups* control_groups = nullptr;  // It gets one of its own there, if set.
  // See RunnerSetup.
  std::optional<PositionReset> reset;
  bool ignore_position = false;
  bool create_only = false;
};

// Makes the rings, writes the setup and spawns the runner, which takes over `lock`. On a thread
// that lives as long as the runner.
//
// kInvalid: the configuration is more than a runner can be given. Others: the machine lacks
// something, and it may be tried again.
Result<std::unique_ptr<RunnerLink>> StartRunner(const RunnerStart& start, const RunnerLock& lock);

}  // namespace catchup
