#include "host/daemon/letter_side.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "host/base/mutex.h"
#include "host/base/test_seams.h"
#include "host/base/text.h"
#include "host/base/time_text.h"
#include "host/daemon/letter_classes.h"

namespace catchup {
namespace {

// Before another try of what the machine does not have for now.
constexpr std::chrono::seconds kRetryPause{1};

// Letters in one transaction: enough that a row of them costs few syncs, few enough that none waits
// long for the others.
constexpr std::size_t kMostTogether = 256;
constexpr std::uint64_t kMostBytesTogether = 8u << 20;

// No letter waits longer for its next call: an hour and what is drawn on top of it. What says more
// was stored by a clock that has been put back.
constexpr std::chrono::minutes kLongestDelay{75};

constexpr std::int64_t kTickNanoseconds = 100;

// What became of a letter whose call failed.
struct Failed {
  LetterHead head;  // The state, class and times that it has now.
  LetterCause cause;
  bool infrastructure = false;  // Nothing about the event, so its reason stays.
};

// Nothing where the letter is gone.
Status WriteFailed(LetterStore* store, const Failed& failed) {
  auto letter = store->reader().Read(failed.head.position);
  if (!letter.ok()) {
    return letter.status();
  }
  if (!letter->has_value()) {
    return {};
  }
  LetterStore::Change change;
  change.head = (**letter).head;
  change.cause = std::move((**letter).cause);
  const bool was_dead = change.head.state == StoredState::kDead;
  change.head.state = failed.head.state;
  change.head.letter_class = failed.head.letter_class;
  change.head.since_ticks = failed.head.since_ticks;
  change.head.due_ticks = failed.head.due_ticks;
  change.head.step = failed.head.step;
  ++change.head.attempts;
  change.head.last_failed_ticks = failed.head.last_failed_ticks;
  if (change.head.first_failed_ticks == 0) {
    change.head.first_failed_ticks = failed.head.last_failed_ticks;
  }
  if (!failed.infrastructure || change.cause.calls.empty()) {
    change.cause.reason = failed.cause.reason;
  }
  change.cause.calls.insert(change.cause.calls.end(), failed.cause.calls.begin(),
                            failed.cause.calls.end());
  change.cause.plugin = failed.cause.plugin;
  change.cause.plugin_digest = failed.cause.plugin_digest;
  change.cause.token = store->token();
  if (!was_dead && change.head.state == StoredState::kDead) {
    change.step = LetterStepKind::kDead;
  }
  return store->Update(store->token(), change);
}

// A letter that is not there is done with, as after a kill between two commits.
Status RemoveHealed(LetterStore* store, Position position) {
  const Status removed = store->Remove(store->token(), position, LetterStepKind::kHealed, "");
  return removed.code() == Status::Code::kNotFound ? Status() : removed;
}

Status EndHolds(LetterStore* store, const std::string& type) {
  std::vector<std::string> types;
  if (type.empty()) {
    CATCHUP_RETURN_IF_ERROR(store->reader().ScanHolds(
        [&types](const LetterHold& hold) { types.push_back(hold.type); }));
  } else {
    types.push_back(type);
  }
  for (const std::string& held : types) {
    CATCHUP_RETURN_IF_ERROR(store->EndHold(store->token(), held));
  }
  return {};
}

}  // namespace

LetterFrame::LetterFrame(Letter letter) : letter_(std::move(letter)) {
  event.stream = letter_.head.stream;
  event.type = letter_.head.type;
  event.data = letter_.data;
  event.metadata = letter_.metadata;
  event.id = letter_.head.event_id;
  event.revision = letter_.head.revision;
  event.position = letter_.head.position;
  event.created_ticks = letter_.head.created_ticks;
  event.is_json = letter_.head.is_json;
}

// Of the queue's jobs and the sinks' feeders, whichever of them outlives the group.
struct LetterSide::Shared {
  std::filesystem::path folder;
  std::string group;
  Mutex mutex;  // Held while the store is used, and for no longer.
  std::unique_ptr<LetterStore> store CATCHUP_GUARDED_BY(mutex);
};

LetterSide::LetterSide(const GroupConfig& config, const Services& services,
                       std::shared_ptr<Gate> gate, EngineClock clock, LetterListener* listener)
    : config_(config),
      services_(services),
      gate_(std::move(gate)),
      clock_(std::move(clock)),
      listener_(*listener),
      shared_(std::make_shared<Shared>()),
      queue_(SerialQueue::Create(services.pool)),
      sinks_(config, services.sinks, services.reactor,
             [this](const std::string& sink) { return StoreOf(sink); }),
      failed_calls_(config.lanes + 1) {
  shared_->folder = services.state->group(config.name);
  shared_->group = config.name;
}

LetterSide::~LetterSide() {
  queue_->Close();
  sinks_.Close();
}

// What cannot pass ends the group, whoever meets it.
LetterFeeder::Store LetterSide::StoreOf(const std::string& sink) const {
  const auto use = [this, gate = gate_, weak = std::weak_ptr<Shared>(shared_)](
                       const std::function<Status(LetterStore*)>& body) {
    const auto shared = weak.lock();
    if (shared == nullptr) {
      return Status::Cancelled("the group is gone");
    }
    const Status status = [&] {
      const MutexLock lock(&shared->mutex);
      return body(shared->store.get());
    }();
    if (!status.ok() && !status.may_pass()) {
      gate->Enter([&] { listener_.OnLettersFailed(status.message()); });
    }
    return status;
  };
  LetterFeeder::Store store;
  store.read = [use, sink] {
    LetterSteps::Part part;
    const Status read = use([&](LetterStore* letters) {
      auto steps = letters->ReadSteps(sink);
      part = steps.ok() ? *std::move(steps) : LetterSteps::Part();
      return steps.status();
    });
    return read.ok() ? Result<LetterSteps::Part>(std::move(part)) : read;
  };
  store.confirm = [use, sink](std::uint64_t number) {
    return use([&](LetterStore* letters) { return letters->SetPlace(sink, number); });
  };
  return store;
}

void LetterSide::Open(Opened done) {
  queue_->Post([this, gate = gate_, shared = shared_, letters = config_.dead_letters,
                done = std::move(done)] {
    // The engine keeps the bounds; a letter that it has decided on must not stand before the
    // healed one whose room it waits for.
    LetterStore::Options options;
    options.bounds.max_letters = std::numeric_limits<std::uint64_t>::max();
    options.bounds.max_bytes = std::numeric_limits<std::uint64_t>::max();
    options.max_step_bytes = letters.max_bytes;
    for (const LetterSinkConfig& sink : letters.sinks) {
      options.sinks.push_back(sink.name);
    }
    Contents contents;
    auto store = LetterStore::Open(shared->folder, shared->group, options);
    Status status = store.status();
    if (status.ok()) {
      status = (*store)->reader().Scan(
          [&contents](const LetterHead& head) { contents.letters.push_back(head); });
    }
    if (status.ok()) {
      status = (*store)->reader().ScanHolds(
          [&contents](const LetterHold& hold) { contents.holds.push_back(hold); });
    }
    if (status.ok()) {
      const MutexLock lock(&shared->mutex);
      shared->store = *std::move(store);
    }
    gate->Enter([&] {
      if (status.ok()) {
        sinks_.Wake();  // What the last run has left them.
      }
      done(status, contents);
    });
  });
}

LetterSummary LetterSide::SummaryOf(const LetterHead& head) const {
  const std::chrono::nanoseconds now = clock_();
  LetterSummary summary;
  summary.position = head.position;
  summary.stream = head.stream;
  summary.type = head.type;
  summary.bytes = head.bytes;
  summary.state = StateOf(head.state);
  summary.failure = FailureOf(head.letter_class);
  summary.step = head.step;
  summary.since = std::min(TimeAt(head.since_ticks), now);
  summary.due = std::min<std::chrono::nanoseconds>(TimeAt(head.due_ticks), now + kLongestDelay);
  return summary;
}

void LetterSide::SetToken(std::uint64_t token, std::function<void(const Status&)> done) {
  queue_->Post([gate = gate_, shared = shared_, token, done = std::move(done)] {
    const Status set = [&] {
      const MutexLock lock(&shared->mutex);
      return shared->store->SetToken(token);
    }();
    gate->Enter([&] { done(set); });
  });
}

void LetterSide::NoteFailedCall(LaneNumber lane, Sequence sequence, FailureClass failure,
                                std::string_view text) {
  const std::int64_t now = NowTicks();
  FailedCalls& failed = sequence == kLetterCall ? failed_calls_.back() : failed_calls_[lane];
  if (failed.sequence != sequence || sequence == kLetterCall) {
    failed = {.sequence = sequence, .first_ticks = now, .calls = {}, .text = {}};
  }
  if (failed.calls.size() == kMaxLetterCalls) {
    failed.calls.erase(failed.calls.begin());
  }
  failed.calls.push_back({now, ClassOf(failure), CutText(text, kMaxLetterCallText)});
  failed.text = text_ = CutText(text, kMaxLetterReason);
}

// Null where none is known.
const LetterSide::FailedCalls* LetterSide::FailedCallsOf(Sequence sequence) const {
  const auto found =
      std::find_if(failed_calls_.begin(), failed_calls_.end(),
                   [&](const FailedCalls& failed) { return failed.sequence == sequence; });
  return found == failed_calls_.end() ? nullptr : &*found;
}

void LetterSide::Park(const Command& command, const EventView& event) {
  Job job;
  job.letter = LetterOf(command, event);
  job.done = [this, sequence = command.first] { listener_.OnLetterDurable(sequence); };
  Add(std::move(job));
}

void LetterSide::Change(const Command& command) {
  Job job;
  switch (command.kind) {
    case Command::Kind::kUpdateLetter:
      Update(*command.letter);
      return;
    case Command::Kind::kRemoveLetter:
      job.step = [at = *command.from](LetterStore* store) { return RemoveHealed(store, at); };
      job.done = [this] { listener_.OnLetterStored(); };
      break;
    case Command::Kind::kRemoveLetters:
      job.step = [at = command.from](LetterStore* store) {
        return store->RemoveBeyond(store->token(), at);
      };
      break;
    case Command::Kind::kHold: {
      LetterHold hold;
      hold.type = command.text;
      hold.by = command.expected ? LetterHold::By::kOperator : LetterHold::By::kHost;
      hold.since_ticks = NowTicks();
      hold.reason = command.expected ? std::string() : text_;
      job.step = [hold = std::move(hold)](LetterStore* store) {
        return store->SetHold(store->token(), hold);
      };
      break;
    }
    case Command::Kind::kEndHold:
      job.step = [type = command.text](LetterStore* store) { return EndHolds(store, type); };
      break;
    default:
      return;
  }
  Add(std::move(job));
}

void LetterSide::Update(const LetterChange& change) {
  Failed failed;
  failed.head.position = change.position;
  failed.head.state = StoredOf(change.state);
  failed.head.letter_class = ClassOf(change.failure);
  failed.head.since_ticks = TicksAt(change.since);
  failed.head.due_ticks = change.state == LetterState::kHealing ? TicksAt(change.due) : 0;
  failed.head.step = change.step;
  failed.head.last_failed_ticks = NowTicks();
  failed.cause = CauseOf(kLetterCall, change);
  failed.infrastructure = !failed.cause.calls.empty() &&
                          failed.cause.calls.back().letter_class == StoredClass::kInfrastructure;
  Job job;
  job.step = [failed = std::move(failed)](LetterStore* store) {
    return WriteFailed(store, failed);
  };
  job.done = [this] { listener_.OnLetterStored(); };
  Add(std::move(job));
}

void LetterSide::Read(Position position, HasRead done) {
  queue_->Post([this, gate = gate_, shared = shared_, position, done = std::move(done)] {
    auto letter = [&] {
      const MutexLock lock(&shared->mutex);
      return shared->store->reader().Read(position);
    }();
    gate->Enter([&] {
      if (letter.ok()) {
        done(letter->has_value() ? std::make_unique<LetterFrame>(**std::move(letter)) : nullptr);
      } else {
        Wait(letter.status(), [this, position, done] { Read(position, done); });
      }
    });
  });
}

void LetterSide::Add(Job job) {
  jobs_.push_back(std::move(job));
  Pump();
}

// Begins what is to be written next.
void LetterSide::Pump() {
  if (busy_ || jobs_.empty() || failed_) {
    return;
  }
  busy_ = true;
  auto batch = std::make_shared<std::vector<Job>>();
  std::uint64_t bytes = 0;
  do {
    const bool together = jobs_.front().letter.has_value();
    bytes += together ? LetterBytes(*jobs_.front().letter) : 0;
    batch->push_back(std::move(jobs_.front()));
    jobs_.pop_front();
    if (!together) {
      break;
    }
  } while (!jobs_.empty() && jobs_.front().letter.has_value() && batch->size() < kMostTogether &&
           bytes < kMostBytesTogether);
  queue_->Post([this, gate = gate_, shared = shared_, batch] {
    const Status status = [&] {
      const MutexLock lock(&shared->mutex);
      return Carry(shared->store.get(), batch.get());
    }();
    gate->Enter([&] { OnCarried(std::move(*batch), status); });
  });
}

// One step, or letters that are written together.
Status LetterSide::Carry(LetterStore* store, std::vector<Job>* batch) {
  if (batch->front().step) {
    return batch->front().step(store);
  }
  std::vector<Letter> letters;
  for (Job& job : *batch) {
    job.letter->cause.token = store->token();
    letters.push_back(std::move(*job.letter));
  }
  const Status inserted = store->Insert(store->token(), letters);
  for (std::size_t i = 0; i < letters.size(); ++i) {
    (*batch)[i].letter = std::move(letters[i]);
  }
  return inserted;
}

void LetterSide::OnCarried(std::vector<Job> batch, const Status& status) {
  if (!status.ok()) {
    jobs_.insert(jobs_.begin(), std::move_iterator(batch.begin()), std::move_iterator(batch.end()));
    Wait(status, [this] {
      busy_ = false;
      Pump();
    });
    return;
  }
  busy_ = false;
  sinks_.Wake();
  if (std::exchange(waits_, false)) {
    listener_.OnLettersWaitEnds();
  }
  for (const Job& job : batch) {
    if (job.done) {
      job.done();
    }
  }
  Pump();
}

// Until what is missing is there; what cannot pass is the end.
void LetterSide::Wait(const Status& why, std::function<void()> again) {
  if (!why.may_pass()) {
    failed_ = true;
    listener_.OnLettersFailed(why.message());
    return;
  }
  waits_ = true;
  listener_.OnLettersWait("dead letters neither read nor written: " + why.message());
  services_.reactor->After(FixedWait(kRetryPause), Gate::Wrap(gate_, std::move(again)));
}

std::int64_t LetterSide::TicksAt(std::chrono::nanoseconds time) const {
  return NowTicks() + FixedWait(time - clock_()).count() / kTickNanoseconds;
}

std::chrono::nanoseconds LetterSide::TimeAt(std::int64_t ticks) const {
  // A clock that is wrong by more tells nothing.
  constexpr std::int64_t kMost = std::int64_t{366} * 24 * 3600 * 10'000'000;
  const std::int64_t ago = std::clamp(ticks - NowTicks(), -kMost, kMost);
  return clock_() + std::chrono::nanoseconds(ago * kTickNanoseconds) * WaitSpeed();
}

LetterCause LetterSide::CauseOf(Sequence sequence, const LetterChange& change) const {
  LetterCause cause;
  cause.reason = change.reason;
  const FailedCalls* const failed = FailedCallsOf(sequence);
  if (change.called && failed != nullptr) {
    cause.reason = failed->text;
    cause.calls = failed->calls;
  }
  cause.plugin = config_.plugin;
  cause.plugin_digest = plugin_;
  return cause;
}

Letter LetterSide::LetterOf(const Command& command, const EventView& event) const {
  const LetterChange& change = *command.letter;
  Letter letter;
  LetterHead& head = letter.head;
  head.position = event.position;
  head.stream = event.stream;
  head.type = event.type;
  head.event_id = event.id;
  head.revision = event.revision;
  head.created_ticks = event.created_ticks;
  head.is_json = event.is_json;
  head.state = StoredOf(change.state);
  head.letter_class =
      change.state == LetterState::kFollower ? StoredClass::kNone : ClassOf(change.failure);
  head.written_ticks = NowTicks();
  head.since_ticks = TicksAt(change.since);
  head.due_ticks = change.state == LetterState::kHealing ? TicksAt(change.due) : 0;
  head.step = change.step;
  head.attempts = change.attempts;
  letter.cause = CauseOf(command.first, change);
  if (!letter.cause.calls.empty()) {
    head.first_failed_ticks = FailedCallsOf(command.first)->first_ticks;
    head.last_failed_ticks = letter.cause.calls.back().time_ticks;
  }
  letter.data = event.data;
  letter.metadata = event.metadata;
  return letter;
}

}  // namespace catchup
