#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/end_of_call.h"
#include "host/base/position.h"
#include "host/base/witness.h"
#include "host/engine/command.h"
#include "host/engine/engine_parts.h"
#include "host/engine/group_state.h"
#include "host/engine/input.h"
#include "host/engine/turn.h"

namespace catchup {

// The delivery logic of one group as a pure state machine: inputs are method calls, answers are
// commands appended to a list. It does no I/O, reads no clock and draws no random number; both come
// with every input. Adapters around it (source, runner, store, timer) carry the commands out and
// report what became of them, so the whole of it runs under a simulation.
//
// An input records a fact, in the part that it concerns, and calls no other input. Then one plan
// runs: a fixed list of steps in a fixed order (plan.h), each of which compares what is with what
// is wanted and adds the commands that are missing. Running it again adds nothing, which the
// simulation tries after every input; so where a step stands matters only to the steps behind it.
//
//   judge       what the runner said or how it ended, and where a new one's plugin stands
//   pop         the done prefix of the Ledger goes under the watermark
//   caught up   CatchUp, and the end of a group that was to catch up only
//   lane        Lane: spawn, or press the one that is to end
//   deliver     what waits in the Ledger, to the lanes that take it
//   source      SourceLink: connect, or cancel; Liveness: replace a call that is silent
//   persist     CheckpointPacer: the watermark as checkpoint
//   finish      Lifecycle: whether nothing is under way any more
//   report      state and reason, where they changed
//   wake        one time at which to look again
//
// Parts do not know each other; what one needs of another goes through the plan. They lie side by
// side in engine_parts.h, and each step is a small class over them: judge.h decides what was heard,
// with judge_call.h for calls that failed and beginning.h for runners that are ready; deliver.h
// what is called next, an event or a letter (deliver_lanes.h where there are several lanes), with
// route.h for how; letters.h and heal.h keep the letters; settle.h and waits.h say what a success
// ends and a failure begins; plan.h has the rest and their order.
//
// With one lane events are called in the order of the log, and the runner has all that may go to
// it. With several a lane that has nothing takes the next event whose stream no other lane has, or
// as many as its plugin takes in one call; an event whose call failed stays on its lane, which
// takes no other until that is decided. All else is the group's: one watermark, one breaker, one
// letter called at a time.
//
// An event in the middle of a catch-up needs the step deliver alone, and takes only that; where
// nothing has failed, deliver hands on whatever waits and asks for no name.
//
// Not thread safe: the adapter serialises the inputs of a group.
class Engine {
 public:
  // `names` must outlive it; without, every event is of one stream and type.
  explicit Engine(const EngineOptions& options, const EventNames* names = nullptr);

  // --- Before Start: what the letters' store holds. ---

  void LoadLetter(const LetterSummary& letter);
  void LoadHold(std::string_view type, bool by_hand);
  // An event that is to be parked when it comes, as ParkEvent says.
  void LoadPark(Position position) { parts_.park_asked.insert(position); }

  // --- Inputs. Each appends to *out what is to be done. ---

  // First input, once.
  void Start(const StartPoint& start, Tick tick, Commands* out);

  // Stop for good: drain, persist, finish. A second call cuts the drain short (kill at once).
  void Stop(Tick tick, Commands* out);

  // The runner has created and started the plugin. In position mode what load_position found wins
  // over the checkpoint.
  void RunnerReady(SpawnNumber spawn, const RunnerFacts& facts, Tick tick, Commands* out);

  // Everything that the runner was given up to and including `last` returned OK; or, kLetterCall,
  // the letter did.
  void Settled(SpawnNumber spawn, Sequence last, Tick tick, Commands* out);

  // Any status but OK. Everything before the event returned OK, whether Settled has said so yet or
  // not; what was delivered behind it is taken back.
  void Failed(SpawnNumber spawn, const BadOutcome& outcome, Tick tick, Commands* out);

  // A call lasted longer than handler_timeout, or set-up longer than its limit: the runner is
  // killed, with time for a report.
  void Hung(SpawnNumber spawn, Sequence sequence, std::string_view call, std::string_view limit,
            Tick tick, Commands* out);

