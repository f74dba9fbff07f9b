#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "host/config/config.h"
#include "host/daemon/dispatch/delivery_window.h"
#include "host/daemon/runner/memory_watch.h"
#include "host/daemon/runner/runner_link.h"
#include "host/daemon/runner/runner_report.h"
#include "host/daemon/threads/gate.h"
#include "host/daemon/threads/reactor.h"
#include "host/engine/failure.h"
#include "host/plugins/runner_process.h"
#include "host/store/state_directory.h"

namespace catchup {

// What a group hears of its runner, each inside a turn of its gate.
class RunnerListener {
 public:
  // Something that may pass keeps the runner from being started; and does not any more, because it
  // has passed (`over`) or because nobody waits for it.
  virtual void OnSpawnWaits(const std::string& what) = 0;
  virtual void OnSpawnWaitEnds(bool over) = 0;
  virtual void OnRunnerReady(SpawnNumber spawn, const Outcome& ready) = 0;
  // Everything up to `last` returned OK. The same may come again.
  virtual void OnSettled(SpawnNumber spawn, Sequence last) = 0;
  // `failure` is what ClassOf says of it.
  virtual void OnFailed(SpawnNumber spawn, const BadOutcome& outcome, FailureClass failure) = 0;
  virtual void OnHung(SpawnNumber spawn, const RunnerLink::Overdue& overdue) = 0;
  // It has been killed.
  virtual void OnContractBroken(SpawnNumber spawn, const std::string& text) = 0;
  // The runner is idle and a fresh one would be better.
  virtual void OnReplaceable(SpawnNumber spawn, const std::string& why) = 0;
  // It never was: not wanted any more (kClean), or nothing can be started (kSetup).
  virtual void OnRunnerNotStarted(SpawnNumber spawn, ExitClass why, const std::string& text) = 0;
  // It has nearly all of the memory that it may have: another should take its place once its call
  // is over. The same may come again.
  virtual void OnRetirable(SpawnNumber spawn, const std::string& why) = 0;
  // Nothing that it does can count any more, and not by its plugin's fault.
  virtual void OnDiscardable(SpawnNumber spawn, const std::string& why) = 0;
  // Reaped.
  struct Gone {
    RunnerLink::Ending ending;
    bool asked = false;  // The host wanted it to end.
    LaneNumber lane = 0;
  };
  virtual void OnRunnerGone(SpawnNumber spawn, const Gone& gone) = 0;
  // The folder of the group was taken away while it ran.
  virtual void OnFolderLost(const std::string& text) = 0;
  // Now and then, while a runner is there.
  virtual void OnClock() = 0;
  // While the group drains, the ladder of the stop has its own times.
  virtual bool Draining() const = 0;
  // What a failed call means.
  virtual FailureClass ClassOf(std::int32_t status, std::string_view text) const = 0;
  // What is known of an event in flight.
  virtual EventFields Describe(Sequence sequence) const = 0;

 protected:
  ~RunnerListener() = default;
};

// A group's side towards the runner of one lane: starts one at a time, feeds its ring, takes what
// it says, keeps the clock of its calls, looks after its memory and reaps it. What it says is
// checked by the rings, and once one has broken the contract nothing more is taken from it.
//
// All functions: inside a turn of the gate.
class RunnerSide {
 public:
  struct Services {
    Reactor* reactor = nullptr;  // Spawns, since the death of a runner is tied to its spawner's.
    const RunnerBinary* binary = nullptr;
    const StateDirectory* state = nullptr;
    // Called on the reactor when a runner has ended: its plugin may have left processes behind.
    std::function<void(const std::string& group)> on_gone;
    const ControlGroups* control_groups = nullptr;  // Where this host was handed any.
    // Shared by the lanes of a group: no runner of an earlier host is left, on whichever lane.
    std::shared_ptr<bool> old_runners_gone = std::make_shared<bool>(false);
  };

  // `config` and `listener` must outlive it.
  RunnerSide(const GroupConfig& config, Services services, std::shared_ptr<Gate> gate,
             RunnerListener* listener, LaneNumber lane = 0);
  RunnerSide(const RunnerSide&) = delete;
  RunnerSide& operator=(const RunnerSide&) = delete;

