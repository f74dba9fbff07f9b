#include "host/engine/engine.h"

#include <algorithm>
#include <utility>

#include "host/base/time_text.h"
#include "host/engine/backoff.h"
#include "host/engine/engine_text.h"

// The side of the engine that faces the source, and its state. engine_resume.cc finds out where a
// call resumes, engine_runner.cc faces the runner, engine_progress.cc the store and the clock.

namespace catchup {
namespace {

// A dropped connection is back at once in most cases; an outage of hours costs a try each 30 s.
constexpr Backoff kReconnect{std::chrono::milliseconds(200), std::chrono::seconds(30)};

// A call that has lived this long shows that the server is well again.
constexpr std::chrono::nanoseconds kHealthyStream = std::chrono::seconds(30);

// Wrong credentials do not heal by themselves, and failed logins fill the server's log.
constexpr std::chrono::nanoseconds kRefusedMinimum = std::chrono::seconds(10);

}  // namespace

Engine::Engine(const EngineOptions& options)
    : options_(options),
      pacer_(std::max<std::uint32_t>(options.checkpoint_batch_size, 1), options.checkpoint_interval,
             options.checkpoint_batch_size + options.window_events) {}

Command& Engine::Add(Commands* out, Command::Kind kind) {
  Command& command = out->emplace_back();
  command.kind = kind;
  return command;
}

void Engine::Log(std::string text, bool expected, Commands* out) {
  LogTry(std::move(text), expected, 0, {}, out);
}

void Engine::LogTry(std::string text, bool expected, std::uint64_t attempt,
                    std::chrono::nanoseconds delay, Commands* out) {
  Command& command = Add(out, Command::Kind::kLog);
  command.text = std::move(text);
  command.expected = expected;
  command.number = attempt;
  command.delay = delay;
}

void Engine::Start(const StartPoint& start, Tick tick, Commands* out) {
  if (finished_ || state_ != GroupState::kIdle) {
    return;
  }
  start_ = start;
  // What is known before the runner has spoken, for whoever asks.
  const auto& from = start.checkpoint ? start.checkpoint : start.recorded_start;
  for (const auto& position : {start.checkpoint, start.recorded_start}) {
    if (position && !IsPlace(*position)) {
      End(GroupState::kFailed,
          "the recorded position " + NoPlace(*position) +
              "; to begin anew, stop the host and move the group's folder away",
          Force::kNone, {}, tick, out);
      return;
    }
  }
  watermark_.Reset(from, false);
  pacer_.Reset(start.checkpoint, from);
  Spawn(out);
  RefreshState(out);
}

void Engine::Connect(Commands* out) {
  frontier_.ForgetHeld();
  live_since_.reset();
  head_.reset();
  seen_ = frontier_.reached();
  step_ = CallStep::kConnecting;
  Add(out, Command::Kind::kConnect).number = ++call_;
}

// A full window stays full while it is disconnected: what would come first had no place.
void Engine::ConnectWhenRoom(Commands* out) {
  connect_due_ = !HasRoom();
  if (!connect_due_) {
    Connect(out);
  }
}

void Engine::CancelSubscription(Commands* out) {
  connect_due_ = false;
  if (step_ != CallStep::kNone) {
    step_ = CallStep::kNone;
    Add(out, Command::Kind::kCancelSubscription).number = call_;
  }
  CancelTimer(TimerKind::kReconnect, out);
}

bool Engine::OnInput(CallNumber call) const { return step_ != CallStep::kNone && call == call_; }

// The first frame of a call shows that the source is there.
void Engine::OnFrame(Tick tick, Commands* out) {
  if (live_since_) [[likely]] {
    return;
  }
  live_since_ = tick.now;
  been_live_ = true;
  source_trouble_.clear();
  RefreshState(out);
}

// The server has got as far as `position` in this call.
void Engine::OnPlace(Position position) {
  if (!seen_ || position > *seen_) {
    seen_ = position;
  }
  if (head_ && position >= *head_) [[unlikely]] {
    SignalCaughtUp();
  }
}

void Engine::Pass(Position position, bool is_event, Tick tick) {
  OnPopped(watermark_.AddPassed(position, is_event), tick);
}

void Engine::Announce(Position position, Tick tick, Commands* out) {
  if (!IsPlace(position)) {
    if (position != kEndOfLog && !nonsense_told_) {
      nonsense_told_ = true;
      Log("ignoring what the server announced: position " + NoPlace(position), false, out);
    }
    return;
  }
  if (traits_.resumes_anywhere && !server_lied_) {
    if (const auto proven = frontier_.OnAnnouncement(position)) {
      Pass(*proven, false, tick);
    }
  }
  OnPlace(position);
}

// An event came although everything up to it had been announced as sent.
void Engine::Contradict(Position position, Commands* out) {
  server_lied_ = true;
  Log("the server sent an event at " + FormatPosition(position) +
          " after it had announced that everything up to " + Place(frontier_.reached()) +
          " was sent; the event is handled, and no announcement is believed any more",
      false, out);
  frontier_.StepBack();
  // The event is here now: no checkpoint may be written beyond it before it is settled.
  watermark_.Withdraw(frontier_.reached());
  catching_watermark_ = std::min(catching_watermark_, watermark_.position());
}

Sequence Engine::Event(CallNumber call, Position position, std::uint64_t bytes, bool is_system,
                       Tick tick, Commands* out) {
  if (!OnInput(call)) {
    return 0;
  }
  OnFrame(tick, out);
  if (!IsPlace(position)) [[unlikely]] {
    BreakOff("the server sent an event whose position " + NoPlace(position), tick, out);
    return 0;
  }
  if (!frontier_.IsNew(position)) {
    ++dropped_;
    OnPlace(position);
    Housekeep(tick, out);
    return 0;
  }
  if (frontier_.Contradicts(position)) [[unlikely]] {
    Contradict(position, out);
  }
  if (server_lied_ && position_mode_ && watermark_.IsTaken(position)) [[unlikely]] {
    End(GroupState::kFailed,
        "the server sent an event at " + FormatPosition(position) +
            " after it had announced that very position, and the plugin stores it already: nobody "
            "could tell whether the event was applied; wanted the plugin's store put back to a "
            "position before it",
        Force::kDrain, options_.drain_timeout, tick, out);
    return 0;
  }
  bool passed = false;
  if (const auto proven = frontier_.OnEvent(position)) [[unlikely]] {
    Pass(*proven, false, tick);
    passed = true;
  }
  Sequence sequence = 0;
  if (is_system && !options_.system_events) {
    ++skipped_;
    Pass(position, true, tick);
    passed = true;
  } else {
    sequence = ++last_sequence_;
    watermark_.AddEvent(sequence, position, bytes);
    if (RunnerTakes()) {
      Deliver(sequence, sequence, out);
    }
  }
  OnPlace(position);
  if (passed || head_) {
    Housekeep(tick, out);
  }
  return sequence;
}

void Engine::CheckpointFrame(CallNumber call, Position position, Tick tick, Commands* out) {
  if (!OnInput(call)) {
    return;
  }
  OnFrame(tick, out);
  Announce(position, tick, out);
  Housekeep(tick, out);
}

void Engine::CaughtUp(CallNumber call, std::optional<Position> position, Tick tick, Commands* out) {
  if (!OnInput(call)) {
    return;
  }
  OnFrame(tick, out);
  if (position) {
    Announce(*position, tick, out);
  }
  SignalCaughtUp();
  Housekeep(tick, out);
}

void Engine::Head(CallNumber call, std::optional<Position> head, Tick tick, Commands* out) {
  if (!OnInput(call) || !needs_head() || (head && !IsPlace(*head))) {
    return;
  }
  // Null orders below every position: the head of an empty log is never ahead of us. The frame that
  // reaches the head may have overtaken the answer to the question for it.
  if (head <= seen_) {
    OnFrame(tick, out);
    SignalCaughtUp();
    Housekeep(tick, out);
  } else {
    head_ = head;
  }
}

void Engine::SubscriptionEnded(CallNumber call, EndClass end, std::string_view text, Tick tick,
                               Commands* out) {
  if (!OnInput(call)) {
    return;
  }
  step_ = CallStep::kNone;
  catching_ = Catching::kNo;
  if (end == EndClass::kInvalidPosition) {
    End(GroupState::kFailed,
        "the log has no event at " + DescribeResumePlace() + " (" + OneLine(text) + ")",
        Force::kDrain, options_.drain_timeout, tick, out);
    return;
  }
  if (live_since_ && tick.now - *live_since_ >= kHealthyStream) {
    reconnects_ = 0;
  }
  if (short_) {
    short_->since = tick.now;  // What an outage takes is not the log's time.
  }
  std::chrono::nanoseconds delay = kReconnect.Delay(reconnects_++, tick.random);
  if (end == EndClass::kRefused) {
    delay = std::max(delay, kRefusedMinimum);
  }
  const bool dropped = end == EndClass::kDropped;
  source_trouble_ = std::string(dropped ? "subscription dropped" : "subscription refused") + " (" +
                    OneLine(text) + ")" + std::string(kNextTryIn) + FormatDuration(delay);
  LogTry(source_trouble_ + " from " + Place(frontier_.reached()), dropped, reconnects_, delay, out);
  SetTimer(TimerKind::kReconnect, delay, tick, out);
  RefreshState(out);
}

// Ends a call whose server says what cannot be.
void Engine::BreakOff(const std::string& why, Tick tick, Commands* out) {
  const CallNumber call = call_;
  Add(out, Command::Kind::kCancelSubscription).number = call;
  SubscriptionEnded(call, EndClass::kRefused, why, tick, out);
}

bool Engine::wants_frames() const { return step_ == CallStep::kOpen && HasRoom(); }

bool Engine::HasRoom() const {
  if (watermark_.pending_events() >= options_.window_events ||
      watermark_.pending_bytes() >= options_.window_bytes) {
    return false;
  }
  // The duplicate bound needs no help in position mode: there is no duplicate to bound.
  return position_mode_ || pacer_.undurable_events() + watermark_.pending_events() <
                               options_.checkpoint_batch_size + options_.window_events;
}

void Engine::SetState(GroupState state, const std::string& reason, Commands* out) {
  if (state == state_ && reason == reason_) {
    return;
  }
  state_ = state;
  reason_ = reason;
  Add(out, Command::Kind::kStateChanged);
}

void Engine::RefreshState(Commands* out) {
  if (finished_) {
    SetState(final_state_, final_reason_, out);
  } else if (ending_) {
    SetState(GroupState::kDraining, final_reason_, out);
  } else if (!runner_trouble_.empty()) {
    SetState(GroupState::kWaiting, runner_trouble_, out);
  } else if (!source_trouble_.empty()) {
    SetState(GroupState::kWaiting, source_trouble_, out);
  } else if (!begun_ || !been_live_) {
    SetState(GroupState::kStarting, {}, out);
  } else {
    SetState(caught_up() ? GroupState::kCaughtUp : GroupState::kCatchingUp, {}, out);
  }
}

std::optional<Position> Engine::AdvanceAt(Sequence sequence) const {
  return watermark_.AdvanceAt(sequence);
}
GroupState Engine::state() const { return state_; }
const std::string& Engine::reason() const { return reason_; }
bool Engine::position_mode() const { return position_mode_; }
std::optional<Position> Engine::watermark() const { return watermark_.position(); }
std::optional<Position> Engine::durable() const { return pacer_.durable(); }
bool Engine::settled_is_durable() const {
  return (begun_ && !placed_) || pacer_.Covers(watermark_.position());
}
std::uint64_t Engine::handled() const { return handled_; }
std::uint64_t Engine::skipped() const { return skipped_; }
std::uint64_t Engine::restarts() const { return spawn_ > 1 ? spawn_ - 1 - replaced_ : 0; }
bool Engine::caught_up() const { return catching_ == Catching::kDone; }
std::uint64_t Engine::dropped() const { return dropped_; }

}  // namespace catchup
