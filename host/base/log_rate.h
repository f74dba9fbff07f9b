#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace catchup {

// Decides which log lines are written: so many a second for one message and group, the rest
// counted. The clock is handed in. Not thread safe.
class LogRate {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct LeftOut {
    std::string msg;
    std::string group;
    std::uint64_t count = 0;
  };

  explicit LogRate(std::uint32_t lines_per_second) : lines_per_second_(lines_per_second) {}

  // Whether this line may go out now.
  bool Admit(std::string_view msg, std::string_view group, Time now);

  // The counts of windows that have ended by `now`, each told once; all of them when `all`. Cheap
  // enough for every line: it looks at the windows only a few times a second.
  std::vector<LeftOut> TakeLeftOut(Time now, bool all);

 private:
  // Messages are fixed texts, so a host has far fewer; beyond it they share one window.
  static constexpr std::size_t kMaxWindows = 4096;

  struct Window {
    Time start;
    std::uint32_t admitted = 0;
    std::uint64_t left_out = 0;
  };

  std::uint32_t lines_per_second_;
  Time next_look_{};
  std::map<std::pair<std::string, std::string>, Window, std::less<>> windows_;
};

}  // namespace catchup
