#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "host/engine/command.h"
#include "host/engine/failure.h"
#include "host/engine/heard.h"
#include "host/engine/lane.h"

namespace catchup {

// What the engine knows of a lane beside the Lane itself: its runner's events, and the one that it
// does not get past. Facts alone, no rules.

// An event whose call has failed and that is to be called again, before any other of its lane.
struct InPlace {
  Sequence sequence = 0;
  std::uint32_t calls = 0;           // That failed, in all.
  std::uint32_t waits = 0;           // Of these: for infrastructure,
  std::uint32_t fails = 0;           // unknown,
  std::uint32_t deaths = 0;          // deaths and hangs.
  std::uint32_t counted_deaths = 0;  // Of these: crashes that the lane's pacing has counted.
  std::chrono::nanoseconds not_before{};
  FailureClass failure = FailureClass::kUnknown;
  std::string text;
};

// Why a runner's plugin could not begin.
struct SetUpFailure {
  FailureClass failure{};
  std::string text;
};

// A lane and what is known of its runner and its events.
struct Seat {
  explicit Seat(LaneNumber number) : lane(number) {}

  Lane lane;
  InPlace place;
  std::optional<Hang> hang;                    // The call that hung, until its runner is gone.
  std::optional<SetUpFailure> set_up_failure;  // Until its runner is gone.
  bool replacing = false;                      // The runner stops so that another takes its place.
  bool retiring = false;                       // The same, whatever waits.
  bool discarded = false;                      // It is killed for that.
  bool restarting = false;                     // The next runner is spawned because one died.
  std::uint32_t batch = 1;                     // Events that its plugin takes in one call.
  // With several lanes: what the runner has and has not settled, as it was given, and the last
  // that it settled. With one lane the Ledger knows.
  std::deque<Sequence> has{};
  Sequence settled = 0;
};

}  // namespace catchup
