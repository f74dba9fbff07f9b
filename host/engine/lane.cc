#include "host/engine/lane.h"

#include <fmt/core.h>

#include "host/base/time_text.h"
#include "host/engine/backoff.h"

namespace catchup {

void Lane::Press(Force force, std::chrono::nanoseconds patience, std::string why) {
  if (alive() && force > wanted_) {
    wanted_ = force;
    patience_ = patience;
    if (why_.empty()) {
      why_ = std::move(why);
    }
  }
}

void Lane::OnReady(std::chrono::nanoseconds now) {
  state_ = State::kReady;
  pacing_.OnBegun(now);
  waits_ = 0;
  trouble_.clear();
}

void Lane::OnExited() {
  state_ = State::kNone;
  wanted_ = force_ = Force::kNone;
  climb_at_.reset();
}

RunnerPacing::Verdict Lane::OnDeath(std::chrono::nanoseconds now, std::uint64_t random,
                                    bool charged) {
  const RunnerPacing::Verdict verdict = pacing_.OnDeath(now, random, charged);
  if (!verdict.give_up) {
    SpawnAt(now + verdict.delay);
  }
  return verdict;
}

std::chrono::nanoseconds Lane::Wait(std::chrono::nanoseconds now, std::uint64_t random) {
  constexpr Backoff kWait{std::chrono::seconds(1), std::chrono::seconds(60)};
  const auto delay = kWait.Delay(waits_++, random);
  SpawnAt(now + delay);
  return delay;
}

void Lane::Ask(Command::Kind kind, Turn& turn) const {
  Command& command = turn.Add(kind);
  command.number = spawn_;
  command.lane = number_;
}

void Lane::Plan(SpawnNumber* spawns, Turn& turn) {
  if (alive()) {
    Climb(turn);
  } else if (spawn_at_ && turn.now >= *spawn_at_) {
    spawn_at_.reset();
    why_.clear();
    state_ = State::kStarting;
    spawn_ = ++*spawns;
    Ask(Command::Kind::kSpawnRunner, turn);
  }
}

void Lane::Climb(Turn& turn) {
  if (climb_at_ && turn.now >= *climb_at_) {
    if (force_ == Force::kDrain) {
      Press(Force::kAbort, kStopPatience,
            fmt::format("it had not stopped when drain_timeout = {} was over",
                        DescribeDuration(
                            std::chrono::duration_cast<std::chrono::milliseconds>(patience_))));
    } else {
      Press(Force::kKill, {});
    }
  }
  if (wanted_ == force_) {
    return;
  }
  force_ = wanted_;
  switch (force_) {
    case Force::kNone:
      break;
    case Force::kDrain:
      Ask(Command::Kind::kDrainRunner, turn);
      break;
    case Force::kAbort:
      Ask(Command::Kind::kAbortRunner, turn);
      break;
    case Force::kKill:
      Ask(Command::Kind::kKillRunner, turn);
      break;
  }
  climb_at_ = force_ == Force::kKill ? std::nullopt : std::optional(turn.now + patience_);
}

std::string_view Lane::CheckInvariants() const {
  if (alive() == spawn_at_.has_value() && alive()) {
    return "a runner is to be spawned while one lives";
  }
  if (!alive() && (wanted_ != Force::kNone || climb_at_)) {
    return "nobody is asked to end";
  }
  if (wanted_ != force_) {
    return "what was asked for was not commanded";
  }
  const bool climbs = force_ == Force::kDrain || force_ == Force::kAbort;
  if (climbs != climb_at_.has_value()) {
    return "a runner that is to end, and not killed yet, has no time for it";
  }
  return {};
}

}  // namespace catchup
