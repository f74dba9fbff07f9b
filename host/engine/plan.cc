#include "host/engine/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "host/base/time_text.h"
#include "host/engine/deliver.h"
#include "host/engine/engine_text.h"
#include "host/engine/heal.h"
#include "host/engine/judge.h"

namespace catchup {
namespace {

class Planner {
 public:
  explicit Planner(EngineParts& parts) : parts_(parts) {}

  // Adds what is to be done by now. Again at once it adds nothing.
  void Run(Turn& turn);

 private:
  void Pop(Turn& turn);
  void DropSettledPlace();
  void FollowCaughtUp(const Turn& turn);
  void PlanLane(Turn& turn);
  bool MayAdvance(std::chrono::nanoseconds now) const;
  void MaybeAdvance(Turn& turn);
  void Relieve(Turn& turn);
  std::optional<std::chrono::nanoseconds> AlarmAt() const;
  void RaiseAlarm(Turn& turn);
  void PlanSource(Turn& turn);
  void WatchCall(Turn& turn);
  void Persist(Turn& turn);
  bool NothingIsUnderWay() const;
  void Report(Turn& turn, bool finished);
  void Wake(Turn& turn);
  std::optional<std::chrono::nanoseconds> NextWake(std::chrono::nanoseconds now) const;
  void WakeForFailures(std::chrono::nanoseconds now,
                       std::optional<std::chrono::nanoseconds>* next) const;

