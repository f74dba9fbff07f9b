#include <algorithm>
#include <utility>

#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// The side of the engine that faces the store and the clock: checkpoints, caught up, the end.

namespace catchup {

void Engine::OnPopped(const Watermark::Popped& popped, Tick tick) {
  if (popped.entries == 0) {
    return;
  }
  if (popped.events > 0) {
    handled_ += popped.events;
    pacing_.OnSettled();
  }
  pacer_.OnProgress(popped.events, tick.now);
}

void Engine::SignalCaughtUp() {
  // A repeated frame must not put off the one that is being followed.
  if (catching_ == Catching::kNo) {
    catching_ = Catching::kSettling;
    catching_after_ = last_sequence_;
  }
}

void Engine::FollowCaughtUp(Tick tick, Commands* out) {
  if (ending_) {
    return;
  }
  if (catching_ == Catching::kSettling && settled_ >= catching_after_) {
    catching_ = Catching::kPersisting;
    catching_watermark_ = watermark_.position();
    pacer_.Hurry();
  }
  if (catching_ == Catching::kPersisting && pacer_.Covers(catching_watermark_)) {
    catching_ = Catching::kDone;
    RefreshState(out);
    if (options_.stop_on_caught_up) {
      End(GroupState::kStopped, std::string(kCaughtUpReason), Force::kDrain, options_.drain_timeout,
          tick, out);
    }
  }
}

// Hands the plugin a position without events, past what the filter hides, so that its own store
// does not fall behind in a quiet log.
void Engine::MaybeAdvance(Tick tick, Commands* out) {
  if (!position_mode_ || ending_ || !RunnerTakes() || tick.now < next_advance_ ||
      !watermark_.Passable()) {
    return;
  }
  next_advance_ = tick.now + options_.checkpoint_interval;
  watermark_.MakeAdvance(++last_sequence_);
  Deliver(last_sequence_, last_sequence_, out);
}

// What follows from progress of any kind. Cheap when there is nothing to do.
void Engine::Housekeep(Tick tick, Commands* out) {
  if (finished_ || !begun_) {
    MaybeFinish(out);
    return;
  }
  FollowCaughtUp(tick, out);
  if (finished_) {
    return;
  }
  if (connect_due_ && !ending_) {
    ConnectWhenRoom(out);
  }
  MaybeAdvance(tick, out);
  if (!store_failed_ && !distrusted_ && placed_) {
    if (ending_ && runner_ == RunnerState::kNone) {
      pacer_.Hurry();
    }
    if (const auto position =
            pacer_.Next(watermark_.position(), watermark_.pending_events(), tick.now)) {
      Command& command = Add(out, Command::Kind::kPersist);
      command.from = position;
      command.event = watermark_.last_event();
    }
    std::optional<std::chrono::nanoseconds> wake = pacer_.WakeAt(watermark_.position());
    if (position_mode_ && !ending_ && RunnerTakes() && watermark_.Passable()) {
      wake = wake ? std::min(*wake, next_advance_) : next_advance_;
    }
    const auto& armed = Deadline(TimerKind::kPersist);
    if (wake && (!armed || *wake < *armed)) {
      SetTimer(TimerKind::kPersist, std::max(*wake - tick.now, std::chrono::nanoseconds(0)), tick,
               out);
    }
  }
  MaybeFinish(out);
}

void Engine::CheckpointDurable(Position position, Tick tick, Commands* out) {
  if (finished_ || !pacer_.OnDurable(position, tick.now)) {
    return;
  }
  Housekeep(tick, out);
}

void Engine::CheckpointNotBegun(Tick tick, Commands* out) {
  if (finished_ || !pacer_.writing()) {
    return;
  }
  pacer_.OnNotBegun();
  Housekeep(tick, out);
}

void Engine::StoreFailed(std::string_view text, Tick tick, Commands* out) {
  if (finished_ || store_failed_) {
    return;
  }
  store_failed_ = true;
  CancelTimer(TimerKind::kPersist, out);
  End(GroupState::kFailed, "the checkpoint store cannot be written: " + OneLine(text),
      Force::kDrain, options_.drain_timeout, tick, out);
}

void Engine::Stop(Tick tick, Commands* out) {
  if (finished_) {
    return;
  }
  if (stop_asked_) {
    if (force_why_.empty()) {
      force_why_ = "a second stop was asked for";
    }
    ForceRunner(Force::kKill, {}, tick, out);
    return;
  }
  stop_asked_ = true;
  if (!ending_) {
    End(GroupState::kStopped, "stopped", Force::kDrain, options_.drain_timeout, tick, out);
  }
}

// Begins to end, or tells an end under way something worse. What was settled is still persisted,
// once the runner is gone and can settle nothing more; not so after a breach of the contract.
void Engine::End(GroupState final_state, std::string reason, Force force,
                 std::chrono::nanoseconds patience, Tick tick, Commands* out) {
  if (!ending_ || (final_state_ == GroupState::kStopped && final_state != GroupState::kStopped)) {
    final_state_ = final_state;
    final_reason_ = std::move(reason);
  }
  if (!ending_) {
    ending_ = true;
    CancelSubscription(out);
    CancelTimer(TimerKind::kRespawn, out);
    pacer_.Hurry();
  }
  ForceRunner(force, patience, tick, out);
  RefreshState(out);
  Housekeep(tick, out);
}

void Engine::MaybeFinish(Commands* out) {
  if (finished_ || !ending_ || runner_ != RunnerState::kNone) {
    return;
  }
  const bool written = (distrusted_ || settled_is_durable()) && !pacer_.writing();
  if (begun_ && !store_failed_ && !written) {
    return;
  }
  for (std::size_t i = 0; i < kTimerKinds; ++i) {
    CancelTimer(static_cast<TimerKind>(i), out);
  }
  finished_ = true;
  RefreshState(out);
  Add(out, Command::Kind::kFinished);
}

std::optional<std::chrono::nanoseconds>& Engine::Deadline(TimerKind timer) {
  return deadlines_[static_cast<std::size_t>(timer)];
}

void Engine::SetTimer(TimerKind timer, std::chrono::nanoseconds delay, Tick tick, Commands* out) {
  Deadline(timer) = tick.now + delay;
  Command& command = Add(out, Command::Kind::kSetTimer);
  command.timer = timer;
  command.delay = delay;
}

void Engine::CancelTimer(TimerKind timer, Commands* out) {
  if (Deadline(timer)) {
    Deadline(timer).reset();
    Add(out, Command::Kind::kCancelTimer).timer = timer;
  }
}

}  // namespace catchup
