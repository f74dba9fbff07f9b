#include "host/engine/engine.h"

#include <algorithm>
#include <utility>

#include "host/base/time_text.h"
#include "host/engine/backoff.h"
#include "host/engine/engine_text.h"

// The engine's inputs: each records what it says and lets the plan run.

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

void Engine::Start(const StartPoint& start, Tick tick, Commands* out) {
  if (life_.finished() || life_.started()) {
    return;
  }
  Turn turn(tick, out);
  life_.Start();
  start_ = start;
  for (const auto& position : {start.checkpoint, start.recorded_start}) {
    if (position && !IsPlace(*position)) {
      End(GroupState::kFailed,
          "the recorded position " + NoPlace(*position) +
              "; to begin anew, stop the host and move the group's folder away",
          Lane::Force::kNone, {});
    }
  }
  if (!life_.ending()) {
    // What is known before the runner has spoken, for whoever asks.
    const auto& from = start.checkpoint ? start.checkpoint : start.recorded_start;
    ledger_.Reset(from, false);
    pacer_.Reset(start.checkpoint, from);
    lane_.SpawnAt(turn.now);
  }
  Plan(turn);
}

void Engine::Stop(Tick tick, Commands* out) {
  if (life_.finished()) {
    return;
  }
  Turn turn(tick, out);
  if (stop_asked_) {
    lane_.Press(Lane::Force::kKill, {}, "a second stop was asked for");
  } else if (!life_.ending()) {
    End(GroupState::kStopped, "stopped", Lane::Force::kDrain, options_.drain_timeout);
  }
  stop_asked_ = true;
  Plan(turn);
}

// --- The runner. ---

void Engine::RunnerReady(SpawnNumber spawn, bool position_mode, std::optional<Position> loaded,
                         Tick tick, Commands* out) {
  if (life_.ending() || discarded_ || !lane_.Is(spawn) || !lane_.starting()) {
    return;
  }
  Turn turn(tick, out);
  lane_.OnReady();
  heard_ = Ready{position_mode, loaded};
  Plan(turn);
}

void Engine::Settled(SpawnNumber spawn, Sequence last, Tick tick, Commands* out) {
  if (distrusted_ || !lane_.Is(spawn) || last == ledger_.popped()) {
    return;
  }
  Turn turn(tick, out);
  if (last < ledger_.popped() || last > ledger_.handed_out()) [[unlikely]] {
    heard_ =
        Breach{"settled up to event " + std::to_string(last) + ", wanted " +
               std::to_string(ledger_.popped()) + " to " + std::to_string(ledger_.handed_out())};
  } else {
    ledger_.SettleThrough(last);
  }
  Plan(turn);
}

void Engine::Failed(SpawnNumber spawn, const BadOutcome& outcome, Tick tick, Commands* out) {
  if (distrusted_ || discarded_ || !lane_.Is(spawn)) {
    return;
  }
  Turn turn(tick, out);
  const bool in_flight = outcome.sequence == 0 || (outcome.sequence > ledger_.popped() &&
                                                   outcome.sequence <= ledger_.handed_out());
  if (!in_flight || outcome.status == 0) {
    heard_ = Breach{DescribeOutcome(outcome) + "; wanted a failure of event " +
                    std::to_string(ledger_.popped() + 1) + " to " +
                    std::to_string(ledger_.handed_out())};
  } else {
    // A failure of one event says that all before it are settled; it may be seen before they are.
    if (outcome.sequence != 0) {
      ledger_.SettleThrough(outcome.sequence - 1);
    }
    heard_ = outcome;
  }
  Plan(turn);
}

void Engine::Hung(SpawnNumber spawn, Sequence sequence, std::string_view call,
                  std::string_view limit, Tick tick, Commands* out) {
  // While the runner stops, the ladder of the stop has its own times.
  if (life_.ending() || !lane_.Is(spawn) || lane_.pressed() != Lane::Force::kNone) {
    return;
  }
  Turn turn(tick, out);
  heard_ = Hang{sequence, OneLine(call), OneLine(limit)};
  Plan(turn);
}

void Engine::ContractBroken(SpawnNumber spawn, std::string_view text, Tick tick, Commands* out) {
  if (distrusted_ || !lane_.Is(spawn)) {
    return;
  }
  Turn turn(tick, out);
  heard_ = Breach{OneLine(text)};
  Plan(turn);
}

void Engine::ReplaceRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out) {
  if (life_.ending() || !lane_.Is(spawn) || !lane_.takes() || !ledger_.idle() || !caught_up()) {
    return;
  }
  Turn turn(tick, out);
  replacing_ = true;
  turn.Log("replacing the runner, which has nothing to do: " + OneLine(why), true);
  lane_.Press(Lane::Force::kDrain, options_.drain_timeout);
  Plan(turn);
}

