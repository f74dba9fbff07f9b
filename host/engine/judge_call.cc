#include "host/engine/judge_call.h"

#include <fmt/core.h>

#include <string>

#include "host/engine/engine_text.h"
#include "host/engine/healing.h"
#include "host/engine/letters.h"
#include "host/engine/settle.h"
#include "host/engine/waits.h"

namespace catchup {
namespace {

class CallJudge {
 public:
  explicit CallJudge(EngineParts& parts) : parts_(parts) {}

  // `sequence` is the only event that was called for what failed; with one lane, the first that
  // waits. While the breaker is open its call had begun before on another lane: it is no probe, so
  // but for a REJECT it decides nothing, and the event stays in place.
  void JudgeEvent(Seat& seat, Sequence sequence, FailureClass failure, const std::string& text,
                  Turn& turn);

 private:
  void OnReject(Seat& seat, Turn& turn);
  void OnInfrastructure(Seat& seat, Turn& turn);
  void OnDomainText(Seat& seat, Turn& turn);
  void OnDoubt(Seat& seat, Turn& turn);
  void OnUnstoredPlace(const InPlace& place, Turn& turn);
  std::uint32_t CallsBeforeDoubt(const InPlace& place) const;
  void OnFailedProbe(Seat& seat, Turn& turn);
  std::string InARow(std::uint32_t number, std::string_view type) const;
  void HoldType(const InPlace& place, Turn& turn);

