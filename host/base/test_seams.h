#pragma once

#include <chrono>
#include <cstdint>

#include "host/base/status.h"

// Where tests get hold of a run. The programs that are shipped do not link what stands behind it
// (tests/seams): there the two functions of `seams` are null, their names and the words that they
// understand are in no binary, and each use below costs one comparison that never holds.
namespace catchup {

// Places at which a test has the process killed, held up, or told of an error.
enum class FailPoint : std::uint8_t {
  // In the runner.
  kBeforeHandle,  // Events were taken from the ring; the plugin has not been called.
  kAfterHandle,   // The plugin has returned; nobody knows.
  kAfterOutcome,  // The host can read that they are handled.
  kRunnerDrain,   // A stop was asked for; the plugin's stop has not been called.
  // In the host.
  kOutcomeUnread,          // A runner has handled events; the engine does not know yet.
  kBeforeCheckpointWrite,  // Of a checkpoint as of a token.
  kAfterCheckpointWrite,   // It is durable; the engine does not know yet.
  kBeforeLetterCommit,     // Of any change of the letters, a token among them.
  kAfterLetterCommit,      // It is durable; the engine does not know yet.
  kHostDrain,              // The runner was told to stop.
};

namespace seams {

// True: what happens at `point` is to fail. Any thread.
[[gnu::weak, gnu::visibility("hidden")]] bool Reach(FailPoint point);
// How many times faster fixed waits pass; at least 1.
[[gnu::weak, gnu::visibility("hidden")]] int Speed();

}  // namespace seams

// Goes by `point`, where nothing can fail.
inline void PassFailPoint(FailPoint point) {
  if (seams::Reach != nullptr) {
    (void)seams::Reach(point);
  }
}

// Not ok: `point` is to fail.
inline Status CheckFailPoint(FailPoint point) {
  return seams::Reach != nullptr && seams::Reach(point) ? Status::Unavailable("told to by a test")
                                                        : Status();
}

// By what the waits are divided whose length is the program's own and no setting.
inline int WaitSpeed() { return seams::Speed != nullptr ? seams::Speed() : 1; }
inline std::chrono::nanoseconds FixedWait(std::chrono::nanoseconds wait) {
  return wait / WaitSpeed();
}

}  // namespace catchup
