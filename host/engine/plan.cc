#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// The steps of the plan, in their order.

namespace catchup {

void Engine::Plan(Turn& turn) {
  if (life_.finished()) {
    return;
  }
  do {
    Judge(turn);
    Pop(turn);
    DropSettledPlace();
    FollowCaughtUp(turn);
    PlanLane(turn);
    MaybeAdvance(turn);
    Deliver(turn);
    // Events that are letters already are done without a call.
  } while (std::exchange(letters_passed_, false));
  Relieve(turn);
  RaiseAlarm(turn);
  PlanSource(turn);
  Persist(turn);
  const bool finished = NothingIsUnderWay();
  if (finished) {
    life_.Finish();
  }
  Report(turn, finished);
  Wake(turn);
}

void Engine::PlanAgain(Tick tick, Commands* out) {
  Turn turn(tick, out);
  Plan(turn);
}

void Engine::Pop(Turn& turn) {
  const Ledger::Popped popped = ledger_.Pop();
  if (popped.places > 0) {
    if (popped.events > popped.parked) {
      counts_.handled += popped.events - popped.parked;
      if (!many_) {
        seats_.front().lane.OnSettled();
      }
    }
    pacer_.OnProgress(popped.events, turn.now);
  }
  if (released_ != ledger_.popped()) {
    released_ = ledger_.popped();
    if (many_) {
      streams_.Release(released_);
      suspects_.Release(released_);
    }
    turn.Add(Command::Kind::kRelease).last = released_;
  }
}

// What was in place is settled, or gone because the group went back.
void Engine::DropSettledPlace() {
  for (Seat& seat : seats_) {
    if (seat.place.sequence != 0 && !ledger_.IsPending(seat.place.sequence)) {
      seat.place = {};
    }
  }
  while (!park_asked_.empty() && *park_asked_.begin() <= ledger_.watermark()) {
    park_asked_.erase(park_asked_.begin());
  }
}

void Engine::FollowCaughtUp(const Turn& turn) {
  if (life_.ending()) {
    return;
  }
  if (catch_up_.OnSettled(ledger_.popped(), ledger_.watermark())) {
    pacer_.Hurry();
  }
  if (catch_up_.persisting() && pacer_.Covers(catch_up_.watermark())) {
    catch_up_.OnDurable();
    // Once, so that a letter that fails again and again keeps nothing from its end.
    letters_until_ = std::min(letters_until_, turn.now);
  }
  if (options_.stop_on_caught_up && catch_up_.done() && !CallsDueLetters()) {
    End(GroupState::kStopped, std::string(kCaughtUpReason), Lane::Force::kDrain,
        options_.drain_timeout);
  }
}

// Letters that were due when the group had caught up, and what they hand on, have a call each
// before it ends. An open breaker is not waited for.
bool Engine::CallsDueLetters() const {
  const auto next = book_.NextAt(std::chrono::nanoseconds::min());
  return breaker_.closed() && (CallsLetter() || (next && *next <= letters_until_));
}

void Engine::PlanLane(Turn& turn) {
  for (Seat& seat : seats_) {
    if (life_.ending()) {
      seat.lane.SpawnNone();
    }
    const SpawnNumber before = seat.lane.spawn();
    seat.lane.Plan(&spawns_, turn);
    if (seat.lane.spawn() != before && std::exchange(seat.restarting, false)) {
      ++counts_.restarts;
    }
  }
}

// What is made is handed out in the same plan: an event that came before that would stand in front
// of it.
bool Engine::MayAdvance(std::chrono::nanoseconds now) const {
  return position_mode_ && !life_.ending() && seats_.front().lane.takes() && !CallsLetter() &&
         (Plain() || (breaker_.closed() && !NextLetter(now))) && ledger_.Passable().has_value();
}

// Hands the plugin a position without events, past what the filter hides, so that its own store
// does not fall behind in a quiet log.
void Engine::MaybeAdvance(Turn& turn) {
  if (turn.now >= next_advance_ && MayAdvance(turn.now)) {
    next_advance_ = turn.now + options_.checkpoint_interval;
    ledger_.MakeAdvance();
  }
}

// A full window stays full while it is disconnected: what would come first had no place.
void Engine::PlanSource(Turn& turn) {
  if (life_.ending()) {
    link_.Cancel(turn);
  } else if (link_.connect_at() && turn.now >= *link_.connect_at() && HasRoom()) {
    frontier_.ForgetHeld();
    link_.Connect(frontier_.reached(), turn);
  }
}

void Engine::Persist(Turn& turn) {
  const bool may_write = origin_.seen() && !store_failed_ && !distrusted_;
  if (!may_write || (!pacer_.writing() && pacer_.Covers(ledger_.watermark()))) {
    checkpoint_wait_.Forget();  // Nothing is to be written any more.
  }
  if (!may_write) {
    return;
  }
  if (life_.ending() && !AnyLives()) {
    pacer_.Hurry();
  }
  if (checkpoint_wait_.holds(turn.now)) {
    crowded_at_ = std::numeric_limits<std::uint64_t>::max();
    return;
  }
  if (const auto position = pacer_.Next(ledger_.watermark(), ledger_.events(), turn.now)) {
    Command& command = turn.Add(Command::Kind::kPersist);
    command.from = position;
    command.event = ledger_.last_event();
    checkpoint_wait_.OnTry();
  }
  crowded_at_ = pacer_.crowded_at();
}

// What was settled is still persisted, once the runner is gone and can settle nothing more; not so
// after a breach of the contract.
bool Engine::NothingIsUnderWay() const {
  if (!life_.ending() || AnyLives()) {
    return false;
  }
  const bool written = distrusted_ || settled_is_durable();
  const bool reported = letter_writes_.has_reported() || !parking_.empty();
  const bool letters =
      !letters_given_up_ && ((reported && !letters_refused_) || letter_writes_.has_ours());
  return !origin_.begun() || store_failed_ || (written && !letters && !pacer_.writing());
}

void Engine::Report(Turn& turn, bool finished) {
  if (life_.Report({.begun = origin_.begun(),
                    .been_live = link_.been_live(),
                    .caught_up = caught_up(),
                    .runner_trouble = LaneTrouble(),
                    .call_trouble = trouble_.text(),
                    .store_trouble = checkpoint_wait_.trouble(),
                    .source_trouble = link_.trouble()})) {
    turn.Add(Command::Kind::kStateChanged);
  }
  if (finished) {
    turn.Add(Command::Kind::kFinished);
  }
}

// A time that has become later is not taken back: the timer fires in vain once, which costs less
// than to set it anew with every event.
void Engine::Wake(Turn& turn) {
  const auto next = life_.finished() ? std::nullopt : NextWake(turn.now);
  if (next && *next < wake_at_) {
    wake_at_ = *next;
    turn.Add(Command::Kind::kWakeAt).at = wake_at_;
  }
}

std::optional<std::chrono::nanoseconds> Engine::NextWake(std::chrono::nanoseconds now) const {
  std::optional<std::chrono::nanoseconds> next;
  const auto consider = [&next](std::optional<std::chrono::nanoseconds> time) {
    if (time && (!next || *time < *next)) {
      next = time;
    }
  };
  for (const Seat& seat : seats_) {
    consider(seat.lane.wake_at());
  }
  if (link_.connect_at() && *link_.connect_at() > now) {
    consider(link_.connect_at());
  }
  if (origin_.seen() && !store_failed_ && !distrusted_) {
    consider(checkpoint_wait_.holds(now) ? checkpoint_wait_.retry_at()
                                         : pacer_.WakeAt(ledger_.watermark(), now));
    if (MayAdvance(now)) {
      consider(next_advance_);
    }
  }
  WakeForFailures(now, &next);
  return next;
}

std::string_view Engine::CheckInvariants() const {
  for (const std::string_view wrong : {life_.CheckInvariants(), CheckLanes(),
                                       ledger_.CheckInvariants(), book_.CheckInvariants()}) {
    if (!wrong.empty()) {
      return wrong;
    }
  }
  const bool call = link_.has_call();
  const bool tries = link_.connect_at().has_value();
  if (heard_.index() != 0) {
    return "something that was heard is not judged";
  }
  if (life_.ending() && (call || tries)) {
    return "a group that ends has a call or a try that is to come";
  }
  if (life_.finished() && (AnyLives() || (pacer_.writing() && !store_failed_))) {
    return "a group has ended while something is under way";
  }
  if (origin_.begun() && !life_.ending() && call == tries) {
    return "a group that goes on has no call and no try to come, or both";
  }
  if (!origin_.begun() && (call || tries || ledger_.last() != 0)) {
    return "a group that has not begun has a call or events";
  }
  if (ledger_.parking() > parking_.size()) {
    return "an event becomes a letter of which nobody waits to hear";
  }
  if (breaker_.half_open() && ledger_.on_lane() > 1) {
    return "more than a probe is called";
  }
  // On another lane a call may end that began before.
  if (!many_ && breaker_.open() && (ledger_.on_lane() != 0 || CallsLetter())) {
    return "something is called though the breaker is open";
  }
  if (checkpoint_wait_.retry_at() && pacer_.writing()) {
    return "a checkpoint waits for its next try while one is written";
  }
  if (released_ != ledger_.popped()) {
    return "buffers are kept of what is settled";
  }
  return {};
}

std::string_view Engine::CheckLanes() const {
  std::size_t on_lanes = 0;
  for (const Seat& seat : seats_) {
    if (const std::string_view wrong = CheckSeat(seat); !wrong.empty()) {
      return wrong;
    }
    on_lanes += seat.has.size();
  }
  if (!many_) {
    return seats_.front().lane.takes() && ledger_.waits() && Plain()
               ? "events wait though the lane takes them"
               : "";
  }
  if (on_lanes != ledger_.on_lane()) {
    return "other events are on the lanes than their runners have";
  }
  const auto idle = [this](const Seat& seat) { return IsIdle(seat) && seat.place.sequence == 0; };
  if (Plain() && streams_.Next() != 0 && std::any_of(seats_.begin(), seats_.end(), idle)) {
    return "events wait though a lane is idle";
  }
  return streams_.CheckInvariants();
}

std::string_view Engine::CheckSeat(const Seat& seat) const {
  if (const std::string_view wrong = seat.lane.CheckInvariants(); !wrong.empty()) {
    return wrong;
  }
  if (life_.ending() && seat.lane.spawn_at()) {
    return "a group that ends has a runner that is to come";
  }
  if (life_.started() && !life_.ending() && seat.lane.alive() == seat.lane.spawn_at().has_value()) {
    return "a group that goes on has no runner and none to come, or both";
  }
  const bool has_events = many_ ? !seat.has.empty() : ledger_.on_lane() != 0;
  if (!seat.lane.alive() && (has_events || CallsLetter(seat))) {
    return "events are on a lane without a runner";
  }
  if (CallsLetter(seat) && has_events) {
    return "a letter is called beside events";
  }
  if (seat.place.sequence != 0 && !ledger_.IsPending(seat.place.sequence)) {
    return "what is in place is settled";
  }
  if (many_ && seat.place.sequence != 0 && streams_.Waits(seat.place.sequence)) {
    return "what is in place on one lane waits for any";
  }
  for (const Sequence sequence : seat.has) {
    if (!ledger_.IsOnLane(sequence) || streams_.Waits(sequence)) {
      return "a runner has what is not on its lane";
    }
    for (const Seat& other : seats_) {
      const bool shared = std::any_of(other.has.begin(), other.has.end(), [&](Sequence one) {
        return &other != &seat && streams_.OfOneStream(one, sequence);
      });
      if (shared) {
        return "two lanes have events of one stream";
      }
    }
  }
  return std::is_sorted(seat.has.begin(), seat.has.end())
             ? std::string_view()
             : std::string_view("a runner has events out of their order");
}

}  // namespace catchup
