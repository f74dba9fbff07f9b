#include "host/engine/deliver_lanes.h"

#include <algorithm>
#include <vector>

#include "host/engine/heal.h"
#include "host/engine/route.h"

namespace catchup {
namespace {

// Events of one call at the most: what a lane holds, no other can take.
constexpr std::uint64_t kMostAtOnce = 256;

class LaneDelivery {
 public:
  explicit LaneDelivery(EngineParts& parts) : parts_(parts) {}

  void Run(Turn& turn);

 private:
  void ParkAsked(Turn& turn);
  bool CallOnLanes(Turn& turn);
  bool CallProbeOnLanes(Turn& turn);
  bool CallNextOn(Seat& seat, std::uint64_t most, Turn& turn);
  Seat* IdleSeat(bool with_place);
  bool HasStreamOf(const Seat& seat, Sequence sequence) const;
  bool CallLetterOnLanes(const std::optional<LetterBook::Id>& letter, Turn& turn);

  EngineParts& parts_;
};

void LaneDelivery::Run(Turn& turn) {
  ParkAsked(turn);
  if (parts_.life.ending()) {
    return;
  }
  if (IdleSeat(false) != nullptr || IdleSeat(true) != nullptr) {
    parts_.room_wanted = false;  // It is found out again.
  }
  const auto is_calling = [this] { return parts_.ledger.on_lane() > 0 || parts_.CallsLetter(); };
  if (parts_.breaker.open() && (is_calling() || !parts_.breaker.TryOut(turn.now))) {
    return;
  }
  while (
      !parts_.life.ending() && !parts_.breaker.open() &&
      (parts_.breaker.half_open() ? !is_calling() && CallProbeOnLanes(turn) : CallOnLanes(turn))) {
  }
}

// What is in place, and an operator wants parked.
void LaneDelivery::ParkAsked(Turn& turn) {
  for (Seat& seat : parts_.seats) {
    const Sequence in_place = seat.place.sequence;
    if (!parts_.life.ending() && IsParkAsked(parts_, in_place) && seat.has.empty() &&
        !parts_.CallsLetter(seat) && !parts_.letter_calls.Of(parts_.NameOf(in_place).stream)) {
      (void)Routing(parts_).CallInPlace(seat, turn);
    }
  }
}

// Closed: what is in place first, then letters and events by turns. False: nothing more is called
// now.
bool LaneDelivery::CallOnLanes(Turn& turn) {
  const std::uint64_t calling = parts_.ledger.on_lane() + (parts_.CallsLetter() ? 1 : 0);
  if (calling >= parts_.breaker.most_in_flight()) {
    return false;
  }
  for (Seat& seat : parts_.seats) {
    const Sequence in_place = seat.place.sequence;
    if (in_place != 0 && parts_.IsIdle(seat) &&
        !parts_.letter_calls.Of(parts_.NameOf(in_place).stream) &&
        (Routing(parts_).CallInPlace(seat, turn) || seat.place.sequence != in_place)) {
      return true;
    }
  }
  std::optional<LetterBook::Id> letter;
  if (!parts_.letter_writes.full() && !parts_.CallsLetter()) {
    letter = Heal(parts_).NextLetter(turn.now);
  }
  if (!parts_.letter_calls.was_last() && CallLetterOnLanes(letter, turn)) {
    return true;
  }
  if (Seat* const seat = IdleSeat(false); seat != nullptr) {
    const bool trouble = !parts_.breaker.pristine() || parts_.AnyPlace();
    const std::uint64_t most = trouble ? 1 : std::min<std::uint64_t>(seat->batch, kMostAtOnce);
    if (CallNextOn(*seat, most, turn)) {
      parts_.letter_calls.OnEvent();
      return true;
    }
  }
  // Asked again: what has become a letter on the way may have taken the last room.
  return !parts_.letter_writes.full() && CallLetterOnLanes(Heal(parts_).NextLetter(turn.now), turn);
}

// Half-open, and nothing is called: the oldest event in place is the probe.
bool LaneDelivery::CallProbeOnLanes(Turn& turn) {
  Seat* oldest = nullptr;
  for (Seat& seat : parts_.seats) {
    const bool older = oldest == nullptr || seat.place.sequence < oldest->place.sequence;
    if (seat.place.sequence != 0 && parts_.IsIdle(seat) && older) {
      oldest = &seat;
    }
  }
  const auto call_letter = [&] {
    return !parts_.letter_writes.full() &&
           CallLetterOnLanes(Heal(parts_).LetterToProbeWith(), turn);
  };
  const bool full = oldest != nullptr && parts_.book.IsFull(parts_.LetterBytesOf(
                                             oldest->place.sequence, oldest->place.text));
  if (full && !parts_.letter_calls.probed_last() && call_letter()) {
    parts_.letter_calls.SetProbedLast(true);
    return true;
  }
  if (oldest != nullptr) {
    const Sequence in_place = oldest->place.sequence;
    if (Routing(parts_).CallInPlace(*oldest, turn) || oldest->place.sequence != in_place) {
      parts_.letter_calls.SetProbedLast(false);
      return true;
    }
  } else if (Seat* const seat = IdleSeat(false); seat != nullptr && CallNextOn(*seat, 1, turn)) {
    parts_.letter_calls.SetProbedLast(false);
    return true;
  }
  return call_letter();
}

// Hands `seat` the next event whose stream is free, or up to `most` for one call. Those before it
// that need no call are done on the way, and those that wait are passed over. False: there is none.
bool LaneDelivery::CallNextOn(Seat& seat, std::uint64_t most, Turn& turn) {
  std::vector<Sequence> own;  // The next of each stream that this lane has taken.
  Sequence next = 0;
  while (!parts_.life.ending() && seat.has.size() < most) {
    next = parts_.streams.NextAfter(next);  // What becomes ready on the way lies behind that.
    const auto behind = std::min_element(own.begin(), own.end());
    if (behind != own.end() && (next == 0 || *behind < next)) {
      next = *behind;
      own.erase(behind);
    }
    const bool solo = parts_.suspects.Has(next);
    if (next == 0 || (solo && !seat.has.empty())) {
      break;
    }
    const Routing::Route route = Routing(parts_).RouteOf(next, turn);
    if (route == Routing::Route::kWait) {
      continue;
    }
    if (route == Routing::Route::kNoRoom || parts_.life.ending()) {
      break;
    }
    parts_.streams.Take(next);
    if (route == Routing::Route::kCall) {
      Routing(parts_).HandOutOn(seat, next, 1, solo, turn);
    }
    const Sequence after = parts_.streams.NextOfItsStream(next);
    if (route == Routing::Route::kGone) {
      const bool whole_stream_is_free = !HasStreamOf(seat, next);
      parts_.streams.Done(next);
      if (whole_stream_is_free) {
        continue;  // Whoever is next of it is ready.
      }
    }
    if (after != 0) {
      own.push_back(after);
    }
    if (solo) {
      break;
    }
  }
  return !seat.has.empty();
}

Seat* LaneDelivery::IdleSeat(bool with_place) {
  for (Seat& seat : parts_.seats) {
    if (parts_.IsIdle(seat) && (seat.place.sequence != 0) == with_place) {
      return &seat;
    }
  }
  return nullptr;
}

bool LaneDelivery::HasStreamOf(const Seat& seat, Sequence sequence) const {
  return std::any_of(seat.has.begin(), seat.has.end(),
                     [&](Sequence one) { return parts_.streams.OfOneStream(one, sequence); });
}

// A letter occupies its stream, so it waits until no lane has an event of it; but not for one in
// place, which may wait for the room that the letter takes.
bool LaneDelivery::CallLetterOnLanes(const std::optional<LetterBook::Id>& letter, Turn& turn) {
  if (!letter || parts_.CallsLetter() || parts_.life.ending() ||
      parts_.StreamIsCalled(parts_.book.StreamOf(*letter))) {
    return false;
  }
  Seat* seat = IdleSeat(false);
  if (seat == nullptr) {
    seat = IdleSeat(true);  // Its event waits.
  }
  if (seat == nullptr) {
    return false;
  }
  Heal(parts_).CallLetter(*seat, *letter, turn);
  return true;
}

}  // namespace

void DeliverToLanes(EngineParts& parts, Turn& turn) { LaneDelivery(parts).Run(turn); }

}  // namespace catchup
