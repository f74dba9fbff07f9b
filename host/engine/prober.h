#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace catchup {

// Looks for a source that has gone, once for all the groups that have lost it: as long as one of
// them misses it, somebody tries every 500 ms whether it answers, every 1 s once that has taken a
// minute. When a try succeeds, or a group gets a frame, all that miss the source are told so within
// 200 ms; each of them then opens its call, and says that it misses the source again if that fails.
// Where no group misses it, nothing is tried.
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

  std::map<Member, bool> members_;  // Whether it misses the source. Only those that ever did.
  std::size_t missing_ = 0;         // Of them.
  std::optional<std::chrono::nanoseconds> since_;  // When the first of those came to miss it.
  std::chrono::nanoseconds next_{};                // While one misses it and none is under way.
  std::optional<std::chrono::nanoseconds> begun_;  // The try under way.
};

}  // namespace catchup
