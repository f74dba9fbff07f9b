#include <algorithm>

#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// The step deliver of the plan: what is called next.

namespace catchup {
namespace {

// Events handed out ahead while letters are to be called: enough to keep the runner busy while the
// store writes, few enough to be done before a letter's turn.
constexpr std::uint64_t kAheadOfLetters = 8;

// Events handed out ahead behind a call that failed. All of them come back with the next failure,
// so a row of failures costs this much for each; a runner is busy with them while the host judges.
constexpr std::uint64_t kAheadOfFailure = 16;

}  // namespace

// Nothing has failed, and no letter is there or called: what waits is handed out, in order and
// without a look.
bool Engine::Plain() const {
  return book_.empty() && !CallsLetter() && breaker_.pristine() && !AnyPlace() &&
         doubt_.holds() == 0 && suspects_.none_beyond(ledger_.settled()) && park_asked_.empty();
}

void Engine::Deliver(Turn& turn) {
  if (many_) [[unlikely]] {
    DeliverToLanes(turn);
    return;
  }
  const Lane& lane = seats_.front().lane;
  room_wanted_ = room_wanted_ && ledger_.waits();
  if (!Plain()) [[unlikely]] {
    DeliverCarefully(turn);
    return;
  }
  room_wanted_ = false;
  while (lane.takes() && ledger_.waits()) {
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
  ParkAsked(turn);
  if (life_.ending()) {
    return;
  }
  if (breaker_.open() && (ledger_.on_lane() > 0 || CallsLetter() || !breaker_.TryOut(turn.now))) {
    return;
  }
  const Lane& lane = seats_.front().lane;
  while (lane.takes() && !CallsLetter() && !breaker_.open() && !life_.ending() &&
         (breaker_.half_open() ? CallProbe(turn) : CallNext(turn))) {
  }
}

// What an operator has decided needs no call, so it waits neither for the breaker nor for a runner;
// but where the plugin stores its position, only its next runner can say that it does not hold the
// event.
void Engine::ParkAsked(Turn& turn) {
  if (park_asked_.empty() || life_.ending()) {
    return;
  }
  const auto is_asked = [this](Sequence sequence) {
    return sequence != 0 && !ledger_.AdvanceAt(sequence) &&
           park_asked_.contains(ledger_.PositionOf(sequence));
  };
  if (many_) {
    for (Seat& seat : seats_) {
      const Sequence in_place = seat.place.sequence;
      if (is_asked(in_place) && seat.has.empty() && !CallsLetter(seat) &&
          !(CallsLetter() && NameOf(in_place).stream == letter_stream_)) {
        (void)CallInPlace(seat, turn);
      }
    }
    return;
  }
  Seat& seat = seats_.front();
  const auto waits = [this, &seat] {
    return ledger_.on_lane() > 0 ||
           (position_mode_ && (!seat.lane.takes() || ledger_.parking() > 0));
  };
  for (Sequence next = ledger_.NextWaiting(); is_asked(next) && !waits() && !life_.ending();
       next = ledger_.NextWaiting()) {
    if (next != seat.place.sequence && book_.IsFull(LetterBytesOf(next, {}))) {
      return;
    }
    room_wanted_ = false;  // It is found out again.
    if (next == seat.place.sequence) {
      (void)CallInPlace(seat, turn);
    } else {
      (void)RouteOf(next, turn);
    }
    if (ledger_.NextWaiting() == next) {
      return;  // No room.
    }
  }
}

// Closed: letters and events take turns. False: nothing more is called now.
bool Engine::CallNext(Turn& turn) {
  const auto letter = NextLetter(turn.now);
  const bool may_call = letter && !letter_writes_.full();
  std::uint64_t most = std::min(breaker_.most_in_flight(), ahead_);
  if (letter || !letter_writes_.empty()) {
    most = std::min(most, may_call ? 1 : kAheadOfLetters);
  }
  if (may_call && !letter_was_last_) {
    if (ledger_.on_lane() > 0) {
      return false;
    }
    CallLetter(seats_.front(), *letter, turn);
    return true;
  }
  if (ledger_.on_lane() >= most) {
    return false;
  }
  if (CallNextEvent(turn)) {
    letter_was_last_ = false;
    return true;
  }
  if (letter_writes_.full() || ledger_.on_lane() > 0 || life_.ending()) {
    return false;
  }
  // Asked again: what has become a letter on the way may have taken the last room.
  const auto may_now = NextLetter(turn.now);
  if (may_now) {
    CallLetter(seats_.front(), *may_now, turn);
  }
  return may_now.has_value();
}

// Half-open: one call at a time, and one letter at the most comes of it.
bool Engine::CallProbe(Turn& turn) {
  if (ledger_.on_lane() > 0) {
    return false;
  }
  const Seat& seat = seats_.front();
  // Not before it is needed: it looks at all letters.
  const auto call_letter = [&] {
    const auto letter =
        letter_writes_.full() || life_.ending() ? std::nullopt : LetterToProbeWith();
    if (letter) {
      CallLetter(seat, *letter, turn);
    }
    return letter.has_value();
  };
  const bool full =
      seat.place.sequence != 0 && book_.IsFull(LetterBytesOf(seat.place.sequence, seat.place.text));
  if (full && !letter_probed_last_ && call_letter()) {
    letter_probed_last_ = true;
    return true;
  }
  if (CallNextEvent(turn)) {
    letter_probed_last_ = false;
    return true;
  }
  return call_letter();
}

// Hands out one event, after those before it that need no call.
bool Engine::CallNextEvent(Turn& turn) {
  Seat& seat = seats_.front();
  const InPlace& place = seat.place;
  room_wanted_ = false;
  while (!life_.ending()) {
    const bool alone = ledger_.on_lane() > 0 && suspects_.Has(ledger_.handed_out());
    const Sequence next = ledger_.NextWaiting();
    // What keeps its own position passes a letter's before anything behind it.
    if (next == 0 || alone || (place.sequence != 0 && ledger_.IsOnLane(place.sequence)) ||
        (position_mode_ && ledger_.parking() > 0)) {
      return false;
    }
    if (ledger_.AdvanceAt(next)) {
      const bool waits = next == place.sequence && breaker_.closed() && turn.now < place.not_before;
      if (ledger_.on_lane() > 0 || waits) {
        return false;
      }
      HandOut(1, false, turn);
      return true;
    }
    if (next == place.sequence) {
      if (CallInPlace(seat, turn)) {
        return true;
      }
      if (place.sequence != 0) {
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
        const bool solo = suspects_.Has(next);
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

// What the event in place is to become without a further call, as soon as there is room for its
// letter; asked anew each time, since what an operator has decided may be taken back meanwhile.
std::optional<Engine::ParkedAs> Engine::ParksUncalled(const InPlace& place) const {
  if (park_asked_.contains(ledger_.PositionOf(place.sequence))) {
    return ParkedAs{LetterState::kDead, FailureClass::kByHand};
  }
  if (place.failure == FailureClass::kDomain) {
    return ParkedAs{LetterState::kDead, FailureClass::kDomain};
  }
  if (doubt_.HoldOf(NameOf(place.sequence).type) == Doubt::Hold::kByHand) {
    return ParkedAs{LetterState::kHealing, FailureClass::kHeld};
  }
  return std::nullopt;
}

// True: it is called. False: it waits still or, with no place any more, has become a letter.
bool Engine::CallInPlace(Seat& seat, Turn& turn) {
  const InPlace& place = seat.place;
  if (const auto as = ParksUncalled(place)) {
    const bool full = ParkInPlace(seat, as->state, as->failure, turn) == Parked::kFull;
    room_wanted_ = room_wanted_ || full;
    return false;
  }
  if ((!many_ && ledger_.on_lane() > 0) || (breaker_.closed() && turn.now < place.not_before)) {
    return false;
  }
  if (many_) {
    HandOutOn(seat, place.sequence, place.calls + 1, true, turn);
  } else {
    HandOut(place.calls + 1, true, turn);
  }
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
    if (!trouble_.waits()) {
      SetTrouble("dead letters full: the next event is to be one and finds no room", {}, turn);
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
  Tell(0, sequence, attempt, alone, turn);
}

void Engine::Tell(LaneNumber lane, Sequence sequence, std::uint32_t attempt, bool alone,
                  Turn& turn) {
  const bool advance = ledger_.AdvanceAt(sequence).has_value();
  if (!turn.out->empty() && !alone && !advance && attempt == 1) {
    Command& before = turn.out->back();
    if (before.kind == Command::Kind::kDeliver && before.lane == lane && !before.alone &&
        !before.advance && before.number == 1 && before.last + 1 == sequence) {
      before.last = sequence;
      return;
    }
  }
  Command& command = turn.Add(Command::Kind::kDeliver);
  command.first = command.last = sequence;
  command.number = attempt;
  command.alone = alone;
  command.advance = advance;
  command.lane = lane;
}

// What the lane had and did not settle waits again.
void Engine::TakeBack(Seat& seat) {
  if (!many_) {
    ledger_.TakeBack();
    return;
  }
  for (; !seat.has.empty(); seat.has.pop_back()) {
    const Sequence sequence = seat.has.back();
    ledger_.TakeBackOne(sequence);
    if (sequence != seat.place.sequence) {
      streams_.GiveBack(sequence);
    }
  }
}

// And the runner is to forget it, if there is one.
void Engine::TakeBackFromRunner(Seat& seat, Turn& turn) {
  TakeBack(seat);
  ahead_ = kAheadOfFailure;
  if (seat.lane.alive()) {
    Command& command = turn.Add(Command::Kind::kTakeBack);
    command.number = seat.lane.spawn();
    command.lane = seat.lane.number();
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
  consider(AlarmAt());
  if (breaker_.open()) {
    consider(breaker_.open_until());
  } else if (breaker_.closed()) {
    for (const Seat& seat : seats_) {
      if (seat.place.sequence != 0) {
        consider(seat.place.not_before);
      }
    }
    if (!CallsLetter()) {
      const auto at = book_.NextAt(heal_free_at_);
      if (at <= now && !NextLetter(now)) {
        // It stands behind an event or a write, and is called when that is done, not at a time.
        // Another one may be called before.
        consider(heal_free_at_);
        consider(book_.DueAfter(now));
      } else {
        consider(at);
      }
    }
  }
}

}  // namespace catchup