void Engine::DiscardRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out) {
  if (!lane_.Is(spawn) || lane_.pressed() == Lane::Force::kKill) {
    return;
  }
  Turn turn(tick, out);
  discarded_ = true;
  lane_.Press(Lane::Force::kKill, {}, OneLine(why));
  Plan(turn);
}

void Engine::RunnerExited(SpawnNumber spawn, ExitClass exit_class, Sequence charged,
                          std::string_view text, Tick tick, Commands* out) {
  if (life_.finished() || !lane_.Is(spawn)) {
    return;
  }
  Turn turn(tick, out);
  heard_ = Exit{exit_class, charged, std::string(text)};
  Plan(turn);
}

// --- The store and the clock. ---

void Engine::CheckpointDurable(Position position, Tick tick, Commands* out) {
  if (life_.finished() || !pacer_.OnDurable(position, tick.now)) {
    return;
  }
  Turn turn(tick, out);
  Plan(turn);
}

void Engine::CheckpointNotBegun(Tick tick, Commands* out) {
  if (life_.finished() || !pacer_.writing()) {
    return;
  }
  Turn turn(tick, out);
  pacer_.OnNotBegun();
  Plan(turn);
}

void Engine::StoreFailed(std::string_view text, Tick tick, Commands* out) {
  if (life_.finished() || store_failed_) {
    return;
  }
  Turn turn(tick, out);
  store_failed_ = true;
  End(GroupState::kFailed, "the checkpoint store cannot be written: " + OneLine(text),
      Lane::Force::kDrain, options_.drain_timeout);
  Plan(turn);
}

void Engine::Woke(Tick tick, Commands* out) {
  Turn turn(tick, out);
  wake_at_ = kNever;
  Plan(turn);
}

// --- The source. ---

void Engine::Connect(Turn& turn) {
  frontier_.ForgetHeld();
  connect_at_.reset();
  live_since_.reset();
  head_.reset();
  seen_ = frontier_.reached();
  step_ = CallStep::kConnecting;
  turn.Add(Command::Kind::kConnect).number = ++call_;
}

// And no other is to come.
void Engine::CancelCall(Turn& turn) {
  connect_at_.reset();
  if (step_ != CallStep::kNone) {
    step_ = CallStep::kNone;
    turn.Add(Command::Kind::kCancelSubscription).number = call_;
  }
}

// The first frame of a call shows that the source is there.
void Engine::OnFrame(Turn& turn) {
  if (live_since_) [[likely]] {
    return;
  }
  live_since_ = turn.now;
  been_live_ = true;
  source_trouble_.clear();
}

// The server has got as far as `position` in this call.
void Engine::OnPlace(Position position) {
  if (!seen_ || position > *seen_) {
    seen_ = position;
  }
  if (head_ && position >= *head_) [[unlikely]] {
    catch_up_.OnLive(ledger_.last());
  }
}

void Engine::Announce(Position position, Turn& turn) {
  if (!IsPlace(position)) {
    if (position != kEndOfLog && !nonsense_told_) {
      nonsense_told_ = true;
      turn.Log("ignoring what the server announced: position " + NoPlace(position), false);
    }
    return;
  }
  if (traits_.resumes_anywhere && !server_lied_) {
    if (const auto proven = frontier_.OnAnnouncement(position)) {
      ledger_.AddPassed(*proven);
    }
  }
  OnPlace(position);
}

Sequence Engine::Event(CallNumber call, Position position, std::uint64_t bytes, bool is_system,
                       Tick tick, Commands* out) {
  if (!OnInput(call)) {
    return 0;
  }
  Turn turn(tick, out);
  bool plain = live_since_ && !head_;
  OnFrame(turn);
  Sequence sequence = 0;
  if (!IsPlace(position)) [[unlikely]] {
    plain = false;
    BreakOff("the server sent an event whose position " + NoPlace(position), turn);
  } else if (!frontier_.IsNew(position)) {
    ++dropped_;
    OnPlace(position);
  } else {
    sequence = TakeEvent(position, bytes, is_system && !options_.system_events, &plain, turn);
  }
  if (plain && turn.now < wake_at_ && ledger_.events() < crowded_at_) [[likely]] {
    Deliver(turn);
  } else {
    Plan(turn);
  }
  return sequence;
}

Sequence Engine::TakeEvent(Position position, std::uint64_t bytes, bool skip, bool* plain,
                           Turn& turn) {
  if (frontier_.Contradicts(position) || server_lied_) [[unlikely]] {
    *plain = false;
    if (!Believe(position, turn)) {
      return 0;
    }
  }
  if (const auto proven = frontier_.OnEvent(position)) [[unlikely]] {
    *plain = false;
    ledger_.AddPassed(*proven);
  }
  Sequence sequence = 0;
  if (skip) {
    *plain = false;
    ++skipped_;
    ledger_.AddPassed(position, true);
  } else {
    sequence = ledger_.AddEvent(position, bytes);
  }
  OnPlace(position);
  return sequence;
}

