#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "host/engine/backoff.h"
#include "host/engine/engine.h"
#include "host/engine/engine_text.h"
#include "host/engine/healing.h"

// Calls of letters, and what comes of them.

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

std::optional<LetterBook::Id> Engine::NextLetter(std::chrono::nanoseconds now) const {
  return book_.Next(now, heal_free_at_,
                    [this](const LetterBook::Id& id) { return MayCallLetter(id); });
}

std::optional<LetterBook::Id> Engine::LetterToProbeWith() const {
  return book_.ToProbeWith([this](const LetterBook::Id& id) { return MayCallLetter(id); });
}

bool Engine::MayCallLetter(const LetterBook::Id& id) const {
  return !letter_writes_.Holds(book_.StreamOf(id), id.position) && !StandsBehindAnEvent(id);
}

// What became a letter may lie behind an event that is still tried, and after a restart behind
// those that come again: called before them it would overtake one of its stream, and a stop before
// they are done would bring it a second time. A full store waits for its letters all the same.
bool Engine::StandsBehindAnEvent(const LetterBook::Id& id) const {
  const bool all_received = catch_up_.begun() && ledger_.idle();
  return ledger_.watermark() < id.position && !all_received && !LacksRoom();
}

bool Engine::LacksRoom() const {
  return book_.IsFull(0) || std::any_of(seats_.begin(), seats_.end(), [this](const Seat& seat) {
           return seat.place.sequence != 0 &&
                  book_.IsFull(LetterBytesOf(seat.place.sequence, seat.place.text));
         });
}

void Engine::CallLetter(const Seat& seat, const LetterBook::Id& id, Turn& turn) {
  book_.BeginCall(id);
  letter_call_ = id;
  letter_lane_ = seat.lane.number();
  if (many_) {
    letter_stream_ = book_.StreamOf(id);
    streams_.Occupy(letter_stream_);
  }
  letter_call_lost_ = false;
  letter_called_at_ = turn.now;
  letter_was_last_ = true;
  Command& command = turn.Add(Command::Kind::kCallLetter);
  command.from = id.position;
  command.lane = letter_lane_;
}

// Its stream is free again.
LetterBook::Id Engine::EndLetterCall() {
  if (many_) {
    streams_.Vacate(letter_stream_);
  }
  return *std::exchange(letter_call_, std::nullopt);
}

void Engine::LetterSucceeded(Seat& seat, Turn& turn) {
  const LetterBook::Id id = EndLetterCall();
  seat.lane.OnSettled();
  settled_at_ = turn.now;
  if (!letter_call_lost_) {
    const LetterBook::Letter letter = *book_.Get(id);
    const std::string type(book_.TypeOf(letter));
    letter_writes_.Begin(book_.StreamOf(id), id.position, false);
    book_.Remove(id);
    turn.Add(Command::Kind::kRemoveLetter).from = id.position;
    TellLetter(Notice::kLetterHealed, "dead letter " + FormatPosition(id.position) + " healed",
               true, letter, letter.attempts + 1, turn);
    TypeSucceeded(type, false, turn);
  }
  CallSucceeded(1, turn);
}

void Engine::LetterFailed(FailureClass failure, const std::string& text, Word whose, Turn& turn) {
  const LetterBook::Id id = EndLetterCall();
  heal_free_at_ = turn.now + (turn.now - letter_called_at_) * kHealShare;
  const bool probe = breaker_.half_open();
  counts_.calls_before_end += options_.stop_on_caught_up && catch_up_.done() && !probe ? 1 : 0;
  if (!letter_call_lost_) {
    LetterBook::Letter letter = *book_.Get(id);
    const bool was_dead = letter.state == LetterState::kDead;
    if (letter.state == LetterState::kFollower) {
      letter.state = LetterState::kHealing;
      letter.failure = FailureClass::kUnknown;
      letter.since = turn.now;
    }
    if (failure == FailureClass::kDomain ||
        (IsInDoubt(failure) && (options_.heal_for == std::chrono::nanoseconds(0) ||
                                turn.now - letter.since > options_.heal_for))) {
      letter.state = LetterState::kDead;
    }
    if (failure == FailureClass::kDomain || IsInDoubt(failure)) {
      letter.failure = failure;
    }
    if (letter.state == LetterState::kDead && !was_dead) {
      letter.since = turn.now;
      TellLetter(Notice::kLetterDead,
                 "dead letter " + FormatPosition(id.position) + " waits for a person: " + text,
                 false, letter, letter.attempts + 1, turn);
    }
    letter.due = turn.now + HealDelay(letter.failure, letter.step, turn.random);
    book_.EndCall(id, letter.state, letter.failure, letter.since, letter.due, letter.step + 1);
    const std::string type(book_.TypeOf(letter));
    if (doubt_.HoldOf(type) == Doubt::Hold::kByItself) {
      book_.Hold(type, turn.now + Backoff{kHeldInterval, 2 * kHeldInterval}.Delay(0, turn.random));
    }
    StoreLetter(id, text, whose, turn);
  }
  if (probe && failure == FailureClass::kDomain) {
    CallSucceeded(1, turn);
  } else if (probe) {
    ReopenBreaker(text, turn);
  }
}

// The call of a letter ends the group, by what no call may do. Its next one is stored first, or
// each start of the group would end with it before an event had its turn.
void Engine::LetterBroke(const Seat& seat, const std::string& text, Turn& turn) {
  if (CallsLetter(seat)) {
    LetterFailed(FailureClass::kContract, text, Word::kOurs, turn);
  }
}

// A call cut short changes no letter.
void Engine::CutLetterCall(const Seat& seat) {
  if (!CallsLetter(seat)) {
    return;
  }
  if (!letter_call_lost_) {
    book_.CutCall(*letter_call_);
  }
  EndLetterCall();
}

// What a runner that is not believed has said is not written; that its letter's call broke the
// contract, it has not said.
void Engine::StoreLetter(const LetterBook::Id& id, const std::string& reason, Word whose,
                         Turn& turn) {
  const LetterBook::Letter& letter = *book_.Get(id);
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
  letter_writes_.Begin(book_.StreamOf(id), id.position, ours);
  Command& command = turn.Add(Command::Kind::kUpdateLetter);
  command.letter = std::move(change);
  command.expected = ours;
}

// Nobody waits for it: a letter that is called before it is written is called all the same, and
// what came of that is written behind it.
void Engine::StoreDue(std::vector<Position> letters, Turn& turn) {
  if (!letters.empty()) {
    Command& command = turn.Add(Command::Kind::kMakeDue);
    command.at = turn.now;
    command.letters = std::make_shared<const std::vector<Position>>(std::move(letters));
  }
}

}  // namespace catchup
