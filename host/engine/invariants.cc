#include "host/engine/invariants.h"

#include <algorithm>

namespace catchup {
namespace {

class Invariants {
 public:
  explicit Invariants(const EngineParts& parts) : parts_(parts) {}

  // What is wrong; empty when nothing is.
  std::string_view Check() const;

 private:
  std::string_view CheckLanes() const;
  std::string_view CheckSeat(const Seat& seat) const;

  const EngineParts& parts_;
};

std::string_view Invariants::Check() const {
  for (const std::string_view wrong :
       {parts_.life.CheckInvariants(), CheckLanes(), parts_.ledger.CheckInvariants(),
        parts_.book.CheckInvariants()}) {
    if (!wrong.empty()) {
      return wrong;
    }
  }
  const bool call = parts_.link.has_call();
  const bool tries = parts_.link.connect_at().has_value();
  if (parts_.heard.index() != 0) {
    return "something that was heard is not judged";
  }
  if (parts_.life.ending() && (call || tries)) {
    return "a group that ends has a call or a try that is to come";
  }
  if (parts_.life.finished() &&
      (parts_.AnyLives() || (parts_.pacer.writing() && !parts_.store_failed))) {
    return "a group has ended while something is under way";
  }
  if (parts_.origin.begun() && !parts_.life.ending() && call == tries) {
    return "a group that goes on has no call and no try to come, or both";
  }
  if (!parts_.origin.begun() && (call || tries || parts_.ledger.last() != 0)) {
    return "a group that has not begun has a call or events";
  }
  if (parts_.ledger.parking() > parts_.parking.size()) {
    return "an event becomes a letter of which nobody waits to hear";
  }
  if (parts_.breaker.half_open() && parts_.ledger.on_lane() > 1) {
    return "more than a probe is called";
  }
  // On another lane a call may end that began before.
  if (!parts_.many && parts_.breaker.open() &&
      (parts_.ledger.on_lane() != 0 || parts_.CallsLetter())) {
    return "something is called though the breaker is open";
  }
  if (parts_.checkpoint_wait.retry_at() && parts_.pacer.writing()) {
    return "a checkpoint waits for its next try while one is written";
  }
  if (parts_.released != parts_.ledger.popped()) {
    return "buffers are kept of what is settled";
  }
  return {};
}

std::string_view Invariants::CheckLanes() const {
  std::size_t on_lanes = 0;
  for (const Seat& seat : parts_.seats) {
    if (const std::string_view wrong = CheckSeat(seat); !wrong.empty()) {
      return wrong;
    }
    on_lanes += seat.has.size();
  }
  if (!parts_.many) {
    return parts_.seats.front().lane.takes() && parts_.ledger.waits() && parts_.Plain()
               ? "events wait though the lane takes them"
               : "";
  }
  if (on_lanes != parts_.ledger.on_lane()) {
    return "other events are on the lanes than their runners have";
  }
  const auto idle = [this](const Seat& seat) {
    return parts_.IsIdle(seat) && seat.place.sequence == 0;
  };
  if (parts_.Plain() && parts_.streams.Next() != 0 &&
      std::any_of(parts_.seats.begin(), parts_.seats.end(), idle)) {
    return "events wait though a lane is idle";
  }
  return parts_.streams.CheckInvariants();
}

std::string_view Invariants::CheckSeat(const Seat& seat) const {
  if (const std::string_view wrong = seat.lane.CheckInvariants(); !wrong.empty()) {
    return wrong;
  }
  if (parts_.life.ending() && seat.lane.spawn_at()) {
    return "a group that ends has a runner that is to come";
  }
  if (parts_.life.started() && !parts_.life.ending() &&
      seat.lane.alive() == seat.lane.spawn_at().has_value()) {
    return "a group that goes on has no runner and none to come, or both";
  }
  const bool has_events = parts_.many ? !seat.has.empty() : parts_.ledger.on_lane() != 0;
  if (!seat.lane.alive() && (has_events || parts_.CallsLetter(seat))) {
    return "events are on a lane without a runner";
  }
  if (parts_.CallsLetter(seat) && has_events) {
    return "a letter is called beside events";
  }
  if (seat.place.sequence != 0 && !parts_.ledger.IsPending(seat.place.sequence)) {
    return "what is in place is settled";
  }
  if (parts_.many && seat.place.sequence != 0 && parts_.streams.Waits(seat.place.sequence)) {
    return "what is in place on one lane waits for any";
  }
  for (const Sequence sequence : seat.has) {
    if (!parts_.ledger.IsOnLane(sequence) || parts_.streams.Waits(sequence)) {
      return "a runner has what is not on its lane";
    }
    for (const Seat& other : parts_.seats) {
      const bool shared = std::any_of(other.has.begin(), other.has.end(), [&](Sequence one) {
        return &other != &seat && parts_.streams.OfOneStream(one, sequence);
      });
      if (shared) {
        return "two lanes have events of one stream";
      }
    }
  }
  return std::is_sorted(seat.has.begin(), seat.has.end())
             ? std::string_view()
             : std::string_view("a runner has events out of their order");
}

}  // namespace

std::string_view CheckInvariants(const EngineParts& parts) { return Invariants(parts).Check(); }

}  // namespace catchup
