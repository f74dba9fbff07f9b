#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/checker.h"
#include "tests/sim/history.h"

namespace catchup::sim {

// A history made by hand, for tests of the checker. Events 0 … 5 lie at 10:10 … 60:60; the even
// ones are of stream 0, the odd ones of stream 1.
inline Position At(std::uint64_t event) { return {(event + 1) * 10, (event + 1) * 10}; }

class Script {
 public:
  Script() {
    h.batch = 2;
    h.window = 3;
    for (std::uint64_t i = 0; i < 6; ++i) {
      h.log.push_back({.position = At(i),
                       .stream = static_cast<std::uint32_t>(i % 2),
                       .revision = i / 2,
                       .bytes = 10});
    }
  }

  Script& Host() { return Add({.kind = Record::Kind::kHostStart}); }
  Script& Runner(std::uint64_t token) {
    runner_ = token;
    return Add({.kind = Record::Kind::kRunnerStart, .runner = token});
  }
  Script& Deliver(std::size_t event) { return Event(Record::Kind::kDeliver, event); }
  Script& Apply(std::size_t event) { return Event(Record::Kind::kApply, event); }
  Script& Report(std::size_t event) { return Event(Record::Kind::kReport, event); }
  Script& Skip(std::size_t event) { return Event(Record::Kind::kSkip, event); }
  Script& Ask(Position p) { return Add({.kind = Record::Kind::kAsk, .position = p}); }
  Script& Durable(Position p) { return Add({.kind = Record::Kind::kDurable, .position = p}); }
  Script& TakeBack() { return Add({.kind = Record::Kind::kTakeBack, .runner = runner_}); }
  Script& Death() { return Add({.kind = Record::Kind::kRunnerDeath, .runner = runner_}); }
  Script& Kill() { return Add({.kind = Record::Kind::kKill}); }
  Script& Call() { return Add({.kind = Record::Kind::kCall}); }
  Script& Live(std::size_t before) { return Add({.kind = Record::Kind::kLive, .event = before}); }
  Script& CaughtUp() { return Add({.kind = Record::Kind::kCaughtUp}); }
  Script& Announce(Position p) { return Add({.kind = Record::Kind::kAnnounce, .position = p}); }
  Script& NoRoom() { return Add({.kind = Record::Kind::kNoRoom}); }
  Script& Stall() { return Add({.kind = Record::Kind::kStall}); }
  Script& Lie(std::size_t first, Position p) {
    return Add({.kind = Record::Kind::kLie, .event = first, .position = p});
  }
  Script& Wait(std::chrono::milliseconds time) {
    now_ += time;
    return *this;
  }
  Script& Graceful(bool cut = false) {
    Record record{.kind = Record::Kind::kGraceful};
    record.cut = cut;
    return Add(record);
  }
  Script& Restore(std::optional<Position> p) {
    return Add({.kind = Record::Kind::kRestore, .position = p});
  }
  // As an earlier or another runner.
  Script& As(std::uint64_t token) {
    runner_ = token;
    return *this;
  }
  // Delivered, applied and reported, one after the other.
  Script& Handle(std::size_t first, std::size_t last) {
    for (std::size_t i = first; i <= last; ++i) {
      Deliver(i).Apply(i).Report(i);
    }
    return *this;
  }

  std::vector<std::string> Broken() const {
    std::vector<std::string> names;
    for (const Violation& violation : Check(h)) {
      names.push_back(violation.invariant);
    }
    return names;
  }

  // --- Letters. ---

  Script& Fail(std::size_t event, FailureClass failure, bool letter = false) {
    return Add({.kind = Record::Kind::kFail,
                .runner = runner_,
                .event = event,
                .letter = letter,
                .failure = failure});
  }
  Script& Park(std::size_t event, LetterState state, FailureClass failure) {
    return Add({.kind = Record::Kind::kPark, .event = event, .state = state, .failure = failure});
  }
  Script& Letter(std::size_t event) { return Add({.kind = Record::Kind::kLetter, .event = event}); }
  Script& Found(std::size_t event, LetterState state = LetterState::kHealing) {
    return Add({.kind = Record::Kind::kLetterFound, .event = event, .state = state});
  }
  Script& CallLetter(std::size_t event) { return Event(Record::Kind::kCallLetter, event); }
  Script& ApplyLetter(std::size_t event) {
    return Add({.kind = Record::Kind::kApply, .runner = runner_, .event = event, .letter = true});
  }
  Script& LetterOk(std::size_t event) { return Event(Record::Kind::kLetterOk, event); }
  Script& Change(std::size_t event, LetterState state, FailureClass failure) {
    return Add(
        {.kind = Record::Kind::kLetterChange, .event = event, .state = state, .failure = failure});
  }
  Script& Gone(std::size_t event, bool dropped = false) {
    return Add({.kind = Record::Kind::kLetterGone, .event = event, .by_hand = dropped});
  }
  Script& Hold(std::uint32_t type, bool by_hand) {
    return Add({.kind = Record::Kind::kHold, .by_hand = by_hand, .type = type});
  }
  Script& Opens() { return Add({.kind = Record::Kind::kBreakerOpens}); }
  Script& Closes() { return Add({.kind = Record::Kind::kBreakerCloses}); }
  Script& OtherPlugin() { return Add({.kind = Record::Kind::kOtherPlugin}); }
  Script& GiveUpLetters() { return Add({.kind = Record::Kind::kLettersGivenUp}); }
  Script& AskPark(std::size_t event) { return Event(Record::Kind::kParkAsked, event); }
  Script& AskRetry(std::size_t event) { return Event(Record::Kind::kRetryAsked, event); }
  Script& Reset(Position p) { return Add({.kind = Record::Kind::kReset, .position = p}); }
  // Called, failed in doubt and parked, and that is durable.
  Script& Doubt(std::size_t event, FailureClass failure = FailureClass::kUnknown) {
    Deliver(event).Fail(event, failure).TakeBack();
    return Park(event, LetterState::kHealing, failure).Letter(event);
  }
  // Called as a letter, applied, removed.
  Script& Heal(std::size_t event) {
    return CallLetter(event).ApplyLetter(event).LetterOk(event).Gone(event);
  }

  History h;

 private:
  Script& Add(Record record) {
    record.at = now_;
    h.records.push_back(record);
    return *this;
  }
  Script& Event(Record::Kind kind, std::size_t event) {
    return Add({.kind = kind, .runner = runner_, .event = event});
  }

  std::uint64_t runner_ = 0;
  std::chrono::nanoseconds now_{};
};

using Names = std::vector<std::string>;

}  // namespace catchup::sim
