#pragma once

#include <cstdint>

#include "host/engine/command.h"
#include "host/engine/input.h"
#include "host/engine/letter.h"

namespace catchup::sim {

// What a store says at a start of the letter that was written last as `change`. The views are those
// of `name`.
inline LetterSummary SummaryOf(const LetterChange& change, EventName name,
                               std::uint64_t bytes = 0) {
  LetterSummary summary;
  summary.position = change.position;
  summary.stream = name.stream;
  summary.type = name.type;
  summary.bytes = bytes;
  summary.state = change.state;
  summary.failure = change.failure;
  summary.step = change.step;
  summary.since = change.since;
  summary.due = change.due;
  return summary;
}

}  // namespace catchup::sim
