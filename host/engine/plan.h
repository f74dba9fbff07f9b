#pragma once

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

// The plan: its steps in their order, as engine.h lists them. Adds what is to be done by now; again
// at once it adds nothing. Steps of more than a few lines have files of their own, judge.h and
// deliver.h; the others are plan.cc's.
void RunPlan(EngineParts& parts, Turn& turn);

}  // namespace catchup
