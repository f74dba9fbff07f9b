#include <cstdio>
#include <cstdlib>

#include "tests/ring/stress_events.h"

// The other process of the stress test: compares every event, exits 0 when asked to stop.
int main(int argc, char** argv) {
  using namespace catchup;
  if (argc != 2) {
    return 2;
  }
  auto runner = RunnerEnd::Open(3, 4, 5, 6, 7);
  if (!runner.ok()) {
    std::fprintf(stderr, "%s\n", runner.status().message().c_str());
    return 1;
  }
  const StressEvents events;
  const std::string wrong =
      TakeStressEvents(runner->get(), events, std::strtoull(argv[1], nullptr, 10));
  if (!wrong.empty()) {
    std::fprintf(stderr, "ring_stress_runner: wrong %s\n", wrong.c_str());
    return 1;
  }
  (*runner)->PostStopped();
  return 0;
}
