#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/daemon/dispatch.h"
#include "tests/sim/faults.h"
#include "tests/sim/history.h"
#include "tests/sim/random.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sim_plugin.h"
#include "tests/sim/sim_server.h"
#include "tests/sim/transitions.h"

namespace catchup::sim {

// An event on its way through the simulated host.
class SimFrame final : public EventFrame {
 public:
  SimFrame(std::size_t in_log, EventName name) : index(in_log) {
    event.stream = name.stream;
    event.type = name.type;
  }
  const std::size_t index;  // Of the log.
};

// One group in a simulated world: a server, a plugin, a checkpoint store, and one host process
// after the other, each of which ends by a kill, a stop or a failure; the last one is left alone
// until it has caught up. Everything comes from the seed.
class World final : public CommandHandler {
 public:
  World(std::uint64_t seed, FaultCounts* faults, TransitionsSeen* transitions);

  // Runs to the end. Empty when every process behaved as an adapter may expect; else what was
  // wrong, by which this history fails whatever the checker says.
  std::string Run();

  const History& history() const { return history_; }

 private:
  using Duration = std::chrono::nanoseconds;

  // What a runner was handed: an event, or an advance (event is none).
  struct Item {
    Sequence sequence = 0;
    std::optional<std::size_t> event;
    Position position;
    bool alone = false;
  };

  struct Runner {
    SpawnNumber spawn = 0;
    std::uint64_t token = 0;
    bool ready = false;
    bool busy = false;
    bool draining = false;
    bool stuck = false;  // In a call that does not return.
    bool ignores_abort = false;
    bool discarded = false;
    std::vector<Item> posted;  // Applied; the outcome lies in the ring.
    std::deque<Item> queue;
    std::optional<Position> position;  // Last stored, in position mode.
  };

  static History MakeHistory(Random* random);

  // A host process.
  void Boot(bool last);
  void PowerOff();  // The process is gone, with whatever it had not made durable.
  void PlanTheEnd();

  void Input(Cause cause, const std::function<void(Commands*)>& input);

  // Commands.
  void SpawnRunner(LaneNumber lane, SpawnNumber spawn) override;
  void DrainRunner(LaneNumber lane, SpawnNumber spawn) override;
  void AbortRunner(LaneNumber lane, SpawnNumber spawn) override;
  void KillRunner(LaneNumber lane, SpawnNumber spawn) override;
  void Connect(CallNumber call) override;
  void ReadEnd(CallNumber call, Position from) override;
  void Probe(CallNumber call, Position from) override;
  void Subscribe(CallNumber call, std::optional<Position> from) override;
  void CancelSubscription(CallNumber call) override;
  void TakeBack(LaneNumber lane, SpawnNumber spawn) override;
  void CallLetter(LaneNumber lane, Position position) override;
  void ChangeLetters(const Command& change) override;
  void Persist(Position position, std::optional<Position> event) override;
  void WakeAt(Duration at) override;
  void Notice(const Command& notice) override;
  void StateChanged() override;
  void Finished() override;
  void CommandsDone() override;

  void Store();
  EventName NameOf(std::size_t event) const;
  bool DiskIsFull();
  void FindNoRoom();
  void ExpectWait(std::string_view what);
  std::optional<Position> EndOfLog(Position from);
  void NoteResume(std::optional<Position> from);
  void CheckEngine();
  void Pump();
  void PumpFrame(CallNumber call);
  void Receive(const Frame& frame);
  void SubscriptionFault();
  void SendNonsense();
  Position Nowhere();
  Position Foreign();
  bool IsForeign(Position position) const;
  void NoteAnnouncement(Position position);

  bool EventsInFlight() const;

