#include "host/engine/engine.h"

#include <fmt/core.h>

#include <algorithm>

#include "host/engine/engine_text.h"
#include "host/engine/heal.h"
#include "host/engine/invariants.h"
#include "host/engine/plan.h"
#include "host/engine/route.h"
#include "host/engine/settle.h"

namespace catchup {

Engine::Engine(const EngineOptions& options, const EventNames* names) : parts_(options, names) {}

void Engine::Plan(Turn& turn) { RunPlan(parts_, turn); }

void Engine::PlanAgain(Tick tick, Commands* out) {
  Turn turn(tick, out);
  Plan(turn);
}

std::string_view Engine::CheckInvariants() const { return catchup::CheckInvariants(parts_); }

void Engine::Start(const StartPoint& start, Tick tick, Commands* out) {
  if (parts_.life.finished() || parts_.life.started()) {
    return;
  }
  Turn turn(tick, out);
  parts_.life.Start();
  parts_.start = start;
  parts_.witnesses.Load(start.witnesses);
  for (const auto& position : {start.checkpoint, start.recorded_start}) {
    if (position && !IsPlace(*position)) {
      parts_.End(GroupState::kFailed,
                 "the recorded position " + NoPlace(*position) +
                     "; to begin anew, stop the host and move the group's folder away",
                 Lane::Force::kNone, {});
    }
  }
  if (!parts_.life.ending()) {
    // What is known before the runner has spoken, for whoever asks.
    const auto& from = start.checkpoint ? start.checkpoint : start.recorded_start;
    parts_.ledger.Reset(from, false);
    parts_.pacer.Reset(start.checkpoint, from);
    for (Seat& seat : parts_.seats) {
      seat.lane.SpawnAt(turn.now);
      if (parts_.options.on_probation) {
        seat.lane.SetOnProbation();
      }
    }
  }
  Plan(turn);
}

void Engine::Stop(Tick tick, Commands* out) {
  if (parts_.life.finished()) {
    return;
  }
  Turn turn(tick, out);
  if (stop_asked_) {
    parts_.Press(Lane::Force::kKill, {}, "a second stop was asked for");
  } else if (!parts_.life.ending()) {
    parts_.End(GroupState::kStopped, "stopped", Lane::Force::kDrain, parts_.options.drain_timeout);
  }
  stop_asked_ = true;
  Plan(turn);
}

// --- The runner. ---

void Engine::RunnerReady(SpawnNumber spawn, const RunnerFacts& facts, Tick tick, Commands* out) {
  Seat* const seat = parts_.SeatOf(spawn);
  if (parts_.life.ending() || seat == nullptr || seat->discarded || !seat->lane.starting()) {
    return;
  }
  Turn turn(tick, out);
  seat->lane.OnReady(tick.now);
  seat->batch = std::max<std::uint32_t>(facts.max_events, 1);
  parts_.spawn_wait.OnDone(turn);
  parts_.Hear(seat, facts);
  Plan(turn);
}

void Engine::Settled(SpawnNumber spawn, Sequence last, Tick tick, Commands* out) {
  Seat* const seat = parts_.SeatOf(spawn);
  if (parts_.distrusted || seat == nullptr ||
      last == (parts_.many ? seat->settled : parts_.ledger.settled_on_lane())) {
    return;
  }
  Turn turn(tick, out);
  if (last == kLetterCall) [[unlikely]] {
    if (!parts_.CallsLetter(*seat)) {
      return;
    }
    Heal(parts_).LetterSucceeded(*seat, turn);
  } else if (parts_.many) {
    Settling(parts_).SettledOn(*seat, last, turn);
  } else if (last < parts_.ledger.settled() || last > parts_.ledger.handed_out()) [[unlikely]] {
    parts_.Hear(seat, ContractBreach{fmt::format("settled up to event {}, wanted {}", last,
                                                 parts_.Given(*seat))});
  } else {
    Settling(parts_).CountSuccesses(last, turn);
    parts_.ledger.SettleThrough(last);
  }
  Plan(turn);
}

void Engine::Failed(SpawnNumber spawn, const BadOutcome& outcome, Tick tick, Commands* out) {
  Seat* const seat = parts_.SeatOf(spawn);
  if (parts_.distrusted || seat == nullptr || seat->discarded) {
    return;
  }
  Turn turn(tick, out);
  const bool of_letter = outcome.sequence == kLetterCall && parts_.CallsLetter(*seat);
  const bool in_flight = outcome.sequence == 0 || of_letter || parts_.Has(*seat, outcome.sequence);
  if (!in_flight || outcome.status == 0) {
    parts_.Hear(seat, ContractBreach{fmt::format("{}; wanted a failure of {}",
                                                 DescribeOutcome(outcome), parts_.Given(*seat))});
  } else if (parts_.many) {
    if (outcome.sequence != 0 && !of_letter) {
      const auto found = std::find(seat->has.begin(), seat->has.end(), outcome.sequence);
      Settling(parts_).SettleFirst(*seat, static_cast<std::size_t>(found - seat->has.begin()),
                                   turn);
    }
    parts_.Hear(seat, outcome);
  } else {
    // A failure of one event says that all before it are settled; it may be seen before they are.
    // What was no call is none of them, or the runner's own word would look like a step back.
    const bool of_event = outcome.sequence != 0 && !of_letter;
    if (const Sequence before = of_event ? parts_.ledger.LastOnLaneBefore(outcome.sequence) : 0) {
      Settling(parts_).CountSuccesses(before, turn);
      parts_.ledger.SettleThrough(before);
    }
    parts_.Hear(seat, outcome);
  }
  Plan(turn);
}

void Engine::Hung(SpawnNumber spawn, Sequence sequence, std::string_view call,
                  std::string_view limit, Tick tick, Commands* out) {
  // While the runner stops, the ladder of the stop has its own times; but one that retires may
  // finish its call first.
  Seat* const seat = parts_.SeatOf(spawn);
  if (parts_.life.ending() || seat == nullptr) {
    return;
  }
  const Lane::Force pressed = seat->lane.pressed();
  const bool in_last_call = seat->retiring && sequence != 0 && pressed == Lane::Force::kDrain;
  if (pressed != Lane::Force::kNone && !in_last_call) {
    return;
  }
  Turn turn(tick, out);
  parts_.Hear(seat, Hang{sequence, OneLine(call), OneLine(limit)});
  Plan(turn);
}

void Engine::ContractBroken(SpawnNumber spawn, std::string_view text, Tick tick, Commands* out) {
  Seat* const seat = parts_.SeatOf(spawn);
  if (parts_.distrusted || seat == nullptr) {
    return;
  }
  Turn turn(tick, out);
  parts_.Hear(seat, ContractBreach{OneLine(text)});
  Plan(turn);
}

void Engine::ReplaceRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out) {
  Seat* const seat = parts_.SeatOf(spawn);
  if (parts_.life.ending() || seat == nullptr || !seat->lane.takes() || !parts_.ledger.idle() ||
      parts_.CallsLetter(*seat) || !parts_.catch_up.done()) {
    return;
  }
  Turn turn(tick, out);
  seat->replacing = true;
  turn.Tell(Notice::kRunnerReplaced, "it has nothing to do: " + OneLine(why), true);
  seat->lane.Press(Lane::Force::kDrain, parts_.options.drain_timeout);
  Plan(turn);
}

