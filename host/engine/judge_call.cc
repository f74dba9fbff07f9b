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

// `sequence` is the first event that waits, and the only one that was called for what failed.
void Engine::JudgeEvent(Sequence sequence, FailureClass failure, const std::string& text,
                        Turn& turn) {
  if (place_.sequence != sequence) {
    place_ = {};
    place_.sequence = sequence;
  }
  ++place_.calls;
  place_.failure = failure;
  place_.text = text;
  switch (failure) {
    case FailureClass::kDomain:
      OnReject(turn);
      break;
    case FailureClass::kInfrastructure:
      OnInfrastructure(turn);
      break;
    case FailureClass::kDomainText:
      OnDomainText(turn);
      break;
    default:
      OnDoubt(turn);
      break;
  }
}

// The plugin has spoken, so it works: a success to all but the event.
void Engine::OnReject(Turn& turn) {
  TypeSucceeded(NameOf(place_.sequence).type, turn);
  CallSucceeded(1, turn);
  (void)ParkInPlace(LetterState::kDead, turn);
}

void Engine::OnInfrastructure(Turn& turn) {
  const auto delay = options_.retry.Delay(place_.waits++, turn.random);
  if (breaker_.half_open()) {
    ReopenBreaker(place_.text, turn);
  } else if (breaker_.closed()) {
    if (breaker_.OnInfrastructure(turn.now, turn.random)) {
      OpenBreaker("nothing but failures of its infrastructure", turn);
    } else {
      WaitToRetry(delay, turn);
    }
  }
}

void Engine::OnDomainText(Turn& turn) {
  const std::string_view type = NameOf(place_.sequence).type;
  const bool probe = breaker_.half_open();
  if (!probe && doubt_.OverBudget(type)) {
    OpenBreaker(
        fmt::format("text rules would make more than {} of the last {} events of type {} letters",
                    options_.budget, Doubt::kBudgetWindow, QuotedName(type)),
        turn);
    return;
  }
  if (probe) {
    OnFailedProbe(turn);
  } else if (ParkInPlace(LetterState::kHealing, turn) == Parked::kFull) {
    OpenBreaker("the dead letters are full", turn);
  }
}

// Unknown, crashed or hung.
void Engine::OnDoubt(Turn& turn) {
  const FailureClass failure = place_.failure;
  const std::string_view type = NameOf(place_.sequence).type;
  ++(failure == FailureClass::kUnknown ? place_.fails : place_.deaths);
  if (position_mode_ && failure != FailureClass::kCrash) {
    // What keeps its own position is never guessed about.
    if (breaker_.half_open()) {
      ReopenBreaker(place_.text, turn);
    } else {
      OpenBreaker("a failure that nobody can classify, in a plugin that keeps its own position",
                  turn);
    }
    return;
  }
  if (breaker_.half_open()) {
    OnFailedProbe(turn);
    return;
  }
  if (doubt_.Opens(type) && options_.letter_order != LetterOrder::kHalt) {
    OpenBreaker(fmt::format("the {}. {} in a row that fails on type {}", doubt_.streak(type) + 1,
                            options_.letter_order == LetterOrder::kEvent ? "event" : "stream",
                            QuotedName(type)),
                turn);
    return;
  }
  const std::uint32_t failed = failure == FailureClass::kUnknown ? place_.fails : place_.deaths;
  if (failed < CallsBeforeDoubt(failure)) {
    if (failure == FailureClass::kUnknown) {
      WaitToRetry(options_.retry.Delay(failed - 1, turn.random), turn);
    } else {
      place_.not_before = turn.now;  // Its next runner has its own pace.
    }
    return;
  }
  if (ParkInPlace(LetterState::kHealing, turn) == Parked::kFull) {
    OpenBreaker("the dead letters are full", turn);
  }
}

std::uint32_t Engine::CallsBeforeDoubt(FailureClass failure) const {
  if (book_.Heals(NameOf(place_.sequence).type)) {
    return 1;
  }
  return 1 + (failure == FailureClass::kUnknown ? options_.max_retries : options_.max_crashes);
}

// A probe that failed in doubt: one letter, then the breaker waits twice as long.
void Engine::OnFailedProbe(Turn& turn) {
  const std::string_view type = NameOf(place_.sequence).type;
  const bool hold = doubt_.OnProbeFailed(type, turn.now);
  const bool full = book_.IsFull(LetterBytesOf(place_.sequence));
  if (hold && !full && options_.letter_order != LetterOrder::kHalt) {
    HoldType(turn);
  }
  const std::string text = place_.text;
  (void)ParkInPlace(LetterState::kHealing, turn);
  ReopenBreaker(text, turn);
}

