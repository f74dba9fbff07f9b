#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "host/base/stop_budget.h"
#include "host/engine/runner_pacing.h"
#include "host/engine/turn.h"

namespace catchup {

// One runner of a group at a time: which spawn it is, how far it has got, when the next one comes,
// and how it is made to end. Knows nothing of events. A group of N lanes has N of these.
//
// A runner is asked to end by the ladder drain, abort, kill. It is climbed by whoever presses, and
// by time: who does not drain within the patience given is aborted, who survives that by
// kStopPatience is killed. It only ever goes up for one spawn.
//
// What is asked of it takes effect in Plan.
class Lane {
 public:
  explicit Lane(LaneNumber number = 0) : number_(number) {}

  enum class Force : std::uint8_t { kNone, kDrain, kAbort, kKill };

  // --- What is asked of it. ---

  // The next runner is to be spawned at `when`; the time of the last one is over.
  void SpawnAt(std::chrono::nanoseconds when) { spawn_at_ = when; }
  void SpawnNone() { spawn_at_.reset(); }

  // The runner is to end; for `patience` it may take its time before the next rung. Without a
  // runner it asks for nothing. `why` is for people.
  void Press(Force force, std::chrono::nanoseconds patience, std::string why = {});

  // --- What is heard of it. ---

  // Whether `spawn` is the runner that there is: what any other says is late.
  bool Is(SpawnNumber spawn) const { return alive() && spawn == spawn_; }
  void OnReady(std::chrono::nanoseconds now);
  // Also where it never was there.
  void OnExited();

  // The group was given up and is tried again; before the first spawn.
  void SetOnProbation() { pacing_.SetOnProbation(); }
  bool on_probation() const { return pacing_.on_probation(); }

  // It died and another is to follow, or not any more; see RunnerPacing.
  RunnerPacing::Verdict OnDeath(std::chrono::nanoseconds now, std::uint64_t random,
                                bool charged = false);
  std::uint64_t deaths() const { return pacing_.deaths(); }
  void Forgive(std::uint64_t deaths) { pacing_.Forgive(deaths); }
  void OnSettled() { pacing_.OnSettled(); }

  // It could not begin for want of what its plugin depends on; the next one comes after a wait that
  // this returns. No death, and never given up.
  std::chrono::nanoseconds Wait(std::chrono::nanoseconds now, std::uint64_t random);
  std::uint64_t waits() const { return waits_; }  // In a row.

  // Why the group waits for a runner; empty when it does not. Over once one is ready.
  void SetTrouble(std::string trouble) { trouble_ = std::move(trouble); }
  const std::string& trouble() const { return trouble_; }

  // Adds what is to be done by now. A spawn takes the number behind `*spawns`, which all lanes of a
  // group share.
  void Plan(SpawnNumber* spawns, Turn& turn);

  // When Plan has something to do without further input.
  std::optional<std::chrono::nanoseconds> wake_at() const {
    return alive() ? climb_at_ : spawn_at_;
  }

  LaneNumber number() const { return number_; }
  bool alive() const { return state_ != State::kNone; }
  bool starting() const { return state_ == State::kStarting; }
  // Whether it takes events.
  bool takes() const { return state_ == State::kReady && wanted_ == Force::kNone; }
  Force pressed() const { return wanted_; }
  // Why it was pressed first, where somebody said so, or that its drain took too long. Of the last
  // runner until the next is spawned.
  const std::string& why() const { return why_; }
  SpawnNumber spawn() const { return spawn_; }
  const std::optional<std::chrono::nanoseconds>& spawn_at() const { return spawn_at_; }

  // What is wrong in here; empty when nothing is.
  std::string_view CheckInvariants() const;

 private:
  enum class State : std::uint8_t { kNone, kStarting, kReady };

  void Climb(Turn& turn);
  void Ask(Command::Kind kind, Turn& turn) const;

  const LaneNumber number_;
  State state_ = State::kNone;
  SpawnNumber spawn_ = 0;
  std::optional<std::chrono::nanoseconds> spawn_at_;

  Force wanted_ = Force::kNone;
  Force force_ = Force::kNone;  // Commanded.
  std::chrono::nanoseconds patience_{};
  std::string why_;
  std::optional<std::chrono::nanoseconds> climb_at_;

  RunnerPacing pacing_;
  std::uint32_t waits_ = 0;
  std::string trouble_;
};

}  // namespace catchup
