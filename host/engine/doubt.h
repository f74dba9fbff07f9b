#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "host/base/failure_rules.h"
#include "host/base/text_hash.h"

namespace catchup {

// What is remembered of event types whose calls fail in doubt: how many streams of one were parked
// in a row, how its probes fared, whether it is held, and how many of its last events a text rule
// made letters of. A type that is not troubled has no record, so a healthy group remembers nothing.
//
// Counts alone; what follows from them (a letter, the breaker, a hold) is the engine's to do.
class Doubt {
 public:
  // A failure that would make a streak so long is the breaker's, not one more letter's.
  static constexpr std::uint32_t kStreakThatOpens = 3;
  // A type is held at its fifth failed probe, when others had so many successes meanwhile.
  static constexpr std::uint32_t kProbesThatHold = 5;
  static constexpr std::uint64_t kSuccessesOfOthers = 50;
  // The budget counts letters among so many live events of a type that ended.
  static constexpr std::uint32_t kBudgetWindow = catchup::kBudgetWindow;
  // Records at most; the least recently failed type is forgotten, which costs calls only.
  static constexpr std::size_t kMaxTypes = 1'024;

  enum class Hold : std::uint8_t { kNone, kByItself, kByHand };

  // `budget` letters of kBudgetWindow events; 0 is no budget.
  explicit Doubt(std::uint32_t budget) : budget_(budget) {}

  // Whether successes must be told by type; else their number is enough.
  bool watches() const { return !types_.empty(); }

  // --- Successes. ---

  void OnSuccesses(std::uint64_t count) { successes_ += count; }

  // What a success of a type ended.
  struct Ended {
    std::uint32_t streak = 0;  // Its number; 0 where there was none.
    bool hold = false;
  };
  // `live`: of an event on its way, which has ended so. A letter's counts in no budget.
  Ended OnSuccess(std::string_view type, bool live = true);

  // --- Failures. ---

  // A failure in doubt, which is no text rule's, would make the streak too long.
  bool Opens(std::string_view type) const;

  // A stream was parked in doubt after calls, not by a text rule. Returns the number of the streak,
  // for the letter.
  std::uint32_t OnParked(std::string_view type, std::chrono::nanoseconds now);

  // A live probe failed in doubt. True: the type is to be held from now on, if it can be parked.
  bool OnProbeFailed(std::string_view type, std::chrono::nanoseconds now);

  // One more letter by a text rule would be over the budget.
  bool OverBudget(std::string_view type) const;
  void OnTextLetter(std::string_view type, std::chrono::nanoseconds now);

  // --- Holds. ---

  // False: so many are held already that no further one is remembered.
  bool SetHold(std::string_view type, Hold hold, std::chrono::nanoseconds now);
  // False: it is not held.
  bool EndHold(std::string_view type);
  Hold HoldOf(std::string_view type) const;
  std::size_t holds() const { return holds_; }

  std::uint32_t streak(std::string_view type) const;

  // The plugin is another one: nothing that was remembered counts, holds included.
  void Forget();

 private:
  struct Type {
    std::uint32_t streak = 0;
    std::uint32_t streak_number = 0;  // While streak > 0.
    std::uint32_t failed_probes = 0;
    // A bit for each of the last live events that were called and ended: 1 is a text letter.
    std::uint32_t history = 0;
    std::uint64_t successes_then = 0;  // In all, at its first failure since its last success.
    bool failing = false;              // That is set.
    Hold hold = Hold::kNone;
    std::chrono::nanoseconds failed_at{};
  };
  using Types = std::unordered_map<std::string, Type, TextHash, std::equal_to<>>;

  Type& Of(std::string_view type, std::chrono::nanoseconds now);
  const Type* Find(std::string_view type) const;
  void Fail(Type* type, std::chrono::nanoseconds now);

  const std::uint32_t budget_;
  Types types_;
  std::size_t holds_ = 0;
  std::uint64_t successes_ = 0;
  std::uint32_t streaks_ = 0;  // Numbers given.
};

}  // namespace catchup
