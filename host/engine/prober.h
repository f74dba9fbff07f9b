#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "host/engine/backoff.h"

namespace catchup {

// Looks for a source that has gone, once for all the groups that have lost it: as long as one of
// them misses it, somebody tries at a pace whether it answers, and at a slower one once that has
// taken long. When a try succeeds, or a group gets a frame, all that miss the source are told so
// within 200 ms; each of them then opens its call, and says that it misses the source again if that
// fails. Where no group misses it, nothing is tried.
//
// Pure: no clock and no chance of its own. Times are of any monotonic clock, `random` is 64 fresh
// random bits.
class Prober {
 public:
  // Names a group: 1, 2, 3 …
  using Member = std::uint64_t;

  // `member` is to be told at `at` that the source answers.
  struct Wake {
    Member member = 0;
    std::chrono::nanoseconds at{};
  };
  using Wakes = std::vector<Wake>;

  // From the beginning of one try to that of the next: quick enough at first that nobody waits for
  // it, and a call that fails twice a second disturbs nobody.
  struct Pace {
    Backoff quick{std::chrono::milliseconds(500), std::chrono::seconds(1)};
    Backoff slow{std::chrono::seconds(1), std::chrono::seconds(2)};
    // Slow after so long, or so many tries, whichever is first.
    std::chrono::nanoseconds quick_for = std::chrono::seconds(60);
    std::uint32_t quick_tries = std::numeric_limits<std::uint32_t>::max();
  };

  Prober() = default;
  explicit Prober(const Pace& pace) : pace_(pace) {}

  // The call of `member` has ended.
  void OnLost(Member member, std::chrono::nanoseconds now, std::uint64_t random);
  // A frame has come to `member`.
  Wakes OnFound(Member member, std::chrono::nanoseconds now, std::uint64_t random);
  // `member` wants to hear of nothing any more.
  void Leave(Member member);

  // When the next try is to begin; null while one is under way or none is needed.
  std::optional<std::chrono::nanoseconds> next_try() const;
  void OnTryBegun(std::chrono::nanoseconds now);
  Wakes OnTryEnded(bool answers, std::chrono::nanoseconds now, std::uint64_t random);

 private:
  Wakes WakeAll(std::chrono::nanoseconds now, std::uint64_t random);
  void Schedule(std::chrono::nanoseconds after, std::uint64_t random);

  Pace pace_;
  std::map<Member, bool> members_;  // Whether it misses the source. Only those that ever did.
  std::size_t missing_ = 0;         // Of them.
  std::optional<std::chrono::nanoseconds> since_;  // When the first of those came to miss it.
  std::uint32_t tries_ = 0;                        // Since then.
  std::chrono::nanoseconds next_{};                // While one misses it and none is under way.
  std::optional<std::chrono::nanoseconds> begun_;  // The try under way.
};

}  // namespace catchup
