#include <utility>

#include "host/base/time_text.h"
#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// The side of the engine that faces the runner.

namespace catchup {
namespace {

// From SIGABRT to SIGKILL, for a report to be written: after a hang nothing presses, in a stop the
// whole ladder has ten seconds.
constexpr std::chrono::nanoseconds kHangPatience = std::chrono::seconds(5);
constexpr std::chrono::nanoseconds kStopPatience = std::chrono::seconds(3);

// Whether an exit says that another start would end the same way.
bool IsVerdict(ExitClass exit_class) {
  return exit_class == ExitClass::kSetup || exit_class == ExitClass::kContract ||
         exit_class == ExitClass::kFatal;
}

}  // namespace

void Engine::Spawn(Commands* out) {
  runner_ = RunnerState::kStarting;
  force_ = Force::kNone;
  force_why_.clear();
  delivered_ = settled_;
  Add(out, Command::Kind::kSpawnRunner).number = ++spawn_;
}

void Engine::ForceRunner(Force force, std::chrono::nanoseconds patience, Tick tick, Commands* out) {
  if (runner_ == RunnerState::kNone || force <= force_) {
    return;
  }
  force_ = force;
  switch (force) {
    case Force::kNone:
      break;
    case Force::kDrain:
      Add(out, Command::Kind::kDrainRunner).number = spawn_;
      SetTimer(TimerKind::kDrain, patience, tick, out);
      break;
    case Force::kAbort:
      CancelTimer(TimerKind::kDrain, out);
      Add(out, Command::Kind::kAbortRunner).number = spawn_;
      SetTimer(TimerKind::kKill, patience, tick, out);
      break;
    case Force::kKill:
      CancelTimer(TimerKind::kDrain, out);
      CancelTimer(TimerKind::kKill, out);
      Add(out, Command::Kind::kKillRunner).number = spawn_;
      break;
  }
}

void Engine::Deliver(Sequence first, Sequence last, Commands* out) {
  delivered_ = last;
  Command& command = Add(out, Command::Kind::kDeliver);
  command.first = first;
  command.last = last;
}

void Engine::RunnerReady(SpawnNumber spawn, bool position_mode, std::optional<Position> loaded,
                         Tick tick, Commands* out) {
  if (finished_ || ending_ || discarded_ || spawn != spawn_ || runner_ != RunnerState::kStarting) {
    return;
  }
  runner_ = RunnerState::kReady;
  runner_trouble_.clear();
  if (loaded && !IsPlace(*loaded)) {
    End(GroupState::kFailed,
        "load_position returned " + NoPlace(*loaded) + "; the plugin's store is to be put right",
        Force::kDrain, options_.drain_timeout, tick, out);
    return;
  }
  if (!begun_) {
    position_mode_ = position_mode;
    Begin(loaded, tick, out);
    if (ending_) {
      return;
    }
  } else if (position_mode != position_mode_) {
    BreakContract(std::string("this runner says that the plugin ") +
                      (position_mode ? "keeps" : "does not keep") +
                      " its own position, an earlier one of this group said the opposite",
                  tick, out);
    return;
  } else if (position_mode_) {
    Rejoin(loaded, tick, out);
  }
  if (settled_ < last_sequence_) {
    Deliver(settled_ + 1, last_sequence_, out);
  }
  RefreshState(out);
  Housekeep(tick, out);
}

// Chooses where the group starts. The plugin's own position wins over the checkpoint, whether it is
// ahead or behind: it was stored together with the effects.
void Engine::Begin(std::optional<Position> loaded, Tick tick, Commands* out) {
  begun_ = true;
  if (loaded && start_.filter_changed) {
    End(GroupState::kFailed,
        "the filter of the group has changed, and the plugin's position " +
            FormatPosition(*loaded) +
            " was made with the old one: older events of the new filter would be lost, so wanted "
            "the old filter, or another group name and store for the new one",
        Force::kDrain, options_.drain_timeout, tick, out);
    return;
  }
  std::optional<Position> start = start_.checkpoint ? start_.checkpoint : start_.recorded_start;
  began_at_ = start_.checkpoint ? BeganAt::kCheckpoint : BeganAt::kStart;
  std::optional<Position> durable = start_.checkpoint;
  std::optional<Position> covered = start;
  bool was_reset = false;
  if (position_mode_) {
    start = loaded ? loaded : start_.recorded_start;
    began_at_ = loaded ? BeganAt::kPlugin : BeganAt::kStart;
    if (start < start_.checkpoint) {
      Log("the plugin's position is behind the group's checkpoint, as after a reset: it holds " +
              (loaded ? FormatPosition(*loaded) : std::string("none")) + ", the checkpoint is " +
              FormatPosition(*start_.checkpoint) + "; the plugin's counts, starting from " +
              Place(start),
          false, out);
      durable = start;
      was_reset = true;
    }
    covered = was_reset ? std::nullopt : durable;
  }
  began_ = start;
  // An event that lies behind the start is no help for finding it.
  const auto& known = start_.last_event;
  const bool helps = known && IsPlace(*known) && known <= start;
  watermark_.Reset(start, position_mode_, helps ? known : std::nullopt);
  frontier_.Reset(start, watermark_.last_event());
  pacer_.Reset(durable, covered);
  if (position_mode_ && !pacer_.Covers(start)) {
    // The checkpoint is not where the plugin is; it is for display and lineage, so let it follow.
    pacer_.OnProgress(0, tick.now);
  }
  Connect(out);
}

// A new runner's plugin says where it stands; what it holds is settled, whatever the runner before
// it managed to report.
void Engine::Rejoin(std::optional<Position> loaded, Tick tick, Commands* out) {
  const std::optional<Position> stands = loaded ? loaded : start_.recorded_start;
  if (stands == watermark_.stored()) {
    return;
  }
  Sequence last = settled_;
  Watermark::Popped popped;
  if (!stands || !watermark_.SettleAt(*stands, &last, &popped)) {
    began_at_ = loaded ? BeganAt::kPlugin : BeganAt::kStart;
    Rewind(stands, tick, out);
    return;
  }
  settled_ = last;
  delivered_ = last;
  Add(out, Command::Kind::kRelease).last = last;
  OnPopped(popped, tick);
  pacer_.OnProgress(0, tick.now);
}

// The plugin's store is somewhere else than we left it: somebody reset it. It wins.
void Engine::Rewind(std::optional<Position> to, Tick tick, Commands* out) {
  Log("the plugin's position is not where its last runner left it, as after a reset: it holds " +
          Place(to) + ", settled was " + Place(watermark_.stored()) + ", received " +
          Place(frontier_.reached()) + "; starting again from " + Place(to),
      false, out);
  CancelSubscription(out);
  if (settled_ < last_sequence_) {
    Add(out, Command::Kind::kRelease).last = last_sequence_;
  }
  settled_ = last_sequence_;
  delivered_ = last_sequence_;
  const std::optional<Position> event =
      watermark_.last_event() <= to ? watermark_.last_event() : std::nullopt;
  watermark_.Reset(to, position_mode_, event);
  frontier_.Reset(to, event);
  began_ = to;
  placed_ = false;
  short_.reset();
  pacer_.GoBack(to);
  if (!pacer_.Covers(to)) {
    pacer_.OnProgress(0, tick.now);
  }
  catching_ = Catching::kNo;
  source_trouble_.clear();
  Connect(out);
}

void Engine::Settled(SpawnNumber spawn, Sequence last, Tick tick, Commands* out) {
  if (finished_ || distrusted_ || spawn != spawn_ || runner_ == RunnerState::kNone ||
      last == settled_) {
    return;
  }
  if (last < settled_ || last > delivered_) [[unlikely]] {
    BreakContract("settled up to event " + std::to_string(last) + ", wanted " +
                      std::to_string(settled_) + " to " + std::to_string(delivered_),
                  tick, out);
    return;
  }
  SettleThrough(last, tick, out);
  Housekeep(tick, out);
}

void Engine::SettleThrough(Sequence last, Tick tick, Commands* out) {
  settled_ = last;
  OnPopped(watermark_.SettleThrough(last), tick);
  Add(out, Command::Kind::kRelease).last = last;
}

void Engine::Failed(SpawnNumber spawn, const BadOutcome& outcome, Tick tick, Commands* out) {
  if (finished_ || distrusted_ || discarded_ || spawn != spawn_ || runner_ == RunnerState::kNone) {
    return;
  }
  const bool in_flight =
      outcome.sequence == 0 || (outcome.sequence > settled_ && outcome.sequence <= delivered_);
  if (!in_flight || outcome.status == 0) {
    BreakContract(DescribeOutcome(outcome) + "; wanted a failure of event " +
                      std::to_string(settled_ + 1) + " to " + std::to_string(delivered_),
                  tick, out);
    return;
  }
  // A failure of one event says that all before it are settled; it may be seen before they are.
  if (outcome.sequence > settled_ + 1) {
    SettleThrough(outcome.sequence - 1, tick, out);
  }
  Decide(outcome, tick, out);
}

// The one place where a plugin's answer other than OK meets the rules. Everything before
// outcome.sequence is settled already and that event is the first one unapplied, so whatever is
// decided here concerns this event alone: its class by status and text, then a retry in place after
// a delay, a dead letter (durable before the event is settled), holding it while others go on, or
// the end of the group. Only the end is decided today: it is right for FATAL, and for the others it
// costs time, never an event, because the checkpoint stays before it.
void Engine::Decide(const BadOutcome& outcome, Tick tick, Commands* out) {
  End(GroupState::kFailed, DescribeOutcome(outcome) + StopsBefore(outcome.sequence), Force::kDrain,
      options_.drain_timeout, tick, out);
}

void Engine::Hung(SpawnNumber spawn, Sequence sequence, std::string_view call,
                  std::string_view limit, Tick tick, Commands* out) {
  // While the runner stops, the ladder of the stop has its own times.
  if (finished_ || ending_ || force_ != Force::kNone || spawn != spawn_ ||
      runner_ == RunnerState::kNone) {
    return;
  }
  End(GroupState::kFailed,
      OneLine(call) + " hung" + AtEvent(sequence) + ": it took longer than " + OneLine(limit) +
          StopsBefore(sequence),
      Force::kAbort, kHangPatience, tick, out);
}

void Engine::ContractBroken(SpawnNumber spawn, std::string_view text, Tick tick, Commands* out) {
  if (finished_ || distrusted_ || spawn != spawn_ || runner_ == RunnerState::kNone) {
    return;
  }
  BreakContract(OneLine(text), tick, out);
}

// A runner that reports what cannot be is not asked to do anything more. Whoever wrote that may as
// well have written what was believed before, so what is not durable by now is handled again.
void Engine::BreakContract(std::string text, Tick tick, Commands* out) {
  distrusted_ = true;
  CancelTimer(TimerKind::kPersist, out);
  End(GroupState::kFailed,
      "contract broken: " + std::move(text) +
          "; what this runner had reported and was not durable yet comes again once the plugin is "
          "mended and the host started again",
      Force::kKill, {}, tick, out);
}

void Engine::ReplaceRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out) {
  if (finished_ || ending_ || spawn != spawn_ || !RunnerTakes() || settled_ != last_sequence_ ||
      !caught_up()) {
    return;
  }
  replacing_ = true;
  Log("replacing the runner, which has nothing to do: " + OneLine(why), true, out);
  ForceRunner(Force::kDrain, options_.drain_timeout, tick, out);
}