  EngineParts& parts_;
};

void CallJudge::JudgeEvent(Seat& seat, Sequence sequence, FailureClass failure,
                           const std::string& text, Turn& turn) {
  InPlace& place = seat.place;
  if (place.sequence != sequence) {
    place = {};
    place.sequence = sequence;
    if (parts_.many) {
      parts_.streams.Take(sequence);  // It stays on this lane.
    }
  }
  ++place.calls;
  place.failure = failure;
  place.text = text;
  const bool advance = parts_.ledger.AdvanceAt(sequence).has_value();
  parts_.trouble.OnFailure(failure,
                           advance ? std::nullopt : std::optional(parts_.NameOf(sequence).type));
  if (advance && failure != FailureClass::kInfrastructure) {
    OnUnstoredPlace(place, turn);  // No event, so nothing that could be a letter.
    return;
  }
  switch (failure) {
    case FailureClass::kDomain:
      OnReject(seat, turn);
      break;
    case FailureClass::kInfrastructure:
      OnInfrastructure(seat, turn);
      break;
    case FailureClass::kDomainText:
      OnDomainText(seat, turn);
      break;
    default:
      OnDoubt(seat, turn);
      break;
  }
}

// The plugin has spoken, so it works: a success to all but the event.
void CallJudge::OnReject(Seat& seat, Turn& turn) {
  Settling(parts_).TypeSucceeded(parts_.NameOf(seat.place.sequence).type, true, turn);
  Settling(parts_).CallSucceeded(1, turn);
  (void)Letters(parts_).ParkInPlace(seat, LetterState::kDead, FailureClass::kDomain, turn);
}

void CallJudge::OnInfrastructure(Seat& seat, Turn& turn) {
  const auto delay = parts_.options.retry.Delay(seat.place.waits++, turn.random);
  if (parts_.breaker.half_open()) {
    Waits(parts_).ReopenBreaker(seat.place.text, turn);
  } else if (parts_.breaker.closed()) {
    if (parts_.breaker.OnInfrastructure(turn.now, turn.random)) {
      Waits(parts_).OpenBreaker("nothing but failures of its infrastructure", seat.place, turn);
    } else {
      Waits(parts_).WaitToRetry(&seat.place, delay, turn);
    }
  }
}

void CallJudge::OnDomainText(Seat& seat, Turn& turn) {
  if (parts_.breaker.open()) {
    return;
  }
  const std::string_view type = parts_.NameOf(seat.place.sequence).type;
  const bool probe = parts_.breaker.half_open();
  if (!probe && parts_.doubt.OverBudget(type)) {
    Waits(parts_).OpenBreaker(
        fmt::format("text rules would make more than {} of the last {} events of type {} letters",
                    parts_.options.budget, Doubt::kBudgetWindow, QuotedName(type)),
        seat.place, turn);
    return;
  }
  if (probe) {
    OnFailedProbe(seat, turn);
  } else if (Letters(parts_).ParkInPlace(seat, LetterState::kHealing, seat.place.failure, turn) ==
             Letters::Parked::kFull) {
    Waits(parts_).OpenBreaker("the dead letters are full", seat.place, turn);
  }
}

// Unknown, crashed or hung.
void CallJudge::OnDoubt(Seat& seat, Turn& turn) {
  InPlace& place = seat.place;
  const FailureClass failure = place.failure;
  const std::string_view type = parts_.NameOf(place.sequence).type;
  ++(failure == FailureClass::kUnknown ? place.fails : place.deaths);
  if (parts_.breaker.open()) {
    return;
  }
  if (parts_.position_mode && failure != FailureClass::kCrash) {
    OnUnstoredPlace(place, turn);
    return;
  }
  if (parts_.breaker.half_open()) {
    OnFailedProbe(seat, turn);
    return;
  }
  if (parts_.doubt.Opens(type) && parts_.options.letter_order != LetterOrder::kHalt) {
    Waits(parts_).OpenBreaker(InARow(parts_.doubt.streak(type) + 1, type), place, turn);
    return;
  }
  const std::uint32_t failed = failure == FailureClass::kUnknown ? place.fails : place.deaths;
  if (failed < CallsBeforeDoubt(place)) {
    if (failure == FailureClass::kUnknown) {
      Waits(parts_).WaitToRetry(&place, parts_.options.retry.Delay(failed - 1, turn.random), turn);
    } else {
      place.not_before = turn.now;  // Its next runner has its own pace.
    }
    return;
  }
  if (Letters(parts_).ParkInPlace(seat, LetterState::kHealing, failure, turn) ==
      Letters::Parked::kFull) {
    Waits(parts_).OpenBreaker("the dead letters are full", place, turn);
  }
}

// What keeps its own position is never guessed about: it is called again, at the breaker's pace.
void CallJudge::OnUnstoredPlace(const InPlace& place, Turn& turn) {
  if (parts_.breaker.half_open()) {
    Waits(parts_).ReopenBreaker(place.text, turn);
  } else {
    Waits(parts_).OpenBreaker(
        "a failure that nobody can classify, in a plugin that keeps its own position", place, turn);
  }
}

std::uint32_t CallJudge::CallsBeforeDoubt(const InPlace& place) const {
  if (parts_.book.Heals(parts_.NameOf(place.sequence).type)) {
    return 1;
  }
  return 1 + (place.failure == FailureClass::kUnknown ? parts_.options.max_retries
                                                      : parts_.options.max_crashes);
}

// A probe that failed in doubt: one letter, then the breaker waits twice as long.
void CallJudge::OnFailedProbe(Seat& seat, Turn& turn) {
  const InPlace& place = seat.place;
  const std::string_view type = parts_.NameOf(place.sequence).type;
  const bool hold = parts_.doubt.OnProbeFailed(type, turn.now);
  const bool full = parts_.book.IsFull(parts_.LetterBytesOf(place.sequence, place.text));
  if (hold && !full && parts_.options.letter_order != LetterOrder::kHalt) {
    HoldType(place, turn);
  }
  const std::string text = place.text;
  (void)Letters(parts_).ParkInPlace(seat, LetterState::kHealing, place.failure, turn);
  if (const std::uint32_t streak = parts_.doubt.streak(type); streak >= Doubt::kStreakThatOpens) {
    // It opens for that from now on, whatever for at first.
    parts_.trouble.SetOpened(InARow(streak, type));
  }
  Waits(parts_).ReopenBreaker(text, turn);
}

std::string CallJudge::InARow(std::uint32_t number, std::string_view type) const {
  return fmt::format("the {}. {} in a row that fails on type {}", number,
                     parts_.options.letter_order == LetterOrder::kEvent ? "event" : "stream",
                     QuotedName(type));
}

void CallJudge::HoldType(const InPlace& place, Turn& turn) {
  // One healing call a minute tells whether it is over, and costs the others nothing.
  const std::string type(parts_.NameOf(place.sequence).type);
  if (!parts_.doubt.SetHold(type, Doubt::Hold::kByItself, turn.now)) {
    return;
  }
  parts_.book.Hold(type, turn.now + kHeldInterval);
  turn.Add(Command::Kind::kHold).text = type;
  turn.Tell(
      Notice::kTypeHeld,
      fmt::format("events of type {} are held: they keep failing while others succeed, so they "
                  "become letters without a call until one of them succeeds; last: {}",
                  QuotedName(type), place.text),
      false);
}

}  // namespace

void JudgeCall(EngineParts& parts, Seat& seat, Sequence sequence, FailureClass failure,
               const std::string& text, Turn& turn) {
  CallJudge(parts).JudgeEvent(seat, sequence, failure, text, turn);
}

}  // namespace catchup
