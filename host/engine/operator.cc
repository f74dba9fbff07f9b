#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// What an operator decides about letters, and a new plugin file.

namespace catchup {
namespace {

// More at once is a type to park, or a program gone wild.
constexpr std::size_t kMaxParkAsked = 1'024;

}  // namespace

void Engine::PluginChanged(Tick tick, Commands* out) {
  if (life_.finished()) {
    return;
  }
  Turn turn(tick, out);
  if (doubt_.holds() > 0) {
    turn.Add(Command::Kind::kEndHold);
  }
  doubt_.Forget();
  book_.EndAllHolds();
  // Also where that is none: it is the word that the holds are gone and all is due.
  Command& due = turn.Add(Command::Kind::kMakeDue);
  due.at = turn.now;
  due.expected = true;
  due.letters = std::make_shared<const std::vector<Position>>(book_.MakeAllDue(turn.now));
  if (breaker_.open()) {
    breaker_.Hasten(turn.now);
  }
  Plan(turn);
}

std::string Engine::CannotPark(Position position) const {
  if (life_.ending()) {
    return "the group is stopping";
  }
  if (!IsPlace(position)) {
    return NoPlace(position);
  }
  const Sequence sequence = ledger_.FindEvent(position);
  if (position <= ledger_.watermark() || (sequence != 0 && !ledger_.IsPending(sequence))) {
    return fmt::format("what lies at {} is settled: the group is at {}", FormatPosition(position),
                       Place(ledger_.watermark()));
  }
  if (sequence == 0) {
    const Sequence next = ledger_.NextWaiting();
    return fmt::format("no event of the group that has come lies at {}{}", FormatPosition(position),
                       next == 0 ? std::string(", and none waits")
                                 : "; the next one to be called lies at " +
                                       FormatPosition(ledger_.PositionOf(next)));
  }
  if (park_asked_.size() >= kMaxParkAsked) {
    return fmt::format("already {} events are to be parked", kMaxParkAsked);
  }
  return {};
}

std::string Engine::ParkEvent(Position position, Tick tick, Commands* out) {
  std::string refused = CannotPark(position);
  if (refused.empty()) {
    Turn turn(tick, out);
    park_asked_.insert(position);
    Plan(turn);
  }
  return refused;
}

std::string Engine::ParkWaitsFor(Position position) const {
  if (!park_asked_.contains(position)) {
    return {};
  }
  const Sequence sequence = ledger_.FindEvent(position);
  if (std::any_of(seats_.begin(), seats_.end(),
                  [&](const Seat& seat) { return Has(seat, sequence); })) {
    return "it is being called, and stays an event if that succeeds";
  }
  if (book_.IsFull(LetterBytesOf(sequence, {}))) {
    return "the dead letters are full";
  }
  const bool in_place = std::any_of(seats_.begin(), seats_.end(), [&](const Seat& seat) {
    return seat.place.sequence == sequence;
  });
  if (in_place && position_mode_ && !seats_.front().lane.takes()) {
    return "the next runner has to say first whether the plugin holds it";
  }
  const Sequence next = ledger_.NextWaiting();
  return in_place || next == 0 || next == sequence
             ? std::string("a call before it has to end")
             : "events before it, from " + FormatPosition(ledger_.PositionOf(next)) + " on";
}

std::string Engine::ParkType(std::string_view type, Tick tick, Commands* out) {
  if (life_.ending()) {
    return "the group is stopping";
  }
  if (!doubt_.SetHold(type, Doubt::Hold::kByHand, tick.now)) {
    return fmt::format("already {} types are held", Doubt::kMaxTypes);
  }
  Turn turn(tick, out);
  book_.Hold(type, std::nullopt);
  Command& command = turn.Add(Command::Kind::kHold);
  command.text = std::string(type);
  command.expected = true;
  Plan(turn);
  return {};
}

std::string Engine::UnparkType(std::string_view type, Tick tick, Commands* out) {
  if (!doubt_.EndHold(type)) {
    return "events of type " + QuotedName(type) + " are not held";
  }
  Turn turn(tick, out);
  book_.EndHold(type);
  Command& command = turn.Add(Command::Kind::kEndHold);
  command.text = std::string(type);
  command.expected = true;
  StoreDue(book_.MakeTypeDue(type, turn.now), turn);
  for (Seat& seat : seats_) {
    const Sequence place = seat.place.sequence;
    if (place != 0 && !ledger_.AdvanceAt(place) && NameOf(place).type == type) {
      seat.place.not_before = turn.now;  // It waited for room, or for a call that was not to come.
    }
  }
  Plan(turn);
  return {};
}

std::string Engine::CannotRetry() const {
  if (life_.ending()) {
    return "the group is stopping";
  }
  // Half-open without an event it is the probe: a quiet log may bring none for hours.
  if (breaker_.open() || (breaker_.half_open() && HasEventToCall())) {
    return "no letter is called while the breaker is open" +
           (trouble_.waits() ? ": " + trouble_.text() : std::string());
  }
  return {};
}

std::string Engine::RetryLetter(std::string_view stream, Position position, Tick tick,
                                Commands* out) {
  if (std::string cannot = CannotRetry(); !cannot.empty()) {
    return cannot;
  }
  const auto id = book_.Find(stream, position);
  if (!id) {
    return "no letter lies at " + FormatPosition(position);
  }
  const LetterBook::Letter before = *book_.Get(*id);
  if (!book_.Ask(*id, tick.now)) {
    const auto first = book_.First(stream);
    return *first == *id ? "it is being written or called"
                         : fmt::format("it waits behind {}, an earlier letter of its stream",
                                       FormatPosition(first->position));
  }
  Turn turn(tick, out);
  Plan(turn);
  // One that is called at once has what comes of that written.
  const LetterBook::Letter* const letter = book_.Get(*id);
  if (letter != nullptr && letter_call_ != *id &&
      (letter->due < before.due || letter->step < before.step)) {
    StoreDue({position}, turn);
  }
  return {};
}

}  // namespace catchup
