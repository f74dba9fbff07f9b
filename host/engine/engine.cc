#include "host/engine/engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "host/engine/engine_text.h"

// The engine's inputs but for those of the source: each records what it says and lets the plan run.

namespace catchup {

Engine::Engine(const EngineOptions& options, const EventNames* names)
    : options_(options),
      many_(options.lanes > 1),
      ledger_(many_),
      pacer_(std::max<std::uint32_t>(options.checkpoint_batch_size, 1), options.checkpoint_interval,
             options.checkpoint_batch_size + options.window_events),
      breaker_(options.breaker),
      doubt_(options.budget),
      book_(options.letter_order, options.max_letters, options.max_letter_bytes),
      letter_writes_(options.letter_order),
      names_(names) {
  const LaneNumber lanes = std::max<LaneNumber>(options.lanes, 1);
  seats_.reserve(lanes);
  for (LaneNumber lane = 0; lane < lanes; ++lane) {
    seats_.emplace_back(lane);
  }
}

// --- Lanes. ---

Seat* Engine::SeatOf(SpawnNumber spawn) {
  for (Seat& seat : seats_) {
    if (seat.lane.Is(spawn)) [[likely]] {
      return &seat;
    }
  }
  return nullptr;
}

bool Engine::AnyLives() const {
  return std::any_of(seats_.begin(), seats_.end(),
                     [](const Seat& seat) { return seat.lane.alive(); });
}

LaneNumber Engine::lanes_running() const {
  return static_cast<LaneNumber>(std::count_if(seats_.begin(), seats_.end(),
                                               [](const Seat& seat) { return seat.lane.takes(); }));
}

bool Engine::HasEventToCall() const {
  return AnyPlace() || ledger_.on_lane() > 0 || (many_ ? streams_.Next() != 0 : ledger_.waits());
}

bool Engine::AnyPlace() const {
  return std::any_of(seats_.begin(), seats_.end(),
                     [](const Seat& seat) { return seat.place.sequence != 0; });
}

void Engine::Press(Lane::Force force, std::chrono::nanoseconds patience, const std::string& why) {
  for (Seat& seat : seats_) {
    seat.lane.Press(force, patience, why);
  }
}

// A group waits for its runners while none of them works.
const std::string& Engine::LaneTrouble() const {
  static const std::string kNone;
  const bool all = std::all_of(seats_.begin(), seats_.end(),
                               [](const Seat& seat) { return !seat.lane.trouble().empty(); });
  return all ? seats_.front().lane.trouble() : kNone;
}

// --- Inputs. ---

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
    for (Seat& seat : seats_) {
      seat.lane.SpawnAt(turn.now);
      if (options_.on_probation) {
        seat.lane.SetOnProbation();
      }
    }
  }
  Plan(turn);
}

void Engine::Stop(Tick tick, Commands* out) {
  if (life_.finished()) {
    return;
  }
  Turn turn(tick, out);
  if (stop_asked_) {
    Press(Lane::Force::kKill, {}, "a second stop was asked for");
  } else if (!life_.ending()) {
    End(GroupState::kStopped, "stopped", Lane::Force::kDrain, options_.drain_timeout);
  }
  stop_asked_ = true;
  Plan(turn);
}

// --- The runner. ---

void Engine::RunnerReady(SpawnNumber spawn, const RunnerFacts& facts, Tick tick, Commands* out) {
  Seat* const seat = SeatOf(spawn);
  if (life_.ending() || seat == nullptr || seat->discarded || !seat->lane.starting()) {
    return;
  }
  Turn turn(tick, out);
  seat->lane.OnReady(tick.now);
  seat->batch = std::max<std::uint32_t>(facts.max_events, 1);
  spawn_wait_.OnDone(turn);
  Hear(seat, facts);
  Plan(turn);
}

