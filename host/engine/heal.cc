#include "host/engine/heal.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "host/engine/backoff.h"
#include "host/engine/healing.h"
#include "host/engine/letters.h"
#include "host/engine/settle.h"
#include "host/engine/waits.h"

namespace catchup {

std::chrono::nanoseconds HealDelay(FailureClass failure, std::uint32_t step, std::uint64_t random) {
  using std::chrono::minutes;
  using std::chrono::seconds;
  constexpr std::array<std::chrono::nanoseconds, 4> kDelays{seconds(5), seconds(30), minutes(2),
                                                            minutes(10)};
  constexpr std::chrono::nanoseconds kLast = std::chrono::hours(1);
  const bool slow = failure == FailureClass::kCrash || failure == FailureClass::kHang ||
                    failure == FailureClass::kDomainText;
  const std::size_t index = slow ? kDelays.size() - 1 + step : step;
  const auto delay = index < kDelays.size() ? kDelays[index] : kLast;
  return Backoff{delay, delay + delay / 4}.Delay(0, random);
}

std::optional<LetterBook::Id> Heal::NextLetter(std::chrono::nanoseconds now) const {
  return parts_.book.Next(now, parts_.letter_calls.free_at(),
                          [this](const LetterBook::Id& id) { return MayCallLetter(id); });
}

std::optional<LetterBook::Id> Heal::LetterToProbeWith() const {
  return parts_.book.ToProbeWith([this](const LetterBook::Id& id) { return MayCallLetter(id); });
}

bool Heal::MayCallLetter(const LetterBook::Id& id) const {
  return parts_.link.knows_log() &&
         !parts_.letter_writes.Holds(parts_.book.StreamOf(id), id.position) &&
         !StandsBehindAnEvent(id);
}

// What became a letter may lie behind an event that is still tried, and after a restart behind
// those that come again: called before them it would overtake one of its stream, and a stop before
// they are done would bring it a second time. A full store waits for its letters all the same.
bool Heal::StandsBehindAnEvent(const LetterBook::Id& id) const {
  const bool all_received = parts_.catch_up.begun() && parts_.ledger.idle();
  return parts_.ledger.watermark() < id.position && !all_received && !LacksRoom();
}

bool Heal::LacksRoom() const {
  return parts_.book.IsFull(0) ||
         std::any_of(parts_.seats.begin(), parts_.seats.end(), [this](const Seat& seat) {
           return seat.place.sequence != 0 &&
                  parts_.book.IsFull(parts_.LetterBytesOf(seat.place.sequence, seat.place.text));
         });
}

void Heal::CallLetter(const Seat& seat, const LetterBook::Id& id, Turn& turn) {
  parts_.book.BeginCall(id);
  parts_.letter_calls.Begin(id, seat.lane.number(), parts_.book.StreamOf(id), turn.now);
  if (parts_.many) {
    parts_.streams.Occupy(parts_.letter_calls.stream());
  }
  Command& command = turn.Add(Command::Kind::kCallLetter);
  command.from = id.position;
  command.lane = seat.lane.number();
}

// Its stream is free again.
LetterBook::Id Heal::EndLetterCall() {
  if (parts_.many) {
    parts_.streams.Vacate(parts_.letter_calls.stream());
  }
  return parts_.letter_calls.End();
}

void Heal::LetterSucceeded(Seat& seat, Turn& turn) {
  const LetterBook::Id id = EndLetterCall();
  seat.lane.OnSettled();
  parts_.settled_at = turn.now;
  if (!parts_.letter_calls.lost()) {
    const LetterBook::Letter letter = *parts_.book.Get(id);
    const std::string type(parts_.book.TypeOf(letter));
    const std::string_view stream = parts_.book.StreamOf(id);
    parts_.letter_writes.Begin(
        stream, id.position, false,
        Letters::LineOf(Notice::kLetterHealed,
                        "dead letter " + FormatPosition(id.position) + " healed", true, letter,
                        {stream, type}, letter.attempts + 1));
    parts_.book.Remove(id);
    turn.Add(Command::Kind::kRemoveLetter).from = id.position;
    Settling(parts_).TypeSucceeded(type, false, turn);
  }
  Settling(parts_).CallSucceeded(1, turn);
}

void Heal::LetterFailed(FailureClass failure, const std::string& text, Word whose, Turn& turn) {
  const LetterBook::Id id = EndLetterCall();
  parts_.letter_calls.Rest(turn.now);
  const bool probe = parts_.breaker.half_open();
  parts_.counts.calls_before_end +=
      parts_.options.stop_on_caught_up && parts_.catch_up.done() && !probe ? 1 : 0;
  if (!parts_.letter_calls.lost()) {
    LetterBook::Letter letter = *parts_.book.Get(id);
    const bool was_dead = letter.state == LetterState::kDead;
    if (letter.state == LetterState::kFollower) {
      letter.state = LetterState::kHealing;
      letter.failure = FailureClass::kUnknown;
      letter.since = turn.now;
      letter.step = 0;
    }
    if (failure == FailureClass::kDomain ||
        (IsInDoubt(failure) && (parts_.options.heal_for == std::chrono::nanoseconds(0) ||
                                turn.now - letter.since > parts_.options.heal_for))) {
      letter.state = LetterState::kDead;
    }
    if (failure == FailureClass::kDomain || IsInDoubt(failure)) {
      letter.failure = failure;
    }
    std::optional<Command> line;
    if (letter.state == LetterState::kDead && !was_dead) {
      letter.since = turn.now;
      line = Letters::LineOf(
          Notice::kLetterDead,
          "dead letter " + FormatPosition(id.position) + " waits for a person: " + text, false,
          letter, {parts_.book.StreamOf(id), parts_.book.TypeOf(letter)}, letter.attempts + 1);
    }
    letter.due = turn.now + HealDelay(letter.failure, letter.step, turn.random);
    parts_.book.EndCall(id, letter.state, letter.failure, letter.since, letter.due,
                        letter.step + 1);
    const std::string type(parts_.book.TypeOf(letter));
    if (parts_.doubt.HoldOf(type) == Doubt::Hold::kByItself) {
      parts_.book.Hold(type,
                       turn.now + Backoff{kHeldInterval, 2 * kHeldInterval}.Delay(0, turn.random));
    }
    StoreLetter(id, text, whose, std::move(line), turn);
  }
  if (probe && failure == FailureClass::kDomain) {
    Settling(parts_).CallSucceeded(1, turn);
  } else if (probe) {
    Waits(parts_).ReopenBreaker(text, turn);
  }
}

void Heal::LetterBroke(const Seat& seat, const std::string& text, Turn& turn) {
  if (parts_.CallsLetter(seat)) {
    LetterFailed(FailureClass::kContract, text, Word::kOurs, turn);
  }
}

void Heal::CutLetterCall(const Seat& seat) {
  if (!parts_.CallsLetter(seat)) {
    return;
  }
  if (!parts_.letter_calls.lost()) {
    parts_.book.CutCall(*parts_.letter_calls.called());
  }
  EndLetterCall();
}

// What a runner that is not believed has said is not written; that its letter's call broke the
// contract, it has not said.
void Heal::StoreLetter(const LetterBook::Id& id, const std::string& reason, Word whose,
                       std::optional<Command> line, Turn& turn) {
  const LetterBook::Letter& letter = *parts_.book.Get(id);
  auto change = std::make_shared<LetterChange>();
  change->position = id.position;
  change->state = letter.state;
  change->failure = letter.failure;
  change->step = letter.step;
  change->since = letter.since;
  change->due = letter.due;
  change->called = whose == Word::kRunners;
  change->reason = reason;
  const bool ours = whose == Word::kOurs;
  parts_.letter_writes.Begin(parts_.book.StreamOf(id), id.position, ours, std::move(line));
  Command& command = turn.Add(Command::Kind::kUpdateLetter);
  command.letter = std::move(change);
  command.expected = ours;
}

}  // namespace catchup
