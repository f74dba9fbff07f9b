#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/position.h"
#include "host/engine/checkpoint_pacer.h"
#include "host/engine/frontier.h"
#include "host/engine/runner_pacing.h"
#include "host/engine/watermark.h"

namespace catchup {

// The delivery logic of one group as a pure state machine: inputs are method calls, answers are
// commands appended to a list. It does no I/O, reads no clock and draws no random number; both come
// with every input. Adapters around it (source, runner, store, timers) carry the commands out and
// report what became of them, so the whole of it runs under a simulation.
//
// Not thread safe: the adapter serialises the inputs of a group.

// Names of one event or announcement inside a group and process: 1, 2, 3 … in order of arrival,
// never reused. 0 names none.
using Sequence = std::uint64_t;

// Names one runner process of a group: 1, 2, 3 … Inputs of an earlier spawn are ignored.
using SpawnNumber = std::uint64_t;

// Names one subscription call: 1, 2, 3 … Inputs of an earlier call are ignored.
using CallNumber = std::uint64_t;

// What an adapter hands in with every input.
struct Tick {
  std::chrono::nanoseconds now{};  // Monotonic, from any origin.
  std::uint64_t random = 0;        // 64 fresh random bits, for jitter.
};

struct EngineOptions {
  std::uint32_t checkpoint_batch_size = 10;
  std::chrono::nanoseconds checkpoint_interval = std::chrono::seconds(1);
  std::uint64_t window_events = 4096;
  std::uint64_t window_bytes = 32ull << 20;
  bool system_events = false;
  bool stop_on_caught_up = false;
  std::chrono::nanoseconds drain_timeout = std::chrono::seconds(5);
};

// Where a group begins: its recorded start, and the durable checkpoint if there is one. A null
// recorded start is the beginning of the log.
struct StartPoint {
  std::optional<Position> recorded_start;
  std::optional<Position> checkpoint;
  // Of the last event handled or skipped at or before the checkpoint, where it is known.
  std::optional<Position> last_event{};
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
};

enum class GroupState : std::uint8_t {
  kIdle,      // Start() has not come yet.
  kStarting,  // Runner or subscription is not there yet for the first time.
  kCatchingUp,
  kCaughtUp,  // Live; everything before caught_up was settled and durable.
  kWaiting,   // Reconnecting, or a runner is to be restarted: the reason says which.
  kDraining,  // A stop was asked for; calls in flight are finishing.
  kStopped,   // Ended well: stopped, or caught up with stop_on_caught_up. Final.
  kFailed,    // Ended with a reason; the checkpoint is untouched by what failed. Final.
  kGivenUp,   // The runner died too often. Final until an operator acts.
};

std::string_view GroupStateName(GroupState state);

enum class TimerKind : std::uint8_t { kReconnect, kRespawn, kPersist, kDrain, kKill };
inline constexpr std::size_t kTimerKinds = 5;

struct Command {
  enum class Kind : std::uint8_t {
    kSpawnRunner,         // spawn: raise the token durably, then start this runner.
    kDrainRunner,         // spawn: deliver nothing more; let the current call end, then stop it.
    kAbortRunner,         // spawn: SIGABRT, so that it writes a report.
    kKillRunner,          // spawn: SIGKILL.
    kConnect,             // call: find out what the server is, then say ServerKnown.
    kReadEnd,             // call, from: find out where the log ends, as far as it takes to tell
                          // whether that is before `from`, then say EndKnown.
    kProbe,               // call, from: read the first record at or after it, then say Probed.
    kSubscribe,           // call, from: null is the beginning of the log; else exclusive.
    kCancelSubscription,  // call: whichever of the four it is at.
    kDeliver,             // first..last, in order, to the present runner. Events and advances.
    kRelease,             // Everything up to `last` is settled; its buffers may go.
    kPersist,             // from, event: write as checkpoint, unless may_persist() says no right
                          // before; then say CheckpointDurable, or CheckpointNotBegun.
    kSetTimer,            // timer, delay: (re)arm; one timer of each kind.
    kCancelTimer,         // timer.
    kLog,                 // text, expected: worth a line in the log. Warn unless expected. Of a try
                          // that is to come: number, from 1, and delay.
    kStateChanged,        // See state() and reason().
    kFinished,            // Final state reached; nothing follows.
  };