  EngineParts& parts_;
};

void Planner::Run(Turn& turn) {
  if (parts_.life.finished()) {
    return;
  }
  if (!parts_.WantsFrames()) {
    parts_.liveness.Rest(turn.now);  // Until now, whatever this plan makes of it.
  }
  do {
    if (parts_.heard.index() != 0) {
      JudgeHeard(parts_, turn);
    }
    Pop(turn);
    DropSettledPlace();
    FollowCaughtUp(turn);
    PlanLane(turn);
    MaybeAdvance(turn);
    Deliver(parts_, turn);
    // Events that are letters already are done without a call.
  } while (std::exchange(parts_.letters_passed, false));
  Relieve(turn);
  RaiseAlarm(turn);
  PlanSource(turn);
  Persist(turn);
  const bool finished = NothingIsUnderWay();
  if (finished) {
    parts_.life.Finish();
  }
  Report(turn, finished);
  Wake(turn);
}

void Planner::Pop(Turn& turn) {
  const Ledger::Popped popped = parts_.ledger.Pop();
  if (popped.places > 0) {
    if (popped.events > popped.parked) {
      parts_.counts.handled += popped.events - popped.parked;
      if (!parts_.many) {
        parts_.seats.front().lane.OnSettled();
      }
    }
    parts_.pacer.OnProgress(popped.events, turn.now);
  }
  if (parts_.released != parts_.ledger.popped()) {
    parts_.released = parts_.ledger.popped();
    if (parts_.many) {
      parts_.streams.Release(parts_.released);
      parts_.suspects.Release(parts_.released);
    }
    turn.Add(Command::Kind::kRelease).last = parts_.released;
  }
}

// What was in place is settled, or gone because the group went back.
void Planner::DropSettledPlace() {
  for (Seat& seat : parts_.seats) {
    if (seat.place.sequence != 0 && !parts_.ledger.IsPending(seat.place.sequence)) {
      seat.place = {};
    }
  }
  while (!parts_.park_asked.empty() && *parts_.park_asked.begin() <= parts_.ledger.last_event()) {
    parts_.park_asked.erase(parts_.park_asked.begin());
  }
}

void Planner::FollowCaughtUp(const Turn& turn) {
  if (parts_.life.ending()) {
    return;
  }
  if (parts_.catch_up.OnSettled(parts_.ledger.popped(), parts_.ledger.watermark())) {
    parts_.pacer.Hurry();
  }
  if (parts_.catch_up.persisting() && parts_.pacer.Covers(parts_.catch_up.watermark())) {
    parts_.catch_up.OnDurable();
    // Once, so that a letter that fails again and again keeps nothing from its end.
    parts_.letters_until = std::min(parts_.letters_until, turn.now);
  }
  if (parts_.options.stop_on_caught_up && parts_.catch_up.done() && !parts_.CallsDueLetters()) {
    parts_.End(GroupState::kStopped, std::string(kCaughtUpReason), Lane::Force::kDrain,
               parts_.options.drain_timeout);
  }
}

void Planner::PlanLane(Turn& turn) {
  for (Seat& seat : parts_.seats) {
    if (parts_.life.ending()) {
      seat.lane.SpawnNone();
    }
    const SpawnNumber before = seat.lane.spawn();
    seat.lane.Plan(&parts_.spawns, turn);
    if (seat.lane.spawn() != before && std::exchange(seat.restarting, false)) {
      ++parts_.counts.restarts;
    }
  }
}

// What is made is handed out in the same plan: an event that came before that would stand in front
// of it.
bool Planner::MayAdvance(std::chrono::nanoseconds now) const {
  return parts_.position_mode && !parts_.life.ending() && parts_.seats.front().lane.takes() &&
         !parts_.CallsLetter() &&
         (parts_.Plain() || (parts_.breaker.closed() && !Heal(parts_).NextLetter(now))) &&
         parts_.ledger.Passable().has_value();
}

// Hands the plugin a position without events, past what the filter hides, so that its own store
// does not fall behind in a quiet log.
void Planner::MaybeAdvance(Turn& turn) {
  if (turn.now >= parts_.next_advance && MayAdvance(turn.now)) {
    parts_.next_advance = turn.now + parts_.options.checkpoint_interval;
    parts_.ledger.MakeAdvance();
  }
}

// Half-open with nothing to try it with, nothing waits either: the next event may be hours away.
void Planner::Relieve(Turn& turn) {
  const bool idle = parts_.breaker.half_open() && !parts_.HasEventToCall() &&
                    !parts_.CallsLetter() && !Heal(parts_).LetterToProbeWith();
  if (parts_.trouble.waits() && !parts_.AnyPlace() && !parts_.room_wanted &&
      (parts_.breaker.closed() || idle)) {
    parts_.trouble.End();
    turn.Tell(Notice::kCallsGoOn, "going on", true);
  }
}

void Planner::RaiseAlarm(Turn& turn) {
  const auto at = AlarmAt();
  if (parts_.life.ending() || !at || turn.now < *at) {
    return;
  }
  parts_.trouble.OnAlarm(turn.now);
  turn.Tell(Notice::kBreakerStaysOpen, WithTimeLeft(parts_.trouble.text(), ""), false);
  turn.out->back().delay = turn.now - parts_.breaker.opened_at();
}

// While events wait for it: in a quiet log nothing does.
std::optional<std::chrono::nanoseconds> Planner::AlarmAt() const {
  return parts_.breaker.closed() ? std::nullopt
                                 : parts_.trouble.AlarmAt(parts_.breaker.opened_at());
}

// A full window stays full while it is disconnected: what would come first had no place.
void Planner::PlanSource(Turn& turn) {
  if (parts_.life.ending()) {
    parts_.link.Cancel(turn);
  } else if (parts_.link.connect_at() && turn.now >= *parts_.link.connect_at() &&
             parts_.HasRoom()) {
    parts_.frontier.ForgetHeld();
    parts_.link.Connect(parts_.frontier.reached(), turn);
  } else if (parts_.WantsFrames()) {
    WatchCall(turn);
  }
}

void Planner::WatchCall(Turn& turn) {
  const std::optional<Position>& told = parts_.link.told();
  if (const auto owed = parts_.liveness.Overdue(turn.now)) {
    parts_.catch_up.Drop();
    parts_.link.Replace(
        fmt::format("silent for {}: the log has an event for this group at {}, and the call has "
                    "told of nothing behind {}; wanted that event within {}",
                    FormatDuration(turn.now - parts_.liveness.since()), FormatPosition(*owed),
                    Place(told), FormatDuration(Liveness::kGrace)),
        parts_.frontier.reached(), turn);
  } else if (parts_.liveness.BeginLook(told, turn.now)) {
    Command& command = turn.Add(Command::Kind::kReadNext);
    command.number = parts_.link.call();
    command.from = told;
  }
}

void Planner::Persist(Turn& turn) {
  const bool may_write = parts_.origin.seen() && !parts_.store_failed && !parts_.distrusted;
  if (!may_write || (!parts_.pacer.writing() && parts_.pacer.Covers(parts_.ledger.watermark()))) {
    parts_.checkpoint_wait.Forget();  // Nothing is to be written any more.
  }
  if (!may_write) {
    return;
  }
  if (parts_.life.ending() && !parts_.AnyLives()) {
    parts_.pacer.Hurry();
  }
  if (parts_.checkpoint_wait.holds(turn.now)) {
    parts_.crowded_at = std::numeric_limits<std::uint64_t>::max();
    return;
  }
  if (const auto position =
          parts_.pacer.Next(parts_.ledger.watermark(), parts_.ledger.events(), turn.now)) {
    Command& command = turn.Add(Command::Kind::kPersist);
    command.from = position;
    command.event = parts_.ledger.last_event();
    parts_.checkpoint_wait.OnTry();
  }
  parts_.crowded_at = parts_.pacer.crowded_at();
}

// What was settled is still persisted, once the runner is gone and can settle nothing more; not so
// after a breach of the contract.
bool Planner::NothingIsUnderWay() const {
  if (!parts_.life.ending() || parts_.AnyLives()) {
    return false;
  }
  const bool written = parts_.distrusted || parts_.settled_is_durable();
  const bool reported = parts_.letter_writes.has_reported() || !parts_.parking.empty();
  const bool letters = !parts_.letters_given_up &&
                       ((reported && !parts_.letters_refused) || parts_.letter_writes.has_ours());
  return !parts_.origin.begun() || parts_.store_failed ||
         (written && !letters && !parts_.pacer.writing());
}

void Planner::Report(Turn& turn, bool finished) {
  if (parts_.life.Report({.begun = parts_.origin.begun(),
                          .been_live = parts_.link.been_live(),
                          .caught_up = parts_.catch_up.done(),
                          .runner_trouble = parts_.LaneTrouble(),
                          .call_trouble = parts_.trouble.text(),
                          .store_trouble = parts_.checkpoint_wait.trouble(),
                          .source_trouble = parts_.link.trouble()})) {
    turn.Add(Command::Kind::kStateChanged);
  }
  if (finished) {
    turn.Add(Command::Kind::kFinished);
  }
}

// A time that has become later is not taken back: the timer fires in vain once, which costs less
// than to set it anew with every event.
void Planner::Wake(Turn& turn) {
  const auto next = parts_.life.finished() ? std::nullopt : NextWake(turn.now);
  if (next && *next < parts_.wake_at) {
    parts_.wake_at = *next;
    turn.Add(Command::Kind::kWakeAt).at = parts_.wake_at;
  }
}

std::optional<std::chrono::nanoseconds> Planner::NextWake(std::chrono::nanoseconds now) const {
  std::optional<std::chrono::nanoseconds> next;
  const auto consider = [&next](std::optional<std::chrono::nanoseconds> time) {
    if (time && (!next || *time < *next)) {
      next = time;
    }
  };
  for (const Seat& seat : parts_.seats) {
    consider(seat.lane.wake_at());
  }
  if (parts_.link.connect_at() && *parts_.link.connect_at() > now) {
    consider(parts_.link.connect_at());
  }
  if (parts_.WantsFrames() && !parts_.life.ending()) {
    consider(parts_.liveness.wake_at(parts_.link.told()));
  }
  if (parts_.origin.seen() && !parts_.store_failed && !parts_.distrusted) {
    consider(parts_.checkpoint_wait.holds(now)
                 ? parts_.checkpoint_wait.retry_at()
                 : parts_.pacer.WakeAt(parts_.ledger.watermark(), now));
    if (MayAdvance(now)) {
      consider(parts_.next_advance);
    }
  }
  WakeForFailures(now, &next);
  return next;
}

void Planner::WakeForFailures(std::chrono::nanoseconds now,
                              std::optional<std::chrono::nanoseconds>* next) const {
  const auto consider = [&](std::optional<std::chrono::nanoseconds> at) {
    if (at && *at > now && (!*next || *at < **next)) {
      *next = at;
    }
  };
  if (parts_.life.ending()) {
    return;
  }
  consider(AlarmAt());
  if (parts_.breaker.open()) {
    consider(parts_.breaker.open_until());
  } else if (parts_.breaker.closed()) {
    for (const Seat& seat : parts_.seats) {
      if (seat.place.sequence != 0) {
        consider(seat.place.not_before);
      }
    }
    if (!parts_.CallsLetter()) {
      const auto at = parts_.book.NextAt(parts_.letter_calls.free_at());
      if (at <= now && !Heal(parts_).NextLetter(now)) {
        // It stands behind an event or a write, and is called when that is done, not at a time.
        // Another one may be called before.
        consider(parts_.letter_calls.free_at());
        consider(parts_.book.DueAfter(now));
      } else {
        consider(at);
      }
    }
  }
}

}  // namespace

void RunPlan(EngineParts& parts, Turn& turn) { Planner(parts).Run(turn); }

}  // namespace catchup
