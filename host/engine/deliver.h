#pragma once

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

// The step deliver of the plan: what is called next, an event or a letter. What several lanes take
// is deliver_lanes.h's; whether an event is called at all, route.h's.
void Deliver(EngineParts& parts, Turn& turn);

}  // namespace catchup