void Engine::Settled(SpawnNumber spawn, Sequence last, Tick tick, Commands* out) {
  Seat* const seat = SeatOf(spawn);
  if (distrusted_ || seat == nullptr ||
      last == (many_ ? seat->settled : ledger_.settled_on_lane())) {
    return;
  }
  Turn turn(tick, out);
  if (last == kLetterCall) [[unlikely]] {
    if (!CallsLetter(*seat)) {
      return;
    }
    LetterSucceeded(*seat, turn);
  } else if (many_) {
    SettledOn(*seat, last, turn);
  } else if (last < ledger_.settled() || last > ledger_.handed_out()) [[unlikely]] {
    Hear(seat, Breach{fmt::format("settled up to event {}, wanted {}", last, Given(*seat))});
  } else {
    CountSuccesses(last, turn);
    ledger_.SettleThrough(last);
  }
  Plan(turn);
}

void Engine::Failed(SpawnNumber spawn, const BadOutcome& outcome, Tick tick, Commands* out) {
  Seat* const seat = SeatOf(spawn);
  if (distrusted_ || seat == nullptr || seat->discarded) {
    return;
  }
  Turn turn(tick, out);
  const bool of_letter = outcome.sequence == kLetterCall && CallsLetter(*seat);
  const bool in_flight = outcome.sequence == 0 || of_letter || Has(*seat, outcome.sequence);
  if (!in_flight || outcome.status == 0) {
    Hear(seat,
         Breach{fmt::format("{}; wanted a failure of {}", DescribeOutcome(outcome), Given(*seat))});
  } else if (many_) {
    if (outcome.sequence != 0 && !of_letter) {
      const auto found = std::find(seat->has.begin(), seat->has.end(), outcome.sequence);
      SettleFirst(*seat, static_cast<std::size_t>(found - seat->has.begin()), turn);
    }
    Hear(seat, outcome);
  } else {
    // A failure of one event says that all before it are settled; it may be seen before they are.
    // What was no call is none of them, or the runner's own word would look like a step back.
    const bool of_event = outcome.sequence != 0 && !of_letter;
    if (const Sequence before = of_event ? ledger_.LastOnLaneBefore(outcome.sequence) : 0) {
      CountSuccesses(before, turn);
      ledger_.SettleThrough(before);
    }
    Hear(seat, outcome);
  }
  Plan(turn);
}

void Engine::Hung(SpawnNumber spawn, Sequence sequence, std::string_view call,
                  std::string_view limit, Tick tick, Commands* out) {
  // While the runner stops, the ladder of the stop has its own times; but one that retires may
  // finish its call first.
  Seat* const seat = SeatOf(spawn);
  if (life_.ending() || seat == nullptr) {
    return;
  }
  const Lane::Force pressed = seat->lane.pressed();
  const bool in_last_call = seat->retiring && sequence != 0 && pressed == Lane::Force::kDrain;
  if (pressed != Lane::Force::kNone && !in_last_call) {
    return;
  }
  Turn turn(tick, out);
  Hear(seat, Hang{sequence, OneLine(call), OneLine(limit)});
  Plan(turn);
}

void Engine::ContractBroken(SpawnNumber spawn, std::string_view text, Tick tick, Commands* out) {
  Seat* const seat = SeatOf(spawn);
  if (distrusted_ || seat == nullptr) {
    return;
  }
  Turn turn(tick, out);
  Hear(seat, Breach{OneLine(text)});
  Plan(turn);
}

void Engine::ReplaceRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out) {
  Seat* const seat = SeatOf(spawn);
  if (life_.ending() || seat == nullptr || !seat->lane.takes() || !ledger_.idle() ||
      CallsLetter(*seat) || !caught_up()) {
    return;
  }
  Turn turn(tick, out);
  seat->replacing = true;
  turn.Tell(Notice::kRunnerReplaced, "it has nothing to do: " + OneLine(why), true);
  seat->lane.Press(Lane::Force::kDrain, options_.drain_timeout);
  Plan(turn);
}

void Engine::RetireRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out) {
  Seat* const seat = SeatOf(spawn);
  if (life_.ending() || seat == nullptr || !seat->lane.takes()) {
    return;
  }
  Turn turn(tick, out);
  seat->retiring = true;
  const std::string text = OneLine(why);
  turn.Tell(Notice::kRunnerReplaced, text, false);
  // A call in progress has its own limit, and then the stop has its.
  seat->lane.Press(Lane::Force::kDrain, options_.handler_timeout + options_.drain_timeout, text);
  Plan(turn);
}