  // Runner.
  void FindNoRoomForToken(SpawnNumber spawn);
  void FailToRaiseToken(SpawnNumber spawn);
  void StartRunner(SpawnNumber spawn);
  void RunnerSetUp(SpawnNumber spawn);
  void FillRing();
  void Work();
  void Finish(const std::vector<Item>& batch);
  bool CallGoesWrong(const std::vector<Item>& batch);
  void FindBreach();
  void FailInSetUp(SpawnNumber spawn);
  void FailInCall(const std::vector<Item>& batch, std::size_t some);
  void AskForAnotherRunner();
  void Apply(const std::vector<Item>& batch, std::size_t count);
  void ApplyAt(const std::vector<Item>& batch);
  void Post(const std::vector<Item>& batch, std::size_t count);
  void DrainRing();
  void Die(ExitClass exit_class, Sequence charged, bool asked);
  void ForceRunner(bool kill);
  void LeaveZombie(const std::vector<Item>& batch);
  void StaleReport(SpawnNumber spawn, Sequence last);
  bool RestorePlugin();

  void After(Duration delay, std::function<void()> work);    // Of this process.
  void Outside(Duration delay, std::function<void()> work);  // Whatever lives then.
  Duration Between(std::uint64_t low_us, std::uint64_t high_us);
  bool Trouble(std::uint64_t permille);
  void Note(Record record) {
    record.at = scheduler_.now();
    history_.records.push_back(record);
  }
  void Wrong(std::string text);
  Tick Now() { return {.now = scheduler_.now(), .random = random_.Next()}; }

  Random random_;
  FaultCounts& faults_;
  TransitionsSeen& transitions_;
  Scheduler scheduler_;
  History history_;
  PluginStore plugin_;
  SimServer server_;
  EngineOptions options_;
  std::string wrong_;

  bool truthful_ = true;    // No two wrong announcements in a row yet.
  bool caught_up_ = false;  // As the engine said last.
  bool filter_changed_ = false;
  bool old_servers_ = false;   // Some of the nodes are.
  bool foreign_ = false;       // The checkpoint or the start is of another log.
  bool restored_log_ = false;  // From a backup older than what was read; it grows no more.
  bool told_short_ = false;    // To this process: the log ended before where it would resume.
  bool misplaced_ = false;     // A plugin of this process said that it stands where it does not.
  bool log_grew_ = false;      // After that, though it is another one.
  bool vouches_ = false;  // An end was told that lay too early, so the engine may probe for it.
  std::uint64_t process_ = 0;
  std::uint64_t processes_ = 0;
  std::uint64_t intensity_ = 100;  // Per cent of the rates that faults are written with.
  bool alive_ = false;
  bool last_ = false;
  bool cut_ = false;  // A call of this process was cut off by its stop.
  bool store_failed_ = false;
  bool breach_ = false;  // Found in the ring of a runner of this process.
  bool crash_loop_ = false;
  bool finished_ = false;
  bool done_ = false;
  std::uint64_t token_ = 0;
  std::unique_ptr<Dispatch> dispatch_;
  Engine* engine_ = nullptr;  // In dispatch_.
  std::unique_ptr<Runner> runner_;

  CallNumber call_ = 0;
  bool call_open_ = false;
  bool subscribed_ = false;
  bool end_told_ = false;        // On this call.
  std::optional<Position> end_;  // What was told.
  Position asked_about_;         // For whether it lies beyond that.
  bool frame_asked_ = false;
  bool place_opened_ = false;             // A subscription was opened from where the plugin stands.
  std::optional<Position> stored_;        // In the checkpoint store.
  std::optional<Position> stored_event_;  // Beside it.
  std::optional<Position> restored_;      // Where the plugin's store was put back to last.
  std::optional<Position> writing_;       // Not durable yet.
  std::optional<Position> writing_event_;
  Duration full_until_{};                // The disk; whichever process finds it so.
  std::optional<Duration> no_room_at_;   // The write asked for last found none; when that was said.
  std::optional<Duration> no_token_at_;  // As much of the token of a spawn.
  bool hurried_ = false;                 // A write was asked for again at once, because of the end.
  bool persist_open_ = false;            // Asked for, and the engine has no answer yet.
  std::uint64_t wakes_ = 0;              // Asked for.
  std::optional<Duration> wake_at_;
};

}  // namespace catchup::sim
