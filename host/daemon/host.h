#pragma once

#include <string>

#include "host/config/config.h"

namespace catchup {

struct RunOptions {
  // End each group once it has caught up, and the host with the last one.
  bool until_caught_up = false;
  // Only this group; empty: all.
  std::string only_group;
};

// Runs the host until SIGTERM or SIGINT, or until every group has ended, be it well or as `failed`
// or `given up`. Returns the process's exit code: 0 done, 1 failed; the log then ends with the
// groups that failed and why; 78 where the state directory is of another format. BlockHostSignals
// (host/base/signals.h) comes first.
int RunHost(const HostConfig& config, const RunOptions& options);

}  // namespace catchup
