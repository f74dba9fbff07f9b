#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "host/config/config.h"
#include "host/daemon/dispatch.h"
#include "host/daemon/event_fields.h"
#include "host/daemon/reactor.h"
#include "host/daemon/runner_link.h"
#include "host/daemon/worker.h"
#include "host/plugins/plugin_file.h"
#include "host/plugins/runner_process.h"
#include "host/source/source.h"
#include "host/store/checkpoint_store.h"
#include "host/store/state_directory.h"

namespace catchup {

// What a group needs of the host. Everything must outlive the group.
struct GroupServices {
  Reactor* reactor = nullptr;
  const RunnerBinary* runner = nullptr;
  const StateDirectory* state = nullptr;
  const std::vector<std::filesystem::path>* plugin_directories = nullptr;
  // Where the server is now. Any thread; waits for nothing.
  std::function<std::string()> address;
  // Opens a connection of the group's own.
  std::function<Result<std::unique_ptr<Source>>(const std::string& address,
                                                const std::string& group)>
      open_source;
  // Ends a source elsewhere, since that waits for its thread. Any thread, under any lock.
  std::function<void(std::shared_ptr<Source>)> retire_source;
  // Called on the reactor when a runner has ended: its plugin may have left processes behind.
  std::function<void(const std::string& group)> on_runner_gone;
  // Called once, on any thread, when the group has reached a final state.
  std::function<void()> on_finished;
};

// A group at a glance.
struct GroupStatus {
  std::string name;
  GroupState state = GroupState::kIdle;
  std::string reason;
  std::uint64_t processed = 0;  // Events handled in this run.
  std::uint64_t skipped = 0;
  std::uint64_t restarts = 0;
  double rate = 0;  // Events a second since the last Glance.
  std::optional<Position> position;
  std::optional<Position> head;
  // When the next try is due that the reason speaks of.
  std::optional<std::chrono::steady_clock::time_point> retry_at;
  bool finished = false;
};

// One group: the engine with its adapters around it. Frames arrive on the source's thread,
// outcomes, exits and timers on the reactor's, store results on the group's worker; a mutex makes
// one sequence of them, and the engine's commands are carried out under it.
class Group final : public CommandHandler, public std::enable_shared_from_this<Group> {
 public:
  Group(const GroupConfig& config, GroupServices services, bool stop_on_caught_up);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // Opens the store, finds the plugin and starts. Does not block: what fails becomes the group's
  // final state, and what the machine lacks is waited for. Once.
  void Start();

  // Drains and stops; a second call forces. Returns at once.
  void Stop();

  // Ends what is left without ceremony: the runner is killed, no callback comes any more. Before
  // the reactor goes.
  void Close();

  GroupStatus Glance();
  std::chrono::milliseconds drain_timeout() const { return config_.drain_timeout; }

  // The newest event of the log, for the place in it that is shown. Any thread.
  void SetHead(const std::optional<Position>& head);
  // True once the durable checkpoint is everything that was handled, or the group never ran.
  bool CheckpointSafe();

 private:
  class CallSink;

  // Inputs; each takes the mutex.
  bool OnEvent(CallNumber call, std::unique_ptr<EventFrame> frame);
  bool OnCheckpoint(CallNumber call, Position position);
  bool OnCaughtUp(CallNumber call, std::optional<Position> position);
  void OnEnded(CallNumber call, const EndOfCall& end);
  void OnVersion(CallNumber call, const Result<std::string>& version);
  void AskForLastRecord(CallNumber call, std::optional<Position> head);
  void OnEndOfLog(CallNumber call, const Result<std::optional<Position>>& end);
  void OnHead(CallNumber call, const Result<std::optional<Position>>& head);
  void OnRunnerWake(SpawnNumber spawn);
  void OnRunnerOutput(SpawnNumber spawn);
  void OnRunnerGone(SpawnNumber spawn);
  void OnClock();

  // Makes what the group's own thread needs; tries again until the machine has it.
  void Begin();
  Status TakeThreads();

  // On the worker.
  void Prepare();
  Status OpenStore();
  Status StagePluginFile();
  Status ResolveStart();
  void PrepareSpawn(SpawnNumber spawn);
  Status RestagePlugin();
  void SaveCheckpoint(Position position, std::optional<Position> event, bool may_go_back,
                      const std::optional<Witness>& handled);
  void TakeBackToken();
  void AcceptFilter(SpawnNumber spawn, bool position_mode);
  Status ReadHeadNow(std::optional<Position>* head);
  Status WaitOut(std::string_view what, const std::function<Status()>& step,
                 const std::function<bool()>& wanted);

