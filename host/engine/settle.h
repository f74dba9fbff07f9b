#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

// What calls that succeeded settle, and what a success ends: a streak, a hold, an open breaker.
class Settling {
 public:
  explicit Settling(EngineParts& parts) : parts_(parts) {}

  // --- With one lane. ---

  // Of the events on the lane up to `last`, before they are settled there.
  void CountSuccesses(Sequence last, Turn& turn);

  // --- With several. ---

  // The lane's runner says that it settled everything that it has up to `last`.
  void SettledOn(Seat& seat, Sequence last, Turn& turn);
  // The first `count` events that it has.
  void SettleFirst(Seat& seat, std::size_t count, Turn& turn);

  // --- What a success ends. ---

  // `live`: an event's, not a letter's.
  void TypeSucceeded(std::string_view type, bool live, Turn& turn);
  void CallSucceeded(std::uint64_t count, Turn& turn);

 private:
  void CountSuccessesOn(const Seat& seat, std::size_t count, Turn& turn);

  EngineParts& parts_;
};

}  // namespace catchup
