#pragma once

#include <memory>
#include <string>

#include "host/config/config.h"
#include "host/config/credentials.h"
#include "host/daemon/orders/host_control.h"

namespace catchup {

struct RunOptions {
  // End each group once it has caught up, and the host with the last one.
  bool until_caught_up = false;
  // Only this group; empty: all.
  std::string only_group;
  // None: no commands.
  ServeControl serve;
  // For the server; null without any.
  std::shared_ptr<Credentials> credentials;
};

// Runs the host until SIGTERM or SIGINT, or until every group has ended, be it well or as `failed`
// or `given up`; a group that a command has stopped, or that is halted, waits for a command and
// keeps the host up, unless it is to end once it has caught up. Returns the process's exit code: 0
// done, 1 failed; the log then ends with the groups that failed and why; 78 where the state
// directory is of another format. BlockHostSignals (host/base/signals.h) comes first.
int RunHost(const HostConfig& config, const RunOptions& options);

}  // namespace catchup
