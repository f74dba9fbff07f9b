#pragma once

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

// A runner is ready: where the group begins, or goes on, by what its plugin says that it holds.
// Part of judge.h.
void BeginOrRejoin(EngineParts& parts, const RunnerFacts& ready, Turn& turn);

}  // namespace catchup