  Kind kind{};
  TimerKind timer{};
  bool expected = false;
  std::uint64_t number = 0;  // Spawn, call or try.
  Sequence first = 0;
  Sequence last = 0;
  std::optional<Position> from;   // kSubscribe; always set in kReadEnd, kProbe and kPersist.
  std::optional<Position> event;  // kPersist: the last event at or before it, where it is known.
  std::chrono::nanoseconds delay{};
  std::string text;
};

using Commands = std::vector<Command>;

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

// How a subscription call ended.
enum class EndClass : std::uint8_t {
  kDropped,          // Any transport end, OK included: reconnect with backoff.
  kRefused,          // Credentials, permission, unimplemented, bad request: retry slowly, loudly.
  kInvalidPosition,  // The server does not know the position we resume from: the group fails.
};

// A status of the plugin that is not OK, or a refusal in create, start or load_position.
struct BadOutcome {
  Sequence sequence = 0;    // First unapplied event; 0 when no event was being handled.
  std::int32_t status = 0;  // CATCHUP_* as the plugin said it.
  std::string call;         // "handle", "handle_at", "create" …
  std::string text;         // set_error's, may be empty.
};

class Engine {
 public:
  explicit Engine(const EngineOptions& options);

  // --- Inputs. Each appends to *out what is to be done. ---

  // First input, once.
  void Start(const StartPoint& start, Tick tick, Commands* out);

  // Stop for good: drain, persist, finish. A second call cuts the drain short (kill at once).
  void Stop(Tick tick, Commands* out);

  // The runner has created and started the plugin. With `position_mode`, `loaded` is what
  // load_position found: it wins over the checkpoint; none means the recorded start.
  void RunnerReady(SpawnNumber spawn, bool position_mode, std::optional<Position> loaded, Tick tick,
                   Commands* out);

  // Everything up to and including `last` returned OK.
  void Settled(SpawnNumber spawn, Sequence last, Tick tick, Commands* out);

  // Any status but OK. Until classification exists, it stops the group. Everything before the event
  // returned OK, whether Settled has said so yet or not.
  void Failed(SpawnNumber spawn, const BadOutcome& outcome, Tick tick, Commands* out);

  // A call lasted longer than handler_timeout, or set-up longer than its limit.
  void Hung(SpawnNumber spawn, Sequence sequence, std::string_view call, std::string_view limit,
            Tick tick, Commands* out);

  // This spawn did or reported what cannot be, so nothing it has said is to be believed: the runner
  // is killed, the group fails, and no checkpoint write begins any more. A write that has begun may
  // end. What the spawn reports from here on is ignored, so an adapter need not be quick to stop
  // listening.
  void ContractBroken(SpawnNumber spawn, std::string_view text, Tick tick, Commands* out);

  // The runner works, but a fresh one would be better: it is asked to stop once it has nothing to
  // do and the group is caught up, and another takes its place; that is no death of it. Says
  // nothing and changes nothing at any other time: ask again.
  void ReplaceRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out);

