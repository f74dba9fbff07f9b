#include <algorithm>
#include <utility>

#include "catchup/plugin.h"
#include "tests/sim/world.h"

// The runner of the simulated host, with everything that can go wrong in it.

namespace catchup::sim {

void World::SpawnRunner(LaneNumber, SpawnNumber spawn) {
  if (runner_) {
    Wrong("spawned a runner while one lives");
  }
  if (no_token_at_ && scheduler_.now() - *no_token_at_ < kMinBackoff) {
    Wrong("asked for a runner again at once though there was no room for its token");
  }
  if (DiskIsFull()) {
    FindNoRoomForToken(spawn);
    return;
  }
  if (!persist_open_ && Trouble(2)) {
    After(Between(0, 1'000), [this, spawn] { FailToRaiseToken(spawn); });
    return;
  }
  StartRunner(spawn);
}

void World::StartRunner(SpawnNumber spawn) {
  runner_ = std::make_unique<Runner>();
  runner_->spawn = spawn;
  runner_->token = ++token_;
  runner_->ignores_abort = random_.Chance(30);
  After(Between(50, 2'000), [this, spawn] { RunnerSetUp(spawn); });
}

// A write that has begun meanwhile was asked for later, so it is too late for this fault.
void World::FailToRaiseToken(SpawnNumber spawn) {
  if (persist_open_ || store_failed_) {
    StartRunner(spawn);
    return;
  }
  faults_.Fired(Fault::kTokenNotWritten);
  store_failed_ = true;
  Note({.kind = Record::Kind::kStall});
  Input(Cause::kStore, [&](Commands* out) {
    engine_->StoreFailed("fencing token not written: disk on fire", Now(), out);
  });
  Input(Cause::kStore,
        [&](Commands* out) { engine_->RunnerExited(spawn, ExitClass::kClean, 0, "", Now(), out); });
}

void World::FindNoRoomForToken(SpawnNumber spawn) {
  faults_.Fired(Fault::kDiskFullAtSpawn);
  After(Between(0, 1'000), [this, spawn] {
    no_token_at_ = scheduler_.now();
    Input(Cause::kStore, [&](Commands* out) {
      engine_->SpawnExhausted(spawn, "fencing token not written:\nno room", Now(), out);
      if (engine_->state() == GroupState::kWaiting &&
          engine_->reason().find("fencing token not written") == std::string::npos) {
        Wrong("no runner for want of room, and the group says only: " + engine_->reason());
      } else if (engine_->state() <= GroupState::kWaiting) {
        ExpectWait("fencing token not written");
      }
    });
  });
}

void World::RunnerSetUp(SpawnNumber spawn) {
  if (!runner_ || runner_->spawn != spawn) {
    return;
  }
  if (runner_->draining) {
    Die(ExitClass::kClean, 0, true);
    return;
  }
  if (crash_loop_ || Trouble(30)) {
    faults_.Fired(crash_loop_ ? Fault::kCrashLoop : Fault::kCrashInSetup);
    Die(ExitClass::kCrash, 0, false);
    return;
  }
  if (Trouble(12)) {
    FailInSetUp(spawn);
    return;
  }
  std::optional<Position> loaded;
  if (history_.position_mode && plugin_.Load(runner_->token, &loaded) != PluginStore::Answer::kOk) {
    Wrong("the newest runner was fenced");
    return;
  }
  Record start{.kind = Record::Kind::kRunnerStart, .runner = runner_->token};
  start.blind = runner_->discarded;  // The engine does not listen to it any more.
  runner_->ready = true;
  runner_->position = loaded;
  std::optional<Position> said = loaded;
  if (history_.position_mode && !log_grew_ && Trouble(8)) {
    faults_.Fired(Fault::kImpossibleLoad);
    said = Nowhere();
    start.blind = true;
  } else if (history_.position_mode && !log_grew_ && Trouble(8)) {
    faults_.Fired(Fault::kForeignPlaceOfPlugin);
    said = Foreign();
    start.blind = true;
  }
  Note(start);
  misplaced_ = misplaced_ || start.blind;
  const CallNumber before = call_;
  Input(Cause::kRunner, [&](Commands* out) {
    engine_->RunnerReady(spawn, {history_.position_mode, said}, Now(), out);
  });
  if (call_ != before) {
    place_opened_ = false;  // It begins where the plugin stands, or goes back there.
  }
  if (filter_changed_ && said && spawn == 1) {
    faults_.Fired(Fault::kFilterChangedUnderPosition);
    if (engine_->state() != GroupState::kDraining && !finished_) {
      Wrong("went on from a position that was made with another filter");
    }
  }
}

// create or start answers something else than OK, or never.
void World::FailInSetUp(SpawnNumber spawn) {
  if (random_.Chance(30)) {
    faults_.Fired(Fault::kHangInSetUp);
    runner_->stuck = true;
    Input(Cause::kRunner,
          [&](Commands* out) { engine_->Hung(spawn, 0, "start", "its limit", Now(), out); });
    return;
  }
  faults_.Fired(Fault::kFailureInSetUp);
  const BadOutcome outcome{.sequence = 0,
                           .status = static_cast<std::int32_t>(random_.Between(1, 5)),
                           .call = "create",
                           .text = "no\nluck"};
  Input(Cause::kRunner, [&](Commands* out) { engine_->Failed(spawn, outcome, Now(), out); });
}

// A new epoch of the ring: what the runner had is not there any more.
void World::TakeBack(LaneNumber, SpawnNumber spawn) {
  if (!runner_ || runner_->spawn != spawn) {
    return;
  }
  Note({.kind = Record::Kind::kTakeBack, .runner = runner_->token});
  runner_->queue.clear();
}

void World::AskForAnotherRunner() {
  After(Between(0, 5'000), [this] {
    if (!runner_) {
      return;
    }
    const SpawnNumber spawn = runner_->spawn;
    if (random_.Chance(30)) {
      faults_.Fired(Fault::kDiscarded);
      runner_->discarded = true;
      Input(Cause::kRunner,
            [&](Commands* out) { engine_->DiscardRunner(spawn, "no\nground", Now(), out); });
      return;
    }
    if (!runner_->ready || runner_->draining) {
      return;
    }
    if (random_.Chance(30)) {
      const bool loaded = !runner_->queue.empty();
      Input(Cause::kRunner,
            [&](Commands* out) { engine_->RetireRunner(spawn, "it\nleaks", Now(), out); });
      if (loaded && runner_ && runner_->draining) {
        faults_.Fired(Fault::kRetired);
      }
      return;
    }
    Input(Cause::kRunner,
          [&](Commands* out) { engine_->ReplaceRunner(spawn, "it is\nswollen", Now(), out); });
    if (runner_ && runner_->draining) {
      faults_.Fired(Fault::kReplaced);
    }
  });
}

// What the window has for the runner, in one go: the simulated ring has room for everything.
void World::FillRing() {
  DeliveryWindow& window = dispatch_->window();
  if (!runner_ || !window.Next()) {
    return;  // It may have died, and the engine does not know yet.
  }
  if (!runner_->ready || runner_->draining) {
    Wrong("delivery to a runner that is not ready or drains");
    return;
  }
  for (; const auto slot = window.Next(); window.Wrote()) {
    runner_->queue.push_back(ItemAt(*slot));
  }
  Work();
}

World::Item World::ItemAt(const DeliveryWindow::Slot& slot) {
  Item item;
  item.sequence = slot.sequence;
  item.alone = slot.alone;
  if (slot.frame == nullptr) {
    // After a false report the engine cannot know.
    if ((!runner_->queue.empty() && !breach_) || !history_.position_mode) {
      Wrong("an advance while events are in flight");
    }
    item.position = *engine_->AdvanceAt(slot.sequence);
    return item;
  }
  item.event = static_cast<const SimFrame*>(slot.frame)->index;
  item.position = history_.log[*item.event].position;
  if (item.letter() && !runner_->queue.empty()) {
    Wrong("a letter is called while events are in flight");
  }
  Note({.kind = item.letter() ? Record::Kind::kCallLetter : Record::Kind::kDeliver,
        .runner = runner_->token,
        .event = *item.event});
  return item;
}

void World::Work() {
  if (!runner_ || runner_->busy || runner_->draining || runner_->queue.empty()) {
    return;
  }
  Runner& runner = *runner_;
  runner.busy = true;
  std::size_t count = random_.Between(1, std::min<std::size_t>(runner.queue.size(), 8));
  for (std::size_t i = 0; i < count; ++i) {
    if (runner.queue[i].alone) {
      count = std::max<std::size_t>(i, 1);
    }
  }
  std::vector<Item> batch(runner.queue.begin(),
                          runner.queue.begin() + static_cast<std::ptrdiff_t>(count));
  Duration delay = random_.Chance(10) ? Between(0, 8'000) : Between(20, 1'200);
  if (Trouble(5)) {
    faults_.Fired(Fault::kSlowCall);
    delay = Between(40'000, 120'000);
  }
  After(delay, [this, spawn = runner.spawn, batch = std::move(batch)] {
    if (runner_ && runner_->spawn == spawn) {
      Finish(batch);
    }
  });
}

// Ends a call well unless something goes wrong in it.
void World::Finish(const std::vector<Item>& batch) {
  if (CallGoesWrong(batch)) {
    return;
  }
  Apply(batch, batch.size());
  if (!wrong_.empty()) {
    return;
  }
  if (Trouble(12)) {
    faults_.Fired(Fault::kCrashBeforeReport);
    Die(ExitClass::kCrash, random_.Chance(50) ? batch.front().sequence : batch.back().sequence,
        false);
    return;
  }
  Post(batch, batch.size());
  Runner& runner = *runner_;
  runner.busy = false;
  if (Trouble(8)) {
    const bool clean = random_.Chance(30);
    faults_.Fired(clean ? Fault::kCleanExit : Fault::kCrashAfterReport);
    Die(clean ? ExitClass::kClean : ExitClass::kExit, 0, false);
    return;
  }
  if (runner.draining) {
    Die(ExitClass::kClean, 0, true);
    return;
  }
  After(Between(0, 600), [this, spawn = runner.spawn] {
    if (runner_ && runner_->spawn == spawn) {
      DrainRing();
    }
  });
  Work();
}

bool World::CallGoesWrong(const std::vector<Item>& batch) {
  if (HasLetters() && Misbehaves(batch)) {
    return true;
  }
  const Sequence first = batch.front().sequence;
  const SpawnNumber spawn = runner_->spawn;
  // In position mode a call is all or nothing, so none of it is applied when it fails.
  const std::size_t some = history_.position_mode ? 0 : random_.Between(0, batch.size() - 1);
  if (Trouble(12)) {
    faults_.Fired(Fault::kCrashBeforeApply);
    Die(ExitClass::kCrash, first, false);
  } else if (Trouble(12)) {
    faults_.Fired(Fault::kCrashHalfWay);
    Apply(batch, some);
    LeaveZombie(batch);
    if (random_.Chance(50)) {
      // Each event by itself, so those before it are known to be done.
      Post(batch, some);
      Die(ExitClass::kMemory, batch[some].sequence, false);
    } else {
      faults_.Fired(Fault::kChargedBatch);
      Die(ExitClass::kMemory, first, false);
    }
  } else if (Trouble(4)) {
    faults_.Fired(Fault::kFatalExit);
    Die(ExitClass::kFatal, first, false);
  } else if (Trouble(4)) {
    FailInCall(batch, some);
  } else if (Trouble(4)) {
    faults_.Fired(Fault::kHang);
    runner_->stuck = true;
    DrainRing();
    Input(Cause::kRunner,
          [&](Commands* out) { engine_->Hung(spawn, first, "handle", "its limit", Now(), out); });
  } else if (!batch.front().letter() && Trouble(3)) {
    faults_.Fired(Fault::kImpossibleReport);
    runner_->stuck = true;
    const Sequence nonsense = random_.Chance(50) ? first + 1'000 : 0;
    DrainRing();
    Input(Cause::kRunner, [&](Commands* out) { engine_->Settled(spawn, nonsense, Now(), out); });
    if (nonsense == 0 && engine_->state() != GroupState::kFailed &&
        engine_->state() != GroupState::kDraining) {
      // Nothing was settled yet, so 0 says nothing new and the call goes on.
      runner_->stuck = false;
      return false;
    }
    breach_ = true;
    Note({.kind = Record::Kind::kStall});
  } else if (Trouble(batch.front().letter() ? 20 : 3)) {
    FindBreach();
    return false;  // The call itself does not know.
  } else {
    return false;
  }
  return true;
}

// The plugin does to an event what it always does to it.
bool World::Misbehaves(const std::vector<Item>& batch) {
  using Answer = SimBehaviour::Answer;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Item& item = batch[i];
    const Answer answer = item.event
                              ? behaviour_.AnswerTo(*item.event, history_.log[*item.event].type,
                                                    scheduler_.now(), &faults_)
                              : Answer::kOk;
    switch (answer) {
      case Answer::kOk:
        continue;
      case Answer::kReject:
        FailFor(batch, i, CATCHUP_REJECT, "no");
        break;
      case Answer::kRetry:
        FailFor(batch, i, CATCHUP_RETRY, "later");
        break;
      case Answer::kNetwork:
        FailFor(batch, i, CATCHUP_FAILED, "connection\nlost");
        break;
      case Answer::kText:
        FailFor(batch, i, CATCHUP_FAILED, "validation of it");
        break;
      case Answer::kFail:
        FailFor(batch, i, CATCHUP_FAILED, "oops");
        break;
      case Answer::kHang:
      case Answer::kCrash:
        faults_.Fired(Fault::kPoison);
        EndRunnerFor(batch, i, answer == Answer::kHang);
        break;
    }
    return true;
  }
  return false;
}

// A death or a hang in the call of `culprit`, or of a batch in which that is.
void World::EndRunnerFor(const std::vector<Item>& batch, std::size_t culprit, bool hangs) {
  const std::size_t done = history_.position_mode ? 0 : culprit;
  const bool together = history_.position_mode || (culprit > 0 && random_.Chance(30));
  Apply(batch, done);
  Sequence charged = batch[culprit].sequence;
  if (together) {
    faults_.Fired(Fault::kChargedBatch);
    charged = batch.front().sequence;
  } else {
    Post(batch, done);
  }
  if (!hangs) {
    Die(random_.Chance(50) ? ExitClass::kCrash : ExitClass::kExit, charged, false);
    return;
  }
  runner_->stuck = true;
  DrainRing();
  Input(Cause::kRunner, [&](Commands* out) {
    engine_->Hung(runner_->spawn, charged, "handle", "its limit", Now(), out);
  });
}

// A status other than OK, which the host learns as it learns every one.
void World::FailFor(const std::vector<Item>& batch, std::size_t culprit, std::int32_t status,
                    const char* text) {
  faults_.Fired(batch[culprit].letter() ? Fault::kLetterCallFailed : Fault::kPoison);
  // A call for several events may not say which of them it was.
  const bool together =
      batch.size() > 1 && (history_.position_mode || (culprit == 0 && random_.Chance(30)));
  const std::size_t first = history_.position_mode ? 0 : culprit;
  ReportFailure(batch, first,
                {.sequence = batch[first].sequence,
                 .status = status,
                 .call = "handle",
                 .text = text,
                 .last = together ? batch.back().sequence : 0});
}

void World::NoteFailure(const Item& item, FailureClass failure) {
  if (item.event) {
    Note({.kind = Record::Kind::kFail,
          .runner = runner_->token,
          .event = *item.event,
          .letter = item.letter(),
          .failure = failure});
  }
}

// What the runner has in hand is charged with its death, where that is one.
void World::NoteDeath(ExitClass exit_class, Sequence charged) {
  const bool crash = exit_class == ExitClass::kCrash || exit_class == ExitClass::kExit ||
                     exit_class == ExitClass::kMemory;
  if (exit_class == ExitClass::kFatal && !runner_->queue.empty() &&
      runner_->queue.front().letter()) {
    NoteFailure(runner_->queue.front(), FailureClass::kFatal);
  }
  if (charged == 0 || (!crash && exit_class != ExitClass::kHung)) {
    return;
  }
  if (runner_->queue.empty() || runner_->queue.front().sequence != charged) {
    return;  // Of several: it says nothing about any one of them.
  }
  const Item first = runner_->queue.front();
  NoteFailure(first, crash ? FailureClass::kCrash : FailureClass::kHang);
  if (first.letter() && crash) {
    faults_.Fired(Fault::kLetterCrashed);
  }
}

void World::FailInCall(const std::vector<Item>& batch, std::size_t some) {
  faults_.Fired(Fault::kBadOutcome);
  ReportFailure(
      batch, some,
      {.sequence = batch[some].sequence,
       .status =
           random_.Chance(60) ? CATCHUP_RETRY : static_cast<std::int32_t>(random_.Between(1, 5)),
       .call = "handle",
       .text = "no\nluck",
       .last = batch.size() > some + 1 && random_.Chance(50) ? batch.back().sequence : 0});
}

// The call ended with `outcome`, and applied the first `some`.
void World::ReportFailure(const std::vector<Item>& batch, std::size_t some,
                          const BadOutcome& outcome) {
  const SpawnNumber spawn = runner_->spawn;
  Apply(batch, some);
  Post(batch, some);
  // Two words in shared memory: the failure may be seen before what was settled before it.
  const bool failure_first = random_.Chance(50) && !runner_->posted.empty();
  if (failure_first) {
    faults_.Fired(Fault::kFailureBeforeSettled);
  } else {
    DrainRing();
  }
  runner_->queue.clear();
  runner_->busy = false;
  const FailureClass failure = options_.classifier.Classify(outcome.status, outcome.text);
  if (outcome.last > outcome.sequence && failure != FailureClass::kInfrastructure) {
    faults_.Fired(Fault::kFailedBatch);
    NoteFailure({}, failure);
  } else {
    NoteFailure(batch[some], failure);
  }
  Input(Cause::kRunner, [&](Commands* out) { engine_->Failed(spawn, outcome, Now(), out); });
  const DeliveryWindow& window = dispatch_->window();
  if (!breach_ && !HasLetters() && !window.empty() && window.oldest() < outcome.sequence) {
    Wrong("a failure that settles not all that came before it");
  }
  if (failure_first && runner_) {
    DrainRing();
  }
}

// The host finds something in the ring that cannot be. What it had read there just before may be as
// false, here that everything is settled that the runner was ever handed.
void World::FindBreach() {
  faults_.Fired(Fault::kBreach);
  if (writing_) {
    faults_.Fired(Fault::kBreachDuringWrite);
  }
  breach_ = true;
  Note({.kind = Record::Kind::kStall});
  const SpawnNumber spawn = runner_->spawn;
  const Sequence newest = runner_->queue.back().sequence;
  const bool believed = random_.Chance(50);
  if (!believed && runner_->queue.front().letter()) {
    NoteFailure(runner_->queue.front(), FailureClass::kContract);
  }
  if (believed && newest == kLetterCall) {
    faults_.Fired(Fault::kHealedBeforeBreach);
    Note({.kind = Record::Kind::kLetterOk,
          .runner = runner_->token,
          .event = *runner_->queue.back().event});
  }
  Input(Cause::kRunner, [&](Commands* out) {
    if (believed) {
      engine_->Settled(spawn, newest, Now(), out);
    }
    engine_->ContractBroken(spawn, "the word settled was written over", Now(), out);
  });
}

void World::Apply(const std::vector<Item>& batch, std::size_t count) {
  if (history_.position_mode && !batch.front().letter()) {
    if (count > 0) {
      ApplyAt(batch);
    }
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    plugin_.Apply(runner_->token, *batch[i].event, batch[i].letter());
  }
}

void World::ApplyAt(const std::vector<Item>& batch) {
  std::vector<std::size_t> events;
  for (const Item& item : batch) {
    if (item.event) {
      events.push_back(*item.event);
    }
  }
  const Position position = batch.back().position;
  auto answer = plugin_.HandleAt(runner_->token, events, runner_->position, position);
  if (answer != PluginStore::Answer::kOk) {
    Wrong("handle_at to " + FormatPosition(position) + " was refused");
    return;
  }
  if (Trouble(30)) {
    faults_.Fired(Fault::kLostReply);
    // Of several events it comes again one by one.
    for (const Item& item : {batch.front(), batch.back()}) {
      answer = plugin_.HandleAt(runner_->token, events, runner_->position, item.position);
      if (answer != PluginStore::Answer::kAlready) {
        Wrong("a repeated handle_at was not recognised");
      }
    }
  }
  runner_->position = position;
}

// The outcomes of the first `count` go into the ring, where the host finds them later.
void World::Post(const std::vector<Item>& batch, std::size_t count) {
  const auto some = static_cast<std::ptrdiff_t>(count);
  runner_->posted.insert(runner_->posted.end(), batch.begin(), batch.begin() + some);
  runner_->queue.erase(runner_->queue.begin(), runner_->queue.begin() + some);
}

void World::DrainRing() {
  const std::vector<Item> posted = std::exchange(runner_->posted, {});
  const SpawnNumber spawn = runner_->spawn;
  if (posted.empty()) {
    return;
  }
  for (const Item& item : posted) {
    if (item.event) {
      Note({.kind = item.letter() ? Record::Kind::kLetterOk : Record::Kind::kReport,
            .runner = runner_->token,
            .event = *item.event});
    } else {
      Note({.kind = Record::Kind::kAdvance, .runner = runner_->token});
    }
  }
  const Sequence last = posted.back().sequence;
  Input(Cause::kRunner, [&](Commands* out) { engine_->Settled(spawn, last, Now(), out); });
}

// The process is gone; the host drains its ring first and then learns of it.
void World::Die(ExitClass exit_class, Sequence charged, bool asked) {
  const SpawnNumber spawn = runner_->spawn;
  DrainRing();
  if (!asked) {
    Note({.kind = Record::Kind::kRunnerDeath, .runner = runner_->token});
  } else if (exit_class != ExitClass::kClean) {
    cut_ = true;
  }
  NoteDeath(exit_class, charged);
  const Sequence newest = runner_->queue.empty() ? 0 : runner_->queue.back().sequence;
  runner_.reset();
  if (!asked && Trouble(50) && RestorePlugin()) {
    faults_.Fired(Fault::kPluginRestoredWhileRunning);
    if (writing_) {
      faults_.Fired(Fault::kResetDuringWrite);
    }
    if (random_.Chance(30)) {
      // Whoever does that is about to stop the host.
      After(Between(0, 5'000), [this] {
        faults_.Fired(Fault::kGracefulStop);
        Input(Cause::kOperator, [&](Commands* out) { engine_->Stop(Now(), out); });
      });
    }
  }
  After(Between(0, 300), [this, spawn, exit_class, charged] {
    ++letter_calls_;  // The engine may have called one that it did not live to be handed.
    Input(Cause::kRunner, [&](Commands* out) {
      engine_->RunnerExited(spawn, exit_class, charged, "core\ndumped", Now(), out);
    });
  });
  if (newest != 0 && random_.Chance(20)) {
    StaleReport(spawn, newest);
  }
}

// A runner that was thought dead still says that everything it was handed is done.
void World::StaleReport(SpawnNumber spawn, Sequence last) {
  After(Between(300, 6'000), [this, spawn, last] {
    if (runner_ && runner_->spawn > spawn) {
      faults_.Fired(Fault::kStaleReport);
      Input(Cause::kRunner, [&](Commands* out) { engine_->Settled(spawn, last, Now(), out); });
    }
  });
}

void World::ForceRunner(bool kill) {
  if (!runner_ || (!kill && runner_->ignores_abort)) {
    return;
  }
  After(Between(0, 200), [this, spawn = runner_->spawn] {
    if (!runner_ || runner_->spawn != spawn) {
      return;
    }
    const std::vector<Item> rest(runner_->queue.begin(), runner_->queue.end());
    if (!rest.empty() && runner_->busy && !runner_->stuck) {
      LeaveZombie(rest);
      if (!history_.position_mode || rest.front().letter()) {
        Apply(rest, random_.Between(0, 1));
      }
    }
    // Where nobody asked for the end of the group, what was in hand comes again in this process.
    const bool discarded = runner_->discarded;
    Die(discarded ? ExitClass::kKilled : ExitClass::kHung, rest.empty() ? 0 : rest.front().sequence,
        !discarded && (finished_ || engine_->state() == GroupState::kDraining));
  });
}

// A transaction that was sent before its runner died and reaches the plugin's store later.
void World::LeaveZombie(const std::vector<Item>& batch) {
  if (!history_.position_mode || batch.empty() || batch.front().letter() || random_.Chance(30)) {
    return;
  }
  std::vector<std::size_t> events;
  for (const Item& item : batch) {
    if (item.event) {
      events.push_back(*item.event);
    }
  }
  Outside(Between(0, 5'000), [this, token = runner_->token, events, previous = runner_->position,
                              position = batch.back().position] {
    switch (plugin_.HandleAt(token, events, previous, position)) {
      case PluginStore::Answer::kOk:
        faults_.Fired(Fault::kZombieCommitBeforeLoad);
        break;
      case PluginStore::Answer::kFenced:
        faults_.Fired(Fault::kZombieCommitFenced);
        break;
      case PluginStore::Answer::kAlready:
      case PluginStore::Answer::kMismatch:
        break;
    }
  });
}

// Puts an earlier state of the plugin's store in place, effects and position together.
bool World::RestorePlugin() {
  // Where the log is another one as well, nobody could tell.
  const bool other_log = log_grew_ || restored_log_ || foreign_;
  if (!history_.position_mode || !plugin_.position() || other_log) {
    return false;
  }
  std::optional<Position> target;
  Position place = history_.log[random_.Between(0, history_.log.size() - 1)].position;
  if (random_.Chance(40)) {
    // As of the moment of the last checkpoint, or the same back-up once more.
    place = (random_.Chance(50) ? stored_ : restored_).value_or(place);
  }
  if (random_.Chance(70) && place < *plugin_.position() &&
      (!history_.start || place > *history_.start)) {
    target = place;
  }
  restored_ = target;
  plugin_.Restore(target);
  return true;
}

}  // namespace catchup::sim