void Engine::DiscardRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out) {
  Seat* const seat = SeatOf(spawn);
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
  Seat* const seat = SeatOf(spawn);
  if (life_.finished() || seat == nullptr) {
    return;
  }
  Turn turn(tick, out);
  Hear(seat, Exit{exit_class, charged, std::string(text)});
  Plan(turn);
}

// --- The store and the clock. ---

void Engine::SpawnExhausted(SpawnNumber spawn, std::string_view text, Tick tick, Commands* out) {
  Seat* const seat = SeatOf(spawn);
  if (life_.finished() || seat == nullptr || !seat->lane.starting()) {
    return;
  }
  Turn turn(tick, out);
  seat->lane.OnExited();
  seat->discarded = false;
  if (!life_.ending()) {
    spawn_wait_.OnExhausted(Notice::kSpawnWaits, text, turn);
    seat->lane.SetTrouble(spawn_wait_.trouble());
    seat->lane.SpawnAt(*spawn_wait_.retry_at());
  }
  Plan(turn);
}

void Engine::CheckpointDurable(Position position, Tick tick, Commands* out) {
  if (life_.finished() || !pacer_.OnDurable(position, tick.now)) {
    return;
  }
  Turn turn(tick, out);
  checkpoint_wait_.OnDone(turn);
  Plan(turn);
}

void Engine::CheckpointExhausted(std::string_view text, Tick tick, Commands* out) {
  if (life_.finished() || store_failed_ || !pacer_.writing()) {
    return;
  }
  Turn turn(tick, out);
  pacer_.OnExhausted();
  checkpoint_wait_.OnExhausted(Notice::kCheckpointWaits, text, turn);
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
  End(GroupState::kFailed, "a store of the group cannot be written: " + OneLine(text),
      Lane::Force::kDrain, options_.drain_timeout);
  Plan(turn);
}

void Engine::Woke(Tick tick, Commands* out) {
  Turn turn(tick, out);
  wake_at_ = kNever;
  Plan(turn);
}

bool Engine::HasRoom() const {
  if (ledger_.events() >= options_.window_events || ledger_.bytes() >= options_.window_bytes) {
    return false;
  }
  return WithinDuplicateBound();
}

bool Engine::WithinDuplicateBound() const {
  // It needs no help in position mode: there is no duplicate to bound.
  return position_mode_ || pacer_.undurable_events() + ledger_.events() <
                               options_.checkpoint_batch_size + options_.window_events;
}

std::optional<Engine::InDoubt> Engine::in_doubt() const {
  const bool of_call = life_.reason() == trouble_.text();
  if (life_.state() != GroupState::kWaiting || !trouble_.doubted_type() ||
      !(of_call || life_.reason() == LaneTrouble())) {
    return std::nullopt;
  }
  InDoubt doubt{{}, *trouble_.doubted_type()};
  for (const Seat& seat : seats_) {
    const InPlace& place = seat.place;
    if (place.sequence != 0 && IsInDoubt(place.failure) && !ledger_.AdvanceAt(place.sequence) &&
        !ParksUncalled(place) &&
        (!doubt.event || ledger_.PositionOf(place.sequence) < *doubt.event)) {
      doubt.event = ledger_.PositionOf(place.sequence);
      doubt.type = NameOf(place.sequence).type;
    }
  }
  return of_call || doubt.event ? std::optional(doubt) : std::nullopt;
}

std::optional<std::chrono::nanoseconds> Engine::retry_at() const {
  if (life_.state() != GroupState::kWaiting) {
    return std::nullopt;
  }
  // The reason speaks of one thing where several are waited for, in this order.
  if (!LaneTrouble().empty()) {
    return seats_.front().lane.spawn_at();
  }
  if (trouble_.waits()) {
    return breaker_.open() ? breaker_.open_until() : std::optional(NextInPlace());
  }
  return checkpoint_wait_.trouble().empty() ? link_.connect_at() : checkpoint_wait_.retry_at();
}

std::optional<std::chrono::nanoseconds> Engine::heals_at() const {
  const bool heals = options_.stop_on_caught_up && catch_up_.done() && !life_.ending();
  return heals && !CallsLetter() && CallsDueLetters() ? std::optional(heal_free_at_) : std::nullopt;
}

}  // namespace catchup
