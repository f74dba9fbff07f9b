#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>

#include "host/daemon/group.h"

namespace catchup {

// Turns glances at a group into the line an operator watches: events, rate, place in the log, time
// left. Keeps what it needs of the glance before. One thread.
class ProgressLine {
 public:
  // At most `columns` wide: what does not fit is left out whole, since a number cut short is a
  // wrong one. The reason, at the end, may be cut.
  std::string Format(const GroupStatus& status, std::chrono::steady_clock::time_point now,
                     std::size_t columns);

 private:
  struct Seen {
    std::uint64_t commit = 0;
    std::chrono::steady_clock::time_point at;
    double bytes_per_second = 0;
  };
  std::unordered_map<std::string, Seen> seen_;
};

}  // namespace catchup
