#include "host/engine/letters.h"

#include <fmt/core.h>

#include <memory>
#include <utility>

#include "host/engine/engine_text.h"
#include "host/engine/healing.h"
#include "host/engine/waits.h"

namespace catchup {

Letters::Parked Letters::Park(Sequence sequence, LetterState state, FailureClass failure,
                              std::uint32_t attempts, const std::string& reason, Turn& turn) {
  // What is held there is so by a person's word (route.cc).
  const bool ordered = failure == FailureClass::kByHand || failure == FailureClass::kHeld;
  if (parts_.options.letter_order == LetterOrder::kHalt && !ordered) {
    parts_.halted_before = parts_.ledger.PositionOf(sequence);
    parts_.End(GroupState::kFailed, reason + StopsBefore(sequence), Lane::Force::kDrain,
               parts_.options.drain_timeout);
    return Parked::kYes;
  }
  const std::uint64_t bytes = parts_.LetterBytesOf(sequence, reason);
  if (parts_.book.IsFull(bytes)) {
    return Parked::kFull;
  }
  const EventName name = parts_.NameOf(sequence);
  if (state == LetterState::kHealing && parts_.options.heal_for == std::chrono::nanoseconds(0)) {
    state = LetterState::kDead;
  }
  std::uint32_t streak = 0;
  if (failure == FailureClass::kDomainText) {
    parts_.doubt.OnTextLetter(name.type, turn.now);
  } else if (IsInDoubt(failure) && state != LetterState::kFollower) {
    streak = parts_.doubt.OnParked(name.type, turn.now);
  }
  if (state == LetterState::kHealing) {
    parts_.breaker.NoteLetter();
  }
  auto change = std::make_shared<LetterChange>();
  change->position = parts_.ledger.PositionOf(sequence);
  change->state = state;
  change->failure = failure;
  change->attempts = attempts;
  change->step = 1;
  change->since = turn.now;
  change->due = turn.now + HealDelay(failure, 0, turn.random);
  change->called = attempts > 0;
  change->reason = reason;
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
  parts_.parking.emplace(sequence,
                         EngineParts::Parking{parts_.book.Add(summary, streak, false), change});
  parts_.park_asked.erase(change->position);
  parts_.ledger.Park(sequence);
  ++parts_.counts.parked;
  Command& command = turn.Add(Command::Kind::kPark);
  command.first = command.last = sequence;
  command.letter = std::move(change);
  return Parked::kYes;
}

Letters::Parked Letters::ParkInPlace(Seat& seat, LetterState state, FailureClass failure,
                                     Turn& turn) {
  const InPlace place = seat.place;
  if (Park(place.sequence, state, failure, place.calls, place.text, turn) == Parked::kFull) {
    if (!IsInDoubt(failure)) {
      Waits(parts_).SetTrouble("dead letters full: " + place.text, place, turn);
    }
    return Parked::kFull;
  }
  seat.lane.Forgive(place.counted_deaths);
  seat.place = {};
  if (parts_.many) {
    parts_.streams.Done(place.sequence);
  }
  return Parked::kYes;
}

void Letters::PassLetter(Sequence sequence) {
  if (parts_.position_mode) {
    parts_.ledger.Park(sequence);
    parts_.ledger.PassParked(sequence);
  } else {
    parts_.ledger.Skip(sequence);
    parts_.letters_passed = true;
  }
}

void Letters::RemoveLettersBeyond(std::optional<Position> position, Turn& turn) {
  if (!parts_.book.empty()) {
    parts_.book.RemoveBeyond(position);
    turn.Add(Command::Kind::kRemoveLetters).from = position;
  }
}

void Letters::TellWritten(Sequence sequence, const EngineParts::Parking& parking,
                          Turn& turn) const {
  const LetterBook::Letter* const letter = parts_.book.Get(parking.id);
  const LetterChange& change = *parking.change;
  if (letter == nullptr || change.state == LetterState::kFollower) {
    return;
  }
  // What a call said of the event names it.
  Command line =
      LineOf(Notice::kLetterWritten,
             fmt::format("dead letter, {}, class {}{}: {}", LetterStateName(change.state),
                         FailureClassName(change.failure),
                         change.attempts > 0 ? "" : AtEvent(sequence), change.reason),
             false, *letter, {parts_.book.StreamOf(parking.id), parts_.book.TypeOf(*letter)},
             change.attempts);
  if (change.state == LetterState::kHealing) {
    line.delay = change.due - change.since;
  }
  turn.out->push_back(std::move(line));
}

Command Letters::LineOf(Notice notice, std::string text, bool expected,
                        const LetterBook::Letter& letter, EventName name, std::uint32_t attempt) {
  Command line;
  line.kind = Command::Kind::kNotice;
  line.notice = notice;
  line.text = std::move(text);
  line.expected = expected;
  line.number = attempt;
  line.from = letter.position;
  line.name = std::make_shared<const LetterName>(
      LetterName{std::string(name.stream), std::string(name.type)});
  if (letter.state != LetterState::kFollower) {
    line.failure = letter.failure;
  }
  return line;
}

void Letters::StoreDue(std::vector<Position> letters, Turn& turn) {
  if (!letters.empty()) {
    Command& command = turn.Add(Command::Kind::kMakeDue);
    command.at = turn.now;
    command.letters = std::make_shared<const std::vector<Position>>(std::move(letters));
  }
}

}  // namespace catchup
