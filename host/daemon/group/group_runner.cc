// What a group makes of its runner's life: the way to a spawn, and what each thing that the runner
// says or suffers is to the engine.
#include <catchup/plugin.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "host/base/log.h"
#include "host/base/test_seams.h"
#include "host/daemon/group/group.h"
#include "host/daemon/text/hold_text.h"

namespace catchup {
namespace {

// How often a group looks whether its files are still there. Commits and failing calls find out by
// themselves, but a quiet group has none.
constexpr std::chrono::seconds kFilesInterval{2};

using Waiter = GroupReport::Waiter;

}  // namespace

RunnerSide* Group::FindRunner(SpawnNumber spawn) {
  for (const auto& runner : runners_) {
    if (runner->spawn() == spawn) {
      return runner.get();
    }
  }
  return nullptr;
}

void Group::SpawnRunner(LaneNumber lane, SpawnNumber spawn) {
  if (lane == letter_lane_) {
    ++letter_call_;
  }
  store_.PrepareSpawn(
      letters_.token(), [this, lane, spawn] { return !runners_[lane]->cancelled(spawn); },
      [this, lane, spawn](std::uint64_t token, const Status& status) {
        OnSpawnReady(lane, spawn, token, status);
      });
}

void Group::OnSpawnReady(LaneNumber lane, SpawnNumber spawn, std::uint64_t token,
                         const Status& status) {
  if (status.may_pass()) {
    engine().SpawnExhausted(spawn, status.message(), Now(), out());
  } else if (status.ok()) {
    token_ = token;
    letters_.SetToken(token, [this, lane, spawn, token](const Status& set) {
      OnTokenKnown(lane, spawn, token, set);
    });
  } else if (status.code() == Status::Code::kCancelled) {
    engine().RunnerExited(spawn, ExitClass::kClean, 0, "", Now(), out());
  } else if (token == 0) {
    engine().StoreFailed(status.message(), Now(), out());
    engine().RunnerExited(spawn, ExitClass::kClean, 0, "", Now(), out());
  } else {
    engine().RunnerExited(spawn, ExitClass::kSetup, 0, status.message(), Now(), out());
  }
}

void Group::OnTokenKnown(LaneNumber lane, SpawnNumber spawn, std::uint64_t token,
                         const Status& status) {
  if (status.may_pass()) {
    engine().SpawnExhausted(
        spawn, "fencing token not written to the dead letters: " + status.message(), Now(), out());
  } else if (status.ok()) {
    runners_[lane]->Spawn(spawn, token, store_.plugin().path, first_writes_.reset());
  } else {
    engine().StoreFailed(status.message(), Now(), out());
    engine().RunnerExited(spawn, ExitClass::kClean, 0, "", Now(), out());
  }
}

void Group::OnSpawnWaits(const std::string& what) { report_.WaitFor(Waiter::kSpawn, what); }

void Group::OnSpawnWaitEnds(bool over) {
  const bool others_wait = std::any_of(runners_.begin(), runners_.end(),
                                       [](const auto& runner) { return runner->waits(); });
  if (!others_wait) {
    report_.EndWait(Waiter::kSpawn, over);
  }
}

void Group::OnRunnerNotStarted(SpawnNumber spawn, ExitClass why, const std::string& text) {
  engine().RunnerExited(spawn, why, 0, text, Now(), out());
}

// What the store is to hold before the first event is handled comes first.
void Group::OnRunnerReady(SpawnNumber spawn, const Outcome& ready) {
  letters_.SetPluginVersion(ready.text);
  TakeReady({.spawn = spawn, .outcome = ready});
}

void Group::TakeReady(const FirstWrites::Ready& runner) {
  const Outcome& ready = runner.outcome;
  const bool refused = ready.position_mode && config_.lanes > 1;  // By the engine.
  switch (const FirstWrites::Step step = first_writes_.OnReady(runner, refused)) {
    case FirstWrites::Step::kTell:
      engine().RunnerReady(runner.spawn, {ready.position_mode, ready.loaded, ready.max_events},
                           Now(), out());
      break;
    case FirstWrites::Step::kWait:
      break;
    case FirstWrites::Step::kFilter:
    case FirstWrites::Step::kReset:
      WriteFirst(step, runner);
      break;
  }
}

void Group::WriteFirst(FirstWrites::Step step, const FirstWrites::Ready& runner) {
  const auto wanted = [this] { return engine().may_persist(); };
  const auto done = [this, step, runner](const Status& written) {
    OnFirstWritten(step, runner, written);
  };
  if (step == FirstWrites::Step::kFilter) {
    store_.AcceptFilter(wanted, done);
  } else {
    store_.FinishReset(wanted, done);
  }
}

void Group::OnFirstWritten(FirstWrites::Step step, const FirstWrites::Ready& runner,
                           const Status& written) {
  const bool is_reset = step == FirstWrites::Step::kReset;
  if (written.may_pass()) {
    // The engine does not know of this runner yet, so it is not the one who waits.
    report_.WaitFor(Waiter::kStore, std::string(is_reset ? "reset" : "filter") +
                                        " not written: " + written.message());
    services_.reactor->After(FixedWait(kRetryPause), Gate::Wrap(gate_, [this, step, runner] {
                               if (FindRunner(runner.spawn) != nullptr) {
                                 WriteFirst(step, runner);
                               } else {
                                 report_.EndWait(Waiter::kStore, false);
                                 AfterFirstWrite();
                               }
                             }));
    return;
  }
  report_.EndWait(Waiter::kStore, written.ok());
  if (!written.ok()) {
    OnStoreStatus(written);
    return;
  }
  if (is_reset) {
    Log(LogLevel::kInfo, "Reset done", "Group.Reset", config_.name,
        {{"position", ResetText(*first_writes_.reset())},
         {"pluginKeepsPosition", runner.outcome.position_mode}});
  }
  first_writes_.OnWritten(step);
  TakeReady(runner);
  AfterFirstWrite();
}

// The other lanes' runners that were ready before it was written.
void Group::AfterFirstWrite() {
  for (const FirstWrites::Ready& runner : first_writes_.TakeWaiting()) {
    TakeReady(runner);  // Of one that is gone, nothing comes.
  }
}

void Group::OnSettled(SpawnNumber spawn, Sequence last) {
  // With several lanes the order says nothing, and the engine knows what is new.
  if (last > dispatch_.window().settled() || (last != 0 && runners_.size() > 1)) {
    PassFailPoint(FailPoint::kOutcomeUnread);
    engine().Settled(spawn, last, Now(), out());
  }
}

void Group::OnFailed(SpawnNumber spawn, const BadOutcome& outcome, FailureClass failure) {
  report_.CountError();
  NoteFence(outcome);
  letters_.NoteFailedCall(FindRunner(spawn)->lane(), outcome.sequence, failure,
                          outcome.text.empty() ? outcome.call + " said nothing" : outcome.text);
  engine().Failed(spawn, outcome, Now(), out());
}

// A plugin's store that knows a newer token is another host's now, or was: each further try would
// only bring our token nearer to that one.
void Group::NoteFence(const BadOutcome& outcome) {
  if (outcome.status != CATCHUP_FATAL || !engine().may_persist()) {
    return;
  }
  if (const auto seen = FindSeenToken(outcome.text); seen.has_value() && *seen > token_) {
    store_.StoreFence(*seen);
    report_.Halt(FencedText(config_.name, *seen, token_));
  }
}

void Group::OnHung(SpawnNumber spawn, const RunnerLink::Overdue& overdue) {
  report_.CountError();
  engine().Hung(spawn, overdue.sequence, overdue.call + Describe(overdue.sequence).of(),
                overdue.LimitText(), Now(), out());
}

void Group::OnContractBroken(SpawnNumber spawn, const std::string& text) {
  engine().ContractBroken(spawn, text, Now(), out());
}

void Group::OnReplaceable(SpawnNumber spawn, const std::string& why) {
  engine().ReplaceRunner(spawn, why, Now(), out());
}

void Group::OnRetirable(SpawnNumber spawn, const std::string& why) {
  engine().RetireRunner(spawn, why, Now(), out());
}

void Group::OnDiscardable(SpawnNumber spawn, const std::string& why) {
  engine().DiscardRunner(spawn, why, Now(), out());
}

void Group::OnRunnerGone(SpawnNumber spawn, const Gone& gone) {
  const RunnerLink::Ending& ending = gone.ending;
  // One that hung was counted then.
  if (!gone.asked && ending.exit_class != ExitClass::kHung) {
    report_.CountError();
  }
  const Sequence charged = engine().ChargedTo(spawn, ending.charged);
  if (!gone.asked && charged != 0) {
    const bool hung = ending.exit_class == ExitClass::kHung;
    std::string text = ending.text;
    if (ending.crash.has_value()) {
      text += "\n" + ending.crash->frames;
    }
    letters_.NoteFailedCall(gone.lane, charged, hung ? FailureClass::kHang : FailureClass::kCrash,
                            text);
  }
  // "died of SIGSEGV in handle of …".
  engine().RunnerExited(spawn, ending.exit_class, ending.charged,
                        ending.text + Describe(charged).of(), Now(), out());
}

void Group::OnFolderLost(const std::string& text) { engine().StoreFailed(text, Now(), out()); }

// Now and then: whether checkpoint, letters and data/ are still where a restart would look for
// them.
void Group::OnClock() {
  if (files_asked_ || Clock::now() < next_files_look_) {
    return;
  }
  files_asked_ = true;
  next_files_look_ = Clock::now() + FixedWait(kFilesInterval);
  const auto there = std::find_if(runners_.begin(), runners_.end(),
                                  [](const auto& runner) { return runner->spawn() != 0; });
  if (there == runners_.end()) {
    files_asked_ = false;
    return;
  }
  letters_.CheckFile();
  store_.CheckFiles((*there)->data(),
                    [this, spawn = (*there)->spawn()](const Status& checkpoint, bool has_data) {
                      files_asked_ = false;
                      OnStoreStatus(checkpoint);
                      RunnerSide* const runner = FindRunner(spawn);
                      if (checkpoint.ok() && !has_data && runner != nullptr) {
                        runner->DataLost(spawn);
                      }
                    });
}

FailureClass Group::ClassOf(std::int32_t status, std::string_view text) const {
  return classifier_.Classify(status, text);
}

EventFields Group::Describe(Sequence sequence) const {
  const EventFrame* frame = dispatch_.window().Find(sequence);
  return frame == nullptr ? EventFields() : EventFields(frame->event);
}

}  // namespace catchup
