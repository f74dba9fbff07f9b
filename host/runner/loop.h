#pragma once

#include <string_view>

#include "host/ring/runner_end.h"

namespace catchup {

// How the runner's process ends. The host also reads the outcomes, so these only say what those
// cannot: that the end was on purpose.
enum class RunnerExit : int {
  kClean = 0,
  kSetup = 81,     // The runner could not set itself up, or refuses the plugin.
  kContract = 82,  // The plugin broke the contract.
  kUnheard = 83,   // In a probe: the plugin took away the descriptor that the answer goes to.
};

// Tells the host through its ring that the runner could not be set up in `call`, and why; the exit
// code alone would not, since a plugin may exit with any. Returns kSetup's code.
int RefuseSetup(RunnerEnd* ring, CallKind call, std::string_view text);

// Loads the plugin of the ring's setup record, hands it events until the host asks for a stop, and
// ends it. Returns the process's exit code.
int RunLoop(RunnerEnd* ring);

}  // namespace catchup
