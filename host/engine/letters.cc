#include <fmt/core.h>

#include <memory>
#include <string>
#include <utility>

#include "host/engine/engine.h"
#include "host/engine/engine_text.h"
#include "host/engine/healing.h"

// Letters: how one comes to be, and what their store says.

namespace catchup {

void Engine::LoadLetter(const LetterSummary& letter) {
  if (!book_.Has(letter.stream, letter.position)) {
    book_.Add(letter, 0, true);
  }
}

void Engine::LoadHold(std::string_view type, bool by_hand) {
  doubt_.SetHold(type, by_hand ? Doubt::Hold::kByHand : Doubt::Hold::kByItself, {});
  book_.Hold(type, by_hand ? std::nullopt : std::optional(std::chrono::nanoseconds(0)));
}

// The first event that waits becomes a letter, if there is room; with order "halt" the group ends
// instead, which counts as done.
Engine::Parked Engine::Park(Sequence sequence, LetterState state, FailureClass failure,
                            std::uint32_t attempts, const std::string& reason, Turn& turn) {
  if (options_.letter_order == LetterOrder::kHalt && failure != FailureClass::kByHand) {
    halted_before_ = ledger_.PositionOf(sequence);
    End(GroupState::kFailed, reason + StopsBefore(sequence), Lane::Force::kDrain,
        options_.drain_timeout);
    return Parked::kYes;
  }
  const std::uint64_t bytes = LetterBytesOf(sequence, reason);
  if (book_.IsFull(bytes)) {
    return Parked::kFull;
  }
  const EventName name = NameOf(sequence);
  if (state == LetterState::kHealing && options_.heal_for == std::chrono::nanoseconds(0)) {
    state = LetterState::kDead;
  }
  std::uint32_t streak = 0;
  if (failure == FailureClass::kDomainText) {
    doubt_.OnTextLetter(name.type, turn.now);
  } else if (IsInDoubt(failure) && state != LetterState::kFollower) {
    streak = doubt_.OnParked(name.type, turn.now);
  }
  if (state == LetterState::kHealing) {
    breaker_.NoteLetter();
  }
  auto change = std::make_shared<LetterChange>();
  change->position = ledger_.PositionOf(sequence);
  change->state = state;
  change->failure = failure;
  change->attempts = attempts;
  change->step = 1;
  change->since = turn.now;
  change->due = turn.now + HealDelay(failure, 0, turn.random);
  change->called = attempts > 0;
  change->reason = reason;
  const bool heals = state == LetterState::kHealing;
  const auto next_call = heals ? change->due - turn.now : std::chrono::nanoseconds(0);
  LetterSummary summary;
  summary.position = change->position;
  summary.stream = name.stream;
  summary.type = name.type;
  summary.bytes = bytes;
  summary.state = state;
  summary.failure = failure;
  summary.attempts = attempts;
  summary.step = change->step;
  summary.since = change->since;
  summary.due = change->due;
  parking_.emplace(sequence, book_.Add(summary, streak, false));
  park_asked_.erase(change->position);
  ledger_.Park(sequence);
  ++counts_.parked;
  if (state != LetterState::kFollower) {
    turn.TellTry(Notice::kLetterWritten,
                 fmt::format("dead letter, {}, class {}{}: {}", LetterStateName(state),
                             FailureClassName(failure), AtEvent(sequence), reason),
                 false, attempts, next_call);
    turn.out->back().failure = failure;
    turn.out->back().from = change->position;
  }
  Command& command = turn.Add(Command::Kind::kPark);
  command.first = command.last = sequence;
  command.letter = std::move(change);
  return Parked::kYes;
}

// Before it is written, as near as can be told.
std::uint64_t Engine::LetterBytesOf(Sequence sequence, std::string_view reason) const {
  return ledger_.BytesOf(sequence) + options_.letter_overhead + reason.size();
}

// The event in place, which then is in place no more. Without room it stays; one that needs no
// further call waits for it.
Engine::Parked Engine::ParkInPlace(Seat& seat, LetterState state, FailureClass failure,
                                   Turn& turn) {
  const InPlace place = seat.place;
  if (Park(place.sequence, state, failure, place.calls, place.text, turn) == Parked::kFull) {
    if (!IsInDoubt(failure)) {
      SetTrouble("dead letters full: " + place.text, place, turn);
    }
    return Parked::kFull;
  }
  seat.lane.Forgive(place.counted_deaths);
  seat.place = {};
  if (many_) {
    streams_.Done(place.sequence);
  }
  return Parked::kYes;
}

// It is a letter already.
void Engine::PassLetter(Sequence sequence) {
  if (position_mode_) {
    ledger_.Park(sequence);
    ledger_.PassParked(sequence);
  } else {
    ledger_.Skip(sequence);
    letters_passed_ = true;
  }
}

void Engine::RemoveLettersBeyond(std::optional<Position> position, Turn& turn) {
  if (!book_.empty()) {
    book_.RemoveBeyond(position);
    turn.Add(Command::Kind::kRemoveLetters).from = position;
  }
}

void Engine::LetterDurable(Sequence sequence, Tick tick, Commands* out) {
  const auto found = parking_.find(sequence);
  if (life_.finished() || found == parking_.end()) {
    return;
  }
  Turn turn(tick, out);
  letters_given_up_ = false;
  book_.Written(found->second);
  parking_.erase(found);
  if (position_mode_) {
    ledger_.PassParked(sequence);
  } else {
    ledger_.SettleParked(sequence);
  }
  Plan(turn);
}

void Engine::LetterStored(Position position, Tick tick, Commands* out) {
  if (life_.finished() || !letter_writes_.End(position)) {
    return;
  }
  Turn turn(tick, out);
  letters_given_up_ = false;
  Plan(turn);
}

void Engine::LettersExhausted(Tick tick, Commands* out) {
  if (life_.finished() || !life_.ending()) {
    return;
  }
  Turn turn(tick, out);
  letters_given_up_ = true;
  Plan(turn);
}

void Engine::LettersNotBegun(Tick tick, Commands* out) {
  if (life_.finished()) {
    return;
  }
  Turn turn(tick, out);
  letters_refused_ = true;
  Plan(turn);
}

void Engine::LetterGone(Tick tick, Commands* out) {
  if (life_.finished() || !CallsLetter()) {
    return;
  }
  Turn turn(tick, out);
  const LetterBook::Id id = *letter_call_;
  const bool known = !letter_call_lost_;
  CutLetterCall(seats_[letter_lane_]);
  if (known) {
    book_.Remove(id);
  }
  Plan(turn);
}

void Engine::LetterDropped(std::string_view stream, Position position, std::string_view why,
                           Tick tick, Commands* out) {
  if (life_.finished()) {
    return;
  }
  Turn turn(tick, out);
  std::string text = "dead letter " + FormatPosition(position) + " dropped" + OneLine(why);
  LetterBook::Letter letter;
  const auto id = book_.Find(stream, position);
  if (id && book_.Get(*id)->written) {
    letter_call_lost_ = letter_call_lost_ || letter_call_ == *id;
    letter = *book_.Get(*id);
    book_.Remove(*id);
  } else {
    // Its call had succeeded, or the group gone back behind it, before the store could be told; the
    // store has the decision all the same.
    letter.position = position;
    letter.state = LetterState::kFollower;
    text += id ? "; its event has come again meanwhile, and becomes another letter"
               : "; it had healed just before";
  }
  TellLetter(Notice::kLetterDropped, text, true, letter, letter.attempts, turn);
  Plan(turn);
}

// What became of a letter, at its call number `attempt`. No other call of it follows.
void Engine::TellLetter(Notice notice, const std::string& text, bool expected,
                        const LetterBook::Letter& letter, std::uint32_t attempt, Turn& turn) {
  turn.TellTry(notice, text, expected, attempt, {});
  turn.out->back().from = letter.position;
  if (letter.state != LetterState::kFollower) {
    turn.out->back().failure = letter.failure;
  }
}

}  // namespace catchup