// An event of a server that has announced as sent what it sent later, perhaps this one.
bool Engine::Believe(Position position, Turn& turn) {
  if (frontier_.Contradicts(position)) {
    server_lied_ = true;
    turn.Log("the server sent an event at " + FormatPosition(position) +
                 " after it had announced that everything up to " + Place(frontier_.reached()) +
                 " was sent; the event is handled, and no announcement is believed any more",
             false);
    frontier_.StepBack();
    // The event is here now: no checkpoint may be written beyond it before it is settled.
    ledger_.Withdraw(frontier_.reached());
    catch_up_.Withdraw(ledger_.watermark());
  }
  if (position_mode_ && ledger_.IsTaken(position)) {
    End(GroupState::kFailed,
        "the server sent an event at " + FormatPosition(position) +
            " after it had announced that very position, and the plugin stores it already: nobody "
            "could tell whether the event was applied; wanted the plugin's store put back to a "
            "position before it",
        Lane::Force::kDrain, options_.drain_timeout);
    return false;
  }
  return true;
}

void Engine::CheckpointFrame(CallNumber call, Position position, Tick tick, Commands* out) {
  if (!OnInput(call)) {
    return;
  }
  Turn turn(tick, out);
  OnFrame(turn);
  Announce(position, turn);
  Plan(turn);
}

void Engine::CaughtUp(CallNumber call, std::optional<Position> position, Tick tick, Commands* out) {
  if (!OnInput(call)) {
    return;
  }
  Turn turn(tick, out);
  OnFrame(turn);
  if (position) {
    Announce(*position, turn);
  }
  catch_up_.OnLive(ledger_.last());
  Plan(turn);
}

void Engine::Head(CallNumber call, std::optional<Position> head, Tick tick, Commands* out) {
  if (!OnInput(call) || !needs_head() || (head && !IsPlace(*head))) {
    return;
  }
  Turn turn(tick, out);
  // Null orders below every position: the head of an empty log is never ahead of us. The frame that
  // reaches the head may have overtaken the answer to the question for it.
  if (head <= seen_) {
    OnFrame(turn);
    catch_up_.OnLive(ledger_.last());
  } else {
    head_ = head;
  }
  Plan(turn);
}

void Engine::SubscriptionEnded(CallNumber call, EndClass end, std::string_view text, Tick tick,
                               Commands* out) {
  if (!OnInput(call)) {
    return;
  }
  Turn turn(tick, out);
  EndCall(end, text, turn);
  Plan(turn);
}

void Engine::EndCall(EndClass end, std::string_view text, Turn& turn) {
  step_ = CallStep::kNone;
  catch_up_.Drop();
  if (end == EndClass::kInvalidPosition) {
    End(GroupState::kFailed,
        "the log has no event at " + DescribeResumePlace() + " (" + OneLine(text) + ")",
        Lane::Force::kDrain, options_.drain_timeout);
    return;
  }
  if (live_since_ && turn.now - *live_since_ >= kHealthyStream) {
    reconnects_ = 0;
  }
  if (short_) {
    short_->since = turn.now;  // What an outage takes is not the log's time.
  }
  std::chrono::nanoseconds delay = kReconnect.Delay(reconnects_++, turn.random);
  if (end == EndClass::kRefused) {
    delay = std::max(delay, kRefusedMinimum);
  }
  const bool dropped = end == EndClass::kDropped;
  source_trouble_ = std::string(dropped ? "subscription dropped" : "subscription refused") + " (" +
                    OneLine(text) + ")" + std::string(kNextTryIn) + FormatDuration(delay);
  turn.LogTry(source_trouble_ + " from " + Place(frontier_.reached()), dropped, reconnects_, delay);
  connect_at_ = turn.now + delay;
}

// Ends a call whose server says what cannot be.
void Engine::BreakOff(const std::string& why, Turn& turn) {
  turn.Add(Command::Kind::kCancelSubscription).number = call_;
  EndCall(EndClass::kRefused, why, turn);
}

bool Engine::HasRoom() const {
  if (ledger_.events() >= options_.window_events || ledger_.bytes() >= options_.window_bytes) {
    return false;
  }
  // The duplicate bound needs no help in position mode: there is no duplicate to bound.
  return position_mode_ || pacer_.undurable_events() + ledger_.events() <
                               options_.checkpoint_batch_size + options_.window_events;
}

std::optional<std::chrono::nanoseconds> Engine::retry_at() const {
  if (life_.state() != GroupState::kWaiting) {
    return std::nullopt;
  }
  // The reason speaks of the runner where both are waited for.
  return lane_.trouble().empty() ? connect_at_ : lane_.spawn_at();
}

}  // namespace catchup
