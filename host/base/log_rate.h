#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "host/base/log_level.h"

namespace catchup {

// Decides which log lines are written: a burst of some for one message, group and level, then so
// many more each second; the rest is counted. Levels do not share a budget, so that no flood of
// information hides an error. The clock is handed in. Not thread safe.
class LogRate {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Whose budget a line is charged to. Borrowed.
  struct Key {
    std::string_view msg;
    std::string_view group;
    LogLevel level = LogLevel::kInfo;
  };
  struct LeftOut {
    std::string msg;
    std::string group;
    LogLevel level = LogLevel::kInfo;
    std::uint64_t count = 0;
    // What the first and the last of these lines that were about a place in the log say of it;
    // empty where none was.
    std::string first_position;
    std::string last_position;
  };

  explicit LogRate(std::uint32_t lines_per_second) : lines_per_second_(lines_per_second) {}

  // Whether this line may go out now. `burst`, at least the lines of a second, is the same for
  // every line of a key. `position`: the place in the log that it is about, if it is.
  bool Admit(const Key& key, std::uint32_t burst, Time now, std::string_view position = {});
  // Counts lines that were left out before they came here.
  void AddLeftOut(const Key& key, std::uint64_t count, std::uint32_t burst, Time now);

  // The counts that began a second ago or earlier, each told once; all of them when `all`. Cheap
  // enough for every line: it looks at the budgets only a few times a second.
  std::vector<LeftOut> TakeLeftOut(Time now, bool all);

 private:
  // Messages are fixed texts, so a host has far fewer; beyond it those of a level share one budget.
  static constexpr std::size_t kMaxBudgets = 4096;

  struct Budget {
    std::uint32_t burst = 0;
    std::uint32_t left = 0;  // Lines that may go out at once.
    Time refilled;
    std::uint64_t left_out = 0;
    Time left_out_since;
    std::string first_position;
    std::string last_position;
  };

  Budget& Find(const Key& key, std::uint32_t burst, Time now);
  // Adds what each second that has passed allows.
  void Refill(Budget* budget, Time now) const;

  std::uint32_t lines_per_second_;
  Time next_look_{};
  std::map<std::tuple<std::string, std::string, LogLevel>, Budget> budgets_;
};

}  // namespace catchup
