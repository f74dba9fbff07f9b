#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

namespace catchup {

// When a runner that died may be started again.
//
// At once when an event was settled since the death before; else after 1 s doubling to 60 s. More
// than kMaxDeaths within kDeathPeriod and not one event settled between them: given up.
class RunnerPacing {
 public:
  static constexpr std::size_t kMaxDeaths = 10;
  static constexpr std::chrono::nanoseconds kDeathPeriod = std::chrono::minutes(10);

  struct Verdict {
    bool give_up = false;
    std::chrono::nanoseconds delay{};  // 0: at once.
  };

  // An event was settled, so this plugin can work.
  void OnSettled() { settled_since_death_ = true; }

  // A runner died at `now`, by any monotonic clock; `random` is 64 fresh random bits.
  Verdict OnDeath(std::chrono::nanoseconds now, std::uint64_t random);

  // The last `deaths` of them were those of an event that has become a letter, which says nothing
  // about the plugin's ability to run.
  void Forgive(std::uint64_t deaths);

  // Deaths that count now, the last one included: which restart in a row is to come.
  std::uint64_t deaths() const { return deaths_.size(); }

 private:
  bool settled_since_death_ = false;
  std::uint32_t attempt_ = 0;                    // Restarts that had to wait, in a row.
  std::deque<std::chrono::nanoseconds> deaths_;  // At most kMaxDeaths + 1, oldest first.
};

}  // namespace catchup
