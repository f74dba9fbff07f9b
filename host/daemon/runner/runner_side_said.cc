// What a runner says: its outcomes and its output.
#include <optional>
#include <string>
#include <utility>

#include "host/daemon/runner/runner_side.h"
#include "host/ring/contract/calls.h"

namespace catchup {
namespace {

// Outcomes taken in one go, so that a plugin that logs without end cannot hold the gate.
constexpr int kMostOutcomes = 256;

}  // namespace

void RunnerSide::OnWake(SpawnNumber spawn) {
  if (Current(spawn)) {
    link_->rings().DrainWake();
    Poll();
  }
}

void RunnerSide::TakeOutput(RunnerLink::ReadHow how) {
  const RunnerLink::Output output = link_->ReadOutput(how);
  report_.Output(output);
  for (const CrashRecord& crash : output.other_crashes) {
    report_.Crashed("Process of the plugin crashed", crash,
                    link_->hung() ? ExitClass::kHung : ExitClass::kCrash,
                    listener_.Describe(link_->tickets().ItemOf(crash.ticket)));
  }
  if (output.closed) {
    // The plugin closed both; a pipe without a writer would be readable for ever.
    services_.reactor->Unwatch(link_->process().output());
  }
}

bool RunnerSide::Poll() {
  if (link_ == nullptr || link_->contract_broken()) {
    return false;
  }
  const Result<Ticket> settled = link_->rings().PollSettled();
  if (!settled.ok()) {
    BreakContract(settled.status().message());
    return false;
  }
  if (link_->ready()) {
    const Sequence last = link_->tickets().ItemOf(*settled);
    if (last == kLetterCall) {
      link_->tickets().Forget();  // It is told once, and events follow.
    } else {
      link_->tickets().ForgetBefore(*settled);
    }
    listener_.OnSettled(link_->spawn(), last);
    if (config_.lanes > 1 && link_ != nullptr && last != 0 && *settled == link_->tickets().last()) {
      link_->tickets().Forget();  // What comes next may be an older event, which was held up.
    }
  }
  for (int i = 0; i < kMostOutcomes; ++i) {
    Result<std::optional<Outcome>> outcome = link_->rings().PollOutcome();
    if (!outcome.ok()) {
      BreakContract(outcome.status().message());
      return false;
    }
    if (!outcome->has_value()) {
      return false;
    }
    Take(std::move(**outcome));
    if (link_->contract_broken()) {
      return false;
    }
  }
  // More is waiting: come back after others had their turn.
  services_.reactor->Post(Gate::Wrap(gate_, [this, spawn = link_->spawn()] { OnWake(spawn); }));
  return true;
}

void RunnerSide::Take(Outcome outcome) {
  switch (outcome.kind) {
    case OutcomeKind::kReady:
      link_->MarkReady();
      LookAtMemory();
      report_.Ready(outcome);
      listener_.OnRunnerReady(link_->spawn(), outcome);
      break;
    case OutcomeKind::kFailure:
      TakeFailure(std::move(outcome));
      break;
    case OutcomeKind::kLog:
      report_.Says(outcome);
      break;
    case OutcomeKind::kStopped:
      link_->NoteStopped(std::move(outcome.text));
      break;
  }
}

void RunnerSide::TakeFailure(Outcome outcome) {
  if (outcome.status == kRunnerSetupFailed) {
    // The runner ends by itself.
    link_->NoteRefusal(std::move(outcome.text));
    return;
  }
  const std::string call(CallName(outcome.call));
  const Sequence sequence = link_->tickets().ItemOf(outcome.ticket);
  if (outcome.status == kRunnerContract) {
    // In a set-up call there is no event.
    const std::string event =
        sequence != 0 ? ", at event " + listener_.Describe(sequence).text() : "";
    BreakContract((outcome.call == CallKind::kNone ? "" : call + " ") + outcome.text + event);
    return;
  }
  if (link_->discarded() || LostDataDirectory()) {
    return;
  }
  const EventFields event = listener_.Describe(sequence);
  const FailureClass failure = listener_.ClassOf(outcome.status, outcome.text);
  report_.CallFailed(outcome, failure, event);
  listener_.OnFailed(link_->spawn(),
                     {sequence, outcome.status, call + event.of(), outcome.text,
                      link_->tickets().ItemOf(outcome.call_last)},
                     failure);
}

}  // namespace catchup
