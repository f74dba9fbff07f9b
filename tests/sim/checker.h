#pragma once

#include <vector>

#include "tests/sim/history.h"
#include "tests/sim/judge.h"

namespace catchup::sim {

// Judges a history without knowing how the engine works:
//
//   I1      every event at or below the last durable checkpoint was applied or skipped by rule;
//           a complete history misses none at all
//   I2      no checkpoint was asked for or committed above the contiguous prefix of what was
//           applied by then
//   I4      first applications of a stream are in order; each runner is handed an unbroken row,
//           beginning at or before the first event beyond the checkpoint
//   I5      an event comes again only if a death left it beyond what survives: at most B + W of
//           them after a kill, W after a runner's death, none after a graceful end without a cut
//   I9      checkpoints only grow, unless the plugin's store was put back
//   I10     once a runner has started, no earlier one applies or reports anything that counts
//   once    in position mode every effect is there once, whatever died
//   live    a group counts as caught up only after the server said so in this call, and what came
//           before that is applied and below the durable checkpoint
//   stuck   the checkpoint follows what was reported, and what was announced, within the interval
//   window  no more is handed out and unsettled than W events, or the bytes and one event
//
// At most one violation of each kind is returned, the first.
std::vector<Violation> Check(const History& history);

}  // namespace catchup::sim
