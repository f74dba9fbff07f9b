#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "host/config/config.h"
#include "host/daemon/dispatch/dispatch.h"
#include "host/daemon/group/group_report.h"
#include "host/daemon/group/start_path.h"
#include "host/daemon/letters/letter_side.h"
#include "host/daemon/orders/letter_desk.h"
#include "host/daemon/runner/runner_side.h"
#include "host/daemon/source/head_witness.h"
#include "host/daemon/source/source_side.h"
#include "host/daemon/store/first_writes.h"
#include "host/daemon/store/store_side.h"
#include "host/daemon/threads/gate.h"
#include "host/daemon/threads/reactor.h"

namespace catchup {

// What a group needs of the host. Everything must outlive the group and what it has posted.
struct GroupServices {
  Reactor* reactor = nullptr;
  WorkerPool* pool = nullptr;  // For the stores of all groups.
  const RunnerBinary* runner = nullptr;
  const StateDirectory* state = nullptr;
  const std::vector<std::filesystem::path>* plugin_directories = nullptr;
  const ControlGroups* control_groups = nullptr;  // Where this host was handed any.
  SourceSide::Services source;
  SinkServices sinks;
  // Called on the reactor when a runner has ended: its plugin may have left processes behind.
  std::function<void(const std::string& group)> on_runner_gone;
  // Called once, on any thread, when the group has reached a final state.
  std::function<void()> on_finished;
};

// One incarnation of a group, from its start to its end: the engine with its adapters around it.
// Frames arrive on a source's thread, outcomes, exits and timers on the reactor's, results of the
// store on the pool's. Each takes a turn of the gate, becomes one input of the engine, and what the
// engine asks for is carried out before the next turn.
class Group final : private CommandHandler,
                    private RunnerListener,
                    private SourceListener,
                    private LetterListener {
 public:
  // `on_probation`: an earlier incarnation was given up, and this one is to see whether it is worth
  // while again.
  Group(const GroupConfig& config, const GroupServices& services, bool stop_on_caught_up,
        bool on_probation = false);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // Opens the store, finds the plugin and starts. Does not block: what fails becomes the group's
  // final state, and what the machine lacks is waited for. Once.
  void Start();

  // Drains and stops; a second call forces. Returns at once.
  void Stop();

  // Has what the operator wants from now on written to its store. `done` comes once, on any thread,
  // perhaps at once, and not from a group that is closed meanwhile; it must not call back. kOk: it
  // is durable. A group that has no store yet, or none any more, says so.
  void StoreDesired(DesiredState desired, std::function<void(const Status&)> done);

  // Has `read` called with what reads its letters, on a thread of the pool. False: it does not have
  // them open, and nothing is called. Any thread.
  bool ReadLetters(LetterRead read);
  // Takes what an operator decides about its letters. Answered in a turn, so `reply` must not call
  // back; not answered where the group ends first. Any thread.
  void OrderLetter(const LetterCommand& order, const std::string& by, LetterDesk::Reply reply);

  // Its preparations are over, and it did not end by them.
  bool started();

  // Once it has ended: waits until its sinks have every step of its letters, as far as they work,
  // and says of which they do not.
  void SettleSinks(std::chrono::steady_clock::time_point deadline);

  // Ends what is left without ceremony: the runner is killed, no callback comes any more. Waits for
  // the source to end, so not on a source's thread; before the reactor goes.
  void Close();

  GroupStatus Glance();

  // Whoever this host is for the server is another now. Any thread.
  void AccessChanged();

  // The node at `from` does not serve any more, and the one at `to` does. Any thread.
  void LeaveNode(const std::string& from, const std::string& to);

  // The newest event of the log, for the place in it that is shown, for calls that are silent, and
  // to know the log by. Any thread.
  void SetHead(const std::optional<Witness>& head);
  // True once the durable checkpoint is everything that was handled, or the group never ran.
  bool CheckpointSafe();

 private:
  // Commands of the engine.
  void SpawnRunner(LaneNumber lane, SpawnNumber spawn) override;
  void DrainRunner(LaneNumber lane, SpawnNumber spawn) override { runners_[lane]->Drain(spawn); }
  void AbortRunner(LaneNumber lane, SpawnNumber spawn) override { runners_[lane]->Abort(spawn); }
  void KillRunner(LaneNumber lane, SpawnNumber spawn) override { runners_[lane]->Kill(spawn); }
  void Connect(CallNumber call, bool to_leader) override {
    head_witness_.Forget();
    source_.Connect(call, to_leader);
  }
  void ReadEnd(CallNumber call, Position from) override { source_.ReadEnd(call, from); }
  void ReadWitness(CallNumber call, const KnownWitness& witness) override {
    source_.ReadWitness(call, witness);
  }
  void ReadWitnessStream(CallNumber call, const KnownWitness& witness) override {
    source_.ReadWitnessStream(call, witness);
  }
  void Probe(CallNumber call, Position from) override { source_.Probe(call, from); }
  void Subscribe(CallNumber call, std::optional<Position> from) override {
    source_.Subscribe(call, from);
  }
  void ReadNext(CallNumber call, std::optional<Position> behind) override {
    source_.ReadNext(call, behind);
  }
  void CancelSubscription(CallNumber, bool silent) override { source_.Cancel(silent); }
  void MissSource() override { source_.Miss(); }
  void SourceFound() override { source_.Found(); }
  void TakeBack(LaneNumber lane, SpawnNumber spawn) override { runners_[lane]->TakeBack(spawn); }
  void CallLetter(LaneNumber lane, Position position) override;
  void ChangeLetters(const Command& change) override;
  void Persist(Position position, std::optional<Position> event,
               const std::optional<Witness>& handled) override;
  void WakeAt(std::chrono::nanoseconds at) override;
  void Notice(const Command& notice) override { report_.Notice(notice); }
  void StateChanged() override { report_.StateChanged(); }
  void Finished() override;
  void TellFinished();
  void CommandsDone() override;

  // From the source.
  bool Skips(const EventFrame& frame) const;
  void OnServerKnown(CallNumber call, const ServerTraits& traits) override;
  void OnEndKnown(CallNumber call, std::optional<Position> end) override;
  void OnWitness(CallNumber call, const std::optional<FirstRecord>& first) override;
  void OnWitnessStream(CallNumber call, const StreamRevision& found) override;
  void OnProbed(CallNumber call, std::optional<Position> found) override;
  void OnHead(CallNumber call, const std::optional<Witness>& head) override;
  void OnNext(CallNumber call, const Answer<std::optional<Position>>& next) override;
  void OnEvent(CallNumber call, std::unique_ptr<EventFrame> frame) override;
  void OnCheckpoint(CallNumber call, Position position) override;
  void OnCaughtUp(CallNumber call, std::optional<Position> position) override;
  void OnEnded(CallNumber call, const EndOfCall& end) override;
  void OnSourceAnswers() override;

  // From the runner.
  void OnSpawnWaits(const std::string& what) override;
  void OnSpawnWaitEnds(bool over) override;
  void OnRunnerReady(SpawnNumber spawn, const Outcome& ready) override;
  void OnSettled(SpawnNumber spawn, Sequence last) override;
  void OnFailed(SpawnNumber spawn, const BadOutcome& outcome, FailureClass failure) override;
  void OnHung(SpawnNumber spawn, const RunnerLink::Overdue& overdue) override;
  void OnContractBroken(SpawnNumber spawn, const std::string& text) override;
  void OnReplaceable(SpawnNumber spawn, const std::string& why) override;
  void OnRunnerNotStarted(SpawnNumber spawn, ExitClass why, const std::string& text) override;
  void OnRetirable(SpawnNumber spawn, const std::string& why) override;
  void OnDiscardable(SpawnNumber spawn, const std::string& why) override;
  void OnRunnerGone(SpawnNumber spawn, const Gone& gone) override;
  void OnFolderLost(const std::string& text) override;
  void OnClock() override;
  bool Draining() const override { return engine().state() == GroupState::kDraining; }
  FailureClass ClassOf(std::int32_t status, std::string_view text) const override;
  EventFields Describe(Sequence sequence) const override;

  // From the letters.
  void OnLetterSized(std::string_view stream, Position position, std::uint64_t bytes) override;
  void OnLetterDurable(Sequence sequence) override;
  void OnLetterStored(Position position) override;
  void OnPluginNoted() override { letters_know_plugin_ = true; }
  void OnLettersWait(const std::string& what, bool writes) override;
  void OnLettersWaitEnds() override;
  void OnLettersNotBegun() override;
  bool MayWriteLetters() const override;
  void OnLettersFailed(const std::string& text) override;

  // From the store.
  void OnSpawnReady(LaneNumber lane, SpawnNumber spawn, std::uint64_t token, const Status& status);
  void OnTokenKnown(LaneNumber lane, SpawnNumber spawn, std::uint64_t token, const Status& status);
  void OnSaved(Position position, const std::optional<Witness>& witness, const Status& saved);
  void OnStoreStatus(const Status& status);

  // The log's newest event, whoever asked for it.
  void TakeHead(const std::optional<Witness>& head);

  // The way to the engine's start (group_start.cc).
  void Take(const StartPath::Next& next);
  void DoStep(StartPath::Step step);
  void AfterStep(StartPath::Step step, const Status& result, const StartPath::Found& found);
  void LoadLetters(const LetterSide::Contents& contents);
  void StartEngine();

  void AfterTurn();
  // Takes what the runners have said so far.
  void PollRunners();
  // The lane whose runner it is, if it is there.
  RunnerSide* FindRunner(SpawnNumber spawn);
  void NoteOutcome(const Command& change);
  void TakeReady(const FirstWrites::Ready& runner);
  void WriteFirst(FirstWrites::Step step, const FirstWrites::Ready& runner);
  void OnFirstWritten(FirstWrites::Step step, const FirstWrites::Ready& runner,
                      const Status& written);
  void AfterFirstWrite();
  void NoteFence(const BadOutcome& outcome);
  Engine& engine() { return dispatch_.engine(); }
  const Engine& engine() const { return dispatch_.engine(); }
  Commands* out() { return dispatch_.commands(); }
  Tick Now();

  using Clock = std::chrono::steady_clock;

  // The pause before another try of what the machine or the server does not have for now, where the
  // engine does not know of it yet.
  static constexpr std::chrono::seconds kRetryPause{1};
  // What only a person ends; failed logins fill the server's log.
  static constexpr std::chrono::seconds kRefusedPause{10};

  const GroupConfig config_;
  const GroupServices services_;
  const std::shared_ptr<Gate> gate_;

  // Everything from here on inside a turn.
  std::mt19937_64 random_;
  const Classifier classifier_;
  Dispatch dispatch_;
  GroupReport report_;
  SourceSide source_;
  StoreSide store_;
  StartPath path_;
  FirstWrites first_writes_;
  LetterSide letters_;
  LetterDesk desk_;
  std::map<Position, LetterOutcome> letter_outcomes_;  // Of calls of letters, not stored yet.
  std::vector<std::unique_ptr<RunnerSide>> runners_;   // By lane.
  Clock::time_point now_ = Clock::now();               // Of the last tick.
  std::optional<Position> head_;
  HeadWitness head_witness_;
  Reactor::TimerId wake_timer_ = 0;
  std::uint64_t letter_call_ = 0;  // The number of the kCallLetter that is wanted.
  LaneNumber letter_lane_ = 0;     // And its lane.
  bool refused_head_ = false;      // It waits for a question that the server has refused.
  bool files_asked_ = false;
  Clock::time_point next_files_look_ = now_;
  // What a new plugin file means for the letters is on the disk: the checkpoint may name the file.
  bool letters_know_plugin_ = true;
  std::uint64_t token_ = 0;  // Of the last spawn.
  bool started_engine_ = false;
  bool ends_ = false;            // Nothing but writes is under way any more.
  bool waits_to_start_ = false;  // For the time of the next try; only before the engine starts.
};

}  // namespace catchup
