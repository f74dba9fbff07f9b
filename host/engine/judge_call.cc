#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <utility>

#include "host/base/time_text.h"
#include "host/engine/engine.h"
#include "host/engine/engine_text.h"
#include "host/engine/healing.h"

// What becomes of an event whose call failed, by the class of the failure, and what a call that
// succeeded ends.

namespace catchup {

// `sequence` is the only event that was called for what failed; with one lane, the first that
// waits. While the breaker is open its call had begun before on another lane: it is no probe, so
// but for a REJECT it decides nothing, and the event stays in place.
void Engine::JudgeEvent(Seat& seat, Sequence sequence, FailureClass failure,
                        const std::string& text, Turn& turn) {
  InPlace& place = seat.place;
  if (place.sequence != sequence) {
    place = {};
    place.sequence = sequence;
    if (many_) {
      streams_.Take(sequence);  // It stays on this lane.
    }
  }
  ++place.calls;
  place.failure = failure;
  place.text = text;
  const bool advance = ledger_.AdvanceAt(sequence).has_value();
  trouble_.OnFailure(failure, advance ? std::nullopt : std::optional(NameOf(sequence).type));
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
void Engine::OnReject(Seat& seat, Turn& turn) {
  TypeSucceeded(NameOf(seat.place.sequence).type, true, turn);
  CallSucceeded(1, turn);
  (void)ParkInPlace(seat, LetterState::kDead, FailureClass::kDomain, turn);
}

void Engine::OnInfrastructure(Seat& seat, Turn& turn) {
  const auto delay = options_.retry.Delay(seat.place.waits++, turn.random);
  if (breaker_.half_open()) {
    ReopenBreaker(seat.place.text, turn);
  } else if (breaker_.closed()) {
    if (breaker_.OnInfrastructure(turn.now, turn.random)) {
      OpenBreaker("nothing but failures of its infrastructure", seat.place, turn);
    } else {
      WaitToRetry(&seat.place, delay, turn);
    }
  }
}

void Engine::OnDomainText(Seat& seat, Turn& turn) {
  if (breaker_.open()) {
    return;
  }
  const std::string_view type = NameOf(seat.place.sequence).type;
  const bool probe = breaker_.half_open();
  if (!probe && doubt_.OverBudget(type)) {
    OpenBreaker(
        fmt::format("text rules would make more than {} of the last {} events of type {} letters",
                    options_.budget, Doubt::kBudgetWindow, QuotedName(type)),
        seat.place, turn);
    return;
  }
  if (probe) {
    OnFailedProbe(seat, turn);
  } else if (ParkInPlace(seat, LetterState::kHealing, seat.place.failure, turn) == Parked::kFull) {
    OpenBreaker("the dead letters are full", seat.place, turn);
  }
}

// Unknown, crashed or hung.
void Engine::OnDoubt(Seat& seat, Turn& turn) {
  InPlace& place = seat.place;
  const FailureClass failure = place.failure;
  const std::string_view type = NameOf(place.sequence).type;
  ++(failure == FailureClass::kUnknown ? place.fails : place.deaths);
  if (breaker_.open()) {
    return;
  }
  if (position_mode_ && failure != FailureClass::kCrash) {
    OnUnstoredPlace(place, turn);
    return;
  }
  if (breaker_.half_open()) {
    OnFailedProbe(seat, turn);
    return;
  }
  if (doubt_.Opens(type) && options_.letter_order != LetterOrder::kHalt) {
    OpenBreaker(InARow(doubt_.streak(type) + 1, type), place, turn);
    return;
  }
  const std::uint32_t failed = failure == FailureClass::kUnknown ? place.fails : place.deaths;
  if (failed < CallsBeforeDoubt(place)) {
    if (failure == FailureClass::kUnknown) {
      WaitToRetry(&place, options_.retry.Delay(failed - 1, turn.random), turn);
    } else {
      place.not_before = turn.now;  // Its next runner has its own pace.
    }
    return;
  }
  if (ParkInPlace(seat, LetterState::kHealing, failure, turn) == Parked::kFull) {
    OpenBreaker("the dead letters are full", place, turn);
  }
}

// What keeps its own position is never guessed about: it is called again, at the breaker's pace.
void Engine::OnUnstoredPlace(const InPlace& place, Turn& turn) {
  if (breaker_.half_open()) {
    ReopenBreaker(place.text, turn);
  } else {
    OpenBreaker("a failure that nobody can classify, in a plugin that keeps its own position",
                place, turn);
  }
}

std::uint32_t Engine::CallsBeforeDoubt(const InPlace& place) const {
  if (book_.Heals(NameOf(place.sequence).type)) {
    return 1;
  }
  return 1 +
         (place.failure == FailureClass::kUnknown ? options_.max_retries : options_.max_crashes);
}

// A probe that failed in doubt: one letter, then the breaker waits twice as long.
void Engine::OnFailedProbe(Seat& seat, Turn& turn) {
  const InPlace& place = seat.place;
  const std::string_view type = NameOf(place.sequence).type;
  const bool hold = doubt_.OnProbeFailed(type, turn.now);
  const bool full = book_.IsFull(LetterBytesOf(place.sequence, place.text));
  if (hold && !full && options_.letter_order != LetterOrder::kHalt) {
    HoldType(place, turn);
  }
  const std::string text = place.text;
  (void)ParkInPlace(seat, LetterState::kHealing, place.failure, turn);
  if (const std::uint32_t streak = doubt_.streak(type); streak >= Doubt::kStreakThatOpens) {
    // It opens for that from now on, whatever for at first.
    trouble_.SetOpened(InARow(streak, type));
  }
  ReopenBreaker(text, turn);
}

std::string Engine::InARow(std::uint32_t number, std::string_view type) const {
  return fmt::format("the {}. {} in a row that fails on type {}", number,
                     options_.letter_order == LetterOrder::kEvent ? "event" : "stream",
                     QuotedName(type));
}

void Engine::HoldType(const InPlace& place, Turn& turn) {
  // One healing call a minute tells whether it is over, and costs the others nothing.
  const std::string type(NameOf(place.sequence).type);
  if (!doubt_.SetHold(type, Doubt::Hold::kByItself, turn.now)) {
    return;
  }
  book_.Hold(type, turn.now + kHeldInterval);
  turn.Add(Command::Kind::kHold).text = type;
  turn.Tell(
      Notice::kTypeHeld,
      fmt::format("events of type {} are held: they keep failing while others succeed, so they "
                  "become letters without a call until one of them succeeds; last: {}",
                  QuotedName(type), place.text),
      false);
}

void Engine::OpenBreaker(const std::string& why, const InPlace& place, Turn& turn) {
  breaker_.Open(turn.now, turn.random);
  trouble_.SetOpened(why);
  SetTrouble(fmt::format("breaker open, {}; last: {}{}{}", why, place.text, kNextTryIn,
                         FormatDuration(*breaker_.open_until() - turn.now)),
             place, turn);
}

void Engine::ReopenBreaker(const std::string& last, Turn& turn) {
  if (life_.ending()) {
    return;
  }
  breaker_.Reopen(turn.now, turn.random);
  SetTrouble(fmt::format("breaker open, {}; the call that was to try it failed; last: {}{}{}",
                         trouble_.opened(), last, kNextTryIn,
                         FormatDuration(*breaker_.open_until() - turn.now)),
             {}, turn);
}

void Engine::WaitToRetry(InPlace* place, std::chrono::nanoseconds delay, Turn& turn) {
  place->not_before = turn.now + delay;
  SetTrouble(place->text + std::string(kNextTryIn) + FormatDuration(delay), *place, turn);
}

// The first of a wait is worth a line; the state shows the others. `place` is the event that waits,
// if any.
void Engine::SetTrouble(std::string text, const InPlace& place, Turn& turn) {
  if (trouble_.Wait(text)) {
    const auto until = breaker_.open() ? *breaker_.open_until() : place.not_before;
    turn.TellTry(Notice::kCallsWait, std::move(text), false,
                 std::max<std::uint32_t>(place.calls, 1),
                 std::max(until - turn.now, std::chrono::nanoseconds(0)));
    if (place.sequence != 0) {
      turn.out->back().failure = place.failure;
      turn.out->back().from = ledger_.PositionOf(place.sequence);
    }
  }
}

// Half-open with nothing to try it with, nothing waits either: the next event may be hours away.
void Engine::Relieve(Turn& turn) {
  const bool idle =
      breaker_.half_open() && !HasEventToCall() && !CallsLetter() && !LetterToProbeWith();
  if (trouble_.waits() && !AnyPlace() && !room_wanted_ && (breaker_.closed() || idle)) {
    trouble_.End();
    turn.Tell(Notice::kCallsGoOn, "going on", true);
  }
}

// While events wait for it: in a quiet log nothing does.
std::optional<std::chrono::nanoseconds> Engine::AlarmAt() const {
  return breaker_.closed() ? std::nullopt : trouble_.AlarmAt(breaker_.opened_at());
}

void Engine::RaiseAlarm(Turn& turn) {
  const auto at = AlarmAt();
  if (life_.ending() || !at || turn.now < *at) {
    return;
  }
  trouble_.OnAlarm(turn.now);
  turn.Tell(Notice::kBreakerStaysOpen, WithTimeLeft(trouble_.text(), ""), false);
  turn.out->back().delay = turn.now - breaker_.opened_at();
}

// --- What a success ends. ---

// Of the events on the lane up to `last`, before they are settled there.
void Engine::CountSuccesses(Sequence last, Turn& turn) {
  std::uint64_t count = last - ledger_.settled();
  if (!Plain() || doubt_.watches()) [[unlikely]] {
    count = 0;
    for (Sequence sequence = ledger_.settled() + 1; sequence <= last; ++sequence) {
      if (ledger_.IsOnLane(sequence)) {
        ++count;
        if (!ledger_.AdvanceAt(sequence)) {
          TypeSucceeded(NameOf(sequence).type, true, turn);
        }
      }
    }
  } else {
    doubt_.OnSuccesses(count);
  }
  if (count > 0) {
    CallSucceeded(count, turn);
  }
}

// The first `count` events that the lane's runner has.
void Engine::CountSuccessesOn(const Seat& seat, std::size_t count, Turn& turn) {
  for (std::size_t i = 0; doubt_.watches() && i < count; ++i) {
    TypeSucceeded(NameOf(seat.has[i]).type, true, turn);
  }
  if (!doubt_.watches()) {
    doubt_.OnSuccesses(count);
  }
  CallSucceeded(count, turn);
}

void Engine::TypeSucceeded(std::string_view type, bool live, Turn& turn) {
  const Doubt::Ended ended = doubt_.OnSuccess(type, live);
  if (ended.hold) {
    book_.EndHold(type);
    turn.Add(Command::Kind::kEndHold).text = std::string(type);
    turn.Tell(Notice::kTypeFreed,
              "events of type " + QuotedName(type) + " are not held any more: one succeeded", true);
    StoreDue(book_.MakeTypeDue(type, turn.now), turn);
  } else if (ended.streak != 0) {
    StoreDue(book_.MakeStreakDue(type, ended.streak, turn.now), turn);
  }
}

// Half-open there is one call, the probe. Open, a call may end on another lane that had begun
// before.
void Engine::CallSucceeded(std::uint64_t count, Turn& turn) {
  // Beyond so many there is nothing to be gained by a bound.
  constexpr std::uint64_t kMostAhead = 4096;
  for (std::uint64_t i = 0; i < count && ahead_ != Breaker::kNoLimit; ++i) {
    ahead_ = ahead_ >= kMostAhead ? Breaker::kNoLimit : ahead_ * 2;
  }
  if (breaker_.open()) {
    return;
  }
  if (!breaker_.half_open()) {
    breaker_.OnSuccess(count);
  } else if (breaker_.OnProbeSuccess()) {
    if (breaker_.TakeWrote()) {
      StoreDue(book_.MakeAllDue(turn.now), turn);
    }
  }
}

}  // namespace catchup
