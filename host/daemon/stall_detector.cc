#include "host/daemon/stall_detector.h"

namespace catchup {

bool StallDetector::Look(const std::vector<GroupStatus>& groups, TimePoint now) {
  std::uint64_t sum = 0;
  for (const GroupStatus& status : groups) {
    sum = sum * 31 + status.processed + status.skipped +
          status.position.value_or(Position{}).commit + (status.finished ? 1 : 0);
  }
  if (sum != seen_) {
    seen_ = sum;
    moved_at_ = now;
  }
  return now - moved_at_ >= patience_;
}

}  // namespace catchup