void Engine::RetireRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out) {
  Seat* const seat = parts_.SeatOf(spawn);
  if (parts_.life.ending() || seat == nullptr || !seat->lane.takes()) {
    return;
  }
  Turn turn(tick, out);
  seat->retiring = true;
  const std::string text = OneLine(why);
  turn.Tell(Notice::kRunnerReplaced, text, false);
  // A call in progress has its own limit, and then the stop has its.
  seat->lane.Press(Lane::Force::kDrain,
                   parts_.options.handler_timeout + parts_.options.drain_timeout, text);
  Plan(turn);
}

void Engine::DiscardRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out) {
  Seat* const seat = parts_.SeatOf(spawn);
  if (seat == nullptr || seat->lane.pressed() == Lane::Force::kKill) {
    return;
  }
  Turn turn(tick, out);
  seat->discarded = true;
  seat->lane.Press(Lane::Force::kKill, {}, OneLine(why));
  Plan(turn);
}

void Engine::RunnerExited(SpawnNumber spawn, ExitClass exit_class, Sequence charged,
                          std::string_view text, Tick tick, Commands* out) {
  Seat* const seat = parts_.SeatOf(spawn);
  if (parts_.life.finished() || seat == nullptr) {
    return;
  }
  Turn turn(tick, out);
  parts_.Hear(seat, RunnerGone{exit_class, charged, std::string(text)});
  Plan(turn);
}

// --- The store and the clock. ---

void Engine::SpawnExhausted(SpawnNumber spawn, std::string_view text, Tick tick, Commands* out) {
  Seat* const seat = parts_.SeatOf(spawn);
  if (parts_.life.finished() || seat == nullptr || !seat->lane.starting()) {
    return;
  }
  Turn turn(tick, out);
  seat->lane.OnExited();
  seat->discarded = false;
  if (!parts_.life.ending()) {
    parts_.spawn_wait.OnExhausted(Notice::kSpawnWaits, text, turn);
    seat->lane.SetTrouble(parts_.spawn_wait.trouble());
    seat->lane.SpawnAt(*parts_.spawn_wait.retry_at());
  }
  Plan(turn);
}

