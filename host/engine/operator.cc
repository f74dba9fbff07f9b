#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "host/engine/engine.h"
#include "host/engine/engine_text.h"
#include "host/engine/letters.h"

// What an operator decides about letters, and a new plugin file.

namespace catchup {
namespace {

// More at once is a type to park, or a program gone wild.
constexpr std::size_t kMaxParkAsked = 1'024;

}  // namespace

void Engine::PluginChanged(Tick tick, Commands* out) {
  if (parts_.life.finished()) {
    return;
  }
  Turn turn(tick, out);
  if (parts_.doubt.holds() > 0) {
    turn.Add(Command::Kind::kEndHold);
  }
  parts_.doubt.Forget();
  parts_.book.EndAllHolds();
  // Also where that is none: it is the word that the holds are gone and all is due.
  Command& due = turn.Add(Command::Kind::kMakeDue);
  due.at = turn.now;
  due.expected = true;
  due.letters = std::make_shared<const std::vector<Position>>(parts_.book.MakeAllDue(turn.now));
  if (parts_.breaker.open()) {
    parts_.breaker.Hasten(turn.now);
  }
  Plan(turn);
}

std::string Engine::CannotPark(Position position) const {
  if (parts_.life.ending()) {
    return "the group is stopping";
  }
  if (!IsPlace(position)) {
    return NoPlace(position);
  }
  const Sequence sequence = parts_.ledger.FindEvent(position);
  if (position <= parts_.ledger.watermark() ||
      (sequence != 0 && !parts_.ledger.IsPending(sequence))) {
    return fmt::format("what lies at {} is settled: the group is at {}", FormatPosition(position),
                       Place(parts_.ledger.watermark()));
  }
  if (sequence == 0) {
    const Sequence next = parts_.ledger.NextWaiting();
    return fmt::format("no event of the group that has come lies at {}{}", FormatPosition(position),
                       next == 0 ? std::string(", and none waits")
                                 : "; the next one to be called lies at " +
                                       FormatPosition(parts_.ledger.PositionOf(next)));
  }
  if (parts_.park_asked.size() >= kMaxParkAsked) {
    return fmt::format("already {} events are to be parked", kMaxParkAsked);
  }
  return {};
}

std::string Engine::ParkEvent(Position position, Tick tick, Commands* out) {
  std::string refused = CannotPark(position);
  if (refused.empty()) {
    Turn turn(tick, out);
    parts_.park_asked.insert(position);
    Plan(turn);
  }
  return refused;
}

std::string Engine::ParkWaitsFor(Position position) const {
  if (!parts_.park_asked.contains(position)) {
    return {};
  }
  const Sequence sequence = parts_.ledger.FindEvent(position);
  if (std::any_of(parts_.seats.begin(), parts_.seats.end(),
                  [&](const Seat& seat) { return parts_.Has(seat, sequence); })) {
    return "it is being called, and stays an event if that succeeds";
  }
  if (parts_.book.IsFull(parts_.LetterBytesOf(sequence, {}))) {
    return "the dead letters are full";
  }
  const bool in_place =
      std::any_of(parts_.seats.begin(), parts_.seats.end(),
                  [&](const Seat& seat) { return seat.place.sequence == sequence; });
  if (in_place && parts_.position_mode && !parts_.seats.front().lane.takes()) {
    return "the next runner has to say first whether the plugin holds it";
  }
  const Sequence next = parts_.ledger.NextWaiting();
  return in_place || next == 0 || next == sequence
             ? std::string("a call before it has to end")
             : "events before it, from " + FormatPosition(parts_.ledger.PositionOf(next)) + " on";
}

std::string Engine::ParkType(std::string_view type, Tick tick, Commands* out) {
  if (parts_.life.ending()) {
    return "the group is stopping";
  }
  if (!parts_.doubt.SetHold(type, Doubt::Hold::kByHand, tick.now)) {
    return fmt::format("already {} types are held", Doubt::kMaxTypes);
  }
  Turn turn(tick, out);
  parts_.book.Hold(type, std::nullopt);
  Command& command = turn.Add(Command::Kind::kHold);
  command.text = std::string(type);
  command.expected = true;
  Plan(turn);
  return {};
}

std::string Engine::UnparkType(std::string_view type, Tick tick, Commands* out) {
  if (!parts_.doubt.EndHold(type)) {
    return NotHeldText(type);
  }
  Turn turn(tick, out);
  parts_.book.EndHold(type);
  Command& command = turn.Add(Command::Kind::kEndHold);
  command.text = std::string(type);
  command.expected = true;
  Letters::StoreDue(parts_.book.MakeTypeDue(type, turn.now), turn);
  for (Seat& seat : parts_.seats) {
    const Sequence place = seat.place.sequence;
    if (place != 0 && !parts_.ledger.AdvanceAt(place) && parts_.NameOf(place).type == type) {
      seat.place.not_before = turn.now;  // It waited for room, or for a call that was not to come.
    }
  }
  Plan(turn);
  return {};
}

std::string Engine::CannotRetry() const {
  if (parts_.life.ending()) {
    return "the group is stopping";
  }
  // Half-open without an event it is the probe: a quiet log may bring none for hours.
  if (parts_.breaker.open() || (parts_.breaker.half_open() && parts_.HasEventToCall())) {
    return "no letter is called while the breaker is open" +
           (parts_.trouble.waits() ? ": " + parts_.trouble.text() : std::string());
  }
  return {};
}

std::string Engine::RetryLetter(std::string_view stream, Position position, Tick tick,
                                Commands* out) {
  if (std::string cannot = CannotRetry(); !cannot.empty()) {
    return cannot;
  }
  const auto id = parts_.book.Find(stream, position);
  if (!id) {
    return "no letter lies at " + FormatPosition(position);
  }
  std::string busy = "it is being written or called";
  if (WritesLetter(position)) {
    return busy;
  }
  const LetterBook::Letter before = *parts_.book.Get(*id);
  if (!parts_.book.Ask(*id, tick.now)) {
    const auto first = parts_.book.First(stream);
    return *first == *id ? busy
                         : fmt::format("it waits behind {}, an earlier letter of its stream",
                                       FormatPosition(first->position));
  }
  Turn turn(tick, out);
  Plan(turn);
  // One that is called at once has what comes of that written.
  const LetterBook::Letter* const letter = parts_.book.Get(*id);
  if (letter != nullptr && parts_.letter_calls.called() != *id &&
      (letter->due < before.due || letter->step < before.step)) {
    Letters::StoreDue({position}, turn);
  }
  return {};
}

}  // namespace catchup