  // On the reactor.
  void SpawnLater(std::chrono::nanoseconds pause, SpawnNumber spawn, std::uint64_t token,
                  RunnerLink::Clock::time_point since);
  void SpawnNow(SpawnNumber spawn, std::uint64_t token, RunnerLink::Clock::time_point since);
  Status StartRunner(SpawnNumber spawn, std::uint64_t token, const RunnerLock& lock);
  Result<StateDirectory::GroupData> MakeDataDirectory();

  // Commands; with the mutex held, as what follows.
  void SpawnRunner(SpawnNumber spawn) override;
  void DrainRunner(SpawnNumber spawn) override;
  void AbortRunner(SpawnNumber spawn) override;
  void KillRunner(SpawnNumber spawn) override;
  void Connect(CallNumber call) override;
  void ReadEnd(CallNumber call, Position from) override;
  void Probe(CallNumber call, Position from) override;
  void Subscribe(CallNumber call, std::optional<Position> from) override;
  void CancelSubscription(CallNumber call) override;
  void Persist(Position position, std::optional<Position> event) override;
  void SetTimer(TimerKind kind, std::chrono::nanoseconds delay) override;
  void CancelTimer(TimerKind timer) override;
  void Notice(const Command& notice) override;
  void StateChanged() override;
  void Finished() override;
  void CommandsDone() override;

  void Execute();
  Status FollowServer();
  // Who waits for something that the engine does not know of.
  enum class Waiter : std::uint8_t { kWorker, kSpawn };
  void WaitFor(Waiter who, const std::string& what);
  void EndWait(Waiter who, bool over);
  void FailBeforeStart(const std::string& reason);
  bool PollRunner();
  Status WatchRunner(SpawnNumber spawn);
  void UnwatchRunner();
  void DropRunner();
  void TakeOutput(RunnerLink::ReadHow how);
  void LogCrash(std::string_view msg, const CrashRecord& crash);
  void TellDroppedLines();
  void ReplaceSwollenRunner();
  bool LostDataDirectory();
  void LookAfterFiles();
  void TakeOutcome(Outcome outcome);
  void TakeReady(const Outcome& outcome);
  void TakeFailure(Outcome outcome);
  void ContractBroken(const std::string& text);
  void PumpRing();
  void UpdateFlow();
  void LogProgress();
  std::pair<GroupState, std::string> StateAndReason() const;
  // Of an event that is not settled yet.
  EventFields FieldsOf(Sequence sequence) const;
  bool Current(SpawnNumber spawn) const { return link_ != nullptr && link_->spawn() == spawn; }
  Engine& engine() { return dispatch_.engine(); }
  const Engine& engine() const { return dispatch_.engine(); }
  Commands* commands() { return dispatch_.commands(); }
  Tick Now();

  const GroupConfig config_;
  const GroupServices services_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();

  std::mutex mutex_;
  Dispatch dispatch_;
  std::chrono::steady_clock::time_point now_ = started_;  // Of the last tick.
  std::mt19937_64 random_;

  std::shared_ptr<Source> source_;
  std::unique_ptr<Subscription> subscription_;
  CallNumber call_ = 0;
  bool says_caught_up_ = false;  // The server of this call.
  bool paused_ = false;
  std::optional<Position> head_;

  std::shared_ptr<RunnerLink> link_;
  StateDirectory::GroupData data_;   // Where this runner works.
  std::uint64_t told_dropped_ = 0;   // Log lines of this spawn that found no room.
  SpawnNumber cancelled_spawn_ = 0;  // Not wanted any more before it was there.
  Reactor::TimerId clock_timer_ = 0;
  std::array<Reactor::TimerId, kTimerKinds> timers_{};
  // When the two that a group waits for are due.
  std::array<std::optional<std::chrono::steady_clock::time_point>, kTimerKinds> due_{};

  // On the worker only, but for the record's copy below.
  std::unique_ptr<CheckpointStore> store_;
  std::optional<StagedPlugin> plugin_;
  bool files_asked_ = false;  // With the mutex, as the next.
  std::chrono::steady_clock::time_point next_files_look_ = started_;

  bool filter_changed_ = false;  // The store does not hold the new one yet.
  bool started_engine_ = false;
  bool stop_requested_ = false;
  bool finished_ = false;
  bool closed_ = false;
  std::optional<std::string> failed_before_start_;  // Why; empty when it was stopped.
  std::array<std::string, 2> waits_for_;            // By Waiter; empty while it does not wait.
  GroupState logged_state_ = GroupState::kIdle;
  std::uint64_t logged_handled_ = 0;
  std::uint64_t error_count_ = 0;
  std::chrono::steady_clock::time_point logged_at_ = started_;
  std::uint64_t rated_handled_ = 0;
  std::chrono::steady_clock::time_point rated_at_ = started_;

  Worker worker_;  // Last: its jobs use the rest.
};

}  // namespace catchup