void Engine::CheckpointDurable(Position position, const std::optional<Witness>& handled, Tick tick,
                               Commands* out) {
  if (parts_.life.finished() || !parts_.pacer.OnDurable(position, tick.now)) {
    return;
  }
  // Not where the group went back meanwhile, perhaps in another log.
  if (handled && handled->position <= position && parts_.pacer.Covers(position)) {
    parts_.witnesses.Add(*handled);
  }
  Turn turn(tick, out);
  parts_.checkpoint_wait.OnDone(turn);
  Plan(turn);
}

void Engine::CheckpointExhausted(std::string_view text, Tick tick, Commands* out) {
  if (parts_.life.finished() || parts_.store_failed || !parts_.pacer.writing()) {
    return;
  }
  Turn turn(tick, out);
  parts_.pacer.OnExhausted();
  parts_.checkpoint_wait.OnExhausted(Notice::kCheckpointWaits, text, turn);
  Plan(turn);
}

void Engine::CheckpointNotBegun(Tick tick, Commands* out) {
  if (parts_.life.finished() || !parts_.pacer.writing()) {
    return;
  }
  Turn turn(tick, out);
  parts_.pacer.OnNotBegun();
  Plan(turn);
}

void Engine::StoreFailed(std::string_view text, Tick tick, Commands* out) {
  if (parts_.life.finished() || parts_.store_failed) {
    return;
  }
  Turn turn(tick, out);
  parts_.store_failed = true;
  parts_.End(GroupState::kFailed, "a store of the group has failed: " + OneLine(text),
             Lane::Force::kDrain, parts_.options.drain_timeout);
  Plan(turn);
}

void Engine::Woke(Tick tick, Commands* out) {
  Turn turn(tick, out);
  parts_.wake_at = EngineParts::kNever;
  Plan(turn);
}

// --- Questions. ---

LaneNumber Engine::lanes_running() const {
  return static_cast<LaneNumber>(std::count_if(parts_.seats.begin(), parts_.seats.end(),
                                               [](const Seat& seat) { return seat.lane.takes(); }));
}

std::optional<Engine::InDoubt> Engine::in_doubt() const {
  const bool of_call = parts_.life.reason() == parts_.trouble.text();
  if (parts_.life.state() != GroupState::kWaiting || !parts_.trouble.doubted_type() ||
      !(of_call || parts_.life.reason() == parts_.LaneTrouble())) {
    return std::nullopt;
  }
  InDoubt doubt{{}, *parts_.trouble.doubted_type()};
  for (const Seat& seat : parts_.seats) {
    const InPlace& place = seat.place;
    if (place.sequence != 0 && IsInDoubt(place.failure) &&
        !parts_.ledger.AdvanceAt(place.sequence) && !ParksUncalled(parts_, place) &&
        (!doubt.event || parts_.ledger.PositionOf(place.sequence) < *doubt.event)) {
      doubt.event = parts_.ledger.PositionOf(place.sequence);
      doubt.type = parts_.NameOf(place.sequence).type;
    }
  }
  return of_call || doubt.event ? std::optional(doubt) : std::nullopt;
}

bool Engine::waits_for_room() const {
  if (parts_.life.state() != GroupState::kWaiting ||
      parts_.life.reason() != parts_.trouble.text()) {
    return false;
  }
  return parts_.room_wanted ||
         std::any_of(parts_.seats.begin(), parts_.seats.end(), [this](const Seat& seat) {
           const InPlace& place = seat.place;
           return place.sequence != 0 && IsInDoubt(place.failure) &&
                  parts_.book.IsFull(parts_.LetterBytesOf(place.sequence, place.text));
         });
}

std::optional<std::chrono::nanoseconds> Engine::retry_at() const {
  if (parts_.life.state() != GroupState::kWaiting) {
    return std::nullopt;
  }
  // The reason speaks of one thing where several are waited for, in this order.
  if (!parts_.LaneTrouble().empty()) {
    return parts_.seats.front().lane.spawn_at();
  }
  if (parts_.trouble.waits()) {
    return parts_.breaker.open() ? parts_.breaker.open_until()
                                 : std::optional(parts_.NextInPlace());
  }
  return parts_.checkpoint_wait.trouble().empty() ? parts_.link.connect_at()
                                                  : parts_.checkpoint_wait.retry_at();
}

std::optional<std::chrono::nanoseconds> Engine::heals_at() const {
  const bool heals =
      parts_.options.stop_on_caught_up && parts_.catch_up.done() && !parts_.life.ending();
  return heals && !parts_.CallsLetter() && parts_.CallsDueLetters()
             ? std::optional(parts_.letter_calls.free_at())
             : std::nullopt;
}

}  // namespace catchup