  // Nothing that this runner does can count any more, and not by a fault of its plugin's: it is
  // killed, whatever it has in hand comes again, and another takes its place. No failure, but paced
  // like a death, should it be the plugin after all that brings it about each time.
  void DiscardRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out);

  // The process is gone and its outcomes were all reported before this. kContract says what
  // ContractBroken says.
  void RunnerExited(SpawnNumber spawn, ExitClass exit_class, Sequence charged,
                    std::string_view text, Tick tick, Commands* out);

  // What kConnect found. A failure to find out is a SubscriptionEnded.
  void ServerKnown(CallNumber call, const ServerTraits& traits, Tick tick, Commands* out);

  // What kReadEnd found: the end of the log as its leader knows it, records included that reads do
  // not show; null for an empty log. It may be told too early, by a leader that has just become
  // one, never too late. A failure is a SubscriptionEnded.
  void EndKnown(CallNumber call, std::optional<Position> end, Tick tick, Commands* out);

  // What kProbe found: null when no record lies there. A failure is a SubscriptionEnded.
  void Probed(CallNumber call, std::optional<Position> found, Tick tick, Commands* out);

  // The head of the log, read after kSubscribe; null for an empty log. Counts where the server does
  // not say that it is caught up.
  void Head(CallNumber call, std::optional<Position> head, Tick tick, Commands* out);

  // A matching event. Returns its sequence, which names it from now on; 0 when it needs no
  // delivery (skipped by rule, or seen before) and may be forgotten.
  Sequence Event(CallNumber call, Position position, std::uint64_t bytes, bool is_system, Tick tick,
                 Commands* out);

  void CheckpointFrame(CallNumber call, Position position, Tick tick, Commands* out);
  void CaughtUp(CallNumber call, std::optional<Position> position, Tick tick, Commands* out);
  void SubscriptionEnded(CallNumber call, EndClass end, std::string_view text, Tick tick,
                         Commands* out);

  // The kPersist of `position` has been committed.
  void CheckpointDurable(Position position, Tick tick, Commands* out);

  // The kPersist under way was not begun, because may_persist() said no.
  void CheckpointNotBegun(Tick tick, Commands* out);

  // The store cannot write any more: final for the group.
  void StoreFailed(std::string_view text, Tick tick, Commands* out);

  void TimerFired(TimerKind timer, Tick tick, Commands* out);

  // --- Questions. ---

  // Whether another frame may be asked for. When it turns true again after an input, ask.
  bool wants_frames() const;

  // The position an advance (a kDeliver of a sequence that is no event) passes; null when
  // `sequence` is an event.
  std::optional<Position> AdvanceAt(Sequence sequence) const;

  GroupState state() const;
  const std::string& reason() const;
  bool position_mode() const;
  std::optional<Position> watermark() const;  // Settled so far; null at the beginning.
  std::optional<Position> durable() const;    // Last durable checkpoint.
  bool settled_is_durable() const;            // No restart would repeat what was settled.
  // Whether a write of what runners reported may begin: false once one of them is not believed. To
  // be asked right before each write and each further try of one.
  bool may_persist() const { return !distrusted_; }
  std::uint64_t handled() const;   // Events settled in this process.
  std::uint64_t skipped() const;   // Events skipped by a stated rule.
  std::uint64_t restarts() const;  // Runners spawned because one had died.
  bool caught_up() const;          // See GroupState::kCaughtUp.
  // Whether Head() of the present call would tell it something.
  bool needs_head() const {
    return step_ == CallStep::kOpen && !traits_.says_caught_up && !head_ &&
           catching_ == Catching::kNo;
  }
  std::uint64_t dropped() const;  // Events that came a second time from the source.

 private:
  enum class RunnerState : std::uint8_t { kNone, kStarting, kReady };

  // How hard a runner has been asked to end; only ever goes up for one spawn.
  enum class Force : std::uint8_t { kNone, kDrain, kAbort, kKill };

  // How far a call has got.
  enum class CallStep : std::uint8_t {
    kNone,
    kConnecting,
    kReadingEnd,
    kVouching,
    kProbing,
    kOpen
  };

  // Whose place the group began at.
  enum class BeganAt : std::uint8_t { kStart, kCheckpoint, kPlugin };

  // The way to kCaughtUp: live, then settled up to there, then that watermark durable.
  enum class Catching : std::uint8_t { kNo, kSettling, kPersisting, kDone };

  static Command& Add(Commands* out, Command::Kind kind);
  void Log(std::string text, bool expected, Commands* out);
  void LogTry(std::string text, bool expected, std::uint64_t attempt,
              std::chrono::nanoseconds delay, Commands* out);

  // Runner.
  void Spawn(Commands* out);
  void ForceRunner(Force force, std::chrono::nanoseconds patience, Tick tick, Commands* out);
  bool RunnerTakes() const { return runner_ == RunnerState::kReady && force_ == Force::kNone; }
  void Deliver(Sequence first, Sequence last, Commands* out);
  void Begin(std::optional<Position> loaded, Tick tick, Commands* out);
  void Rejoin(std::optional<Position> loaded, Tick tick, Commands* out);
  void Rewind(std::optional<Position> to, Tick tick, Commands* out);
  void Restart(const std::string& what, bool expected, Tick tick, Commands* out);
  void SettleThrough(Sequence last, Tick tick, Commands* out);
  void Decide(const BadOutcome& outcome, Tick tick, Commands* out);
  void BreakContract(std::string text, Tick tick, Commands* out);

  // Source.
  void Connect(Commands* out);
  void ConnectWhenRoom(Commands* out);
  void Resume(Tick tick, Commands* out);
  void Probe(CallStep step, Position place, Commands* out);
  void WaitForEnd(std::optional<Position> end, Tick tick, Commands* out);
  void Vouch(Commands* out);
  void Vouched(std::optional<Position> found, Tick tick, Commands* out);
  void Subscribe(std::optional<Position> from, Commands* out);
  bool HasRoom() const;
  void CancelSubscription(Commands* out);
  bool OnInput(CallNumber call) const;
  void OnFrame(Tick tick, Commands* out);
  void OnPlace(Position position);
  void Announce(Position position, Tick tick, Commands* out);
  void Pass(Position position, bool is_event, Tick tick);
  void BreakOff(const std::string& why, Tick tick, Commands* out);
  void Contradict(Position position, Commands* out);
  void SignalCaughtUp();

  // Progress and its end.
  void OnPopped(const Watermark::Popped& popped, Tick tick);
  void Housekeep(Tick tick, Commands* out);
  void FollowCaughtUp(Tick tick, Commands* out);
  void MaybeAdvance(Tick tick, Commands* out);
  void End(GroupState final_state, std::string reason, Force force,
           std::chrono::nanoseconds patience, Tick tick, Commands* out);
  void MaybeFinish(Commands* out);
  void RefreshState(Commands* out);
  std::string DescribeResumePlace() const;
  void SetState(GroupState state, const std::string& reason, Commands* out);

  void SetTimer(TimerKind timer, std::chrono::nanoseconds delay, Tick tick, Commands* out);
  void CancelTimer(TimerKind timer, Commands* out);
  std::optional<std::chrono::nanoseconds>& Deadline(TimerKind timer);

  const EngineOptions options_;
  StartPoint start_;

  GroupState state_ = GroupState::kIdle;
  std::string reason_;
  bool ending_ = false;
  bool finished_ = false;
  bool stop_asked_ = false;
  bool store_failed_ = false;
  bool distrusted_ = false;  // A runner broke the contract: see ContractBroken.
  GroupState final_state_ = GroupState::kStopped;  // Once ending_.
  std::string final_reason_;

  RunnerState runner_ = RunnerState::kNone;
  SpawnNumber spawn_ = 0;
  Force force_ = Force::kNone;
  std::string force_why_;       // Why it is killed, once it is.
  bool replacing_ = false;      // The runner stops so that another takes its place.
  bool discarded_ = false;      // It is killed for that.
  std::uint64_t replaced_ = 0;  // Runners spawned for that.
  RunnerPacing pacing_;
  std::string runner_trouble_;  // Why the group waits for a runner; empty when it does not.
  bool begun_ = false;          // The start was chosen and the first subscription asked for.
  bool position_mode_ = false;

  CallNumber call_ = 0;
  CallStep step_ = CallStep::kNone;
  bool connect_due_ = false;        // As soon as there is room.
  ServerTraits traits_;             // Of the present call.
  std::optional<Position> probed_;  // While kProbing and kVouching.
  // The log ended before the place to resume from: when that was seen first, and where it ended.
  // Until it has been seen to reach there.
  struct Short {
    std::chrono::nanoseconds since{};
    std::optional<Position> end;
  };
  std::optional<Short> short_;
  BeganAt began_at_ = BeganAt::kStart;
  std::optional<Position> began_;  // The place itself.
  bool placed_ = false;            // It was seen to lie in this log. Until then it is not written.
  std::optional<Position> seen_;   // How far the server says the present call has got.
  bool server_lied_ = false;       // Announced as sent what it sent later.
  bool nonsense_told_ = false;     // It announced what is no place; said once.
  bool been_live_ = false;         // Some call has brought a frame.
  std::string source_trouble_;     // Why the group waits for the source.
  std::uint32_t reconnects_ = 0;   // In a row.
  std::optional<std::chrono::nanoseconds> live_since_;  // First frame of the present call.
  std::optional<Position> head_;                        // Of the present call.

  Frontier frontier_;
  Watermark watermark_;
  CheckpointPacer pacer_;
  Sequence last_sequence_ = 0;  // Given out.
  Sequence delivered_ = 0;      // To the present runner.
  Sequence settled_ = 0;        // This one and all before it.
  std::chrono::nanoseconds next_advance_{};
  Catching catching_ = Catching::kNo;
  Sequence catching_after_ = 0;                 // While kSettling.
  std::optional<Position> catching_watermark_;  // While kPersisting.

  std::uint64_t handled_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t dropped_ = 0;
  std::array<std::optional<std::chrono::nanoseconds>, kTimerKinds> deadlines_;
};

}  // namespace catchup
