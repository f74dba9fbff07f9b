#pragma once

#include <chrono>
#include <cstdint>

namespace catchup {

// How long to wait before retry n: base × 2^n, capped, then 25 % up or down at random so that many
// waiters do not come back at the same instant, and never outside kMinBackoff … cap.
struct Backoff {
  std::chrono::nanoseconds base;
  std::chrono::nanoseconds cap;

  // `attempt` is 0 for the first retry; `random` is 64 fresh random bits.
  std::chrono::nanoseconds Delay(std::uint32_t attempt, std::uint64_t random) const;
};

// Below this a loop of retries is a busy loop to whoever is at its other end.
inline constexpr std::chrono::nanoseconds kMinBackoff = std::chrono::milliseconds(100);

}  // namespace catchup