void Engine::DiscardRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out) {
  if (finished_ || spawn != spawn_ || runner_ == RunnerState::kNone || force_ == Force::kKill) {
    return;
  }
  discarded_ = true;
  force_why_ = OneLine(why);
  ForceRunner(Force::kKill, {}, tick, out);
}

void Engine::RunnerExited(SpawnNumber spawn, ExitClass exit_class, Sequence charged,
                          std::string_view text, Tick tick, Commands* out) {
  if (finished_ || spawn != spawn_ || runner_ == RunnerState::kNone) {
    return;
  }
  runner_ = RunnerState::kNone;
  CancelTimer(TimerKind::kDrain, out);
  CancelTimer(TimerKind::kKill, out);
  if (exit_class == ExitClass::kContract && !distrusted_) {
    distrusted_ = true;
    CancelTimer(TimerKind::kPersist, out);
  }
  const bool discarded = std::exchange(discarded_, false) &&
                         (exit_class == ExitClass::kKilled || exit_class == ExitClass::kClean);
  const bool replaced = std::exchange(replacing_, false) && exit_class == ExitClass::kClean;
  std::string what = DescribeExit(exit_class, charged, text);
  if (exit_class == ExitClass::kKilled && !force_why_.empty()) {
    what += ": " + force_why_;
  }
  if (IsVerdict(exit_class)) {
    End(GroupState::kFailed, what, Force::kNone, {}, tick, out);
  } else if (!ending_ && discarded) {
    ++replaced_;
    Restart(what, true, tick, out);
  } else if (!ending_ && replaced) {
    ++replaced_;
    Spawn(out);
  } else if (!ending_) {
    Restart(what, false, tick, out);
  } else {
    if (exit_class != ExitClass::kClean) {
      const bool cut = settled_ < delivered_;
      Log("while stopping, " + what +
              (cut ? "; what it had not finished comes again at the next start" : ""),
          !cut && force_ >= Force::kAbort, out);
    }
    Housekeep(tick, out);
  }
}