  // Starts a runner with the group's plugin, once those of an earlier host are gone. Ends in
  // OnRunnerReady, OnRunnerNotStarted or OnRunnerGone. With `reset` the plugin's own position is
  // put there first.
  void Spawn(SpawnNumber spawn, std::uint64_t token, const std::filesystem::path& plugin,
             const std::optional<PositionReset>& reset = std::nullopt);

  // A spawn that is not there yet may be named too: it then never comes.
  void Drain(SpawnNumber spawn);
  void Abort(SpawnNumber spawn);
  void Kill(SpawnNumber spawn);
  // What the runner has and has not settled, it is to forget; only after a failure.
  void TakeBack(SpawnNumber spawn);
  bool cancelled(SpawnNumber spawn) const { return cancelled_spawn_ == spawn; }

  // Takes what the runner has said so far. True: there was more than one look takes.
  bool Poll();

  // Puts into the ring what the window has and the ring has room for. `place` says where an advance
  // goes to. The runner sees it once it is published.
  void Fill(DeliveryWindow* window, const std::function<Position(Sequence)>& place);
  void Publish();
  // Asks to be woken at `sequence`; where it is settled already, takes that.
  void WakeAt(Sequence sequence);
  bool takes_events() const;

  LaneNumber lane() const { return lane_; }
  // Something that may pass keeps a runner from being started.
  bool waits() const { return waiting_; }

  // The runner there is, 0 for none, and where it works.
  SpawnNumber spawn() const { return link_ != nullptr ? link_->spawn() : 0; }
  const StateDirectory::GroupData& data() const { return data_; }
  // That is not the group's data/ any more; something has found that out.
  void DataLost(SpawnNumber spawn);

  // The very end: kills and reaps what still runs; no other is started.
  void Close();

 private:
  using Clock = RunnerLink::Clock;
  struct Order {
    SpawnNumber spawn = 0;
    std::uint64_t token = 0;
    std::filesystem::path plugin;
    std::optional<PositionReset> reset;
    Clock::time_point since;
  };

  bool Current(SpawnNumber spawn) const { return link_ != nullptr && link_->spawn() == spawn; }
  void SpawnNow(const Order& order);
  std::optional<std::filesystem::path> FindOldRunner() const;
  int LockNumber() const { return static_cast<int>(lane_); }
  void AwaitOldRunner(const std::filesystem::path& lock, const Order& order);
  void SpawnLater(std::chrono::nanoseconds pause, const Order& order);
  Status Start(const Order& order, const RunnerLock& lock);
  Result<StateDirectory::GroupData> MakeDataDirectory();
  void GiveUp(SpawnNumber spawn, ExitClass why, const std::string& text);
  Status Watch(SpawnNumber spawn);
  void Unwatch();
  void OnWake(SpawnNumber spawn);
  void OnGone(SpawnNumber spawn);
  void TakeOutput(RunnerLink::ReadHow how);
  void SetClock();
  void OnClock();
  void CheckCall();
  void LookAtMemory();
  void TellLostLines();
  void Take(Outcome outcome);
  void TakeFailure(Outcome outcome);
  bool LostDataDirectory();
  void BreakContract(const std::string& text);

  const GroupConfig& config_;
  const Services services_;
  const std::shared_ptr<Gate> gate_;
  RunnerListener& listener_;
  const LaneNumber lane_;
  const RunnerReport report_;
  std::unique_ptr<RunnerLink> link_;
  StateDirectory::GroupData data_;  // Where it works.
  bool waiting_ = false;            // What for has been said.
  MemoryWatch memory_;              // Of this spawn, as the next.
  Clock::time_point next_memory_look_;
  bool told_unlimited_ = false;      // That no control group could be made;
  bool told_unseen_ = false;         // that its memory cannot be looked at.
  LinesByLevel told_lost_{};         // Log lines of this spawn that found no room.
  bool unpublished_ = false;         // Something lies in the ring that the runner does not see.
  SpawnNumber cancelled_spawn_ = 0;  // Cancelled before it was there.
  Reactor::TimerId clock_ = 0;
};

}  // namespace catchup
