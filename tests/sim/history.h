#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "host/base/position.h"
#include "host/engine/failure.h"
#include "host/engine/letter.h"

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

inline constexpr std::uint32_t kAllTypes = ~0u;

struct Record {
  enum class Kind : std::uint8_t {
    kHostStart,
    kRunnerStart,  // runner: from now on no earlier one may change anything; `blind` when it did
                   // not say what the plugin holds.
    kDeliver,      // runner, event.
    kApply,        // runner, event: its effect is durable in the plugin's store.
    kReport,       // runner, event: the host was told that everything up to it is handled.
    kAdvance,      // runner: the host was told that it stored a position without an event.
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

    kFail,            // runner, event, failure: its call, which was of it alone or says so of it.
    kPark,            // event, state, failure: the engine wants it to be a letter.
    kLetter,          // event: that letter is durable.
    kLetterFound,     // event, state: a host that starts has this letter.
    kCallLetter,      // runner, event.
    kLetterOk,        // runner, event: the host was told that this call succeeded.
    kLetterChange,    // event, state, failure: what the engine makes of a call that failed.
    kLetterGone,      // event: the store holds it no more; `by_hand` when it was dropped.
    kLettersLeave,    // position: the engine wants every letter behind it gone.
    kLettersGone,     // position: the store holds none behind it.
    kHold,            // type, by_hand: its events become letters without a call.
    kEndHold,         // type; kAllTypes for each.
    kLettersGivenUp,  // A group that ends was told that its letters find no room.
    kParkAsked,       // event: an operator wants it to be a letter.
    kRetryAsked,      // event: an operator wants its letter called.
    kReset,           // position: an operator put the checkpoint back.
    kOtherPlugin,     // Another file of the plugin.
    kBreakerOpens,    // The group says so, and that it is closed.
    kBreakerCloses,
  };

  Kind kind{};
  std::uint64_t runner = 0;  // Its fencing token: greater than every one before, for ever.
  std::size_t event = 0;     // Index in the log.
  std::optional<Position> position{};
  bool cut = false;
  bool blind = false;
  bool letter = false;  // kApply: in a letter's call.
  bool by_hand = false;
  LetterState state{};
  FailureClass failure{};
  std::uint32_t type = 0;
  std::chrono::nanoseconds at{};  // Simulated time.
};

struct History {
  // Whether the group's configuration says that it is not handled.
  bool Skips(const LogEvent& event) const { return event.system && !system_events; }

  std::vector<LogEvent> log;  // In log order.
  std::vector<Record> records;

  std::uint64_t batch = 10;     // B.
  std::uint64_t window = 1024;  // W.
  std::uint64_t window_bytes = 32ull << 20;
  bool system_events = false;
  bool position_mode = false;
  // The last process ran until it had caught up and no letter healed any more, then ended well.
  bool complete = false;
  std::optional<Position> start;
  std::chrono::nanoseconds interval{};  // The longest that progress waits for a checkpoint write.

  LetterOrder order = LetterOrder::kHalt;
  std::uint64_t max_letters = 100'000;
  std::uint32_t budget = 10;
  std::chrono::nanoseconds heal_for = std::chrono::hours(168);
  std::chrono::nanoseconds open = std::chrono::seconds(5);  // The breaker, at first and at most.
  std::chrono::nanoseconds max_open = std::chrono::seconds(60);
};

}  // namespace catchup::sim
