#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "host/daemon/group/group_status.h"

namespace catchup {

// When the host gives back memory that it does not need any more. A group that catches up has
// thousands of events in flight, one that has caught up only a few, and the allocator keeps what
// they took, half a MiB a group. So: a moment after groups have caught up. Pure; one thread.
class MemoryTrim {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Others may be about to catch up as well; they are waited for as long as kLongest at most, since
  // giving back holds up whoever allocates, with hundreds of groups for up to a tenth of a second.
  static constexpr std::chrono::seconds kQuiet{1};
  static constexpr std::chrono::seconds kLongest{10};

  // True: it is time. `groups` are the same ones at each look, in the same order.
  bool Look(const std::vector<GroupStatus>& groups, TimePoint now);

 private:
  std::vector<bool> caught_up_;     // At the last look.
  std::optional<TimePoint> first_;  // Caught up since memory was given back.
  TimePoint last_;
};

// Gives back what the allocator keeps and nobody uses. Any thread.
void GiveMemoryBack();

}  // namespace catchup
