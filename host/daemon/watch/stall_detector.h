#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "host/daemon/group/group_status.h"

namespace catchup {

// Whether a host that waits for the log's end is still getting there. Pure; one thread.
class StallDetector {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Without progress of any group for this long, waiting is waiting for something else.
  static constexpr std::chrono::seconds kPatience{60};

  explicit StallDetector(TimePoint now, std::chrono::nanoseconds patience = kPatience)
      : patience_(patience), moved_at_(now) {}

  // Where a breaker is open, which waits for longer than a minute by itself, patience is half as
  // long again.
  static bool WaitsLonger(const std::vector<GroupStatus>& groups);

  // True once nothing has moved for that long: no event, no letter, no position, no end of a group.
  // The pause behind a letter's call that took long is on the way to the next call, so it counts.
  bool Look(const std::vector<GroupStatus>& groups, TimePoint now);

 private:
  const std::chrono::nanoseconds patience_;
  std::uint64_t seen_ = 0;  // A sum of what moves.
  TimePoint moved_at_;
};

}  // namespace catchup
