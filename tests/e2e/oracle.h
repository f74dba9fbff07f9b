#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/base/position.h"

// Decides from what a group has left behind whether it kept its promises: from the log that a
// server recorded, the journal that a plugin wrote, and the stores as they lay after each run.
// Apart from the host, and when all is over.
namespace catchup::e2e {

struct LoggedEvent {
  Position place;
  std::string stream;
  std::uint64_t revision = 0;
};

// The plugin was called with the event there.
struct Delivery {
  Position place;
  bool applied = false;  // And did what the event asks for; else it failed.
};

struct KeptLetter {
  Position place;
  enum class State : std::uint8_t { kHealing, kDead, kFollower } state = State::kHealing;
};

// A host's life, and what the next one finds.
struct Life {
  enum class End : std::uint8_t { kStopped, kHostKilled } end = End::kStopped;
  std::size_t deliveries = 0;     // All until then, of this life and those before.
  std::size_t runner_deaths = 0;  // In this life.
  std::optional<Position> checkpoint;
  std::vector<KeptLetter> letters;
  bool reset = false;  // A command has put the checkpoint back after it.
};

struct History {
  std::vector<LoggedEvent> log;  // Those that match, in its order.
  std::vector<Delivery> deliveries;
  std::vector<Life> lives;
  std::size_t duplicate_bound = 0;  // Checkpoint batch and window.
  bool by_stream = true;            // dead_letters.order = "stream"
  bool whole = true;                // The last life was to bring everything to an end.
  bool outage_only = false;         // Whatever failed is mended, and no letter is to stay.
};

// What is wrong with it, each text beginning with the invariant that is broken; empty: nothing.
//
//   I1  an event below a checkpoint, or in the end any, is neither applied nor a letter
//   I2  it was applied only later than the checkpoint passed it
//   I3  its letter was written only later than the checkpoint passed it
//   I4  an event of a stream was applied before an earlier one, or first called before it
//   I5  more came again than was promised
//   I8  a letter is left though nothing fails any more, or though its event is applied
//   I9  a checkpoint went back
//   log a delivery, a letter or a checkpoint of what the log does not hold
std::vector<std::string> Judge(const History& history);

}  // namespace catchup::e2e
