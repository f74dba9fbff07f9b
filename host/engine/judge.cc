#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <utility>

#include "host/base/time_text.h"
#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// The first step of the plan: what is to be done about what the runner said and how it ended, and
// where the group goes on when a new one's plugin says where it stands.

namespace catchup {
namespace {

// After a hang nothing presses, so its report may take longer to write than in a stop.
constexpr std::chrono::nanoseconds kHangPatience = std::chrono::seconds(5);

// Whether an exit says that another start would end the same way.
bool IsVerdict(ExitClass exit_class) {
  return exit_class == ExitClass::kSetup || exit_class == ExitClass::kContract ||
         exit_class == ExitClass::kFatal;
}

}  // namespace

void Engine::Judge(Turn& turn) {
  if (heard_.index() == 0) [[likely]] {
    return;
  }
  const Heard heard = std::exchange(heard_, {});
  std::visit([this, &turn](const auto& what) { On(what, turn); }, heard);
}

void Engine::On(std::monostate, Turn&) {}

// The one place where a plugin's answer other than OK meets the rules. Everything before
// outcome.sequence is settled already and that event is the first one unapplied, so whatever is
// decided here concerns this event alone.
void Engine::On(const BadOutcome& outcome, Turn& turn) {
  Seat& seat = *heard_of_;
  const std::string text = DescribeOutcome(outcome);
  const FailureClass failure = options_.classifier.Classify(outcome.status, outcome.text);
  const bool of_letter = outcome.sequence == kLetterCall;
  if (failure == FailureClass::kFatal || failure == FailureClass::kContract) {
    // Also while it stops: it ends worse then, and the next start would do the same.
    const std::string reason = text + (of_letter ? OfLetter(seat) : std::string());
    if (of_letter) {
      LetterFailed(failure, text, Word::kRunners, turn);
    }
    CutLetterCall(seat);
    End(GroupState::kFailed, reason + StopsBefore(of_letter ? 0 : outcome.sequence),
        Lane::Force::kDrain, options_.drain_timeout);
    return;
  }
  if (life_.ending()) {
    // A call that the drain let finish. What its failure would lead to, a letter, a wait, another
    // try, is for a group that goes on; a restart forgets attempts and streaks in any case. So it
    // decides nothing, like a call that was cut short: the event comes again at the next start, a
    // REJECT included, and the letter is due as it was.
    CutLetterCall(seat);
    if (outcome.sequence != 0) {
      TakeBackFromRunner(seat, turn);
    }
    return;
  }
  if (outcome.sequence == 0) {
    // No event is to blame, and no text rule speaks of one.
    seat.set_up_failure = SetUpFailure{
        failure == FailureClass::kInfrastructure ? failure : FailureClass::kUnknown, text};
    seat.lane.Press(Lane::Force::kDrain, options_.drain_timeout);
    return;
  }
  const bool of_batch = outcome.last > outcome.sequence;
  if (of_batch) {
    // It says nothing about any one of its events: each says it for itself.
    CallAlone(seat, outcome.last);
  }
  TakeBackFromRunner(seat, turn);
  if (of_letter) {
    LetterFailed(failure, text, Word::kRunners, turn);
    return;
  }
  if (of_batch) {
    if (failure == FailureClass::kInfrastructure) {
      JudgeEvent(seat, outcome.sequence, failure, text, turn);
    }
    return;
  }
  JudgeEvent(seat, outcome.sequence, failure, text, turn);
}

// What the lane's runner has, up to `last`, is called one by one from now on.
void Engine::CallAlone(const Seat& seat, Sequence last) {
  if (many_) {
    const auto end = std::upper_bound(seat.has.begin(), seat.has.end(), last);
    std::for_each(seat.has.begin(), end, [this](Sequence one) { suspects_.Add(one); });
  } else {
    suspects_.AddThrough(last);
  }
}

// It is killed for it, with time for a report; what that means, for the event or, in a set-up call,
// for the plugin, is judged once the runner is gone.
void Engine::On(const Hang& hang, Turn&) {
  heard_of_->hang = hang;
  heard_of_->lane.Press(Lane::Force::kAbort, kHangPatience, "it hung");
}

void Engine::On(const Breach& breach, Turn& turn) {
  const std::string text = breach.text + OfLetter(*heard_of_);
  LetterBroke(*heard_of_, "contract broken: " + breach.text, turn);
  BreakContract(text);
}

// Which letter the lane calls, for a reason of the group's.
std::string Engine::OfLetter(const Seat& seat) const {
  return CallsLetter(seat)
             ? " (in a call of the dead letter " + FormatPosition(letter_call_->position) + ")"
             : std::string();
}

// A runner that reports what cannot be is not asked to do anything more. Whoever wrote that may as
// well have written what was believed before, so what is not durable by now is handled again.
void Engine::BreakContract(const std::string& text) {
  distrusted_ = true;
  End(GroupState::kFailed,
      "contract broken: " + text +
          "; what this runner had reported and was not durable yet comes again once the plugin is "
          "mended and the host started again",
      Lane::Force::kKill, {});
}

Sequence Engine::ChargedTo(SpawnNumber spawn, Sequence charged) const {
  const auto seat = std::find_if(seats_.begin(), seats_.end(),
                                 [&](const Seat& one) { return one.lane.spawn() == spawn; });
  if (seat == seats_.end()) {
    return charged;
  }
  Suspects::Had had;
  had.events = many_ ? seat->has.size() : ledger_.on_lane();
  if (had.events > 0) {
    had.first = many_ ? seat->has.front() : ledger_.FirstOnLane();
  }
  had.letter = CallsLetter(*seat);
  if (seat->hang) {
    had.hung = seat->hang->sequence;
  }
  return Suspects::ChargedTo(had, charged);
}

void Engine::On(const Exit& said, Turn& turn) {
  Seat& seat = *heard_of_;
  Exit exit = said;
  exit.charged = ChargedTo(seat.lane.spawn(), said.charged);
  if (said.charged == kUnknownCall && exit.charged == 0) {
    CallAlone(seat, many_ ? (seat.has.empty() ? 0 : seat.has.back()) : ledger_.handed_out());
  }
  const Lane::Force pressed = seat.lane.pressed();
  seat.lane.OnExited();
  if (life_.ending()) {
    spawn_wait_.Forget();  // Perhaps it was never there.
  } else {
    spawn_wait_.OnDone(turn);
  }
  const bool cut = (many_ ? !seat.has.empty() : ledger_.on_lane() > 0) || CallsLetter(seat);
  // A place without an event is nobody's fault, and nothing that could be a letter.
  const bool of_event = Has(seat, exit.charged) && !ledger_.AdvanceAt(exit.charged);
  const Sequence first = many_ && of_event ? seat.has.front() : ledger_.FirstOnLane();
  if (of_event && exit.charged != first) {
    // Those before it were not reported: whose fault it was shows when each is called alone.
    CallAlone(seat, exit.charged);
  }
  const bool was_on_lane =
      (of_event && exit.charged == first) || (exit.charged == kLetterCall && CallsLetter(seat));
  TakeBack(seat);
  std::string what = DescribeExit(exit.exit_class, exit.charged, exit.text);
  if (exit.exit_class == ExitClass::kKilled && !seat.lane.why().empty()) {
    what += ": " + seat.lane.why();
  }
  if (exit.exit_class == ExitClass::kHung && seat.hang && seat.hang->sequence == 0) {
    what = fmt::format("{} hung: it took longer than {}", seat.hang->call, seat.hang->limit);
  }
  const bool discarded =
      std::exchange(seat.discarded, false) &&
      (exit.exit_class == ExitClass::kKilled || exit.exit_class == ExitClass::kClean);
  const bool clean = exit.exit_class == ExitClass::kClean;
  const bool replaced = std::exchange(seat.replacing, false) && clean;
  const bool retired = std::exchange(seat.retiring, false) && clean;
  const auto set_up_failure = std::exchange(seat.set_up_failure, std::nullopt);
  if (exit.exit_class == ExitClass::kContract) {
    distrusted_ = true;
  }
  if (IsVerdict(exit.exit_class)) {
    const std::string reason = what + OfLetter(seat);
    LetterBroke(seat, what, turn);
    End(GroupState::kFailed, reason, distrusted_ ? Lane::Force::kKill : Lane::Force::kDrain,
        options_.drain_timeout);
  } else if (life_.ending()) {
    CutLetterCall(seat);
    if (exit.exit_class != ExitClass::kClean) {
      turn.Tell(Notice::kRunnerEndedBadly,
                "while stopping, " + what +
                    (cut ? "; what it had not finished comes again at the next start" : ""),
                !cut && pressed >= Lane::Force::kAbort);
    }
  } else if (discarded) {
    CutLetterCall(seat);
    Restart(seat, what, true, turn);
  } else if (replaced) {
    seat.lane.SpawnAt(turn.now);
  } else if (retired) {
    CutLetterCall(seat);
    Restart(seat, fmt::format("the runner was replaced: {}", seat.lane.why()), true, turn);
  } else if (set_up_failure) {
    OnSetUpFailure(seat, *set_up_failure, turn);
  } else {
    OnDeath(seat, exit, what, was_on_lane, turn);
  }
  seat.hang.reset();
}

// What lacks its infrastructure waits for it as long as it takes. What does not say why it fails
// may do so for the same reason, or for ever: it counts like a death.
void Engine::OnSetUpFailure(Seat& seat, const SetUpFailure& failure, Turn& turn) {
  if (failure.failure != FailureClass::kInfrastructure) {
    seat.restarting = true;
    Restart(seat, failure.text, false, turn, "died or could not begin");
  } else {
    const auto delay = seat.lane.Wait(turn.now, turn.random);
    seat.lane.SetTrouble(failure.text + std::string(kRestartIn) + FormatDuration(delay));
    turn.TellTry(Notice::kRunnerRestarts, seat.lane.trouble(), false, seat.lane.waits(), delay);
  }
  if (!life_.ending()) {
    turn.out->back().failure = failure.failure;
  }
}

// A death that nobody asked for is charged to the event or letter that was being handled, else to
// the plugin.
void Engine::OnDeath(Seat& seat, const Exit& exit, const std::string& what, bool was_on_lane,
                     Turn& turn) {
  seat.restarting = true;
  const bool hung = exit.exit_class == ExitClass::kHung;
  const bool crashed = exit.exit_class == ExitClass::kCrash ||
                       exit.exit_class == ExitClass::kExit || exit.exit_class == ExitClass::kMemory;
  if (!was_on_lane || (!hung && !crashed)) {
    CutLetterCall(seat);
    Restart(seat, what, false, turn);
    return;
  }
  const FailureClass failure = hung ? FailureClass::kHang : FailureClass::kCrash;
  std::string text = what;
  if (hung && seat.hang) {
    text = fmt::format("{} hung{}: it took longer than {}", seat.hang->call,
                       AtEvent(seat.hang->sequence), seat.hang->limit);
  }
  if (exit.charged == kLetterCall) {
    LetterFailed(failure, text, Word::kRunners, turn);
    RestartAtOnce(seat, what, turn);
    return;
  }
  JudgeEvent(seat, exit.charged, failure, text, turn);
  if (life_.ending()) {
    return;
  }
  // One that has become a letter, or that its limit paces, says nothing about the next runner.
  if (hung || seat.place.sequence != exit.charged) {
    RestartAtOnce(seat, what, turn);
  } else {
    ++seat.place.counted_deaths;
    const RunnerPacing::Verdict verdict = seat.lane.OnDeath(turn.now, turn.random, true);
    TellRestart(seat, what, false, verdict.delay, turn);
  }
}

void Engine::RestartAtOnce(Seat& seat, const std::string& what, Turn& turn) {
  seat.lane.SpawnAt(turn.now);
  seat.lane.SetTrouble(what + "; restarting at once");
  turn.TellTry(Notice::kRunnerRestarts, seat.lane.trouble(), false, 1, {});
}

void Engine::Restart(Seat& seat, const std::string& what, bool expected, Turn& turn,
                     std::string_view did) {
  RunnerPacing::Verdict verdict = seat.lane.OnDeath(turn.now, turn.random);
  if (verdict.give_up && SettledLately(turn.now)) {
    // The plugin can work, so the group goes on with the lanes that do.
    verdict = {.give_up = false, .delay = RunnerPacing::kSlowest};
    seat.lane.SpawnAt(turn.now + verdict.delay);
  }
  if (verdict.give_up) {
    const std::string why =
        seat.lane.on_probation()
            ? fmt::format("it was tried again, and the runner {} again", did)
            : fmt::format("the runner {} more than {} times and settled no event", did,
                          RunnerPacing::kMaxDeaths);
    End(GroupState::kGivenUp, fmt::format("{}; last: {}", why, what), Lane::Force::kDrain,
        options_.drain_timeout);
    return;
  }
  TellRestart(seat, what, expected, verdict.delay, turn);
}

void Engine::TellRestart(Seat& seat, const std::string& what, bool expected,
                         std::chrono::nanoseconds delay, Turn& turn) {
  const bool at_once = delay == std::chrono::nanoseconds(0);
  seat.lane.SetTrouble(what + (at_once ? std::string("; restarting at once")
                                       : std::string(kRestartIn) + FormatDuration(delay)));
  turn.TellTry(Notice::kRunnerRestarts, seat.lane.trouble(), expected, seat.lane.deaths(), delay);
}

void Engine::On(const RunnerFacts& ready, Turn& turn) {
  if (ready.loaded && !IsPlace(*ready.loaded)) {
    End(GroupState::kFailed, LoadedNoPlace(*ready.loaded), Lane::Force::kDrain,
        options_.drain_timeout);
  } else if (ready.position_mode && many_) {
    End(GroupState::kFailed, NeedsOneLane(seats_.size()), Lane::Force::kDrain,
        options_.drain_timeout);
  } else if (!origin_.begun()) {
    position_mode_ = ready.position_mode;
    Begin(ready.loaded, turn);
  } else if (ready.position_mode != position_mode_) {
    BreakContract(std::string("this runner says that the plugin ") +
                  (ready.position_mode ? "keeps" : "does not keep") +
                  " its own position, an earlier one of this group said the opposite");
  } else if (position_mode_) {
    Rejoin(ready.loaded, turn);
  }
}

// Chooses where the group starts.
void Engine::Begin(std::optional<Position> loaded, Turn& turn) {
  const Origin::Choice choice = Origin::Choose(start_, position_mode_, loaded);
  origin_.Begin(choice);
  if (loaded && start_.filter_changed) {
    End(GroupState::kFailed,
        "the filter of the group has changed, and the plugin's position " +
            FormatPosition(*loaded) +
            " was made with the old one: older events of the new filter would be lost, so wanted "
            "the old filter, or a decision: catchup start with --accept-filter, or catchup reset",
        Lane::Force::kDrain, options_.drain_timeout);
    return;
  }
  if (choice.plugin_behind) {
    turn.Tell(
        Notice::kPluginBehind,
        fmt::format("the plugin's position is behind the group's checkpoint, as after a reset: "
                    "it holds {}, the checkpoint is {}; the plugin's counts, starting from {}",
                    loaded ? FormatPosition(*loaded) : "none", FormatPosition(*start_.checkpoint),
                    Place(choice.place)),
        false, loaded);
    RemoveLettersBeyond(choice.place, turn);
  }
  // An event that lies behind the start is no help for finding it.
  const auto& known = start_.last_event;
  const bool helps = known && IsPlace(*known) && known <= choice.place;
  streams_.Clear();
  ledger_.Reset(choice.place, position_mode_, helps ? known : std::nullopt);
  frontier_.Reset(choice.place, ledger_.last_event());
  pacer_.Reset(choice.durable, choice.covered);
  if (position_mode_ && !pacer_.Covers(choice.place)) {
    // The checkpoint is not where the plugin is; it is for display and lineage, so let it follow.
    pacer_.OnProgress(0, turn.now);
  }
  link_.ConnectAt(turn.now);
}

// A new runner's plugin says where it stands; what it holds is settled, whatever the runner before
// it managed to report.
void Engine::Rejoin(std::optional<Position> loaded, Turn& turn) {
  const std::optional<Position> stands = Origin::Stands(start_, loaded);
  if (stands != ledger_.stored() && (!stands || !ledger_.SettleAt(*stands))) {
    origin_.Move(stands, loaded ? Origin::Whose::kPlugin : Origin::Whose::kStart);
    Rewind(stands, turn);
  }
}

// The plugin's store is somewhere else than we left it: somebody reset it. It wins.
void Engine::Rewind(std::optional<Position> to, Turn& turn) {
  turn.Tell(
      Notice::kPluginMoved,
      fmt::format("the plugin's position is not where its last runner left it, as after a reset: "
                  "it holds {}, settled was {}, received {}; starting again from {}",
                  Place(to), Place(ledger_.stored()), Place(frontier_.reached()), Place(to)),
      false, to);
  link_.Cancel(turn);
  link_.Forget();
  const std::optional<Position> event =
      ledger_.last_event() <= to ? ledger_.last_event() : std::nullopt;
  ledger_.Reset(to, position_mode_, event);
  frontier_.Reset(to, event);
  RemoveLettersBeyond(to, turn);
  pacer_.GoBack(to);
  if (!pacer_.Covers(to)) {
    pacer_.OnProgress(0, turn.now);
  }
  catch_up_.Drop();
  link_.ConnectAt(turn.now);
}

// Begins to end, or tells an end under way something worse.
void Engine::End(GroupState final_state, std::string reason, Lane::Force force,
                 std::chrono::nanoseconds patience) {
  if (!life_.ending()) {
    pacer_.Hurry();
    checkpoint_wait_.Hurry();
  }
  life_.End(final_state, std::move(reason));
  Press(force, patience);
}

}  // namespace catchup
