#include "host/engine/backoff.h"

#include <algorithm>

namespace catchup {

std::chrono::nanoseconds Backoff::Delay(std::uint32_t attempt, std::uint64_t random) const {
  std::int64_t delay = base.count();
  // Doubling stops at the cap, so that no number of attempts can overflow.
  for (std::uint32_t i = 0; i < attempt && delay < cap.count(); ++i) {
    delay *= 2;
  }
  delay = std::min<std::int64_t>(delay, cap.count());
  // In thousandths, from 750 to 1250; the bias of the remainder is far below one thousandth.
  const std::int64_t factor = 750 + static_cast<std::int64_t>(random % 501);
  delay = delay / 1000 * factor;
  return std::chrono::nanoseconds(
      std::clamp<std::int64_t>(delay, kMinBackoff.count(), cap.count()));
}

}  // namespace catchup
