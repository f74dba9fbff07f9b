#include <algorithm>
#include <utility>

#include "tests/sim/stored_letter.h"
#include "tests/sim/world.h"

// The dead letters of the simulated host, as their store keeps them, and an operator who decides
// about some.

namespace catchup::sim {
namespace {

using std::chrono::milliseconds;

// Between two tries of what finds no room.
constexpr milliseconds kRetryPause{1'000};

// What a checkpoint said before a reset is forgotten with it.
constexpr std::uint64_t kResetBack = 20;

}  // namespace

std::size_t World::EventAt(Position position) const {
  const auto found =
      std::lower_bound(history_.log.begin(), history_.log.end(), position,
                       [](const LogEvent& event, Position at) { return event.position < at; });
  return static_cast<std::size_t>(found - history_.log.begin());
}

std::uint32_t World::TypeNamed(std::string_view name) const {
  return name.empty() ? kAllTypes : static_cast<std::uint32_t>(name.back() - '0');
}

// What the store holds, before anything else.
void World::LoadLetters() {
  for (const auto& [event, stored] : letters_) {
    engine_->LoadLetter(SummaryOf(stored.change, NameOf(event), stored.bytes));
    Note({.kind = Record::Kind::kLetterFound, .event = event, .state = stored.change.state});
  }
  for (const auto& [type, by_hand] : holds_) {
    engine_->LoadHold("t-" + std::to_string(type), by_hand);
    Note({.kind = Record::Kind::kHold, .by_hand = by_hand, .type = type});
  }
  for (const std::size_t event : want_parked_) {
    engine_->LoadPark(history_.log[event].position);
    Note({.kind = Record::Kind::kParkAsked, .event = event});
  }
}

// --- From the engine. ---

// The letter is read while events wait; what ends its call meanwhile makes the number another one.
void World::CallLetter(LaneNumber lane, Position position) {
  const std::size_t event = EventAt(position);
  After(Between(20, 500), [this, lane, event, number = ++letter_calls_] {
    if (number != letter_calls_ || !runner_ || runner_->draining || breach_) {
      faults_.Fired(Fault::kLetterCallCut);
      return;
    }
    if (!letters_.contains(event)) {
      Input(Cause::kStore, [&](Commands* out) { engine_->LetterGone(Now(), out); });
      return;
    }
    dispatch_->window().CallLetter(
        lane, std::make_unique<SimFrame>(event, history_.log[event], NameOf(event)), 2);
    FillRing();
  });
}

void World::ChangeLetters(const Command& change) {
  LetterJob job{.command = change};
  switch (change.kind) {
    case Command::Kind::kPark: {
      const EventFrame* const frame = dispatch_->window().Find(change.first);
      if (frame == nullptr) {
        Wrong("a letter of an event that is not there");
        return;
      }
      job.event = static_cast<const SimFrame*>(frame)->index;
      NotePark(change);
      break;
    }
    case Command::Kind::kUpdateLetter:
      dispatch_->window().ForgetLetter();
      job.event = EventAt(change.letter->position);
      NoteChange(change);
      break;
    case Command::Kind::kRemoveLetter:
      dispatch_->window().ForgetLetter();
      job.event = EventAt(*change.from);
      faults_.Fired(Fault::kHealed);
      break;
    case Command::Kind::kMakeDue:
      break;
    case Command::Kind::kRemoveLetters:
      faults_.Fired(Fault::kLettersRemoved);
      Note({.kind = Record::Kind::kLettersLeave, .position = change.from});
      break;
    case Command::Kind::kHold:
      faults_.Fired(change.expected ? Fault::kTypeParked : Fault::kTypeHeld);
      Note({.kind = Record::Kind::kHold,
            .by_hand = change.expected,
            .type = TypeNamed(change.text)});
      break;
    case Command::Kind::kEndHold:
      faults_.Fired(Fault::kTypeFreed);
      Note({.kind = Record::Kind::kEndHold, .type = TypeNamed(change.text)});
      break;
    default:
      Wrong("a change of letters that this store does not know");
      return;
  }
  AddLetterJob(std::move(job));
}

void World::NotePark(const Command& command) {
  const LetterChange& letter = *command.letter;
  const EventFrame* const frame = dispatch_->window().Find(command.first);
  const std::size_t event = static_cast<const SimFrame*>(frame)->index;
  if (letter.position != history_.log[event].position) {
    Wrong("a letter that lies somewhere else than its event");
  }
  if (letter.state == LetterState::kFollower) {
    faults_.Fired(Fault::kFollower);
  } else if (letter.failure == FailureClass::kByHand) {
    faults_.Fired(by_hand_ ? Fault::kParkedWhereItHalts : Fault::kParkedByHand);
  } else if (letter.state == LetterState::kDead && letter.failure != FailureClass::kDomain) {
    faults_.Fired(Fault::kNeverHeals);
  }
  Note({.kind = Record::Kind::kPark,
        .event = event,
        .state = letter.state,
        .failure = letter.failure});
}

void World::NoteChange(const Command& command) {
  const LetterChange& letter = *command.letter;
  if (letter.state == LetterState::kDead && IsInDoubt(letter.failure)) {
    faults_.Fired(Fault::kDiedOfAge);
  }
  Note({.kind = Record::Kind::kLetterChange,
        .event = EventAt(letter.position),
        .state = letter.state,
        .failure = letter.failure});
}

// --- The store. ---

void World::AddLetterJob(LetterJob job) {
  letter_jobs_.push_back(std::move(job));
  PumpLetters();
}

// In the order given; what waits together shares a commit.
void World::PumpLetters() {
  if (!letter_batch_.empty() || letter_jobs_.empty() || store_failed_) {
    return;
  }
  do {
    letter_batch_.push_back(std::move(letter_jobs_.front()));
    letter_jobs_.pop_front();
  } while (!letter_jobs_.empty() &&
           IsAnyway(letter_jobs_.front()) == IsAnyway(letter_batch_.front()));
  After(random_.Chance(10) ? Between(0, 20'000) : Between(50, 1'500), [this] { CarryLetters(); });
}

void World::CarryLetters() {
  if (store_failed_) {
    return;
  }
  if (!MayBegin(letter_batch_.front())) {
    RefuseLetters();
    return;
  }
  if (DiskIsFull()) {
    faults_.Fired(Fault::kNoRoomForLetter);
    GiveUpLetters();
    After(kRetryPause, [this] { CarryLetters(); });
    return;
  }
  if (!persist_open_ && Trouble(5)) {
    faults_.Fired(Fault::kLetterStoreFailed);
    store_failed_ = true;
    Note({.kind = Record::Kind::kStall});
    Input(Cause::kStore,
          [&](Commands* out) { engine_->StoreFailed("letters on fire", Now(), out); });
    return;
  }
  CommitLetters();
  After(random_.Chance(80) ? Duration(0) : Between(0, 500), [this] {
    for (const LetterJob& job : std::exchange(letter_batch_, {})) {
      TellStored(job);
    }
    PumpLetters();
    EndTheLastWell();
  });
}

// An operator's decision, and what no runner has said, are written whatever a runner did.
bool World::IsAnyway(const LetterJob& job) {
  return job.what != LetterJob::What::kCommand ||
         (job.command.expected && job.command.kind != Command::Kind::kMakeDue);
}

bool World::MayBegin(const LetterJob& job) const { return IsAnyway(job) || engine_->may_persist(); }

void World::RefuseLetters() {
  letter_batch_.clear();
  std::erase_if(letter_jobs_, [this](const LetterJob& job) { return !MayBegin(job); });
  Input(Cause::kStore, [&](Commands* out) { engine_->LettersNotBegun(Now(), out); });
  PumpLetters();
}

// The group that goes on waits for room, the one that ends does not.
void World::GiveUpLetters() {
  if (engine_->state() == GroupState::kDraining) {
    faults_.Fired(Fault::kLettersGivenUp);
    Note({.kind = Record::Kind::kLettersGivenUp});
  }
  Input(Cause::kStore, [&](Commands* out) { engine_->LettersExhausted(Now(), out); });
}

void World::CommitLetters() {
  for (const LetterJob& job : letter_batch_) {
    Commit(job);
  }
}

void World::Commit(const LetterJob& job) {
  switch (job.what) {
    case LetterJob::What::kCommand:
      CommitChange(job);
      break;
    case LetterJob::What::kDrop:
      CommitDrop(job.event);
      break;
    case LetterJob::What::kWantParked:
      want_parked_.insert(job.event);
      break;
  }
}

void World::CommitChange(const LetterJob& job) {
  const Command& command = job.command;
  switch (command.kind) {
    case Command::Kind::kPark:
      untold_.emplace(Notice::kLetterWritten, job.event);
      letters_.insert_or_assign(job.event,
                                StoredLetter{*command.letter, history_.log[job.event].bytes});
      Note({.kind = Record::Kind::kLetter, .event = job.event});
      break;
    case Command::Kind::kUpdateLetter:
      if (const auto found = letters_.find(job.event); found != letters_.end()) {
        if (command.letter->state == LetterState::kDead &&
            found->second.change.state != LetterState::kDead) {
          untold_.emplace(Notice::kLetterDead, job.event);
        }
        found->second.change = *command.letter;
      }
      break;
    case Command::Kind::kMakeDue:
      for (const Position position : *command.letters) {
        if (const auto found = letters_.find(EventAt(position)); found != letters_.end()) {
          found->second.change.due = command.at;
          found->second.change.step = 0;
        }
      }
      break;
    case Command::Kind::kRemoveLetter:
      untold_.emplace(Notice::kLetterHealed, job.event);
      if (letters_.erase(job.event) > 0) {
        Note({.kind = Record::Kind::kLetterGone, .event = job.event});
      }
      break;
    case Command::Kind::kRemoveLetters:
      std::erase_if(letters_, [&](const auto& one) {
        return !command.from || one.second.change.position > *command.from;
      });
      Note({.kind = Record::Kind::kLettersGone, .position = command.from});
      break;
    case Command::Kind::kHold:
      holds_[TypeNamed(command.text)] = command.expected;
      break;
    case Command::Kind::kEndHold:
      if (command.text.empty()) {
        holds_.clear();
      } else {
        holds_.erase(TypeNamed(command.text));
      }
      break;
    default:
      break;
  }
}

// A line about a letter is true of the store when it is written, or a kill would make it a lie.
void World::NoteTold(const Command& notice) {
  const bool of_store = notice.notice == Notice::kLetterWritten ||
                        notice.notice == Notice::kLetterHealed ||
                        notice.notice == Notice::kLetterDead;
  if (of_store && untold_.erase({notice.notice, EventAt(*notice.from)}) == 0) {
    Wrong("a line about a letter that its store does not bear out: " + notice.text);
  }
}

void World::CommitDrop(std::size_t event) {
  if (letters_.erase(event) == 0) {
    return;
  }
  const Position position = history_.log[event].position;
  untold_.erase({Notice::kLetterDead, event});
  faults_.Fired(Fault::kDropped);
  if (engine_->letters().in_call() && engine_->letters().in_call()->position == position) {
    faults_.Fired(Fault::kDroppedInCall);
  }
  Note({.kind = Record::Kind::kLetterGone, .event = event, .by_hand = true});
  Input(Cause::kOperator, [&](Commands* out) {
    engine_->LetterDropped(NameOf(event), position, "of no\nuse", Now(), out);
  });
}

void World::TellStored(const LetterJob& job) {
  if (job.what == LetterJob::What::kWantParked) {
    WantParked(job.event);
    return;
  }
  if (job.what != LetterJob::What::kCommand) {
    return;
  }
  switch (job.command.kind) {
    case Command::Kind::kPark:
      Input(Cause::kStore,
            [&](Commands* out) { engine_->LetterDurable(job.command.first, Now(), out); });
      ExpectTold(Notice::kLetterWritten, job);
      break;
    case Command::Kind::kUpdateLetter:
    case Command::Kind::kRemoveLetter:
      Input(Cause::kStore, [&](Commands* out) {
        engine_->LetterStored(history_.log[job.event].position, Now(), out);
      });
      ExpectTold(Notice::kLetterHealed, job);
      ExpectTold(Notice::kLetterDead, job);
      break;
    default:
      break;
  }
}

// Followers have no line, nor have letters that the group has left behind by going back.
void World::ExpectTold(catchup::Notice notice, const LetterJob& job) {
  const bool untold = untold_.erase({notice, job.event}) > 0;
  const bool follower =
      job.command.letter != nullptr && job.command.letter->state == LetterState::kFollower;
  const bool left = notice != Notice::kLetterHealed && !letters_.contains(job.event);
  const bool leaves = std::any_of(
      letter_jobs_.begin(), letter_jobs_.end(),
      [](const LetterJob& next) { return next.command.kind == Command::Kind::kRemoveLetters; });
  if (alive_ && untold && !follower && !left && !leaves) {
    Wrong("the store has what became of a letter, and no line says so");
  }
}

// --- An operator. ---

void World::PlanOrders() {
  if (!HasLetters()) {
    return;
  }
  if (random_.Chance(last_ ? 50 : 10)) {
    faults_.Fired(Fault::kOtherPlugin);
    behaviour_.Mend(&random_);
    Note({.kind = Record::Kind::kOtherPlugin});
    Input(Cause::kOperator, [&](Commands* out) { engine_->PluginChanged(Now(), out); });
  }
  if (last_) {
    After(Between(0, 100'000), [this] {
      for (std::uint32_t type = 0; type < 3 && !finished_; ++type) {
        Input(Cause::kOperator, [&](Commands* out) {
          if (engine_->UnparkType("t-" + std::to_string(type), Now(), out).empty()) {
            faults_.Fired(Fault::kTypeUnparked);
          }
        });
      }
      unparked_ = true;
      EndTheLastWell();
    });
    return;
  }
  for (std::uint64_t left = random_.Chance(40) ? random_.Between(1, 4) : 0; left > 0; --left) {
    After(random_.Chance(70) ? Between(0, 150'000) : Between(0, 3'000'000),
          [this] { GiveOrder(); });
  }
}

void World::GiveOrder() {
  if (finished_) {
    return;
  }
  switch (random_.Between(0, by_hand_ ? 6 : 5)) {
    case 0:
    case 6:
      ParkSomeEvent();
      break;
    case 1:
      Input(Cause::kOperator, [&](Commands* out) {
        engine_->ParkType("t-" + std::to_string(random_.Between(0, 2)), Now(), out);
      });
      break;
    case 2:
      Input(Cause::kOperator, [&](Commands* out) {
        if (engine_->UnparkType("t-" + std::to_string(random_.Between(0, 2)), Now(), out).empty()) {
          faults_.Fired(Fault::kTypeUnparked);
        }
      });
      break;
    case 3:
    case 4:
      RetrySome();
      break;
    default:
      DropSome();
      break;
  }
}

void World::ParkSomeEvent() {
  // One that has come and is not done with, as often as not.
  const std::size_t first = engine_->watermark() ? EventAt(*engine_->watermark()) : 0;
  const std::size_t event = std::min(first + random_.Between(0, 12), history_.log.size() - 1);
  if (!engine_->CannotPark(history_.log[event].position).empty()) {
    faults_.Fired(Fault::kParkRefused);
    return;
  }
  AddLetterJob({.what = LetterJob::What::kWantParked, .event = event});
}

// Stored, and told; its turn may have come in between.
void World::WantParked(std::size_t event) {
  if (!want_parked_.contains(event)) {
    return;
  }
  Note({.kind = Record::Kind::kParkAsked, .event = event});
  bool refused = false;
  Input(Cause::kOperator, [&](Commands* out) {
    refused = !engine_->ParkEvent(history_.log[event].position, Now(), out).empty();
  });
  if (refused) {
    faults_.Fired(Fault::kParkRefused);
    want_parked_.erase(event);
  }
}

// What the group has passed is parked, or was never there.
void World::ForgetParked() {
  while (!want_parked_.empty() &&
         engine_->watermark() >= history_.log[*want_parked_.begin()].position) {
    want_parked_.erase(want_parked_.begin());
  }
}

std::optional<std::size_t> World::AnyLetter() {
  if (letters_.empty()) {
    return std::nullopt;
  }
  const auto steps = static_cast<std::ptrdiff_t>(random_.Between(0, letters_.size() - 1));
  return std::next(letters_.begin(), steps)->first;
}

void World::RetrySome() {
  const auto event = AnyLetter();
  if (!event) {
    return;
  }
  Note({.kind = Record::Kind::kRetryAsked, .event = *event});
  const bool open = engine_->breaker().open();
  Input(Cause::kOperator, [&](Commands* out) {
    const std::string refused =
        engine_->RetryLetter(NameOf(*event).stream, history_.log[*event].position, Now(), out);
    faults_.Fired(refused.empty() ? Fault::kRetried : Fault::kRetryRefused);
    if (open && refused.empty()) {
      Wrong("a letter is to be called though the breaker is open");
    }
  });
}

// By the store's queue, as everything that changes it.
void World::DropSome() {
  if (const auto event = AnyLetter()) {
    AddLetterJob({.what = LetterJob::What::kDrop, .event = *event});
  }
}

// What is decided between two processes, and done at the next start.
void World::OrderWhileStopped() {
  const auto type = static_cast<std::uint32_t>(random_.Between(0, 2));
  switch (random_.Between(by_hand_ ? 1 : 0, 4)) {
    case 0:
      if (!history_.position_mode && stored_) {
        Reset();
      }
      break;
    case 1:
      faults_.Fired(Fault::kTypeParkedWhileStopped);
      holds_[type] = true;
      break;
    case 2:
      if (holds_.erase(type) > 0) {
        faults_.Fired(Fault::kTypeUnparkedWhileStopped);
      }
      break;
    case 3: {
      const std::size_t event = random_.Between(0, history_.log.size() - 1);
      if (stored_ < history_.log[event].position) {
        faults_.Fired(Fault::kParkedWhileStopped);
        want_parked_.insert(event);
      }
      break;
    }
    default:
      if (const auto letter = AnyLetter()) {
        faults_.Fired(Fault::kDroppedWhileStopped);
        letters_.erase(*letter);
        Note({.kind = Record::Kind::kLetterGone, .event = *letter, .by_hand = true});
      }
      break;
  }
}

// Between two processes: the checkpoint goes back, and the letters behind it are removed.
void World::Reset() {
  const std::size_t now = EventAt(*stored_);
  const std::size_t back = random_.Between(0, std::min<std::uint64_t>(now, kResetBack));
  const Position to = now == back ? Position{} : history_.log[now - back - 1].position;
  if (to == Position{} || (history_.start && to < *history_.start)) {
    return;
  }
  faults_.Fired(Fault::kReset);
  stored_ = to;
  stored_event_.reset();
  std::erase_if(witnesses_, [&](const Witness& one) { return one.position > to; });
  std::erase_if(letters_, [&](const auto& one) { return one.second.change.position > to; });
  Note({.kind = Record::Kind::kReset, .position = to});
  Note({.kind = Record::Kind::kLettersGone, .position = to});
}

// The last process has nothing more to do: everything is handled, or waits for a person. Where it
// waits for room, a person makes some.
void World::EndTheLastWell() {
  if (!last_ || !HasLetters() || ending_well_ || finished_ || !letter_batch_.empty() ||
      !letter_jobs_.empty()) {
    return;
  }
  const LetterBook& book = engine_->letters();
  if (book.letters() >= history_.max_letters) {
    faults_.Fired(Fault::kLettersFull);
    if (!book.NextAt(Duration(0)) && !book.in_call()) {
      DropSome();
    }
    return;
  }
  if (!unparked_ || !engine_->caught_up() || book.NextAt(Duration(0)) || book.in_call() ||
      server_.visible() < history_.log.size()) {
    return;
  }
  ending_well_ = true;
  After(Duration(0),
        [this] { Input(Cause::kOperator, [&](Commands* out) { engine_->Stop(Now(), out); }); });
}

}  // namespace catchup::sim
