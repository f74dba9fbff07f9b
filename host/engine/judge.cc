#include "host/engine/judge.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <utility>

#include "host/base/time_text.h"
#include "host/engine/beginning.h"
#include "host/engine/engine_text.h"
#include "host/engine/heal.h"
#include "host/engine/judge_call.h"
#include "host/engine/route.h"

namespace catchup {
namespace {

// After a hang nothing presses, so its report may take longer to write than in a stop.
constexpr std::chrono::nanoseconds kHangPatience = std::chrono::seconds(5);

// Whether an exit says that another start would end the same way.
bool IsVerdict(ExitClass exit_class) {
  return exit_class == ExitClass::kSetup || exit_class == ExitClass::kContract ||
         exit_class == ExitClass::kFatal;
}

std::string WhatHappened(const Seat& seat, const RunnerGone& exit) {
  if (exit.exit_class == ExitClass::kHung && seat.hang && seat.hang->sequence == 0) {
    return fmt::format("{} hung: it took longer than {}", seat.hang->call, seat.hang->limit);
  }
  const std::string what = DescribeExit(exit.exit_class, exit.charged, exit.text);
  return exit.exit_class == ExitClass::kKilled && !seat.lane.why().empty()
             ? what + ": " + seat.lane.why()
             : what;
}

class HeardJudge {
 public:
  explicit HeardJudge(EngineParts& parts) : parts_(parts) {}

  void Run(Turn& turn);

 private:
  void On(std::monostate nothing, Turn& turn);
  void On(const RunnerFacts& facts, Turn& turn);
  void On(const BadOutcome& outcome, Turn& turn);
  void On(const Hang& hang, Turn& turn);
  void On(const ContractBreach& breach, Turn& turn);
  void On(const RunnerGone& end, Turn& turn);
  void CallAlone(const Seat& seat, Sequence last);
  std::string OfLetter(const Seat& seat) const;
  void OnSetUpFailure(Seat& seat, const SetUpFailure& failure, Turn& turn);
  void OnDeath(Seat& seat, const RunnerGone& exit, const std::string& what, bool was_on_lane,
               Turn& turn);
  void RestartAtOnce(Seat& seat, const std::string& what, Turn& turn);
  void Restart(Seat& seat, const std::string& what, bool expected, Turn& turn,
               std::string_view did = "died");
  bool SettledLately(std::chrono::nanoseconds now) const;
  void TellRestart(Seat& seat, const std::string& what, bool expected,
                   std::chrono::nanoseconds delay, Turn& turn);

