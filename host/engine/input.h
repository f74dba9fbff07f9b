#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/position.h"
#include "host/base/witness.h"
#include "host/engine/backoff.h"
#include "host/engine/breaker.h"
#include "host/engine/classifier.h"
#include "host/engine/command.h"

namespace catchup {

// What adapters tell the engine.

struct EngineOptions {
  // Runners of the group. Events of one stream are handled in order and never two at once, whatever
  // their number; those of different streams are in the order of the log with one lane only. A
  // plugin that keeps its own position has one.
  std::uint32_t lanes = 1;
  std::uint32_t checkpoint_batch_size = 10;
  std::chrono::nanoseconds checkpoint_interval = std::chrono::seconds(1);
  std::uint64_t window_events = 4096;
  std::uint64_t window_bytes = 32ull << 20;
  bool stop_on_caught_up = false;
  std::chrono::nanoseconds drain_timeout = std::chrono::seconds(5);
  std::chrono::nanoseconds handler_timeout = std::chrono::seconds(30);
  // The group was given up and is tried again: its first death gives it up at once.
  bool on_probation = false;

  // What is done about calls that fail.
  Classifier classifier{};
  std::uint32_t max_retries = 3;  // Of an unknown failure, beyond the first call.
  Backoff retry{std::chrono::seconds(1), std::chrono::seconds(30)};
  std::uint32_t max_crashes = 3;  // Of an event alone in a runner, beyond the first death.
  Breaker::Options breaker{};
  std::uint32_t budget = 10;  // Letters by text rules among the last 20 events of a type; 0 is off.
  LetterOrder letter_order = LetterOrder::kStream;
  std::uint64_t max_letters = 100'000;
  std::uint64_t max_letter_bytes = 4ull << 30;
  // What a letter takes in the store beside its event and the text of its failure.
  std::uint64_t letter_overhead = 0;
  std::chrono::nanoseconds heal_for = std::chrono::hours(168);  // 0: doubt is dead at once.
};

// Whose event it is. The views live as long as the event does in the adapter's window.
struct EventName {
  std::string_view stream;
  std::string_view type;
};

// Names of events in the adapter's window, asked for only where there is trouble.
class EventNames {
 public:
  // Of an event that Engine::Event took and that is not released.
  virtual EventName NameOf(Sequence sequence) const = 0;

 protected:
  ~EventNames() = default;
};

// Where a group begins: its recorded start, and the durable checkpoint if there is one. A null
// recorded start is the beginning of the log.
struct StartPoint {
  std::optional<Position> recorded_start;
  std::optional<Position> checkpoint;
  // Of the last event handled or skipped at or before the checkpoint, where it is known.
  std::optional<Position> last_event{};
  // Handled events by which the log is known, newest first. Those behind the place where the group
  // goes on do not count.
  std::vector<Witness> witnesses{};
  // The filter is not the one of an earlier run that left no checkpoint: a position that the plugin
  // holds was made with the other one.
  bool filter_changed = false;
};

// What a server can be relied on for; it differs by version.
struct ServerTraits {
  // A subscription goes on behind the very place it is given. False before 24.2: those look for the
  // first record at or after the place and begin behind that one, so where no record lies at the
  // place, the next one is never sent.
  bool resumes_anywhere = true;
  // It says when a subscription is live. False before 23.10: the head of the log tells.
  bool says_caught_up = true;
  // It need not be the leader of its cluster, so its log may end where the leader's went on a while
  // ago.
  bool may_lag = false;
};

// How a runner ended. The class decides whether another start makes sense.
enum class ExitClass : std::uint8_t {
  kClean,     // After stop and destroy, on request.
  kSetup,     // It could not set itself up, or refuses the plugin: no restart.
  kContract,  // Impossible status, broken table, nonsense in the ring: no restart.
  kFatal,     // The plugin returned FATAL: no restart.
  kCrash,     // Died by a signal.
  kExit,      // The plugin called exit or abort.
  kHung,      // Killed by us after a call outlasted its limit.
  kMemory,    // Killed for its memory.
  kKilled,    // Killed by us for another reason, which the engine knows.
};

std::string_view ExitClassName(ExitClass exit_class);

// What a runner says when its plugin is created and started.
struct RunnerFacts {
  bool position_mode = false;        // The plugin keeps its own position,
  std::optional<Position> loaded{};  // and that is it; none means the recorded start.
  std::uint32_t max_events = 1;      // That it takes in one call.
};

// A status of the plugin that is not OK, or a refusal in create, start or load_position.
struct BadOutcome {
  Sequence sequence = 0;    // First unapplied event; 0 when no event was being handled.
  std::int32_t status = 0;  // CATCHUP_* as the plugin said it.
  std::string call;         // "handle", "handle_at", "create" …
  std::string text;         // set_error's, may be empty.
  Sequence last = 0;        // Last event of the call, where it was for several; else 0.
};

}  // namespace catchup
