#pragma once

#include <chrono>
#include <cstdint>

#include "host/engine/failure.h"

namespace catchup {

// How long a letter waits for its next healing call: 5 s, 30 s, 2 min, 10 min, then hourly; after a
// crash, a hang or a domain text 10 min, then hourly, since these cost a runner, or are likely what
// they say. `step` counts the delays since they began anew; `random` is 64 fresh random bits, for
// ±25 %.
std::chrono::nanoseconds HealDelay(FailureClass failure, std::uint32_t step, std::uint64_t random);

// A held type's letters are called so often, one of them.
inline constexpr std::chrono::nanoseconds kHeldInterval = std::chrono::seconds(60);

}  // namespace catchup
