#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/daemon/dispatch/dispatch.h"
#include "tests/sim/faults.h"
#include "tests/sim/history.h"
#include "tests/sim/random.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/sim_behaviour.h"
#include "tests/sim/sim_plugin.h"
#include "tests/sim/sim_server.h"
#include "tests/sim/transitions.h"

namespace catchup::sim {

// An event on its way through the simulated host.
class SimFrame final : public EventFrame {
 public:
  SimFrame(std::size_t in_log, const LogEvent& logged, EventName name) : index(in_log) {
    event.stream = name.stream;
    event.type = name.type;
    event.id = SimServer::IdOf(index);
    event.position = logged.position;
    event.revision = logged.revision;
  }
  const std::size_t index;  // Of the log.
};

// One group in a simulated world: a server, a plugin, a checkpoint store, dead letters, an
// operator, and one host process after the other, each of which ends by a kill, a stop or a
// failure; the last one is left alone until it has caught up and no letter heals any more.
// Everything comes from the seed.
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
    bool letter() const { return sequence == kLetterCall; }
  };

  // Something that the letters' store is to do.
  struct LetterJob {
    enum class What : std::uint8_t { kCommand, kDrop, kWantParked };
    What what = What::kCommand;
    std::size_t event = 0;
    Command command{};  // Of the engine's: kPark and its like.
  };
  // What it holds of a letter.
  struct StoredLetter {
    LetterChange change;
    std::uint64_t bytes = 0;
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
    std::vector<Item> queue;
    std::optional<Position> position;  // Last stored, in position mode.
  };

  static History MakeHistory(Random* random);
  void ChooseOptions();
  void BreakOneType();

  // A host process.
  void Boot(bool last);
  void PowerOff();  // The process is gone, with whatever it had not made durable.
  void PlanTheEnd();

  // By reference, since a history has thousands of them and none outlives its call.
  template <typename Work>
  void Input(Cause cause, Work work) {
    Input(
        cause, [](void* at, Commands* out) { (*static_cast<Work*>(at))(out); }, &work);
  }
  void Input(Cause cause, void (*input)(void* at, Commands* out), void* at);

  // Commands.
  void SpawnRunner(LaneNumber lane, SpawnNumber spawn) override;
  void DrainRunner(LaneNumber lane, SpawnNumber spawn) override;
  void AbortRunner(LaneNumber lane, SpawnNumber spawn) override;
  void KillRunner(LaneNumber lane, SpawnNumber spawn) override;
  void Connect(CallNumber call, bool to_leader) override;
  void ReadEnd(CallNumber call, Position from) override;
  void ReadWitness(CallNumber call, const KnownWitness& witness) override;
  void ReadWitnessStream(CallNumber call, const KnownWitness& witness) override;
  void Probe(CallNumber call, Position from) override;
  void Subscribe(CallNumber call, std::optional<Position> from) override;
  void ReadNext(CallNumber call, std::optional<Position> behind) override;
  void CancelSubscription(CallNumber call, bool silent) override;
  void MissSource() override;
  void SourceFound() override;
  void TakeBack(LaneNumber lane, SpawnNumber spawn) override;
  void CallLetter(LaneNumber lane, Position position) override;
  void ChangeLetters(const Command& change) override;
  void Persist(Position position, std::optional<Position> event,
               const std::optional<Witness>& handled) override;
  void WakeAt(Duration at) override;
  void Notice(const Command& notice) override;
  void StateChanged() override;
  void Finished() override;
  void CommandsDone() override;

  // Letters.
  bool HasLetters() const { return history_.order != LetterOrder::kHalt || by_hand_; }
  void LoadLetters();
  void NotePark(const Command& command);
  void NoteChange(const Command& command);
  void NoteTold(const Command& notice);
  void ExpectTold(catchup::Notice notice, const LetterJob& job);
  void AddLetterJob(LetterJob job);
  void PumpLetters();
  void CarryLetters();
  void CommitLetters();
  void Commit(const LetterJob& job);
  void CommitChange(const LetterJob& job);
  void CommitDrop(std::size_t event);
  void TellStored(const LetterJob& job);
  static bool IsAnyway(const LetterJob& job);
  bool MayBegin(const LetterJob& job) const;
  void RefuseLetters();
  void GiveUpLetters();
  void WantParked(std::size_t event);
  void ForgetParked();
  std::size_t EventAt(Position position) const;
  std::uint32_t TypeNamed(std::string_view name) const;
  std::optional<std::size_t> AnyLetter();
  void PlanOrders();
  void GiveOrder();
  void ParkSomeEvent();
  void RetrySome();
  void DropSome();
  void OrderWhileStopped();
  void Reset();
  void EndTheLastWell();

  void Store();
  EventName NameOf(std::size_t event) const;
  bool DiskIsFull();
  void FindNoRoom();
  void ExpectWait(std::string_view what);
  bool Lags();
  std::optional<Position> EndOfLog(Position from);
  bool RegrowLog(Position from);
  void ExpectWitness(CallNumber call, const Witness& witness);
  void CheckHalt();
  void AnswerCall(CallNumber call, std::function<void()> what);
  void NoteResume(std::optional<Position> from);
  void CheckEngine();
  void Pump();
  void PumpFrame(CallNumber call);
  void FallSilent();
  void TellHead(CallNumber call);
  void NoteReplaced();
  void Receive(const Frame& frame);
  void SubscriptionFault();
  EndOfCall SomeEnd();
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
  bool Misbehaves(const std::vector<Item>& batch);
  void FailFor(const std::vector<Item>& batch, std::size_t culprit, std::int32_t status,
               const char* text);
  void EndRunnerFor(const std::vector<Item>& batch, std::size_t culprit, bool hangs);
  void ReportFailure(const std::vector<Item>& batch, std::size_t some, const BadOutcome& outcome);
  void NoteFailure(const Item& item, FailureClass failure);
  void NoteDeath(ExitClass exit_class, Sequence charged);
  Item ItemAt(const DeliveryWindow::Slot& slot);
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

  template <typename Work>
  void After(Duration delay, Work work) {  // Of this process.
    scheduler_.After(delay, [this, process = process_, work = std::move(work)] {
      if (alive_ && process == process_) {
        work();
      }
    });
  }
  template <typename Work>
  void Outside(Duration delay, Work work) {  // Whatever lives then.
    scheduler_.After(delay, std::move(work));
  }
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
  SimBehaviour behaviour_;
  SimServer server_;
  EngineOptions options_;
  std::string wrong_;

  bool truthful_ = true;    // No two wrong announcements in a row yet.
  bool caught_up_ = false;  // As the engine said last.
  bool filter_changed_ = false;
  bool old_servers_ = false;   // Some of the nodes are.
  bool followers_ = false;     // Any node is preferred, so most are.
  bool foreign_ = false;       // The checkpoint or the start is of another log.
  bool restored_log_ = false;  // From a backup older than what was read; it grows no more.
  bool plugin_moved_ = false;  // To somewhere else, with what it holds, in any process.
  bool put_back_ = false;      // To a place of the older log, which is the same up to there.
  bool told_short_ = false;    // To this process: the log ended before where it would resume.
  bool misplaced_ = false;     // A plugin of this process said that it stands where it does not.
  bool log_grew_ = false;      // After that, or before any look, though it is another one.
  bool invalid_told_ = false;  // The server has said that a place of its log is none.
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
  bool follower_ = false;       // The node of the call is one.
  Duration lags_until_{};       // Such a node tells too early an end until then.
  bool misses_source_ = false;  // Was asked to say when the source answers, and has not.
  Duration no_call_before_{};   // The server has asked for so much quiet, or refused the group.
  bool subscribed_ = false;
  bool end_told_ = false;        // On this call.
  std::optional<Position> end_;  // What was told.
  Position asked_about_;         // For whether it lies beyond that.
  bool reads_witness_ = false;   // At its place, and has no answer yet.
  bool frame_asked_ = false;
  bool mutes_ = false;                    // A call of this process is to fall silent.
  bool silent_ = false;                   // This one has.
  bool look_failed_ = false;              // For what this one owes.
  std::optional<Duration> owes_since_;    // As long as it is silent.
  bool place_opened_ = false;             // A subscription was opened from where the plugin stands.
  std::optional<Position> stored_;        // In the checkpoint store.
  std::optional<Position> stored_event_;  // Beside it.
  std::vector<Witness> witnesses_;        // Beside it, newest first.
  std::vector<Witness> known_witnesses_;  // Those that this process knows of,
  std::optional<Position> known_before_;  // up to here from its start.
  std::optional<Position> known_event_;   // The last that it has read, or knew of.
  std::uint64_t steps_back_ = 0;          // Of the group, behind what it has read.
  std::optional<Position> restored_;      // Where the plugin's store was put back to last.
  std::optional<Position> writing_;       // Not durable yet.
  std::optional<Position> writing_event_;
  std::optional<Witness> writing_handled_;
  Duration full_until_{};                // The disk; whichever process finds it so.
  std::optional<Duration> no_room_at_;   // The write asked for last found none; when that was said.
  std::optional<Duration> no_token_at_;  // As much of the token of a spawn.
  bool hurried_ = false;                 // A write was asked for again at once, because of the end.
  bool persist_open_ = false;            // Asked for, and the engine has no answer yet.
  std::uint64_t wakes_ = 0;              // Asked for.
  std::optional<Duration> wake_at_;
  std::uint32_t quiet_polls_ = 0;  // In a row that the server had nothing to say.

  // The letters' store.
  std::map<std::size_t, StoredLetter> letters_;  // By event.
  std::map<std::uint32_t, bool> holds_;          // By type; whether by hand.
  std::deque<LetterJob> letter_jobs_;
  std::vector<LetterJob> letter_batch_;  // Being written.
  // What is in the store of an event's letter, and may be said of it.
  std::set<std::pair<catchup::Notice, std::size_t>> untold_;
  std::uint64_t letter_calls_ = 0;     // Of the present process; counts what cuts them short, too.
  std::set<std::size_t> want_parked_;  // Events that an operator wants parked.
  bool by_hand_ = false;               // Nothing but an operator's word makes letters.
  bool unparked_ = false;              // No type is parked by hand any more.
  bool ending_well_ = false;           // The last process is to be stopped.
};

}  // namespace catchup::sim
