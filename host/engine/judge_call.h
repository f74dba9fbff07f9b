#pragma once

#include <string>

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

// What becomes of an event whose call failed, by the class of the failure: it waits in its place,
// becomes a letter, or opens the breaker. Part of judge.h.
//
// `sequence` is the only event that was called for what failed; with one lane, the first that
// waits. While the breaker is open its call had begun before on another lane: it is no probe, so
// but for a REJECT it decides nothing, and the event stays in place.
void JudgeCall(EngineParts& parts, Seat& seat, Sequence sequence, FailureClass failure,
               const std::string& text, Turn& turn);

}  // namespace catchup
