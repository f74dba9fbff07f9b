#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "host/base/position.h"
#include "host/engine/failure.h"

namespace catchup {

// What a dead letter is to the engine and to its store: who it is, in which state, and when it is
// called again. The event itself (data, metadata, id) is the store's alone.

enum class LetterState : std::uint8_t {
  kHealing,   // Called again by the host itself until that succeeds.
  kDead,      // Waits for a person.
  kFollower,  // Never called: it waits behind an earlier letter of its stream.
};

std::string_view LetterStateName(LetterState state);

// `dead_letters.order`.
enum class LetterOrder : std::uint8_t {
  kStream,  // Later events of a parked stream queue behind it.
  kEvent,   // Only the event is parked.
  kHalt,    // The group stops where a letter would be written.
};

// Whose event it is, kept.
struct LetterName {
  std::string stream;
  std::string type;
};

// Times are of the engine's clock (Tick); an adapter translates what it stores.
struct LetterChange {
  Position position;
  LetterState state = LetterState::kHealing;
  FailureClass failure = FailureClass::kUnknown;  // Of a follower: nothing.
  std::uint32_t attempts = 0;                     // Calls so far, while it was an event in place.
  std::uint32_t step = 0;                         // Of the delays between healing calls.
  std::chrono::nanoseconds since{};               // In this state; for a follower since written.
  std::chrono::nanoseconds due{};                 // The next healing call; of kHealing.
  bool called = false;                            // A call made it so: `reason` is what that said.
  std::string reason;                             // For people, on one line.
};

// One letter as its store describes it at the start, without its event.
struct LetterSummary {
  Position position;
  std::string_view stream;
  std::string_view type;
  std::uint64_t bytes = 0;  // What it counts against max_bytes.
  LetterState state = LetterState::kHealing;
  FailureClass failure = FailureClass::kUnknown;
  std::uint32_t attempts = 0;
  std::uint32_t step = 0;
  std::chrono::nanoseconds since{};
  std::chrono::nanoseconds due{};
};

}  // namespace catchup
