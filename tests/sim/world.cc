#include "tests/sim/world.h"

#include <algorithm>
#include <utility>

// The host process, its store and its clock.

namespace catchup::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// A history that has not ended by then is stuck. Given up takes about six minutes of restarts, and
// a letter is called every hour.
constexpr std::chrono::nanoseconds kLongest = std::chrono::hours(4);

// Of most histories.
constexpr std::size_t kRecords = 1'024;

// As many as a store keeps; which ones does not matter here.
constexpr std::size_t kWitnesses = 8;

void DropBeyond(const std::optional<Position>& place, std::vector<Witness>* witnesses) {
  std::erase_if(*witnesses, [&](const Witness& one) { return one.position > place; });
}

void Remember(const std::optional<Witness>& handled, std::vector<Witness>* witnesses) {
  if (handled && (witnesses->empty() || handled->position > witnesses->front().position)) {
    witnesses->insert(witnesses->begin(), *handled);
    witnesses->resize(std::min(witnesses->size(), kWitnesses));
  }
}

}  // namespace

History World::MakeHistory(Random* random) {
  History history;
  history.log = MakeLog(random);
  history.batch = random->Between(1, 10);
  history.window = random->Between(1, 16);
  history.window_bytes = random->Chance(50) ? 1'000'000 : random->Between(1, 500);
  history.system_events = random->Chance(20);
  history.position_mode = random->Chance(40);
  if (random->Chance(25)) {
    history.start = history.log[random->Between(0, history.log.size() - 1)].position;
    if (random->Chance(30)) {
      history.start->prepare = 0;  // As a single number is read.
    }
  }
  if (random->Chance(55)) {
    history.order = random->Chance(75) ? LetterOrder::kStream : LetterOrder::kEvent;
    history.max_letters = random->Chance(25) ? random->Between(1, 8) : 100'000;
    history.budget = static_cast<std::uint32_t>(random->Between(0, 3));
    if (random->Chance(30)) {
      history.heal_for = milliseconds(random->Chance(30) ? 0 : random->Between(1, 10'000));
    }
  }
  history.open = milliseconds(200);
  history.max_open = milliseconds(800);
  return history;
}

World::World(std::uint64_t seed, FaultCounts* faults, TransitionsSeen* transitions)
    : random_(seed),
      faults_(*faults),
      transitions_(*transitions),
      history_(MakeHistory(&random_)),
      plugin_(&history_, &scheduler_),
      server_(&history_.log, &random_, faults) {
  history_.records.reserve(kRecords);
  server_.lying = random_.Chance(60);
  server_.lies_twice = random_.Chance(30);
  server_.sends_caught_up = random_.Chance(80);
  old_servers_ = random_.Chance(30);
  followers_ = seed % 50 == 3;
  ChooseOptions();
  processes_ = random_.Between(1, 5);
  if (random_.Chance(2)) {
    faults_.Fired(Fault::kForeignPlace);
    foreign_ = true;
    (history_.position_mode || random_.Chance(50) ? history_.start : stored_) = Foreign();
  }
  // Much trouble ends a process early, little lets it get far: both are needed.
  intensity_ = random_.Chance(40) ? 100 : random_.Between(5, 40);
}

void World::ChooseOptions() {
  options_.checkpoint_batch_size = static_cast<std::uint32_t>(history_.batch);
  options_.checkpoint_interval = milliseconds(random_.Between(1, 60));
  history_.interval = options_.checkpoint_interval;
  options_.window_events = history_.window;
  options_.window_bytes = history_.window_bytes;
  options_.drain_timeout = milliseconds(50);
  options_.max_retries = static_cast<std::uint32_t>(random_.Between(0, 3));
  options_.retry = {milliseconds(100), milliseconds(400)};
  options_.breaker.open = history_.open;
  options_.breaker.max_open = history_.max_open;
  options_.letter_order = history_.order;
  options_.max_letters = history_.max_letters;
  options_.budget = history_.budget;
  options_.heal_for = history_.heal_for;
  options_.max_crashes = static_cast<std::uint32_t>(random_.Between(1, 3));
  by_hand_ = history_.order == LetterOrder::kHalt && random_.Chance(8);
  if (history_.order != LetterOrder::kHalt) {
    behaviour_ = SimBehaviour(history_.log, &random_);
    if (!history_.position_mode && random_.Chance(8)) {
      BreakOneType();
    }
  }
}

// Only a type of which there is little, always failing among others, comes to be held by itself.
void World::BreakOneType() {
  for (LogEvent& event : history_.log) {
    if (event.type == 2 && random_.Chance(70)) {
      event.type = static_cast<std::uint32_t>(random_.Between(0, 1));
    }
  }
  behaviour_.BreakType(2);
  history_.order = options_.letter_order = LetterOrder::kEvent;
  // Half full before all of its events are letters, or never.
  history_.max_letters = options_.max_letters =
      random_.Chance(30) ? random_.Between(12, 40) : 100'000;
}

std::string World::Run() {
  Outside(Duration(0), [this] { Boot(processes_ == 1); });
  std::function<void()> append = [this, &append] {
    if (server_.visible() < history_.log.size() && !restored_log_) {
      server_.Append();
      Pump();
      Outside(Between(100, 8'000), append);
    }
  };
  Outside(Between(0, 5'000), append);
  while (!done_ && wrong_.empty()) {
    if (!scheduler_.Step()) {
      Wrong("nothing more will happen");
    } else if (scheduler_.now() > kLongest) {
      Wrong("stuck");
    }
  }
  return wrong_;
}

void World::Wrong(std::string text) {
  if (wrong_.empty()) {
    wrong_ = "process " + std::to_string(process_) + ", " +
             std::to_string(scheduler_.now().count() / 1'000) + " us: " + std::move(text);
    if (engine_ != nullptr) {
      wrong_ += "; state " + std::string(GroupStateName(engine_->state())) + " (" +
                engine_->reason() + "), breaker " +
                (engine_->breaker().closed() ? "closed"
                 : engine_->breaker().open() ? "open"
                                             : "half-open");
    }
  }
}

World::Duration World::Between(std::uint64_t low_us, std::uint64_t high_us) {
  return microseconds(random_.Between(low_us, high_us));
}

// Whether something goes wrong now; nothing does in the last process.
bool World::Trouble(std::uint64_t permille) { return !last_ && random_.Between(0, 999) < permille; }

void World::Boot(bool last) {
  ++process_;
  alive_ = true;
  last_ = last;
  cut_ = store_failed_ = breach_ = finished_ = call_open_ = subscribed_ = frame_asked_ = false;
  misses_source_ = false;
  no_call_before_ = {};
  crash_loop_ = Trouble(10);
  mutes_ = !crash_loop_ && !server_.lying && Trouble(20);
  call_ = 0;
  writing_.reset();
  persist_open_ = false;
  place_opened_ = false;
  no_room_at_.reset();
  no_token_at_.reset();
  hurried_ = false;
  told_short_ = misplaced_ = invalid_told_ = reads_witness_ = false;
  known_witnesses_ = witnesses_;
  known_before_.reset();
  if (!witnesses_.empty()) {
    known_before_ = witnesses_.front().position;
  }
  known_event_ = stored_event_;
  wake_at_.reset();
  letter_jobs_.clear();
  letter_batch_.clear();
  untold_.clear();
  ending_well_ = unparked_ = false;
  if (last) {
    behaviour_.Calm(&random_);
    server_.lying = false;
    while (server_.visible() < history_.log.size() && !restored_log_) {
      server_.Append();
    }
  } else if (!crash_loop_) {
    PlanTheEnd();
  }
  EngineOptions options = options_;
  options.stop_on_caught_up = last && !HasLetters();
  options.on_probation = !last && Trouble(30);
  dispatch_ = std::make_unique<Dispatch>(options, this);
  engine_ = &dispatch_->engine();
  Note({.kind = Record::Kind::kHostStart});
  LoadLetters();
  caught_up_ = false;
  filter_changed_ = !stored_ && Trouble(plugin_.position() ? 300 : 30);
  if (filter_changed_) {
    faults_.Fired(Fault::kFilterChanged);
  }
  StartPoint start{.recorded_start = history_.start,
                   .checkpoint = stored_,
                   .last_event = stored_event_,
                   .witnesses = witnesses_,
                   .filter_changed = filter_changed_};
  if (Trouble(5)) {
    faults_.Fired(Fault::kImpossibleCheckpoint);
    start.checkpoint = Nowhere();
  } else if (Trouble(5)) {
    faults_.Fired(Fault::kStopBeforeStart);
    Input(Cause::kOperator, [&](Commands* out) { engine_->Stop(Now(), out); });
  }
  Input(Cause::kOperator, [&](Commands* out) { engine_->Start(start, Now(), out); });
  PlanOrders();
}

// A process that nobody kills is stopped; failures may come before either.
void World::PlanTheEnd() {
  const Duration when = mutes_ || followers_ ? Between(60'000'000, 200'000'000)
                        : HasLetters() && random_.Chance(40)
                            ? Between(0, random_.Chance(80) ? 5'000'000 : 60'000'000)
                        : random_.Chance(10) ? Between(0, 2'000)
                        : random_.Chance(80) ? Between(0, 150'000)
                                             : Between(0, 1'500'000);
  if (random_.Chance(50)) {
    After(when, [this] {
      faults_.Fired(Fault::kHostKilled);
      if (writing_) {
        faults_.Fired(Fault::kHostKilledInWrite);
        if (random_.Chance(50)) {
          Store();
        }
      }
      if (!letter_batch_.empty()) {
        faults_.Fired(Fault::kHostKilledInLetterWrite);
        if (MayBegin(letter_batch_.front()) && random_.Chance(50)) {
          CommitLetters();
        }
      }
      Note({.kind = Record::Kind::kKill});
      PowerOff();
    });
    return;
  }
  After(when, [this] {
    faults_.Fired(Fault::kGracefulStop);
    if (no_room_at_) {
      faults_.Fired(Fault::kStopWhileDiskFull);
    }
    if (engine_->breaker().open()) {
      faults_.Fired(Fault::kStopWhileBreakerOpen);
    }
    if (engine_->state() == GroupState::kStarting) {
      faults_.Fired(Fault::kStopBeforeReady);
    } else if (engine_->state() == GroupState::kWaiting) {
      faults_.Fired(Fault::kStopWhileWaiting);
    }
    Input(Cause::kOperator, [&](Commands* out) { engine_->Stop(Now(), out); });
    if (random_.Chance(20)) {
      After(Between(0, 5'000), [this] {
        faults_.Fired(Fault::kSecondStop);
        Input(Cause::kOperator, [&](Commands* out) { engine_->Stop(Now(), out); });
      });
    }
  });
}

void World::PowerOff() {
  if (runner_ && runner_->ready && runner_->busy && history_.position_mode) {
    LeaveZombie({runner_->queue.begin(), runner_->queue.end()});
  }
  alive_ = false;
  runner_.reset();
  if (last_ || foreign_ || restored_log_) {
    done_ = true;
    return;
  }
  if (random_.Chance(8) && RestorePlugin()) {
    faults_.Fired(Fault::kPluginRestored);
  }
  if (HasLetters() && random_.Chance(15)) {
    OrderWhileStopped();
  }
  const bool last = process_ + 1 >= processes_;
  // Longer than anything of a dead runner may still be on the wire, or shorter.
  Outside(Between(0, 4'000), [this, last] { Boot(last); });
}

void World::Finished() {
  if (finished_) {
    Wrong("finished twice");
  }
  finished_ = true;
  const GroupState state = engine_->state();
  // Nothing of another log can be brought to a good end.
  const bool hopeless = foreign_ || (restored_log_ && !put_back_);
  if (last_ && state != (hopeless ? GroupState::kFailed : GroupState::kStopped)) {
    Wrong("the last process ended " + std::string(GroupStateName(state)) + " (" +
          engine_->reason() + ")");
  }
  CheckHalt();
  if (runner_) {
    Wrong("finished while a runner lives");
  }
  if (persist_open_ && !store_failed_) {
    Wrong("finished while a checkpoint is being written");
  }
  const bool at_start = (!stored_ && engine_->watermark() == history_.start) ||
                        (!place_opened_ && history_.position_mode);
  // Behind two wrong announcements in a row the store holds more, and that never goes back.
  const bool is_stored =
      truthful_ ? engine_->watermark() == stored_ : engine_->watermark() <= stored_;
  if (!store_failed_ && !breach_ && engine_->watermark() && !is_stored && !at_start) {
    Wrong("finished with a watermark that is not what is stored");
  }
  if (store_failed_ || breach_) {
    Note({.kind = Record::Kind::kKill});
  } else {
    Record record{.kind = Record::Kind::kGraceful};
    record.cut = cut_;
    Note(record);
  }
  history_.complete = last_ && !hopeless && !restored_log_;
  // Whatever comes late meets an engine that has ended.
  After(Between(0, 1'000), [this] {
    Input(Cause::kOperator, [&](Commands* out) { engine_->Stop(Now(), out); });
    PowerOff();
  });
}

void World::Input(Cause cause, void (*input)(void* at, Commands* out), void* at) {
  if (!alive_) {
    return;
  }
  const bool was_finished = finished_;
  const GroupState before = engine_->state();
  const bool was_open = engine_->breaker().open();
  const bool was_closed = engine_->breaker().closed();
  input(at, dispatch_->commands());
  if (engine_->breaker().open() && !was_open) {
    Note({.kind = Record::Kind::kBreakerOpens});
  } else if (engine_->breaker().closed() && !was_closed) {
    Note({.kind = Record::Kind::kBreakerCloses});
  }
  const GroupState after = engine_->state();
  if (after != before && !transitions_.Saw(before, cause, after)) {
    Wrong(std::string(GroupStateName(before)) + " became " + std::string(GroupStateName(after)) +
          " by " + std::to_string(cause) + ", which is not in the table");
  }
  const Commands& commands = *dispatch_->commands();
  if (was_finished && std::any_of(commands.begin(), commands.end(), [](const Command& command) {
        return command.kind != Command::Kind::kNotice;
      })) {
    Wrong("commands after kFinished");
  }
  CheckEngine();
  if (engine_->settled_is_durable()) {
    no_room_at_.reset();  // As after the group went back: what it writes next is something else.
  }
  dispatch_->Run();
  ForgetParked();
  Pump();
  EndTheLastWell();
}

// Between two inputs everything fits together, and nothing that is to be done was left out.
void World::CheckEngine() {
  if (const std::string_view wrong = engine_->CheckInvariants(); !wrong.empty()) {
    Wrong(std::string(wrong));
  }
  if (wake_at_ && *wake_at_ <= scheduler_.now()) {
    return;  // What is due is due with the timer, not with an input that said nothing.
  }
  Commands more;
  engine_->PlanAgain({.now = scheduler_.now(), .random = 0}, &more);
  if (!more.empty()) {
    Wrong("a second plan found command " + std::to_string(static_cast<int>(more.front().kind)) +
          " " + more.front().text);
  }
}

void World::DrainRunner(LaneNumber, SpawnNumber) {
  if (!runner_) {
    return;
  }
  runner_->draining = true;
  After(Between(0, 500), [this, spawn = runner_->spawn] {
    if (runner_ && runner_->spawn == spawn && !runner_->busy) {
      Die(ExitClass::kClean, 0, true);
    }
  });
}

void World::AbortRunner(LaneNumber, SpawnNumber) { ForceRunner(false); }

void World::KillRunner(LaneNumber, SpawnNumber) { ForceRunner(true); }

void World::Notice(const Command& notice) {
  if (notice.text.empty() || notice.text.find('\n') != std::string::npos) {
    Wrong("a log line that is not one line: " + notice.text);
  }
  if (notice.notice == Notice::kSubscriptionDropped &&
      notice.text.find("silent for") != std::string::npos) {
    NoteReplaced();
  }
  if (notice.notice == Notice::kPluginMoved || notice.notice == Notice::kPluginBehind) {
    const auto& place = notice.from ? notice.from : history_.start;
    DropBeyond(place, &known_witnesses_);
    known_before_ = std::min(known_before_, place);
    known_event_.reset();
    ++steps_back_;
  }
  if (notice.notice == Notice::kPluginMoved) {
    place_opened_ = false;  // It stands somewhere else from here on.
    plugin_moved_ = true;
  }
  NoteTold(notice);
}

void World::StateChanged() {
  if (engine_->caught_up() && !std::exchange(caught_up_, engine_->caught_up())) {
    Note({.kind = Record::Kind::kCaughtUp});
    if (foreign_ || (restored_log_ && !put_back_)) {
      Wrong("caught up with another log than the one that was read");
    }
  }
  caught_up_ = engine_->caught_up();
}

void World::CommandsDone() { FillRing(); }

bool World::EventsInFlight() const {
  const DeliveryWindow& window = dispatch_->window();
  for (Sequence at = window.empty() ? 1 : window.oldest(); !window.empty() && at <= window.newest();
       ++at) {
    if (window.Find(at) != nullptr) {
      return true;
    }
  }
  return false;
}

EventName World::NameOf(std::size_t event) const {
  static constexpr std::string_view kStreams[] = {"s-0", "s-1", "s-2", "s-3", "s-4"};
  static constexpr std::string_view kTypes[] = {"t-0", "t-1", "t-2"};
  return {kStreams[history_.log[event].stream], kTypes[history_.log[event].type]};
}

void World::WakeAt(Duration at) {
  // An adapter may deliver a firing that was put off in the same instant.
  const std::uint64_t number = ++wakes_;
  wake_at_ = at;
  const bool late = random_.Chance(5);
  After(std::max(at - scheduler_.now(), Duration(0)), [this, number, late] {
    if (wakes_ == number || late) {
      wake_at_.reset();
      Input(Cause::kClock, [&](Commands* out) { engine_->Woke(Now(), out); });
    }
  });
}

// What is being written is in the store.
void World::Store() {
  stored_ = std::exchange(writing_, std::nullopt);
  stored_event_ = writing_event_;
  DropBeyond(stored_, &witnesses_);
  Remember(writing_handled_, &witnesses_);
  Note({.kind = Record::Kind::kDurable, .position = stored_});
  no_room_at_.reset();
  hurried_ = false;
}

// For milliseconds or a minute, so over the end of a process as well.
bool World::DiskIsFull() {
  if (scheduler_.now() >= full_until_ && Trouble(10)) {
    full_until_ = scheduler_.now() + Between(50'000, random_.Chance(80) ? 3'000'000 : 60'000'000);
  }
  return scheduler_.now() < full_until_;
}

// A write that finds no room says so, and the group says what it waits for and until when.
void World::FindNoRoom() {
  faults_.Fired(Fault::kDiskFull);
  persist_open_ = true;
  After(Between(0, 1'000), [this] {
    persist_open_ = false;
    no_room_at_ = scheduler_.now();
    Note({.kind = Record::Kind::kNoRoom});
    Input(Cause::kStore, [&](Commands* out) {
      engine_->CheckpointExhausted("checkpoint not written:\nno room", Now(), out);
      if (!engine_->settled_is_durable() && engine_->may_persist()) {
        ExpectWait("checkpoint not written");
      } else {
        // The group went back meanwhile, or does not believe its runner any more: what it writes
        // next is something else.
        no_room_at_.reset();
      }
    });
  });
}

// The group says that it waits for `what`, and until when.
void World::ExpectWait(std::string_view what) {
  const bool names = engine_->reason().find(what) != std::string::npos;
  switch (engine_->state()) {
    case GroupState::kWaiting:
      if (names && !engine_->retry_at()) {
        Wrong("no next try: " + engine_->reason());
      }
      break;
    case GroupState::kDraining:
      if (!names) {
        Wrong("there is no room, and the group says only: " + engine_->reason());
      }
      break;
    default:
      Wrong("there is no room, and the group does not say that it waits");
  }
}

void World::Persist(Position position, std::optional<Position> event,
                    const std::optional<Witness>& handled) {
  if (persist_open_ || store_failed_) {
    Wrong("asked for a checkpoint while one is being written, or after the store failed");
  }
  if (!engine_->may_persist()) {
    faults_.Fired(Fault::kBreachBeforeWrite);
    After(Between(0, 500), [this] {
      Input(Cause::kStore, [&](Commands* out) { engine_->CheckpointNotBegun(Now(), out); });
    });
    return;
  }
  if (no_room_at_ && scheduler_.now() - *no_room_at_ < kMinBackoff &&
      (!engine_->settled_is_durable() &&
       (engine_->state() != GroupState::kDraining || std::exchange(hurried_, true)))) {
    Wrong("asked for a checkpoint again at once though there was no room");
  }
  if (DiskIsFull()) {
    Note({.kind = Record::Kind::kAsk, .position = position});
    FindNoRoom();
    return;
  }
  persist_open_ = true;
  writing_ = position;
  writing_event_ = event;
  writing_handled_ = handled;
  Note({.kind = Record::Kind::kAsk, .position = position});
  if (Trouble(5)) {
    faults_.Fired(Fault::kStoreFailed);
    After(Between(0, 1'000), [this] {
      store_failed_ = true;
      Note({.kind = Record::Kind::kStall});
      writing_.reset();
      Input(Cause::kStore,
            [&](Commands* out) { engine_->StoreFailed("disk on fire", Now(), out); });
    });
    return;
  }
  Duration delay = random_.Chance(10) ? Between(0, 30'000) : Between(100, 1'000);
  if (Trouble(10)) {
    // Said again of an earlier one, or of nothing that was asked for.
    const Position other =
        stored_ && random_.Chance(50) ? *stored_ : Position{position.commit + 1, 0};
    After(Between(0, 100), [this, other, handled] {
      if (writing_ && other != *writing_) {
        faults_.Fired(Fault::kForeignCommit);
        Input(Cause::kStore,
              [&](Commands* out) { engine_->CheckpointDurable(other, handled, Now(), out); });
      }
    });
  }
  After(delay, [this, position, handled, before = steps_back_] {
    Store();
    After(Between(0, 500), [this, position, handled, before] {
      persist_open_ = false;
      if (before == steps_back_ && handled) {
        // Of its own the process keeps the newest.
        DropBeyond(known_before_, &known_witnesses_);
        Remember(handled, &known_witnesses_);
      }
      Input(Cause::kStore,
            [&](Commands* out) { engine_->CheckpointDurable(position, handled, Now(), out); });
    });
  });
}

}  // namespace catchup::sim
