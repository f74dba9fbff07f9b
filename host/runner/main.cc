#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "host/runner/crash_report.h"
#include "host/runner/loop.h"
#include "host/runner/probe.h"
#include "host/runner/process.h"

// catchup-runner GROUP HOST_PID        one plugin, for the host that spawned it
// catchup-runner --probe HOST_PID PLUGIN PROJECTION...  loads a plugin and says what it is
int main(int argc, char** argv) {
  using namespace catchup;
  const bool probe = argc >= 4 && std::strcmp(argv[1], "--probe") == 0;
  // Before all else, so that nothing that the host's parents left open reaches a plugin.
  const int first_free = probe ? kProbeAnswerFd + 1 : kFirstFreeFd;
  const Status clean = StartClean(first_free);
  if (probe) {
    Status ready = clean;
    if (ready.ok()) {
      ready = PrepareProcess(std::atoi(argv[2]), first_free);
    }
    if (!ready.ok()) {
      std::fprintf(stderr, "catchup-runner: %s\n", ready.message().c_str());
      _exit(static_cast<int>(RunnerExit::kSetup));
    }
    // No static destructors: the plugin's may be among them (rule A20).
    _exit(Probe(argv[3], argv + 4, static_cast<std::size_t>(argc - 4)));
  }
  if (argc != 3) {
    std::fprintf(stderr,
                 "catchup-runner: runs one plugin for `catchup run`, which starts it; there is "
                 "nothing to call by hand\n");
    return 2;
  }
  const auto fail = [&](const Status& status) {
    std::fprintf(stderr, "catchup-runner: group %s: %s\n", argv[1], status.message().c_str());
    return static_cast<int>(RunnerExit::kSetup);
  };
  // What goes wrong from here on is told through it.
  auto ring =
      RunnerEnd::Open(kEventRingFd, kOutcomeRingFd, kLargeRegionFd, kRunnerWakeFd, kHostWakeFd);
  if (!ring.ok()) {
    _exit(fail(ring.status()));
  }
  Status ready = clean;
  if (ready.ok()) {
    ready = PrepareProcess(std::atoi(argv[2]), first_free);
  }
  if (ready.ok()) {
    ready = InstallCrashReport(ring->get());
  }
  if (!ready.ok()) {
    (void)fail(ready);
    _exit(RefuseSetup(ring->get(), CallKind::kNone, ready.message()));
  }
  const int code = RunLoop(ring->get());
  std::fflush(stdout);
  std::fflush(stderr);
  _exit(code);
}
