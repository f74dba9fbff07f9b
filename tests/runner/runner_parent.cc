#include <unistd.h>

#include <cstdio>
#include <string>

#include "tests/ring/spawn.h"

// catchup-runner's host for a test that kills it: spawns RUNNER with PLUGIN, prints its pid once it
// is ready, and waits.
int main(int argc, char** argv) {
  using namespace catchup;
  if (argc != 3) {
    return 2;
  }
  const auto host = std::move(HostEnd::Create("parent")).value();
  RunnerSetup setup;
  setup.group = "orphan";
  setup.projection = "plain";
  setup.plugin_path = argv[2];
  setup.config_json = "{}";
  if (!host->WriteSetup(setup).ok()) {
    return 1;
  }
  host->Publish();
  RingChild runner(argv[1], {"orphan", std::to_string(getpid())}, host->descriptors());
  while (!runner.HasEnded()) {
    const auto outcome = host->PollOutcome();
    if (outcome.ok() && outcome.value().has_value() &&
        outcome.value()->kind == OutcomeKind::kReady) {
      std::printf("%d\n", runner.pid());
      std::fflush(stdout);
      pause();
    }
    usleep(1000);
  }
  return 1;
}