void Engine::HoldType(Turn& turn) {
  // One healing call a minute tells whether it is over, and costs the others nothing.
  const std::string type(NameOf(place_.sequence).type);
  if (!doubt_.SetHold(type, Doubt::Hold::kByItself, turn.now)) {
    return;
  }
  book_.Hold(type, turn.now + kHeldInterval);
  turn.Add(Command::Kind::kHold).text = type;
  turn.Tell(
      Notice::kTypeHeld,
      fmt::format("events of type {} are held: they keep failing while others succeed, so they "
                  "become letters without a call until one of them succeeds; last: {}",
                  QuotedName(type), place_.text),
      false);
}

void Engine::OpenBreaker(const std::string& why, Turn& turn) {
  breaker_.Open(turn.now, turn.random);
  SetTrouble(fmt::format("breaker open, {}; last: {}{}{}", why, place_.text, kNextTryIn,
                         FormatDuration(*breaker_.open_until() - turn.now)),
             turn);
}

void Engine::ReopenBreaker(const std::string& last, Turn& turn) {
  if (life_.ending()) {
    return;
  }
  breaker_.Reopen(turn.now, turn.random);
  SetTrouble(fmt::format("breaker open, the call that was to try it failed; last: {}{}{}", last,
                         kNextTryIn, FormatDuration(*breaker_.open_until() - turn.now)),
             turn);
}

void Engine::WaitToRetry(std::chrono::nanoseconds delay, Turn& turn) {
  place_.not_before = turn.now + delay;
  SetTrouble(place_.text + std::string(kNextTryIn) + FormatDuration(delay), turn);
}

// The first of a wait is worth a line; the state shows the others.
void Engine::SetTrouble(std::string text, Turn& turn) {
  if (trouble_.empty()) {
    const auto until = breaker_.open() ? *breaker_.open_until() : place_.not_before;
    turn.TellTry(Notice::kCallsWait, text, false, std::max<std::uint32_t>(place_.calls, 1),
                 std::max(until - turn.now, std::chrono::nanoseconds(0)));
    if (place_.sequence != 0) {
      turn.out->back().failure = place_.failure;
      turn.out->back().from = ledger_.PositionOf(place_.sequence);
    }
  }
  trouble_ = std::move(text);
}

void Engine::Relieve(Turn& turn) {
  if (!trouble_.empty() && place_.sequence == 0 && !room_wanted_ && breaker_.closed()) {
    trouble_.clear();
    turn.Tell(Notice::kCallsGoOn, "going on", true);
  }
}

// --- What a success ends. ---

// Of the events on the lane up to `last`, before they are settled there.
void Engine::CountSuccesses(Sequence last, Turn& turn) {
  std::uint64_t count = last - ledger_.settled();
  if (!Plain() || doubt_.watches()) [[unlikely]] {
    count = 0;
    for (Sequence sequence = ledger_.settled() + 1; sequence <= last; ++sequence) {
      if (ledger_.IsOnLane(sequence) && !ledger_.AdvanceAt(sequence)) {
        ++count;
        TypeSucceeded(NameOf(sequence).type, turn);
      }
    }
  } else {
    doubt_.OnSuccesses(count);
  }
  if (count > 0) {
    CallSucceeded(count, turn);
  }
}

void Engine::TypeSucceeded(std::string_view type, Turn& turn) {
  const Doubt::Ended ended = doubt_.OnSuccess(type);
  if (ended.hold) {
    book_.EndHold(type);
    turn.Add(Command::Kind::kEndHold).text = std::string(type);
    turn.Tell(Notice::kTypeFreed,
              "events of type " + QuotedName(type) + " are not held any more: one succeeded", true);
    book_.MakeTypeDue(type, turn.now);
  } else if (ended.streak != 0) {
    book_.MakeStreakDue(type, ended.streak, turn.now);
  }
}

// Half-open there is one call, the probe.
void Engine::CallSucceeded(std::uint64_t count, Turn& turn) {
  if (!breaker_.half_open()) {
    breaker_.OnSuccess(count);
  } else if (breaker_.OnProbeSuccess()) {
    if (breaker_.TakeWrote()) {
      book_.MakeAllDue(turn.now);
    }
  }
}

}  // namespace catchup
