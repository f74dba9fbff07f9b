#include <algorithm>

#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// The step deliver of the plan: what is called next.

namespace catchup {
namespace {

// Events handed out ahead while letters are to be called: enough to keep the runner busy while the
// store writes, few enough to be done before a letter's turn.
constexpr std::uint64_t kAheadOfLetters = 8;

}  // namespace

// Nothing has failed and no letter is there: what waits is handed out, in order and without a look.
bool Engine::Plain() const {
  return book_.empty() && breaker_.pristine() && place_.sequence == 0 && doubt_.holds() == 0 &&
         solo_through_ <= ledger_.settled() && park_asked_.empty();
}

void Engine::Deliver(Turn& turn) {
  room_wanted_ = room_wanted_ && !lane_.takes();
  if (!Plain()) [[unlikely]] {
    DeliverCarefully(turn);
    return;
  }
  while (lane_.takes() && ledger_.waits()) {
    const Ledger::Range range = ledger_.HandOut();
    if (range.first != 0) {
      Command& command = turn.Add(Command::Kind::kDeliver);
      command.first = range.first;
      command.last = range.last;
      command.number = 1;
    }
  }
}

void Engine::DeliverCarefully(Turn& turn) {
  if (life_.ending()) {
    return;
  }
  if (breaker_.open() && (ledger_.on_lane() > 0 || CallsLetter() || !breaker_.TryOut(turn.now))) {
    return;
  }
  while (lane_.takes() && !CallsLetter() && !breaker_.open() && !life_.ending() &&
         (breaker_.half_open() ? CallProbe(turn) : CallNext(turn))) {
  }
}

// Closed: letters and events take turns. False: nothing more is called now.
bool Engine::CallNext(Turn& turn) {
  const auto letter = book_.Next(turn.now, heal_free_at_);
  const std::uint64_t most = std::min(breaker_.most_in_flight(), !letter ? Breaker::kNoLimit
                                                                 : letter_writing_ ? kAheadOfLetters
                                                                                   : 1);
  if (letter && !letter_writing_ && !letter_was_last_) {
    if (ledger_.on_lane() > 0) {
      return false;
    }
    CallLetter(*letter, turn);
    return true;
  }
  if (ledger_.on_lane() >= most) {
    return false;
  }
  if (CallNextEvent(turn)) {
    letter_was_last_ = false;
    return true;
  }
  if (letter && !letter_writing_ && ledger_.on_lane() == 0 && !life_.ending()) {
    CallLetter(*letter, turn);
    return true;
  }
  return false;
}

// Half-open: one call at a time, and one letter at the most comes of it.
bool Engine::CallProbe(Turn& turn) {
  if (ledger_.on_lane() > 0) {
    return false;
  }
  const auto letter = letter_writing_ ? std::nullopt : book_.LeastCalled();
  const bool full = place_.sequence != 0 && book_.IsFull(LetterBytesOf(place_.sequence));
  if (full && letter && !letter_probed_last_) {
    letter_probed_last_ = true;
    CallLetter(*letter, turn);
    return true;
  }
  if (CallNextEvent(turn)) {
    letter_probed_last_ = false;
    return true;
  }
  if (letter && !life_.ending()) {
    CallLetter(*letter, turn);
    return true;
  }
  return false;
}

// Hands out one event, after those before it that need no call.
bool Engine::CallNextEvent(Turn& turn) {
  while (!life_.ending()) {
    const bool alone = ledger_.on_lane() > 0 && ledger_.handed_out() <= solo_through_;
    const Sequence next = ledger_.NextWaiting();
    // What keeps its own position passes a letter's before anything behind it.
    if (next == 0 || alone || (place_.sequence != 0 && ledger_.IsOnLane(place_.sequence)) ||
        (position_mode_ && ledger_.parking() > 0)) {
      return false;
    }
    if (ledger_.AdvanceAt(next)) {
      if (ledger_.on_lane() > 0) {
        return false;
      }
      HandOut(1, false, turn);
      return true;
    }
    if (next == place_.sequence) {
      if (CallInPlace(turn)) {
        return true;
      }
      if (place_.sequence != 0) {
        return false;
      }
      continue;
    }
    switch (RouteOf(next, turn)) {
      case Route::kGone:
        break;
      case Route::kWait:
        return false;
      case Route::kCall: {
        const bool solo = next <= solo_through_;
        if (solo && ledger_.on_lane() > 0) {
          return false;
        }
        HandOut(1, solo, turn);
        return true;
      }
    }
  }
  return false;
}

// True: it is called. False: it waits still or, with no place any more, has become a letter.
bool Engine::CallInPlace(Turn& turn) {
  if (park_asked_.contains(ledger_.PositionOf(place_.sequence))) {
    place_.parks = LetterState::kDead;
    place_.failure = FailureClass::kByHand;
  }
  if (place_.parks) {
    room_wanted_ = ParkInPlace(*place_.parks, turn) == Parked::kFull;
    return false;
  }
  if (ledger_.on_lane() > 0 || (breaker_.closed() && turn.now < place_.not_before)) {
    return false;
  }
  HandOut(place_.calls + 1, true, turn);
  return true;
}

// What becomes of the event that waits first, before it is called.
Engine::Route Engine::RouteOf(Sequence sequence, Turn& turn) {
  const EventName name = NameOf(sequence);
  const Position position = ledger_.PositionOf(sequence);
  const auto park = [&](LetterState state, FailureClass failure, const char* reason) {
    if (Park(sequence, state, failure, 0, reason, turn) == Parked::kYes) {
      return Route::kGone;
    }
    room_wanted_ = true;
    if (trouble_.empty()) {
      SetTrouble("dead letters full: the next event is to be one and finds no room", turn);
    }
    return Route::kWait;
  };
  if (book_.Has(name.stream, position)) {
    PassLetter(sequence);
    return Route::kGone;
  }
  if (options_.letter_order == LetterOrder::kStream && book_.Holds(name.stream, position)) {
    return park(LetterState::kFollower, FailureClass::kUnknown,
                "an earlier event of its stream is a letter");
  }
  if (park_asked_.contains(position)) {
    return park(LetterState::kDead, FailureClass::kByHand, "parked by hand");
  }
  const Doubt::Hold hold = doubt_.HoldOf(name.type);
  const bool held = hold == Doubt::Hold::kByHand ||
                    (hold == Doubt::Hold::kByItself && breaker_.closed() && !book_.IsHalfFull());
  if (held) {
    return park(LetterState::kHealing, FailureClass::kHeld, "its type is held");
  }
  return Route::kCall;
}

void Engine::HandOut(std::uint32_t attempt, bool alone, Turn& turn) {
  const Sequence sequence = ledger_.HandOut(1).first;
  const bool advance = ledger_.AdvanceAt(sequence).has_value();
  if (!turn.out->empty() && !alone && !advance && attempt == 1) {
    Command& before = turn.out->back();
    if (before.kind == Command::Kind::kDeliver && !before.alone && !before.advance &&
        before.number == 1 && before.last + 1 == sequence) {
      before.last = sequence;
      return;
    }
  }
  Command& command = turn.Add(Command::Kind::kDeliver);
  command.first = command.last = sequence;
  command.number = attempt;
  command.alone = alone;
  command.advance = advance;
}

// The runner is to forget what it has, if there is one.
void Engine::TakeBack(Turn& turn) {
  ledger_.TakeBack();
  if (lane_.alive()) {
    turn.Add(Command::Kind::kTakeBack).number = lane_.spawn();
  }
}

EventName Engine::NameOf(Sequence sequence) const {
  if (arriving_ && arriving_->first == sequence) {
    return arriving_->second;
  }
  return names_ == nullptr ? EventName{} : names_->NameOf(sequence);
}

void Engine::WakeForFailures(std::chrono::nanoseconds now,
                             std::optional<std::chrono::nanoseconds>* next) const {
  const auto consider = [&](std::optional<std::chrono::nanoseconds> at) {
    if (at && *at > now && (!*next || *at < **next)) {
      *next = at;
    }
  };
  if (life_.ending()) {
    return;
  }
  if (breaker_.open()) {
    consider(breaker_.open_until());
  } else if (breaker_.closed()) {
    if (place_.sequence != 0 && !place_.parks) {
      consider(place_.not_before);
    }
    if (!CallsLetter()) {
      consider(book_.NextAt(heal_free_at_));
    }
  }
}

}  // namespace catchup
