#include "host/engine/deliver.h"

#include <algorithm>
#include <cstdint>

#include "host/engine/deliver_lanes.h"
#include "host/engine/heal.h"
#include "host/engine/route.h"

namespace catchup {
namespace {

// Events handed out ahead while letters are to be called: enough to keep the runner busy while the
// store writes, few enough to be done before a letter's turn.
constexpr std::uint64_t kAheadOfLetters = 8;

class Delivery {
 public:
  explicit Delivery(EngineParts& parts) : parts_(parts) {}

  void Run(Turn& turn);

 private:
  void DeliverCarefully(Turn& turn);
  bool CallNext(Turn& turn);
  bool CallProbe(Turn& turn);
  void ParkAsked(Turn& turn);
  bool CallNextEvent(Turn& turn);
  Sequence Next() const;
  bool MayCallNext() const;
  enum class Step : std::uint8_t { kDone, kCalled, kStays };
  Step TakeNext(Turn& turn);

  EngineParts& parts_;
};

void Delivery::Run(Turn& turn) {
  if (parts_.many) [[unlikely]] {
    DeliverToLanes(parts_, turn);
    return;
  }
  const Lane& lane = parts_.seats.front().lane;
  parts_.room_wanted = parts_.room_wanted && parts_.ledger.waits();
  if (!parts_.Plain()) [[unlikely]] {
    DeliverCarefully(turn);
    return;
  }
  parts_.room_wanted = false;
  while (lane.takes() && parts_.ledger.waits()) {
    const Ledger::Range range = parts_.ledger.HandOut();
    if (range.first != 0) {
      Command& command = turn.Add(Command::Kind::kDeliver);
      command.first = range.first;
      command.last = range.last;
      command.number = 1;
    }
  }
}

void Delivery::DeliverCarefully(Turn& turn) {
  if (!parts_.park_asked.empty()) {
    ParkAsked(turn);
  }
  if (parts_.life.ending()) {
    return;
  }
  if (parts_.breaker.open() &&
      (parts_.ledger.on_lane() > 0 || parts_.CallsLetter() || !parts_.breaker.TryOut(turn.now))) {
    return;
  }
  const Lane& lane = parts_.seats.front().lane;
  while (lane.takes() && !parts_.CallsLetter() && !parts_.breaker.open() && !parts_.life.ending() &&
         (parts_.breaker.half_open() ? CallProbe(turn) : CallNext(turn))) {
  }
}

// Closed: letters and events take turns. False: nothing more is called now.
bool Delivery::CallNext(Turn& turn) {
  const auto letter = Heal(parts_).NextLetter(turn.now);
  const bool may_call = letter && !parts_.letter_writes.full();
  std::uint64_t most = std::min(parts_.breaker.most_in_flight(), parts_.ahead);
  if (letter || !parts_.letter_writes.empty()) {
    most = std::min(most, may_call ? 1 : kAheadOfLetters);
  }
  if (may_call && !parts_.letter_calls.was_last()) {
    if (parts_.ledger.on_lane() > 0) {
      return false;
    }
    Heal(parts_).CallLetter(parts_.seats.front(), *letter, turn);
    return true;
  }
  if (parts_.ledger.on_lane() >= most) {
    return false;
  }
  if (CallNextEvent(turn)) {
    parts_.letter_calls.OnEvent();
    return true;
  }
  if (parts_.letter_writes.full() || parts_.ledger.on_lane() > 0 || parts_.life.ending()) {
    return false;
  }
  // Asked again: what has become a letter on the way may have taken the last room.
  const auto may_now = Heal(parts_).NextLetter(turn.now);
  if (may_now) {
    Heal(parts_).CallLetter(parts_.seats.front(), *may_now, turn);
  }
  return may_now.has_value();
}

// Half-open: one call at a time, and one letter at the most comes of it.
bool Delivery::CallProbe(Turn& turn) {
  if (parts_.ledger.on_lane() > 0) {
    return false;
  }
  const Seat& seat = parts_.seats.front();
  // Not before it is needed: it looks at all letters.
  const auto call_letter = [&] {
    const auto letter = parts_.letter_writes.full() || parts_.life.ending()
                            ? std::nullopt
                            : Heal(parts_).LetterToProbeWith();
    if (letter) {
      Heal(parts_).CallLetter(seat, *letter, turn);
    }
    return letter.has_value();
  };
  const bool full = seat.place.sequence != 0 &&
                    parts_.book.IsFull(parts_.LetterBytesOf(seat.place.sequence, seat.place.text));
  if (full && !parts_.letter_calls.probed_last() && call_letter()) {
    parts_.letter_calls.SetProbedLast(true);
    return true;
  }
  if (CallNextEvent(turn)) {
    parts_.letter_calls.SetProbedLast(false);
    return true;
  }
  return call_letter();
}

// What waits first, as long as an operator wants it parked: that needs no call.
void Delivery::ParkAsked(Turn& turn) {
  const bool may =
      parts_.ledger.on_lane() == 0 && (!parts_.position_mode || parts_.seats.front().lane.takes());
  while (may && !parts_.life.ending() && IsParkAsked(parts_, Next()) &&
         TakeNext(turn) == Step::kDone) {
  }
}

// Hands out one event, after those before it that need no call. False: none is called now.
bool Delivery::CallNextEvent(Turn& turn) {
  parts_.room_wanted = false;  // It is found out again.
  Step step = Step::kDone;
  while (step == Step::kDone && !parts_.life.ending() && MayCallNext()) {
    step = TakeNext(turn);
  }
  return step == Step::kCalled;
}

// The event that waits first; 0 where none does, or may not have its turn yet.
Sequence Delivery::Next() const {
  // What keeps its own position passes a letter's before anything behind it.
  const bool passes_letter = parts_.position_mode && parts_.ledger.parking() > 0;
  return passes_letter ? 0 : parts_.ledger.NextWaiting();
}

// Whether nothing that is being called stands before it.
bool Delivery::MayCallNext() const {
  const Sequence in_place = parts_.seats.front().place.sequence;
  const bool alone = parts_.ledger.on_lane() > 0 && parts_.suspects.Has(parts_.ledger.handed_out());
  return Next() != 0 && !alone && (in_place == 0 || !parts_.ledger.IsOnLane(in_place));
}

// It is done without a call, or called, or has to wait.
Delivery::Step Delivery::TakeNext(Turn& turn) {
  Seat& seat = parts_.seats.front();
  const InPlace& place = seat.place;
  const Sequence next = parts_.ledger.NextWaiting();
  parts_.room_wanted = false;  // It is found out again.
  if (parts_.ledger.AdvanceAt(next)) {
    const bool waits =
        next == place.sequence && parts_.breaker.closed() && turn.now < place.not_before;
    if (parts_.ledger.on_lane() > 0 || waits) {
      return Step::kStays;
    }
    Routing(parts_).HandOut(1, false, turn);
    return Step::kCalled;
  }
  if (next == place.sequence) {
    if (Routing(parts_).CallInPlace(seat, turn)) {
      return Step::kCalled;
    }
    return place.sequence == 0 ? Step::kDone : Step::kStays;
  }
  const Routing::Route route = Routing(parts_).RouteOf(next, turn);
  if (route != Routing::Route::kCall) {
    return route == Routing::Route::kGone ? Step::kDone : Step::kStays;
  }
  const bool solo = parts_.suspects.Has(next);
  if (solo && parts_.ledger.on_lane() > 0) {
    return Step::kStays;
  }
  Routing(parts_).HandOut(1, solo, turn);
  return Step::kCalled;
}

}  // namespace

void Deliver(EngineParts& parts, Turn& turn) { Delivery(parts).Run(turn); }

}  // namespace catchup
