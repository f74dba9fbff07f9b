#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "host/base/position.h"

namespace catchup::sim {

// What happened to one group over several processes, as an observer outside of the engine wrote it
// down: the log itself, what each runner was handed and applied, what the store committed and how
// processes ended. The checker sees this and nothing else.

struct LogEvent {
  Position position;
  std::uint32_t stream = 0;
  std::uint32_t type = 0;
  std::uint64_t revision = 0;
  std::uint64_t bytes = 0;
  bool matches = true;  // The group's filter.
  bool system = false;
};

struct Record {
  enum class Kind : std::uint8_t {
    kHostStart,
    kRunnerStart,  // runner: from now on no earlier one may change anything; `blind` when it did
                   // not say what the plugin holds.
    kDeliver,      // runner, event.
    kApply,        // runner, event: its effect is durable in the plugin's store.
    kReport,       // runner, event: the host was told that everything up to it is handled.
    kSkip,         // event: skipped by rule and counted.
    kTakeBack,     // runner: what it was handed and did not report is taken from it.
    kRunnerDeath,  // runner: it ended without having been asked to.
    kAsk,          // position: the engine asked for this checkpoint.
    kDurable,      // position: the store committed it.
    kNoRoom,       // The store had no room for what was asked for, and changed nothing.
    kGraceful,     // The group ended well; `cut` when a call had to be cut off for it.
    kKill,         // The process of the host, or its store, died at this instant.
    kRestore,      // position: the plugin's store was put back there, effects included.
    kCall,         // A subscription was opened.
    kLive,         // event: the server said that the call has brought all before it.
    kCaughtUp,     // The group counts itself as caught up.
    kLie,       // event, position: two frames in a row said that everything up to there was sent,
                // though not even this event was: what the host then misses is not its fault.
    kAnnounce,  // position: truly announced, as a place to resume from.
    kStall,     // The store or a runner has failed: no checkpoint is to be expected any more.
  };

  Kind kind{};
  std::uint64_t runner = 0;  // Its fencing token: greater than every one before, for ever.
  std::size_t event = 0;     // Index in the log.
  std::optional<Position> position{};
  bool cut = false;
  bool blind = false;
  std::chrono::nanoseconds at{};  // Simulated time.
};

struct History {
  std::vector<LogEvent> log;  // In log order.
  std::vector<Record> records;

  std::uint64_t batch = 10;     // B.
  std::uint64_t window = 1024;  // W.
  std::uint64_t window_bytes = 32ull << 20;
  bool system_events = false;
  bool position_mode = false;
  bool complete = false;  // The last process ran until caught up and then ended well.
  std::optional<Position> start;
  std::chrono::nanoseconds interval{};  // The longest that progress waits for a checkpoint write.
};

}  // namespace catchup::sim