void Engine::Restart(const std::string& what, bool expected, Tick tick, Commands* out) {
  const RunnerPacing::Verdict verdict = pacing_.OnDeath(tick.now, tick.random);
  if (verdict.give_up) {
    End(GroupState::kGivenUp,
        "the runner died more than " + std::to_string(RunnerPacing::kMaxDeaths) + " times in " +
            FormatDuration(RunnerPacing::kDeathPeriod) + " and settled no event; last: " + what,
        Force::kNone, {}, tick, out);
    return;
  }
  const bool at_once = verdict.delay == std::chrono::nanoseconds(0);
  runner_trouble_ = what + (at_once ? std::string("; restarting at once")
                                    : std::string(kRestartIn) + FormatDuration(verdict.delay));
  LogTry(runner_trouble_, expected, pacing_.deaths(), verdict.delay, out);
  if (at_once) {
    Spawn(out);
  } else {
    SetTimer(TimerKind::kRespawn, verdict.delay, tick, out);
  }
  RefreshState(out);
}

void Engine::TimerFired(TimerKind timer, Tick tick, Commands* out) {
  auto& deadline = Deadline(timer);
  if (finished_ || !deadline) {
    return;
  }
  if (tick.now < *deadline) {
    // It was set again while this firing was on its way.
    SetTimer(timer, *deadline - tick.now, tick, out);
    return;
  }
  deadline.reset();
  switch (timer) {
    case TimerKind::kReconnect:
      ConnectWhenRoom(out);
      break;
    case TimerKind::kRespawn:
      Spawn(out);
      break;
    case TimerKind::kPersist:
      Housekeep(tick, out);
      break;
    case TimerKind::kDrain:
      force_why_ = "it had not stopped when drain_timeout = " +
                   DescribeDuration(std::chrono::duration_cast<std::chrono::milliseconds>(
                       options_.drain_timeout)) +
                   " was over";
      ForceRunner(Force::kAbort, kStopPatience, tick, out);
      break;
    case TimerKind::kKill:
      ForceRunner(Force::kKill, {}, tick, out);
      break;
  }
}

}  // namespace catchup
