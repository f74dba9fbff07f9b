#pragma once

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

// The step deliver of the plan where there are several lanes: which of them takes what.
void DeliverToLanes(EngineParts& parts, Turn& turn);

}  // namespace catchup
