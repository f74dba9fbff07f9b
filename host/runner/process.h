#pragma once

#include "host/base/status.h"
#include "host/ring/runner_end.h"

namespace catchup {

// Descriptors under which a runner inherits its rings; 0 is null, 1 and 2 are pipes to the host.
inline constexpr int kEventRingFd = 3;
inline constexpr int kOutcomeRingFd = 4;
inline constexpr int kLargeRegionFd = 5;
inline constexpr int kRunnerWakeFd = 6;
inline constexpr int kHostWakeFd = 7;
inline constexpr int kRunnerLockFd = 8;
inline constexpr int kFirstFreeFd = 9;

// Makes the process fit for a plugin, before any of its code is mapped: dies with `host_pid`, own
// session, no new privileges, no core of ours left open, ignores SIGTERM and SIGINT (the host alone
// decides), private umask, a higher OOM score than the host's. The first failure is returned; what
// only helps is not worth failing for.
Status PrepareProcess(int host_pid);

// After the plugin is loaded would be too late for its constructors, so before: on a deadly signal
// writes one line that names signal, call and event to standard error, restores the default and
// raises again, so that core and exit status stay true.
Status InstallCrashReport(const RunnerEnd* ring, const char* group);

}  // namespace catchup
