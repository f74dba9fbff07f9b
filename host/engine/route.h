#pragma once

#include <cstdint>
#include <optional>

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

struct ParkedAs {
  LetterState state;
  FailureClass failure;
};

// Whether an operator wants the event to be a letter. That needs no call, so it waits neither for
// the breaker nor for a runner; but where the plugin stores its position, only its next runner can
// say that it does not hold the event.
bool IsParkAsked(const EngineParts& parts, Sequence sequence);

// What the event in place is to become without a further call, as soon as there is room for its
// letter; asked anew each time, since what an operator has decided may be taken back meanwhile.
std::optional<ParkedAs> ParksUncalled(const EngineParts& parts, const InPlace& place);

// What becomes of an event that has not been called, and is not in place: it is called, or a letter
// already, or it becomes one, as said; or it waits until a letter of its stream that has healed is
// gone from the store.
struct Fate {
  enum class Kind : std::uint8_t { kCall, kIsLetter, kPark, kWait };
  Kind kind = Kind::kCall;
  ParkedAs as{};
  const char* reason = "";
};
Fate FateOf(const EngineParts& parts, Sequence sequence);

// Whether an event is called or becomes a letter without that, and its way to a runner and back.
// Which event is next is for deliver.h and deliver_lanes.h.
class Routing {
 public:
  explicit Routing(EngineParts& parts) : parts_(parts) {}

  enum class Route : std::uint8_t { kCall, kGone, kWait, kNoRoom };

  // Has the fate of an event that waits done, unless that is to be called or to wait; with one lane
  // it is the first that waits. kNoRoom: for its letter, which is why the group waits.
  Route RouteOf(Sequence sequence, Turn& turn);
  // True: it is called. False: it waits still or, with no place any more, has become a letter.
  bool CallInPlace(Seat& seat, Turn& turn);

  // With one lane: the next that waits. With several: `sequence`.
  void HandOut(std::uint32_t attempt, bool alone, Turn& turn);
  void HandOutOn(Seat& seat, Sequence sequence, std::uint32_t attempt, bool alone, Turn& turn);
  // What the lane had and did not settle waits again,
  void TakeBack(Seat& seat);
  // and the runner is to forget it, if there is one.
  void TakeBackFromRunner(Seat& seat, Turn& turn);

 private:
  // False: there is no room.
  bool TakeOut(Sequence sequence, const Fate& fate, Turn& turn);
  void Tell(LaneNumber lane, Sequence sequence, std::uint32_t attempt, bool alone, Turn& turn);

  EngineParts& parts_;
};

}  // namespace catchup