  EngineParts& parts_;
};

void HeardJudge::Run(Turn& turn) {
  const Heard heard = std::exchange(parts_.heard, {});
  std::visit([this, &turn](const auto& what) { On(what, turn); }, heard);
}

void HeardJudge::On(std::monostate, Turn&) {}

// The one place where a plugin's answer other than OK meets the rules. Everything before
// outcome.sequence is settled already and that event is the first one unapplied, so whatever is
// decided here concerns this event alone.
void HeardJudge::On(const BadOutcome& outcome, Turn& turn) {
  Seat& seat = *parts_.heard_of;
  const std::string text = DescribeOutcome(outcome);
  const FailureClass failure = parts_.options.classifier.Classify(outcome.status, outcome.text);
  const bool of_letter = outcome.sequence == kLetterCall;
  if (failure == FailureClass::kFatal || failure == FailureClass::kContract) {
    // Also while it stops: it ends worse then, and the next start would do the same.
    const std::string reason = text + (of_letter ? OfLetter(seat) : std::string());
    if (of_letter) {
      Heal(parts_).LetterFailed(failure, text, Heal::Word::kRunners, turn);
    }
    Heal(parts_).CutLetterCall(seat);
    parts_.End(GroupState::kFailed, reason + StopsBefore(of_letter ? 0 : outcome.sequence),
               Lane::Force::kDrain, parts_.options.drain_timeout);
    return;
  }
  if (parts_.life.ending()) {
    // A call that the drain let finish. What its failure would lead to, a letter, a wait, another
    // try, is for a group that goes on; a restart forgets attempts and streaks in any case. So it
    // decides nothing, like a call that was cut short: the event comes again at the next start, a
    // REJECT included, and the letter is due as it was.
    Heal(parts_).CutLetterCall(seat);
    if (outcome.sequence != 0) {
      Routing(parts_).TakeBackFromRunner(seat, turn);
    }
    return;
  }
  if (outcome.sequence == 0) {
    // No event is to blame, and no text rule speaks of one.
    seat.set_up_failure = SetUpFailure{
        failure == FailureClass::kInfrastructure ? failure : FailureClass::kUnknown, text};
    seat.lane.Press(Lane::Force::kDrain, parts_.options.drain_timeout);
    return;
  }
  const bool of_batch = outcome.last > outcome.sequence;
  if (of_batch) {
    // It says nothing about any one of its events: each says it for itself.
    CallAlone(seat, outcome.last);
  }
  Routing(parts_).TakeBackFromRunner(seat, turn);
  if (of_letter) {
    Heal(parts_).LetterFailed(failure, text, Heal::Word::kRunners, turn);
    return;
  }
  if (of_batch) {
    if (failure == FailureClass::kInfrastructure) {
      JudgeCall(parts_, seat, outcome.sequence, failure, text, turn);
    }
    return;
  }
  JudgeCall(parts_, seat, outcome.sequence, failure, text, turn);
}

void HeardJudge::On(const RunnerFacts& facts, Turn& turn) { BeginOrRejoin(parts_, facts, turn); }

// It is killed for it, with time for a report; what that means, for the event or, in a set-up call,
// for the plugin, is judged once the runner is gone.
void HeardJudge::On(const Hang& hang, Turn&) {
  parts_.heard_of->hang = hang;
  parts_.heard_of->lane.Press(Lane::Force::kAbort, kHangPatience, "it hung");
}

void HeardJudge::On(const ContractBreach& breach, Turn& turn) {
  const std::string text = breach.text + OfLetter(*parts_.heard_of);
  Heal(parts_).LetterBroke(*parts_.heard_of, "contract broken: " + breach.text, turn);
  parts_.BreakContract(text);
}

void HeardJudge::On(const RunnerGone& said, Turn& turn) {
  Seat& seat = *parts_.heard_of;
  RunnerGone exit = said;
  exit.charged = parts_.ChargedTo(seat.lane.spawn(), said.charged);
  if (said.charged == kUnknownCall && exit.charged == 0) {
    CallAlone(seat,
              parts_.many ? (seat.has.empty() ? 0 : seat.has.back()) : parts_.ledger.handed_out());
  }
  const Lane::Force pressed = seat.lane.pressed();
  seat.lane.OnExited();
  if (parts_.life.ending()) {
    parts_.spawn_wait.Forget();  // Perhaps it was never there.
  } else {
    parts_.spawn_wait.OnDone(turn);
  }
  const bool cut =
      (parts_.many ? !seat.has.empty() : parts_.ledger.on_lane() > 0) || parts_.CallsLetter(seat);
  // A place without an event is nobody's fault, and nothing that could be a letter.
  const bool of_event = parts_.Has(seat, exit.charged) && !parts_.ledger.AdvanceAt(exit.charged);
  const Sequence first = parts_.many && of_event ? seat.has.front() : parts_.ledger.FirstOnLane();
  if (of_event && exit.charged != first) {
    // Those before it were not reported: whose fault it was shows when each is called alone.
    CallAlone(seat, exit.charged);
  }
  const bool was_on_lane = (of_event && exit.charged == first) ||
                           (exit.charged == kLetterCall && parts_.CallsLetter(seat));
  Routing(parts_).TakeBack(seat);
  const std::string what = WhatHappened(seat, exit);
  const bool discarded =
      std::exchange(seat.discarded, false) &&
      (exit.exit_class == ExitClass::kKilled || exit.exit_class == ExitClass::kClean);
  const bool clean = exit.exit_class == ExitClass::kClean;
  const bool replaced = std::exchange(seat.replacing, false) && clean;
  const bool retired = std::exchange(seat.retiring, false) && clean;
  const auto set_up_failure = std::exchange(seat.set_up_failure, std::nullopt);
  if (exit.exit_class == ExitClass::kContract) {
    parts_.distrusted = true;
  }
  if (IsVerdict(exit.exit_class)) {
    const std::string reason = what + OfLetter(seat);
    Heal(parts_).LetterBroke(seat, what, turn);
    parts_.End(GroupState::kFailed, reason,
               parts_.distrusted ? Lane::Force::kKill : Lane::Force::kDrain,
               parts_.options.drain_timeout);
  } else if (parts_.life.ending()) {
    Heal(parts_).CutLetterCall(seat);
    if (exit.exit_class != ExitClass::kClean) {
      turn.Tell(Notice::kRunnerEndedBadly,
                "while stopping, " + what +
                    (cut ? "; what it had not finished comes again at the next start" : ""),
                !cut && pressed >= Lane::Force::kAbort);
    }
  } else if (discarded) {
    Heal(parts_).CutLetterCall(seat);
    Restart(seat, what, true, turn);
  } else if (replaced) {
    seat.lane.SpawnAt(turn.now);
  } else if (retired) {
    Heal(parts_).CutLetterCall(seat);
    Restart(seat, fmt::format("the runner was replaced: {}", seat.lane.why()), true, turn);
  } else if (set_up_failure) {
    OnSetUpFailure(seat, *set_up_failure, turn);
  } else {
    OnDeath(seat, exit, what, was_on_lane, turn);
  }
  seat.hang.reset();
}

// What the lane's runner has, up to `last`, is called one by one from now on.
void HeardJudge::CallAlone(const Seat& seat, Sequence last) {
  if (parts_.many) {
    const auto end = std::upper_bound(seat.has.begin(), seat.has.end(), last);
    std::for_each(seat.has.begin(), end, [this](Sequence one) { parts_.suspects.Add(one); });
  } else {
    parts_.suspects.AddThrough(last);
  }
}

// Which letter the lane calls, for a reason of the group's.
std::string HeardJudge::OfLetter(const Seat& seat) const {
  return parts_.CallsLetter(seat) ? " (in a call of the dead letter " +
                                        FormatPosition(parts_.letter_calls.called()->position) + ")"
                                  : std::string();
}

// What lacks its infrastructure waits for it as long as it takes. What does not say why it fails
// may do so for the same reason, or for ever: it counts like a death.
void HeardJudge::OnSetUpFailure(Seat& seat, const SetUpFailure& failure, Turn& turn) {
  if (failure.failure != FailureClass::kInfrastructure) {
    seat.restarting = true;
    Restart(seat, failure.text, false, turn, "died or could not begin");
  } else {
    const auto delay = seat.lane.Wait(turn.now, turn.random);
    seat.lane.SetTrouble(failure.text + std::string(kRestartIn) + FormatDuration(delay));
    turn.TellTry(Notice::kRunnerRestarts, seat.lane.trouble(), false, seat.lane.waits(), delay);
  }
  if (!parts_.life.ending()) {
    turn.out->back().failure = failure.failure;
  }
}

// A death that nobody asked for is charged to the event or letter that was being handled, else to
// the plugin.
void HeardJudge::OnDeath(Seat& seat, const RunnerGone& exit, const std::string& what,
                         bool was_on_lane, Turn& turn) {
  seat.restarting = true;
  const bool hung = exit.exit_class == ExitClass::kHung;
  const bool crashed = exit.exit_class == ExitClass::kCrash ||
                       exit.exit_class == ExitClass::kExit || exit.exit_class == ExitClass::kMemory;
  if (!was_on_lane || (!hung && !crashed)) {
    Heal(parts_).CutLetterCall(seat);
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
    Heal(parts_).LetterFailed(failure, text, Heal::Word::kRunners, turn);
    RestartAtOnce(seat, what, turn);
    return;
  }
  JudgeCall(parts_, seat, exit.charged, failure, text, turn);
  if (parts_.life.ending()) {
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

void HeardJudge::RestartAtOnce(Seat& seat, const std::string& what, Turn& turn) {
  seat.lane.SpawnAt(turn.now);
  seat.lane.SetTrouble(what + "; restarting at once");
  turn.TellTry(Notice::kRunnerRestarts, seat.lane.trouble(), false, 1, {});
}

void HeardJudge::Restart(Seat& seat, const std::string& what, bool expected, Turn& turn,
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
    parts_.End(GroupState::kGivenUp, fmt::format("{}; last: {}", why, what), Lane::Force::kDrain,
               parts_.options.drain_timeout);
    return;
  }
  TellRestart(seat, what, expected, verdict.delay, turn);
}

// Whether events were settled of late, on whichever lane: then the plugin can work.
bool HeardJudge::SettledLately(std::chrono::nanoseconds now) const {
  return parts_.many && parts_.settled_at && now - *parts_.settled_at <= RunnerPacing::kDeathPeriod;
}

void HeardJudge::TellRestart(Seat& seat, const std::string& what, bool expected,
                             std::chrono::nanoseconds delay, Turn& turn) {
  const bool at_once = delay == std::chrono::nanoseconds(0);
  seat.lane.SetTrouble(what + (at_once ? std::string("; restarting at once")
                                       : std::string(kRestartIn) + FormatDuration(delay)));
  turn.TellTry(Notice::kRunnerRestarts, seat.lane.trouble(), expected, seat.lane.deaths(), delay);
}

}  // namespace

void JudgeHeard(EngineParts& parts, Turn& turn) { HeardJudge(parts).Run(turn); }

}  // namespace catchup
