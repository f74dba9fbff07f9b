#include "host/daemon/letters/letter_side.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "host/base/log.h"
#include "host/base/test_seams.h"
#include "host/base/text.h"
#include "host/base/time_text.h"
#include "host/daemon/letters/letter_classes.h"
#include "host/daemon/letters/letter_jobs.h"
#include "host/daemon/text/hold_text.h"
#include "host/daemon/text/trace_ids.h"

namespace catchup {
namespace {

// No letter waits longer for its next call: an hour and what is drawn on top of it. What says more
// was stored by a clock that has been put back.
constexpr std::chrono::minutes kLongestDelay{75};

constexpr std::int64_t kTickNanoseconds = 100;

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

LetterSide::LetterSide(const GroupConfig& config, const Services& services,
                       std::shared_ptr<Gate> gate, EngineClock clock, LetterListener* listener)
    : config_(config),
      services_(services),
      gate_(std::move(gate)),
      clock_(std::move(clock)),
      listener_(*listener),
      shared_(std::make_shared<SharedLetters>()),
      queue_(SerialQueue::Create(services.pool)),
      sinks_(config, services.sinks, services.reactor,
             [this](const std::string& sink) { return StoreOf(sink); }),
      jobs_({shared_, queue_, gate_, services.reactor, [this] { sinks_.Wake(); }}, listener),
      failed_calls_(config.lanes) {
  shared_->folder = services.state->group(config.name);
  shared_->group = config.name;
}

LetterSide::~LetterSide() {
  queue_->Close();
  sinks_.Close();
}

// What cannot pass ends the group, whoever meets it.
LetterFeeder::Store LetterSide::StoreOf(const std::string& sink) const {
  const auto use = [this, gate = gate_, weak = std::weak_ptr<SharedLetters>(shared_)](
                       const std::function<Status(LetterStore*)>& body) {
    const auto shared = weak.lock();
    if (shared == nullptr) {
      return Status::Cancelled("the group is gone");
    }
    const Status status = shared->Use(body);
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

void LetterSide::Open(const CheckpointRecord& record, Opened done) {
  queue_->Post([this, gate = gate_, shared = shared_, letters = config_.dead_letters,
                known = KnownLetters{record.letters, record.checkpoint}, done = std::move(done)] {
    // The engine keeps the bounds; a letter that it has decided on must not stand before the
    // healed one whose room it waits for.
    LetterStore::Options options = StoreOptionsOf(letters);
    options.bounds.max_letters = std::numeric_limits<std::uint64_t>::max();
    options.bounds.max_bytes = std::numeric_limits<std::uint64_t>::max();
    options.known = known;
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
      status = (*store)->reader().ScanParks(
          [&contents](const LetterPark& park) { contents.parks.push_back(park); });
    }
    std::optional<LettersMark> present;
    std::uint64_t token = 0;
    if (status.ok()) {
      const MutexLock lock(&shared->mutex);
      shared->store = *std::move(store);
      present = shared->store->mark();
      token = shared->store->token();
      if (!shared->store->warning().empty()) {
        Log(LogLevel::kWarn, "Dead letters' file gone", "Group.Start", shared->group,
            {{"reason", shared->store->warning()}});
      }
    }
    gate->Enter([&] {
      open_ = status.ok();
      jobs_.SetMark(present);
      token_ = token;
      if (open_) {
        sinks_.Wake();  // What the last run has left them.
      }
      for (const LetterPark& park : contents.parks) {
        park_reasons_[park.position] = park.reason;
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
  summary.attempts = head.attempts;
  summary.step = head.step;
  summary.since = std::min(TimeAt(head.since_ticks), now);
  summary.due = std::min<std::chrono::nanoseconds>(TimeAt(head.due_ticks), now + kLongestDelay);
  return summary;
}

void LetterSide::SetToken(std::uint64_t token, std::function<void(const Status&)> done) {
  queue_->Post([gate = gate_, shared = shared_, token, done = std::move(done)] {
    const Status set = shared->Use([token](LetterStore* store) { return store->SetToken(token); });
    gate->Enter([&] { done(set); });
  });
}

void LetterSide::NoteFailedCall(LaneNumber lane, Sequence sequence, FailureClass failure,
                                std::string_view text) {
  failed_calls_.Note(lane, sequence, failure, text, NowTicks());
}

StoredClass LetterSide::failed_class() const {
  const std::vector<LetterCall>& calls = failed_calls_.of_letter().calls;
  return calls.empty() ? StoredClass::kNone : calls.back().letter_class;
}

void LetterSide::Park(const Command& command, const EventView& event) {
  Job job;
  job.by_hand = false;
  job.letter = LetterOf(command, event);
  job.sequence = command.first;
  jobs_.Add(std::move(job));
}

void LetterSide::Change(const Command& command) {
  Job job;
  job.by_hand = command.expected;
  switch (command.kind) {
    case Command::Kind::kUpdateLetter:
      Update(*command.letter, command.expected);
      return;
    case Command::Kind::kMakeDue:
      // As certain as what it follows from: not before that, and not without it.
      job.by_hand = false;
      job.step = [letters = command.letters, due = TicksAt(command.at)](LetterStore* store) {
        return store->MakeDue(store->token(), *letters, due);
      };
      if (command.expected) {
        job.done = [this] { listener_.OnPluginNoted(); };
      }
      break;
    case Command::Kind::kRemoveLetter:
      job.alone = true;
      job.step = [at = *command.from, by = TakeRetry(*command.from)](LetterStore* store) {
        return RemoveHealed(store, at, by);
      };
      job.done = [this, at = *command.from] { listener_.OnLetterStored(at); };
      break;
    case Command::Kind::kRemoveLetters:
      retried_by_.erase(command.from ? retried_by_.upper_bound(*command.from) : retried_by_.begin(),
                        retried_by_.end());
      job.step = [at = command.from, group = shared_->group](LetterStore* store) -> Status {
        const std::uint64_t before = store->totals().letters();
        CATCHUP_RETURN_IF_ERROR(store->RemoveBeyond(store->token(), at));
        if (const std::uint64_t removed = before - store->totals().letters(); removed > 0) {
          Log(LogLevel::kInfo, "Dead letters removed", "Group.Reset", group,
              {{"reason", "their events come again"},
               {"removedCount", removed},
               {"position", ResetText(PositionReset{at})}});
        }
        return {};
      };
      read_ahead_.clear();
      job.done = [this] { read_ahead_.clear(); };
      break;
    case Command::Kind::kHold: {
      LetterHold hold;
      hold.type = command.text;
      hold.by = command.expected ? LetterHold::By::kOperator : LetterHold::By::kHost;
      hold.since_ticks = NowTicks();
      hold.reason = failed_calls_.last_text();
      if (command.expected) {
        const auto why = hold_reasons_.extract(command.text);
        hold.reason = why ? why.mapped() : std::string();
      }
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
  jobs_.Add(std::move(job));
}

std::optional<std::string> LetterSide::TakeRetry(Position position) {
  auto by = retried_by_.extract(position);
  return by ? std::optional(std::move(by.mapped())) : std::nullopt;
}

void LetterSide::Update(const LetterChange& change, bool by_hand) {
  FailedLetter failed;
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
  failed.retried_by = TakeRetry(change.position);
  const auto written = std::make_shared<LetterHead>();
  Job job;
  job.by_hand = by_hand;
  job.alone = true;
  job.step = [failed = std::move(failed), written](LetterStore* store) {
    return WriteFailed(store, failed, written.get());
  };
  job.done = [this, written, position = change.position] {
    listener_.OnLetterSized(written->stream, written->position, written->bytes);
    read_ahead_.erase(position);
    listener_.OnLetterStored(position);
  };
  jobs_.Add(std::move(job));
}

bool LetterSide::Visit(std::function<void(LetterReader*)> read) {
  if (open_) {
    queue_->Post([shared = shared_, read = std::move(read)] {
      shared->Use([&](LetterStore* store) { read(&store->reader()); });
    });
  }
  return open_;
}

void LetterSide::CheckFile() {
  if (!open_) {
    return;
  }
  queue_->Post([this, gate = gate_, shared = shared_] {
    const Status there = shared->Use([](LetterStore* store) { return store->CheckStillThere(); });
    if (!there.ok()) {
      gate->Enter([&] { listener_.OnLettersFailed(there.message()); });
    }
  });
}

void LetterSide::Read(Position position, const Next& next, HasRead done) {
  if (auto letter = read_ahead_.extract(position)) {
    done(std::make_unique<LetterFrame>(std::move(letter.mapped())));
    return;
  }
  struct Part {
    std::optional<Letter> letter;
    std::map<Position, Letter> others;
  };
  const auto found = std::make_shared<Part>();
  jobs_.Read(
      [position, others = next(), found](LetterReader* reader) -> Status {
        CATCHUP_ASSIGN_OR_RETURN(found->letter, reader->Read(position));
        for (const Position other : others) {
          // What cannot be read says so when its own turn comes.
          if (auto letter = reader->Read(other); letter.ok() && letter->has_value()) {
            found->others.emplace(other, **std::move(letter));
          }
        }
        return {};
      },
      [this, position, found, done = std::move(done)] {
        read_ahead_ = std::move(found->others);
        if (!found->letter) {
          retried_by_.erase(position);
        }
        done(found->letter ? std::make_unique<LetterFrame>(*std::move(found->letter)) : nullptr);
      });
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
  const FailedCalls::Calls* const failed = failed_calls_.Find(sequence);
  if (change.called && failed != nullptr) {
    cause.reason = failed->text;
    cause.calls = failed->calls;
  }
  cause.plugin = config_.plugin;
  cause.plugin_version = plugin_version_;
  cause.plugin_digest = plugin_;
  return cause;
}

Letter LetterSide::LetterOf(const Command& command, const EventView& event) {
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
  if (const auto why = park_reasons_.extract(event.position);
      why && change.failure == FailureClass::kByHand) {
    letter.cause.reason = "parked by hand: " + why.mapped();
  }
  const TraceIds trace = TraceIdsOf(event.metadata);
  invalid_traces_ += trace.invalid ? 1 : 0;
  letter.cause.trace_id = trace.trace;
  letter.cause.span_id = trace.span;
  if (!letter.cause.calls.empty()) {
    head.first_failed_ticks = failed_calls_.Find(command.first)->first_ticks;
    head.last_failed_ticks = letter.cause.calls.back().time_ticks;
  }
  letter.data = event.data;
  letter.metadata = event.metadata;
  return letter;
}

}  // namespace catchup
