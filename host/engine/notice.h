#pragma once

#include <cstddef>
#include <cstdint>

namespace catchup {

// What the engine finds worth a line in the log, by kind. Each kind is one fixed message there, and
// so has a rate limit of its own; the text of the command says the facts, in one sentence.
enum class Notice : std::uint8_t {
  kRunnerRestarts,       // It died, or was discarded: another follows. A try.
  kRunnerReplaced,       // A fresh one is better: at once, or because it has nothing to do.
  kRunnerEndedBadly,     // While the group stops, otherwise than it was asked to.
  kSpawnWaits,           // A runner cannot be spawned for want of something. A try.
  kCheckpointWaits,      // A checkpoint cannot be written for want of something. A try.
  kWaitOver,             // Of either: it is there.
  kPluginBehind,         // The plugin's position lies before the group's checkpoint, and wins.
  kPluginMoved,          // The plugin's position is not where its last runner left it, and wins.
  kSubscriptionDropped,  // The call ended. A try.
  kSubscriptionRefused,  // As only a person ends it: an alarm. A try.
  kLogTooShort,    // The log ends before the place to resume from; perhaps it was asked too early.
  kWitnessesGone,  // Handled events are not in the log any more, so they prove nothing.
  kReadFromBeginning,   // No place to resume from serves an old server.
  kNoPlaceAnnounced,    // The server announced what is no position.
  kAnnouncedTooEarly,   // It sent an event after it had announced as sent what lies behind it.
  kSilenceUnexplained,  // A call says nothing, and whether it owes something cannot be told.
  kCallsWait,           // A call failed, or a letter finds no room: events wait. A try.
  kCallsGoOn,           // They do not any more.
  kBreakerStaysOpen,    // For minutes now, which only a person may be able to end. The alarm.
  kLetterWritten,       // An event became a letter. A try: its healing call.
  kLetterHealed,        // Its call succeeded, and it is gone.
  kLetterDead,          // It waits for a person from now on.
  kLetterDropped,       // A person decided so.
  kTypeHeld,            // Its events become letters without a call.
  kTypeFreed,           // They are called again.
};

inline constexpr std::size_t kNotices = static_cast<std::size_t>(Notice::kTypeFreed) + 1;

}  // namespace catchup
