// What a group makes of its runner's life: the way to a spawn, and what each thing that the runner
// says or suffers is to the engine.
#include <chrono>
#include <optional>
#include <string>

#include "host/base/test_seams.h"
#include "host/daemon/group.h"

namespace catchup {
namespace {

// How often a group looks whether its files are still there. Commits and failing calls find out by
// themselves, but a quiet group has none.
constexpr std::chrono::seconds kFilesInterval{2};

using Waiter = GroupReport::Waiter;

}  // namespace

void Group::SpawnRunner(SpawnNumber spawn) {
  ++letter_call_;
  store_.PrepareSpawn([this, spawn] { return !runner_.cancelled(spawn); },
                      [this, spawn](std::uint64_t token, const Status& status) {
                        OnSpawnReady(spawn, token, status);
                      });
}

void Group::OnSpawnReady(SpawnNumber spawn, std::uint64_t token, const Status& status) {
  if (status.may_pass()) {
    engine().SpawnExhausted(spawn, status.message(), Now(), out());
  } else if (status.ok()) {
    letters_.SetToken(token,
                      [this, spawn, token](const Status& set) { OnTokenKnown(spawn, token, set); });
  } else if (status.code() == Status::Code::kCancelled) {
    engine().RunnerExited(spawn, ExitClass::kClean, 0, "", Now(), out());
  } else if (token == 0) {
    engine().StoreFailed(status.message(), Now(), out());
    engine().RunnerExited(spawn, ExitClass::kClean, 0, "", Now(), out());
  } else {
    engine().RunnerExited(spawn, ExitClass::kSetup, 0, status.message(), Now(), out());
  }
}

void Group::OnTokenKnown(SpawnNumber spawn, std::uint64_t token, const Status& status) {
  if (status.may_pass()) {
    engine().SpawnExhausted(
        spawn, "fencing token not written to the dead letters: " + status.message(), Now(), out());
  } else if (status.ok()) {
    runner_.Spawn(spawn, token, store_.plugin().path);
  } else {
    engine().StoreFailed(status.message(), Now(), out());
    engine().RunnerExited(spawn, ExitClass::kClean, 0, "", Now(), out());
  }
}

void Group::OnSpawnWaits(const std::string& what) { report_.WaitFor(Waiter::kSpawn, what); }

void Group::OnSpawnWaitEnds(bool over) { report_.EndWait(Waiter::kSpawn, over); }

void Group::OnRunnerNotStarted(SpawnNumber spawn, ExitClass why, const std::string& text) {
  engine().RunnerExited(spawn, why, 0, text, Now(), out());
}

void Group::OnRunnerReady(SpawnNumber spawn, const Outcome& ready) {
  if (filter_changed_ && !ready.loaded.has_value()) {
    AcceptFilter(spawn, ready.position_mode);
  } else {
    engine().RunnerReady(spawn, ready.position_mode, ready.loaded, Now(), out());
  }
}

// Nothing was handled under the old filter; the new one is durable before its first event is, so
// that no position of the plugin's is taken for the old one's.
void Group::AcceptFilter(SpawnNumber spawn, bool position_mode) {
  store_.AcceptFilter([this] { return engine().may_persist(); },
                      [this, spawn, position_mode](const Status& accepted) {
                        if (accepted.may_pass()) {
                          AcceptFilterLater(spawn, position_mode, accepted);
                          return;
                        }
                        report_.EndWait(Waiter::kStore, accepted.ok());
                        if (accepted.ok()) {
                          filter_changed_ = false;
                          engine().RunnerReady(spawn, position_mode, std::nullopt, Now(), out());
                        } else {
                          OnStoreStatus(accepted);
                        }
                      });
}

// The engine does not know of this runner yet, so it is not the one who waits.
void Group::AcceptFilterLater(SpawnNumber spawn, bool position_mode, const Status& why) {
  report_.WaitFor(Waiter::kStore, "filter not written: " + why.message());
  services_.reactor->After(FixedWait(kRetryPause), Gate::Wrap(gate_, [this, spawn, position_mode] {
                             if (runner_.spawn() == spawn) {
                               AcceptFilter(spawn, position_mode);
                             } else {
                               report_.EndWait(Waiter::kStore, false);
                             }
                           }));
}

void Group::OnSettled(SpawnNumber spawn, Sequence last) {
  if (last > dispatch_.window().settled()) {
    PassFailPoint(FailPoint::kOutcomeUnread);
    engine().Settled(spawn, last, Now(), out());
  }
}

void Group::OnFailed(SpawnNumber spawn, const BadOutcome& outcome) {
  report_.CountError();
  letters_.NoteFailedCall(outcome.sequence, classifier_.Classify(outcome.status, outcome.text),
                          outcome.text.empty() ? outcome.call + " said nothing" : outcome.text);
  engine().Failed(spawn, outcome, Now(), out());
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

void Group::OnDiscardable(SpawnNumber spawn, const std::string& why) {
  engine().DiscardRunner(spawn, why, Now(), out());
}

void Group::OnRunnerGone(SpawnNumber spawn, const Gone& gone) {
  const RunnerLink::Ending& ending = gone.ending;
  // One that hung was counted then.
  if (!gone.asked && ending.exit_class != ExitClass::kHung) {
    report_.CountError();
  }
  if (gone.position_refused && engine().may_persist()) {
    // No other runner was spawned since, so it is the present token that goes.
    store_.TakeBackToken();
  }
  if (!gone.asked && ending.charged != 0) {
    const bool hung = ending.exit_class == ExitClass::kHung;
    std::string text = ending.text;
    if (ending.crash.has_value()) {
      text += "\n" + ending.crash->frames;
    }
    letters_.NoteFailedCall(ending.charged, hung ? FailureClass::kHang : FailureClass::kCrash,
                            text);
  }
  // "died of SIGSEGV in handle of …".
  engine().RunnerExited(spawn, ending.exit_class, ending.charged,
                        ending.text + Describe(ending.charged).of(), Now(), out());
}

void Group::OnFolderLost(const std::string& text) { engine().StoreFailed(text, Now(), out()); }

// Now and then: whether checkpoint and data/ are still where a restart would look for them.
void Group::OnClock() {
  if (files_asked_ || Clock::now() < next_files_look_) {
    return;
  }
  files_asked_ = true;
  next_files_look_ = Clock::now() + FixedWait(kFilesInterval);
  store_.CheckFiles(runner_.data(),
                    [this, spawn = runner_.spawn()](const Status& checkpoint, bool has_data) {
                      files_asked_ = false;
                      OnStoreStatus(checkpoint);
                      if (checkpoint.ok() && !has_data) {
                        runner_.DataLost(spawn);
                      }
                    });
}

EventFields Group::Describe(Sequence sequence) const {
  const EventFrame* frame = dispatch_.window().Find(sequence);
  return frame == nullptr ? EventFields() : EventFields(frame->event);
}

}  // namespace catchup
