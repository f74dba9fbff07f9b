#pragma once

namespace catchup {

// How the runner's process ends. The host also reads the outcomes, so these only say what those
// cannot: that the end was on purpose.
enum class RunnerExit : int {
  kClean = 0,
  kSetup = 81,     // The runner could not set itself up, or refuses the plugin.
  kContract = 82,  // The plugin broke the contract, if only while it stopped.
  kUnheard = 83,   // In a probe: the plugin took away the descriptor that the answer goes to.
};

}  // namespace catchup
