#include "host/daemon/watch/memory_trim.h"

#include <malloc.h>

namespace catchup {

bool MemoryTrim::Look(const std::vector<GroupStatus>& groups, TimePoint now) {
  caught_up_.resize(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const bool caught_up = groups[i].state == GroupState::kCaughtUp;
    if (caught_up && !caught_up_[i]) {
      first_ = first_.value_or(now);
      last_ = now;
    }
    caught_up_[i] = caught_up;
  }
  if (!first_ || (now - last_ < kQuiet && now - *first_ < kLongest)) {
    return false;
  }
  first_.reset();
  return true;
}

void GiveMemoryBack() {
#ifdef __GLIBC__
  (void)malloc_trim(0);
#endif
}

}  // namespace catchup
