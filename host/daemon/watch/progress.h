#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/daemon/group/group_status.h"

namespace catchup {

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

// Turns glances at the groups into the table an operator watches below the log, as in
//
//   orders   failed       the plugin broke the contract: handle returned 7
//   billing  waiting      the runner died of SIGSEGV in handle; restart in 17s
//   stock    catching up  1,204,311 events  8,120/s  61.2 %  ETA 2m10s
//   mail     caught up       88,012 events      3/s
//   4 groups: 2 caught up, 1 waiting, 1 failed
//
// Groups in trouble come first, then those that have longest to go; where the terminal has no room
// for all, the last ones are only counted. A number is shown whole or not at all, a reason is cut
// at a word. Keeps what it needs of the glances before. One thread.
class ProgressTable {
 public:
  // Each line is at most `size.columns` wide, less one, and they leave a third of the rows to the
  // log.
  std::vector<std::string> Draw(const std::vector<GroupStatus>& groups,
                                std::chrono::steady_clock::time_point now, TerminalSize size);

 private:
  struct Seen {
    std::uint64_t commit = 0;
    std::chrono::steady_clock::time_point at;
    double bytes_per_second = 0;
  };

  // How fast the group passes through the log; 0 while that is not known.
  double BytesPerSecond(const GroupStatus& status, std::chrono::steady_clock::time_point now);

  std::unordered_map<std::string, Seen> seen_;
};

}  // namespace catchup
