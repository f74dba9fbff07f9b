#pragma once

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

// The first step of the plan, where something was heard of a runner: what is to be done about what
// it said, or about how it ended. A call that failed is judge_call.h's, a letter's heal.h's, and
// where the group goes on when a runner is ready, beginning.h's.
void JudgeHeard(EngineParts& parts, Turn& turn);

}  // namespace catchup
