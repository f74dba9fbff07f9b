#include "host/daemon/watch/stall_detector.h"

#include <algorithm>

namespace catchup {

bool StallDetector::WaitsLonger(const std::vector<GroupStatus>& groups) {
  return std::any_of(groups.begin(), groups.end(), [](const GroupStatus& status) {
    return !status.finished && status.breaker_open;
  });
}

bool StallDetector::Look(const std::vector<GroupStatus>& groups, TimePoint now) {
  std::uint64_t sum = 0;
  bool pauses = false;
  for (const GroupStatus& status : groups) {
    pauses = pauses || (!status.finished && status.heals_at > now);
    for (const std::uint64_t part :
         {status.processed, status.skipped, status.letters.all, status.letters.healing,
          status.letters.followers, status.calls_before_end,
          status.position.value_or(Position{}).commit, std::uint64_t{status.finished}}) {
      sum = sum * 31 + part;
    }
  }
  if (sum != seen_ || pauses) {
    seen_ = sum;
    moved_at_ = now;
  }
  return now - moved_at_ >= (WaitsLonger(groups) ? patience_ + patience_ / 2 : patience_);
}

}  // namespace catchup
