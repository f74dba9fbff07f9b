#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

namespace catchup {

// When a runner that died may be started again.
//
// At once when an event was settled since the death before; else after 1 s doubling to 60 s. Given
// up after more than kMaxDeaths without an event settled between them, within kDeathPeriod or,
// where none of the runners got as far as to begin, in any time: what hangs in its set-up dies
// slowly.
//
// On probation, which one that was given up is on when it is tried again, the first death is
// enough, until an event is settled or a runner has worked for kDeathPeriod.
//
// A death in a call of an event gives nothing up: the runner had begun, and after max_crashes of
// them the event is a letter.
class RunnerPacing {
 public:
  static constexpr std::size_t kMaxDeaths = 10;
  static constexpr std::chrono::nanoseconds kDeathPeriod = std::chrono::minutes(10);

  // The longest wait before another try.
  static constexpr std::chrono::nanoseconds kSlowest = std::chrono::seconds(60);

  struct Verdict {
    bool give_up = false;
    std::chrono::nanoseconds delay{};  // 0: at once.
  };

  void SetOnProbation() { on_probation_ = true; }
  bool on_probation() const { return on_probation_; }

  // A runner has set its plugin up.
  void OnBegun(std::chrono::nanoseconds now) { begun_at_ = now; }

  // An event was settled, so this plugin can work.
  void OnSettled() {
    settled_since_death_ = true;
    on_probation_ = false;
  }

  // A runner died at `now`, by any monotonic clock, `charged` to an event; `random` is 64 fresh
  // random bits.
  Verdict OnDeath(std::chrono::nanoseconds now, std::uint64_t random, bool charged = false);

  // The last `deaths` of them were those of an event that has become a letter, which says nothing
  // about the plugin's ability to run.
  void Forgive(std::uint64_t deaths);

  // Deaths that count now, the last one included: which restart in a row is to come.
  std::uint64_t deaths() const { return deaths_.size(); }

 private:
  bool settled_since_death_ = false;
  bool on_probation_ = false;
  std::optional<std::chrono::nanoseconds> begun_at_;  // By the runner that dies next.
  std::size_t never_begun_ = 0;                       // Runners in a row.
  std::uint32_t attempt_ = 0;                         // Restarts that had to wait, in a row.
  std::deque<std::chrono::nanoseconds> deaths_;       // At most kMaxDeaths + 1, oldest first.
};

}  // namespace catchup
