#include "host/engine/route.h"

#include <string_view>

#include "host/engine/letters.h"
#include "host/engine/waits.h"

namespace catchup {
namespace {

// Events handed out ahead behind a call that failed, or a runner that died. All of them come back
// with the next failure, so a row of failures costs this much for each, and so many events are
// passed over that queue behind letters; a runner is busy with them while the host judges.
constexpr std::uint64_t kAheadOfFailure = 16;

// Whether the type's events become letters without a call. A group that stops instead of writing a
// letter by itself calls what was held by itself, when it had another order.
bool IsHeld(const EngineParts& parts, std::string_view type) {
  const Doubt::Hold hold = parts.doubt.HoldOf(type);
  return hold == Doubt::Hold::kByHand ||
         (hold == Doubt::Hold::kByItself && parts.options.letter_order != LetterOrder::kHalt &&
          parts.breaker.closed() && !parts.book.IsHalfFull());
}

}  // namespace

bool IsParkAsked(const EngineParts& parts, Sequence sequence) {
  return !parts.park_asked.empty() && sequence != 0 && !parts.ledger.AdvanceAt(sequence) &&
         parts.park_asked.contains(parts.ledger.PositionOf(sequence));
}

std::optional<ParkedAs> ParksUncalled(const EngineParts& parts, const InPlace& place) {
  if (parts.park_asked.contains(parts.ledger.PositionOf(place.sequence))) {
    return ParkedAs{LetterState::kDead, FailureClass::kByHand};
  }
  if (place.failure == FailureClass::kDomain) {
    return ParkedAs{LetterState::kDead, FailureClass::kDomain};
  }
  if (parts.doubt.HoldOf(parts.NameOf(place.sequence).type) == Doubt::Hold::kByHand) {
    return ParkedAs{LetterState::kHealing, FailureClass::kHeld};
  }
  return std::nullopt;
}

Fate FateOf(const EngineParts& parts, Sequence sequence) {
  const EventName name = parts.NameOf(sequence);
  const Position position = parts.ledger.PositionOf(sequence);
  if (parts.book.Has(name.stream, position)) {
    return {Fate::Kind::kIsLetter, {}, ""};
  }
  if (parts.options.letter_order == LetterOrder::kStream &&
      parts.book.Holds(name.stream, position)) {
    return {Fate::Kind::kPark,
            {LetterState::kFollower, FailureClass::kUnknown},
            "an earlier event of its stream is a letter"};
  }
  if (parts.park_asked.contains(position)) {
    return {Fate::Kind::kPark, {LetterState::kDead, FailureClass::kByHand}, "parked by hand"};
  }
  if (IsHeld(parts, name.type)) {
    return {Fate::Kind::kPark, {LetterState::kHealing, FailureClass::kHeld}, "its type is held"};
  }
  // A kill would bring the healed letter yet again, and behind this event, which a checkpoint may
  // have passed by then.
  const bool behind = parts.options.letter_order == LetterOrder::kStream &&
                      parts.letter_writes.Holds(name.stream, position);
  return {behind ? Fate::Kind::kWait : Fate::Kind::kCall, {}, ""};
}

bool Routing::TakeOut(Sequence sequence, const Fate& fate, Turn& turn) {
  if (fate.kind == Fate::Kind::kIsLetter) {
    Letters(parts_).PassLetter(sequence);
    return true;
  }
  return Letters(parts_).Park(sequence, fate.as.state, fate.as.failure, 0, fate.reason, turn) ==
         Letters::Parked::kYes;
}

Routing::Route Routing::RouteOf(Sequence sequence, Turn& turn) {
  const Fate fate = FateOf(parts_, sequence);
  if (fate.kind == Fate::Kind::kCall || fate.kind == Fate::Kind::kWait) {
    return fate.kind == Fate::Kind::kCall ? Route::kCall : Route::kWait;
  }
  if (TakeOut(sequence, fate, turn)) {
    return Route::kGone;
  }
  parts_.room_wanted = true;
  if (!parts_.trouble.waits()) {
    Waits(parts_).SetTrouble("dead letters full: the next event is to be one and finds no room", {},
                             turn);
  }
  return Route::kNoRoom;
}

bool Routing::CallInPlace(Seat& seat, Turn& turn) {
  const InPlace& place = seat.place;
  if (const auto as = ParksUncalled(parts_, place)) {
    const bool full =
        Letters(parts_).ParkInPlace(seat, as->state, as->failure, turn) == Letters::Parked::kFull;
    parts_.room_wanted = parts_.room_wanted || full;
    return false;
  }
  if ((!parts_.many && parts_.ledger.on_lane() > 0) ||
      (parts_.breaker.closed() && turn.now < place.not_before)) {
    return false;
  }
  if (parts_.many) {
    HandOutOn(seat, place.sequence, place.calls + 1, true, turn);
  } else {
    HandOut(place.calls + 1, true, turn);
  }
  return true;
}

void Routing::HandOut(std::uint32_t attempt, bool alone, Turn& turn) {
  const Sequence sequence = parts_.ledger.HandOut(1).first;
  Tell(0, sequence, attempt, alone, turn);
}

void Routing::HandOutOn(Seat& seat, Sequence sequence, std::uint32_t attempt, bool alone,
                        Turn& turn) {
  parts_.ledger.HandOutOne(sequence);
  seat.has.push_back(sequence);
  Tell(seat.lane.number(), sequence, attempt, alone, turn);
}

void Routing::Tell(LaneNumber lane, Sequence sequence, std::uint32_t attempt, bool alone,
                   Turn& turn) {
  const bool advance = parts_.ledger.AdvanceAt(sequence).has_value();
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

void Routing::TakeBack(Seat& seat) {
  parts_.ahead = kAheadOfFailure;
  if (!parts_.many) {
    parts_.ledger.TakeBack();
    return;
  }
  for (; !seat.has.empty(); seat.has.pop_back()) {
    const Sequence sequence = seat.has.back();
    parts_.ledger.TakeBackOne(sequence);
    if (sequence != seat.place.sequence) {
      parts_.streams.GiveBack(sequence);
    }
  }
}

void Routing::TakeBackFromRunner(Seat& seat, Turn& turn) {
  TakeBack(seat);
  if (seat.lane.alive()) {
    Command& command = turn.Add(Command::Kind::kTakeBack);
    command.number = seat.lane.spawn();
    command.lane = seat.lane.number();
  }
}

}  // namespace catchup