  // This spawn did or reported what cannot be, so nothing it has said is to be believed: the runner
  // is killed, the group fails, and no checkpoint write begins any more. A write that has begun may
  // end. What the spawn reports from here on is ignored, so an adapter need not be quick to stop
  // listening.
  void ContractBroken(SpawnNumber spawn, std::string_view text, Tick tick, Commands* out);

  // The runner works, but a fresh one would be better: it is asked to stop once it has nothing to
  // do and the group is caught up, and another takes its place; that is no death of it. Says
  // nothing and changes nothing at any other time: ask again.
  void ReplaceRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out);

  // The runner works, but is not to go on: it is asked to stop once the call in progress, if there
  // is one, is over, and another takes its place, which gets what that one had not begun. No death
  // of it, and no event comes twice, but paced like a death where nothing is settled in between. A
  // call that hangs meanwhile is judged as ever. Changes nothing where it is to end already.
  void RetireRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out);

  // Nothing that this runner does can count any more, and not by a fault of its plugin's: it is
  // killed, whatever it has in hand comes again, and another takes its place. No failure, but paced
  // like a death, should it be the plugin after all that brings it about each time.
  void DiscardRunner(SpawnNumber spawn, std::string_view why, Tick tick, Commands* out);

  // The process is gone and its outcomes were all reported before this. kContract says what
  // ContractBroken says. `charged`: what it was calling; 0: nothing; or kUnknownCall.
  void RunnerExited(SpawnNumber spawn, ExitClass exit_class, Sequence charged,
                    std::string_view text, Tick tick, Commands* out);

  // The runner of kSpawnRunner was not started, because something is missing that may come back:
  // room to write its token, above all. No death; it is asked for again after a pause, under
  // another number. `text` says what is missing, and for what.
  void SpawnExhausted(SpawnNumber spawn, std::string_view text, Tick tick, Commands* out);

  // What kConnect found. A failure to find out is a SubscriptionEnded.
  void ServerKnown(CallNumber call, const ServerTraits& traits, Tick tick, Commands* out);

  // What kReadEnd found: the end of the log as its leader knows it, records included that reads do
  // not show; null for an empty log. It may be told too early, by a leader that has just become
  // one, never too late. A failure is a SubscriptionEnded.
  void EndKnown(CallNumber call, std::optional<Position> end, Tick tick, Commands* out);

  // What kReadWitness found: null when the log has nothing at or after the place. A failure is a
  // SubscriptionEnded; kInvalidPosition among them is an answer, and the call goes on.
  void WitnessRead(CallNumber call, const std::optional<FirstRecord>& first, Tick tick,
                   Commands* out);

  // What kReadWitnessStream found. A failure is a SubscriptionEnded.
  void WitnessStreamRead(CallNumber call, const StreamRevision& found, Tick tick, Commands* out);

  // What kProbe found: null when no record lies there. A failure is a SubscriptionEnded.
  void Probed(CallNumber call, std::optional<Position> found, Tick tick, Commands* out);

  // The head of the log, read after kSubscribe; null for an empty log. Counts where the server does
  // not say that it is caught up.
  void Head(CallNumber call, std::optional<Position> head, Tick tick, Commands* out);

  // The head of the log as anybody has read it, null for an empty log: what a call is measured by
  // that says nothing.
  void HeadSeen(std::optional<Position> head, Tick tick, Commands* out);

  // What kReadNext found, null when there is none; or why that is not known.
  void NextKnown(CallNumber call, std::optional<Position> next, Tick tick, Commands* out);
  void NextUnknown(CallNumber call, std::string_view why, Tick tick, Commands* out);

  // A matching event; `skip`: a rule says that it needs no delivery, which is counted. Returns its
  // sequence, which names it from now on; 0 when it needs none (by that rule, or seen before) and
  // may be forgotten.
  Sequence Event(CallNumber call, Position position, std::uint64_t bytes, bool skip, EventName name,
                 Tick tick, Commands* out);

  void CheckpointFrame(CallNumber call, Position position, Tick tick, Commands* out);
  void CaughtUp(CallNumber call, std::optional<Position> position, Tick tick, Commands* out);
  void SubscriptionEnded(CallNumber call, const EndOfCall& end, Tick tick, Commands* out);
  // The source answers somebody; see kMissSource. Late or without need it changes nothing.
  void SourceAnswers(Tick tick, Commands* out);

  // Whoever we are for the server is another now: what it refused us for that is tried again at
  // once.
  void AccessChanged(Tick tick, Commands* out);

  // The kPersist of `position` has been committed. `handled`: the event that lies where its command
  // said, where it was received since Start; with the next connect the log is to show it.
  void CheckpointDurable(Position position, const std::optional<Witness>& handled, Tick tick,
                         Commands* out);

  // The kPersist under way was not begun, because may_persist() said no.
  void CheckpointNotBegun(Tick tick, Commands* out);

  // The kPersist under way found no room, or lacked something else that may come back; nothing was
  // changed on the disk. It is asked for again after a pause; meanwhile the group waits and says
  // so. `text` as above.
  void CheckpointExhausted(std::string_view text, Tick tick, Commands* out);

  // The kPark of `sequence` has been committed.
  void LetterDurable(Sequence sequence, Tick tick, Commands* out);
  // The kUpdateLetter or kRemoveLetter of the letter that lies there has been committed.
  void LetterStored(Position position, Tick tick, Commands* out);
  // One of these found no room, or lacked something else that may come back. It is tried again
  // without being asked for; but a group that is about to end does not wait for that: its events
  // come again at the next start.
  void LettersExhausted(Tick tick, Commands* out);
  // One of these was not begun, because may_persist() said no, and none will be.
  void LettersNotBegun(Tick tick, Commands* out);
  // The letter that is to be called is not in the store any more.
  void LetterGone(Tick tick, Commands* out);
  // A letter was dropped: the store does not hold it any more. `why` is said in the log, where it
  // is one line.
  void LetterDropped(EventName name, Position position, std::string_view why, Tick tick,
                     Commands* out);
  // What a letter takes in its store, as it turned out: a fact that nothing follows from before the
  // next input, which says that it was written.
  void LetterSized(std::string_view stream, Position position, std::uint64_t bytes) {
    parts_.book.Resize(stream, position, bytes);
  }

  // From the next runner on the plugin is another file: letters are due, holds and doubt end.
  void PluginChanged(Tick tick, Commands* out);

  // What an operator decides. Each answers why it does not do so; empty when it does.
  //
  // The event there is parked as dead when its turn comes, without a further call. It must have
  // come and not be done with.
  std::string ParkEvent(Position position, Tick tick, Commands* out);
  // What ParkEvent would answer now.
  std::string CannotPark(Position position) const;
  // What an event waits for that ParkEvent has taken; empty: its letter is written, or being
  // written.
  std::string ParkWaitsFor(Position position) const;
  // Events of the type are parked without a call until UnparkType or another plugin file.
  std::string ParkType(std::string_view type, Tick tick, Commands* out);
  std::string UnparkType(std::string_view type, Tick tick, Commands* out);
  // Why no letter at all can be called by hand now; empty: one can.
  std::string CannotRetry() const;
  // What a call of the letter has come to is being written, and not told of yet.
  bool WritesLetter(Position position) const { return parts_.letter_writes.Has(position); }
  // Calls the letter as soon as may be, healing or dead.
  std::string RetryLetter(std::string_view stream, Position position, Tick tick, Commands* out);

  // The store cannot write any more: final for the group.
  void StoreFailed(std::string_view text, Tick tick, Commands* out);

  // The time of kWakeAt has come. Too early is asked for again; a firing that was on its way when
  // another time was asked for does no harm.
  void Woke(Tick tick, Commands* out);

  // --- Questions. ---

  // Whether another frame may be asked for. When it turns true again after an input, ask.
  bool wants_frames() const { return parts_.WantsFrames(); }

  // While it does not: whether more settled events could change that. Not where what is settled
  // already waits for a checkpoint that is being written.
  bool progress_helps() const { return parts_.WithinDuplicateBound() || !parts_.pacer.writing(); }

  // The position an advance (a kDeliver of a sequence that is no event) passes; null when
  // `sequence` is an event.
  std::optional<Position> AdvanceAt(Sequence sequence) const {
    return parts_.ledger.AdvanceAt(sequence);
  }

  // Whether what is called next waits for what is being called now, so that the sooner its outcome
  // is heard the better. False in the plain path, which keeps the runner busy by itself.
  bool wants_outcomes() const {
    return parts_.ledger.on_lane() > 0 && (parts_.many || !parts_.Plain());
  }

  GroupState state() const { return parts_.life.state(); }
  const std::string& reason() const { return parts_.life.reason(); }
  // It is kFailed because the event there would be a letter and LetterOrder is kHalt: nothing is
  // wrong with the group, and an operator decides.
  const std::optional<Position>& halted_before() const { return parts_.halted_before; }
  // While reason() speaks of a failure that may be the event's fault as well as an outage: what an
  // operator could park.
  struct InDoubt {
    std::optional<Position> event;  // In place; none where it is a letter by now.
    std::string type;
  };
  std::optional<InDoubt> in_doubt() const;
  // Whether what reason() speaks of is an event that would be a letter and finds no room for it:
  // parking it is of no use then.
  bool waits_for_room() const;
  // While the state is kWaiting: when the next try is due that the reason speaks of, by the clock
  // of the inputs; over already where it waits for room in the window.
  std::optional<std::chrono::nanoseconds> retry_at() const;
  // While letters are called before a group that has caught up ends: when the next may be, which is
  // later than now behind a call that took long and failed.
  std::optional<std::chrono::nanoseconds> heals_at() const;

  // What the end of this spawn is about: `charged`, or where that is kUnknownCall the one thing
  // that it had; 0 if it had none or several, each of which is called alone then.
  Sequence ChargedTo(SpawnNumber spawn, Sequence charged) const {
    return parts_.ChargedTo(spawn, charged);
  }

  // It is kFailed because the log is not the one that was read: an operator decides where it is to
  // go on. `last_good`: the newest witness that is known to be in this log.
  struct ForeignLog {
    LineageFault fault{};
    std::optional<Position> last_good;
  };
  const std::optional<ForeignLog>& foreign_log() const { return foreign_log_; }

  bool position_mode() const { return parts_.position_mode; }
  // Settled so far; null at the beginning.
  const std::optional<Position>& watermark() const { return parts_.ledger.watermark(); }
  // Last durable checkpoint.
  const std::optional<Position>& durable() const { return parts_.pacer.durable(); }
  // No restart would repeat what was settled.
  bool settled_is_durable() const { return parts_.settled_is_durable(); }
  // Whether a write of what runners reported may begin: false once one of them is not believed. To
  // be asked right before each write and each further try of one.
  bool may_persist() const { return !parts_.distrusted; }
  const Counts& counts() const { return parts_.counts; }
  const LetterBook& letters() const { return parts_.book; }
  const Breaker& breaker() const { return parts_.breaker; }
  LaneNumber lanes() const { return static_cast<LaneNumber>(parts_.seats.size()); }
  LaneNumber lanes_running() const;                          // Whose runner takes events.
  bool caught_up() const { return parts_.catch_up.done(); }  // See GroupState::kCaughtUp.
  // Whether Head() of the present call would tell it something.
  bool needs_head() const {
    return parts_.link.open() && !parts_.link.traits().says_caught_up &&
           !parts_.link.knows_head() && !parts_.catch_up.begun();
  }

  // --- For tests. ---

  // Runs every step of the plan once more. Adds nothing, whatever the input before was.
  void PlanAgain(Tick tick, Commands* out);

  // What is wrong between two inputs; empty when nothing is. Walks through everything.
  std::string_view CheckInvariants() const;

 private:
  void Plan(Turn& turn);

  // What the source says (engine_source.cc).
  void Take(const SourceLink::Found& found, std::chrono::nanoseconds now);
  SourceLink::Place ResumePlace() const;
  void OnFrame(Turn& turn);
  void OnPosition(Position position);
  void Announce(Position position, Turn& turn);
  Sequence TakeEvent(Position position, std::uint64_t bytes, bool skip, bool* plain, Turn& turn);
  bool Believe(Position position, Turn& turn);

  EngineParts parts_;
  std::optional<ForeignLog> foreign_log_;
  bool stop_asked_ = false;
  bool server_lied_ = false;    // Announced as sent what it sent later.
  bool nonsense_told_ = false;  // It announced what is no place; said once.
};

}  // namespace catchup
