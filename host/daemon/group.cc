#include "host/daemon/group.h"

#include <signal.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "host/base/log.h"
#include "host/base/random.h"
#include "host/base/time_text.h"
#include "host/runner/instance.h"
#include "host/source/client/kurrent_source.h"
#include "host/store/witnesses.h"

// The side of a group that faces source, store and host; group_runner.cc faces the runner.

namespace catchup {
namespace {

// While the log's head is needed and cannot be read, or the disk is full.
constexpr std::chrono::seconds kRetryPause{1};

constexpr std::chrono::seconds kProgressInterval{1};

// Events a second, to one decimal: more would be noise.
double Rate(std::uint64_t events, double seconds) {
  return seconds > 0 ? std::round(static_cast<double>(events) / seconds * 10) / 10 : 0.0;
}

std::string PositionText(const std::optional<Position>& position) {
  return position.has_value() ? FormatPosition(*position) : "none";
}

EndClass ClassOf(EndKind kind) {
  switch (kind) {
    case EndKind::kDropped:
      return EndClass::kDropped;
    case EndKind::kRefused:
      return EndClass::kRefused;
    case EndKind::kInvalidPosition:
      return EndClass::kInvalidPosition;
  }
  return EndClass::kDropped;
}

// Of a question that found no answer.
EndClass ClassOf(const Status& failure) {
  return failure.code() == Status::Code::kDenied ? EndClass::kRefused : EndClass::kDropped;
}

EngineOptions OptionsOf(const GroupConfig& config, bool stop_on_caught_up) {
  EngineOptions options;
  options.checkpoint_batch_size = config.checkpoint_batch_size;
  options.checkpoint_interval = config.checkpoint_interval;
  options.window_events = config.window_events;
  options.window_bytes = config.window_bytes;
  options.system_events = config.filter.system_events;
  options.stop_on_caught_up = stop_on_caught_up;
  options.drain_timeout = config.drain_timeout;
  return options;
}

}  // namespace

// Tells the group which call a frame belongs to, so that a late one of an earlier call is known.
class Group::CallSink : public SubscriptionSink {
 public:
  CallSink(std::shared_ptr<Group> group, CallNumber call) : group_(std::move(group)), call_(call) {}

  bool OnEvent(std::unique_ptr<EventFrame> frame) override {
    return group_->OnEvent(call_, std::move(frame));
  }
  bool OnCheckpoint(Position position) override { return group_->OnCheckpoint(call_, position); }
  bool OnCaughtUp(std::optional<Position> position) override {
    return group_->OnCaughtUp(call_, position);
  }
  void OnEnded(EndOfCall end) override { group_->OnEnded(call_, end); }

 private:
  std::shared_ptr<Group> group_;
  CallNumber call_;
};

Group::Group(const GroupConfig& config, GroupServices services, bool stop_on_caught_up)
    : config_(config),
      services_(std::move(services)),
      dispatch_(OptionsOf(config, stop_on_caught_up), this),
      random_(RandomNumber()) {}

Group::~Group() { Close(); }

Tick Group::Now() {
  now_ = std::chrono::steady_clock::now();
  return {now_ - started_, random_()};
}

void Group::Start() {
  worker_.Post([this] { Prepare(); });
  Begin();
}

void Group::Begin() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) {
    return;
  }
  if (stop_requested_) {
    FailBeforeStart("");
    return;
  }
  if (const Status taken = TakeThreads(); !taken.ok()) {
    WaitFor(Waiter::kWorker, taken.message());
    services_.reactor->After(kRetryPause, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->Begin();
      }
    });
    return;
  }
  EndWait(Waiter::kWorker, true);
}

Status Group::TakeThreads() {
  if (source_ == nullptr) {
    auto source = services_.open_source(services_.address(), config_.name);
    if (!source.ok()) {
      return source.status();
    }
    source_ = std::move(*source);
  }
  return worker_.Start();
}

void Group::Prepare() {
  struct Step {
    std::string_view what;
    Status (Group::*make)();
  };
  Status prepared;
  for (const Step& step : {Step{"checkpoint not opened", &Group::OpenStore},
                           Step{"plugin not copied", &Group::StagePluginFile},
                           Step{"start not written", &Group::ResolveStart}}) {
    prepared = WaitOut(
        step.what, [&] { return (this->*step.make)(); }, [this] { return !stop_requested_; });
    if (!prepared.ok()) {
      break;
    }
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!prepared.ok() || stop_requested_) {
    FailBeforeStart(stop_requested_ ? std::string() : prepared.message());
    return;
  }
  const CheckpointRecord& record = store_->record();
  StartPoint start;
  start.checkpoint = record.checkpoint;
  start.last_event = record.last_event;
  if (record.start.kind == RecordedStart::Kind::kPosition) {
    start.recorded_start = record.start.position;
  }
  filter_changed_ = store_->filter_changed();
  start.filter_changed = filter_changed_;
  Log(LogLevel::kInfo, "Group starting", "Group.Start", config_.name,
      {{"plugin", config_.plugin},
       {"pluginSha256", plugin_->sha256},
       {"checkpoint", PositionText(start.checkpoint)},
       {"source", std::string(source_->address())}});
  started_engine_ = true;
  engine().Start(start, Now(), commands());
  Execute();
}

Status Group::OpenStore() {
  auto store = CheckpointStore::Open(services_.state->groups(), config_.name, config_.filter);
  if (!store.ok()) {
    return store.status();
  }
  store_ = std::move(*store);
  if (!store_->warning().empty()) {
    Log(LogLevel::kWarn, "Checkpoint store damaged", "Group.Start", config_.name,
        {{"reason", store_->warning()}});
  }
  return {};
}

Status Group::StagePluginFile() {
  auto file = FindPlugin(*services_.plugin_directories, config_.plugin);
  if (!file.ok()) {
    return file.status();
  }
  auto staged = StagePlugin(*file, services_.state->plugins(), config_.sha256);
  if (!staged.ok()) {
    return staged.status();
  }
  plugin_ = std::move(*staged);
  return {};
}

// Whether `found` is what `wanted` was written down as, so that it stands. An "end" that was the
// end of an empty log must stand: read anew it would skip what has come since.
bool Matches(const RecordedStart& found, const GroupStart& wanted) {
  const bool was_empty =
      found.kind == RecordedStart::Kind::kBeginning && found.position == kEndOfLog;
  switch (wanted.kind) {
    case GroupStart::Kind::kBeginning:
      return found.kind == RecordedStart::Kind::kBeginning && !was_empty;
    case GroupStart::Kind::kPosition:
      return found.kind == RecordedStart::Kind::kPosition && found.position == wanted.position;
    case GroupStart::Kind::kEnd:
      return was_empty;
  }
  return false;
}

// A new group's start is written down before its first event: a plugin that keeps its own position
// may ask for it again at any time, and "end" means the end as it was then. While there is no
// checkpoint, another start in the configuration takes its place.
Status Group::ResolveStart() {
  CheckpointRecord record = store_->record();
  const bool is_new = record.start.kind == RecordedStart::Kind::kUnknown;
  if (!is_new && (record.checkpoint.has_value() || Matches(record.start, config_.start))) {
    return {};
  }
  if (!is_new) {
    Log(LogLevel::kInfo, "Start changed", "Group.Start", config_.name,
        {{"reason", "there is no checkpoint yet, and the configuration names another start"}});
  }
  record.start = {RecordedStart::Kind::kBeginning, {}};
  if (config_.start.kind == GroupStart::Kind::kPosition) {
    record.start = {RecordedStart::Kind::kPosition, config_.start.position};
  }
  if (config_.start.kind == GroupStart::Kind::kEnd) {
    record.start.position = kEndOfLog;
    std::optional<Position> head;
    CATCHUP_RETURN_IF_ERROR(WaitOut(
        "head of the log not read, where the group is to start", [&] { return ReadHeadNow(&head); },
        [this] { return !stop_requested_; }));
    if (head.has_value()) {
      record.start = {RecordedStart::Kind::kPosition, *head};
      record.checkpoint = head;
    }
  }
  return store_->Save(record);
}

// On the worker. Whatever keeps it from the answer may pass: it is all the server's.
Status Group::ReadHeadNow(std::optional<Position>* head) {
  std::shared_ptr<Source> source;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (source_ == nullptr) {
      return Status::Cancelled("the host ends");
    }
    CATCHUP_RETURN_IF_ERROR(FollowServer());
    source = source_;
  }
  auto found = ReadHeadAndWait(source.get());
  if (!found.ok()) {
    return Status::Unavailable(found.status().message());
  }
  *head = *found;
  return {};
}

// On the worker: does `step` until what stops it is no longer something that may pass, and says all
// the while what that is. kCancelled: given up, because the worker ends or it is not `wanted` any
// more, which is asked with the mutex held.
Status Group::WaitOut(std::string_view what, const std::function<Status()>& step,
                      const std::function<bool()>& wanted) {
  bool waited = false;
  while (true) {
    const Status status = step();
    if (!status.may_pass()) {
      if (waited) {
        const std::lock_guard<std::mutex> lock(mutex_);
        EndWait(Waiter::kWorker, status.ok());
      }
      return status;
    }
    waited = true;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!wanted()) {
        EndWait(Waiter::kWorker, false);
        return Status::Cancelled("not wanted any more");
      }
      WaitFor(Waiter::kWorker, std::string(what) + ": " + status.message());
    }
    if (!worker_.Pause(kRetryPause)) {
      return Status::Cancelled("the host ends");
    }
  }
}

// Says once what the group waits for outside the engine's knowledge.
void Group::WaitFor(Waiter who, const std::string& what) {
  std::string& waits_for = waits_for_[static_cast<std::size_t>(who)];
  if (waits_for == what) {
    return;
  }
  waits_for = what;
  Log(LogLevel::kWarn, "State changed", "Group.WaitFor", config_.name,
      {{"state", GroupStateName(GroupState::kWaiting)}, {"reason", what}, {"expected", true}});
}

// `over`: what it waited for is there; else nobody waits for it any more.
void Group::EndWait(Waiter who, bool over) {
  std::string& waits_for = waits_for_[static_cast<std::size_t>(who)];
  if (over && !waits_for.empty()) {
    Log(LogLevel::kInfo, "Wait over", "Group.WaitFor", config_.name, {{"reason", waits_for}});
  }
  waits_for.clear();
}

void Group::FailBeforeStart(const std::string& reason) {
  failed_before_start_ = reason;
  if (!reason.empty()) {
    Log(LogLevel::kError, "State changed", "Group.Start", config_.name,
        {{"state", GroupStateName(GroupState::kFailed)}, {"reason", reason}, {"position", "none"}});
  }
  Finished();
}

void Group::Stop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stop_requested_ = true;
  if (!started_engine_) {
    // Cuts short what Prepare may be waiting for; it ends the group.
    if (source_ != nullptr) {
      source_->Shutdown();
    }
    return;
  }
  engine().Stop(Now(), commands());
  Execute();
}

void Group::Close() {
  std::shared_ptr<Source> source;
  std::unique_ptr<Subscription> subscription;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) {
      return;
    }
    closed_ = true;
    stop_requested_ = true;
    if (link_ != nullptr) {
      DropRunner();
    }
    if (source_ != nullptr) {
      source_->Shutdown();
    }
    for (const Reactor::TimerId timer : timers_) {
      services_.reactor->Cancel(timer);
    }
    services_.reactor->Cancel(clock_timer_);
    subscription = std::move(subscription_);
    source = std::move(source_);
  }
  // Outside: a source's thread may be waiting for the mutex in a last callback.
}

void Group::Finished() {
  if (finished_) {
    return;
  }
  finished_ = true;
  services_.reactor->Cancel(clock_timer_);
  const auto took = std::chrono::steady_clock::now() - started_;
  const double seconds = std::chrono::duration<double>(took).count();
  const auto [state, reason] = StateAndReason();
  const bool bad = state == GroupState::kFailed || state == GroupState::kGivenUp;
  Log(bad ? LogLevel::kError : LogLevel::kInfo, "Group ended", "Group.Finish", config_.name,
      {{"state", GroupStateName(state)},
       {"reason", reason},
       {"position", PositionText(engine().durable())},
       {"processedCount", engine().handled()},
       {"errorCount", error_count_},
       {"dlqCount", std::uint64_t{0}},
       {"timingMs", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()},
       {"avgRate", Rate(engine().handled(), seconds)}});
  services_.on_finished();
}

std::pair<GroupState, std::string> Group::StateAndReason() const {
  if (failed_before_start_.has_value()) {
    return failed_before_start_->empty() ? std::pair(GroupState::kStopped, std::string("stopped"))
                                         : std::pair(GroupState::kFailed, *failed_before_start_);
  }
  for (const std::string& waits_for : waits_for_) {
    if (!waits_for.empty() && !finished_) {
      return {GroupState::kWaiting, waits_for};
    }
  }
  return {engine().state(), engine().reason()};
}

GroupStatus Group::Glance() {
  const std::lock_guard<std::mutex> lock(mutex_);
  GroupStatus status;
  status.name = config_.name;
  std::tie(status.state, status.reason) = StateAndReason();
  status.processed = engine().handled();
  status.skipped = engine().skipped();
  status.restarts = engine().restarts();
  status.position = engine().watermark();
  status.head = head_;
  status.finished = finished_;
  for (const TimerKind kind : {TimerKind::kReconnect, TimerKind::kRespawn}) {
    const auto& due = due_[static_cast<std::size_t>(kind)];
    if (status.state == GroupState::kWaiting && due.has_value()) {
      status.retry_at = status.retry_at.has_value() ? std::min(*status.retry_at, *due) : *due;
    }
  }
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - rated_at_).count();
  status.rate =
      seconds > 0 ? static_cast<double>(status.processed - rated_handled_) / seconds : 0.0;
  rated_handled_ = status.processed;
  rated_at_ = now;
  return status;
}

bool Group::CheckpointSafe() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return finished_ && (!started_engine_ || engine().settled_is_durable());
}

bool Group::OnEvent(CallNumber call, std::unique_ptr<EventFrame> frame) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) {
    return false;
  }
  const EventView& event = frame->event;
  const Sequence sequence =
      engine().Event(call, event.position, event.size(), event.is_system(), Now(), commands());
  if (sequence != 0) {
    dispatch_.window().Add(sequence, std::move(frame));
  }
  // The runner's progress is looked at now and then: each look costs a cache miss.
  constexpr Sequence kLookEvery = 16;
  if (sequence != 0 && sequence % kLookEvery == 0) {
    PollRunner();
  }
  Execute();
  return !paused_;
}

bool Group::OnCheckpoint(CallNumber call, Position position) {
  const std::lock_guard<std::mutex> lock(mutex_);
  engine().CheckpointFrame(call, position, Now(), commands());
  Execute();
  return !paused_;
}

bool Group::OnCaughtUp(CallNumber call, std::optional<Position> position) {
  const std::lock_guard<std::mutex> lock(mutex_);
  engine().CaughtUp(call, position, Now(), commands());
  PollRunner();
  Execute();
  return !paused_;
}

void Group::OnEnded(CallNumber call, const EndOfCall& end) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) {
    return;
  }
  engine().SubscriptionEnded(call, ClassOf(end.kind), end.text, Now(), commands());
  Execute();
}

void Group::OnHead(CallNumber call, const Result<std::optional<Position>>& head) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ || !head.ok()) {
    // The subscription itself reports an unreachable server.
    return;
  }
  head_ = *head;
  engine().Head(call, head_, Now(), commands());
  Execute();
}

void Group::Execute() {
  dispatch_.Run();
  LogProgress();
}

void Group::CommandsDone() {
  PumpRing();
  UpdateFlow();
}

void Group::SpawnRunner(SpawnNumber spawn) {
  worker_.Post([this, spawn] { PrepareSpawn(spawn); });
}

void Group::DrainRunner(SpawnNumber spawn) {
  if (!Current(spawn)) {
    cancelled_spawn_ = spawn;
  } else {
    link_->rings().RequestStop();
  }
}

void Group::AbortRunner(SpawnNumber spawn) {
  if (!Current(spawn)) {
    cancelled_spawn_ = spawn;
  } else {
    link_->NoteKilled();
    link_->process().Signal(SIGABRT);
  }
}

void Group::KillRunner(SpawnNumber spawn) {
  if (!Current(spawn)) {
    cancelled_spawn_ = spawn;
  } else {
    link_->NoteKilled();
    link_->process().Kill();
  }
}

void Group::CancelSubscription(CallNumber) {
  if (subscription_ != nullptr) {
    subscription_->Cancel();
  }
}

void Group::Persist(Position position, std::optional<Position> event) {
  // Only a plugin that keeps its own position can set the group back; the engine said so.
  worker_.Post([this, position, event, back = engine().position_mode(),
                handled = dispatch_.window().last_released()] {
    SaveCheckpoint(position, event, back, handled);
  });
}

void Group::CancelTimer(TimerKind timer) {
  services_.reactor->Cancel(timers_[static_cast<std::size_t>(timer)]);
  due_[static_cast<std::size_t>(timer)].reset();
}

void Group::Connect(CallNumber call) {
  if (source_ == nullptr) {
    return;
  }
  if (const Status followed = FollowServer(); !followed.ok()) {
    engine().SubscriptionEnded(call, EndClass::kDropped, followed.message(), Now(), commands());
    return;
  }
  call_ = call;
  paused_ = false;
  source_->ReadVersion([weak = weak_from_this(), call](const auto& version) {
    if (const auto self = weak.lock()) {
      self->OnVersion(call, version);
    }
  });
}

// The server of this call has said what it is. It may be another one than that of the call before.
void Group::OnVersion(CallNumber call, const Result<std::string>& version) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) {
    return;
  }
  if (!version.ok()) {
    engine().SubscriptionEnded(call, ClassOf(version.status()), version.status().message(), Now(),
                               commands());
  } else {
    const ServerTraits traits{.resumes_anywhere = ResumesAnywhere(*version),
                              .says_caught_up = SaysCaughtUp(*version)};
    if (!traits.resumes_anywhere) {
      Log(LogLevel::kWarn, "Old server", "Group.Subscribe", config_.name,
          {{"version", version->empty() ? "unknown" : *version},
           {"reason", version->empty()
                          ? "it does not tell its version, so it may be one before 24.2: the "
                            "checkpoint follows events only"
                          : "before 24.2: the checkpoint follows events only"}});
    }
    says_caught_up_ = traits.says_caught_up;
    engine().ServerKnown(call, traits, Now(), commands());
  }
  Execute();
}

// The newest event that a read shows settles it nearly always, and on servers that say no more.
// Else the last record of the log counts: none may be shown of those behind that event.
void Group::ReadEnd(CallNumber call, Position from) {
  source_->ReadHead([weak = weak_from_this(), call, from](const auto& head) {
    const auto self = weak.lock();
    if (self == nullptr) {
      return;
    }
    if (head.ok() && *head < from) {
      self->AskForLastRecord(call, *head);
    } else {
      self->OnEndOfLog(call, head);
    }
  });
}

void Group::AskForLastRecord(CallNumber call, std::optional<Position> head) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ || call != call_) {
    return;
  }
  if (!says_caught_up_) {
    engine().EndKnown(call, head, Now(), commands());
    Execute();
    return;
  }
  source_->ReadEnd([weak = weak_from_this(), call, head](const auto& end) {
    if (const auto self = weak.lock()) {
      self->OnEndOfLog(call, end.ok() ? std::max(head, *end) : end);
    }
  });
}

void Group::OnEndOfLog(CallNumber call, const Result<std::optional<Position>>& end) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) {
    return;
  }
  if (end.ok()) {
    engine().EndKnown(call, *end, Now(), commands());
  } else {
    engine().SubscriptionEnded(call, ClassOf(end.status()), end.status().message(), Now(),
                               commands());
  }
  Execute();
}

void Group::Probe(CallNumber call, Position from) {
  source_->ReadFirst(
      from, [weak = weak_from_this(), call](std::optional<Position> found, const auto& failure) {
        const auto self = weak.lock();
        if (self == nullptr) {
          return;
        }
        if (failure.has_value()) {
          self->OnEnded(call, *failure);
          return;
        }
        const std::lock_guard<std::mutex> lock(self->mutex_);
        if (!self->closed_) {
          self->engine().Probed(call, found, self->Now(), self->commands());
          self->Execute();
        }
      });
}

void Group::Subscribe(CallNumber call, std::optional<Position> from) {
  Log(LogLevel::kInfo, "Subscribing", "Group.Subscribe", config_.name,
      {{"position", PositionText(from)}});
  SubscribeOptions options;
  options.from = from;
  options.prefixes = config_.filter.prefixes;
  options.match = config_.filter.match == EventFilter::Match::kEventType ? MatchOn::kEventType
                                                                         : MatchOn::kStreamName;
  subscription_ = source_->Subscribe(options, std::make_shared<CallSink>(shared_from_this(), call));
  source_->ReadHead([weak = weak_from_this(), call](const auto& head) {
    if (const auto self = weak.lock()) {
      self->OnHead(call, head);
    }
  });
}

// The process that serves an embedded log may have ended and come back on another port.
// Without what a new connection needs, the old one stays and the next try follows.
Status Group::FollowServer() {
  const std::string address = services_.address();
  if (address == source_->address()) {
    return {};
  }
  auto moved = services_.open_source(address, config_.name);
  if (!moved.ok()) {
    return moved.status();
  }
  Log(LogLevel::kInfo, "Server moved", "Group.Subscribe", config_.name,
      {{"from", source_->address()}, {"source", address}});
  source_->Shutdown();
  // Elsewhere: its end waits for its thread, which may be this one or wait for the mutex.
  services_.retire_source(std::exchange(source_, std::move(*moved)));
  return {};
}

void Group::SetHead(const std::optional<Position>& head) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ || finished_) {
    return;
  }
  head_ = head;
  // The call's own question may have found no answer.
  if (engine().needs_head()) {
    engine().Head(call_, head, Now(), commands());
    Execute();
  }
}

void Group::SetTimer(TimerKind kind, std::chrono::nanoseconds delay) {
  Reactor::TimerId& timer = timers_[static_cast<std::size_t>(kind)];
  services_.reactor->Cancel(timer);
  due_[static_cast<std::size_t>(kind)] = std::chrono::steady_clock::now() + delay;
  timer = services_.reactor->After(delay, [weak = weak_from_this(), kind] {
    const auto self = weak.lock();
    if (self == nullptr) {
      return;
    }
    const std::lock_guard<std::mutex> lock(self->mutex_);
    if (!self->closed_) {
      self->due_[static_cast<std::size_t>(kind)].reset();
      self->PollRunner();
      self->engine().TimerFired(kind, self->Now(), self->commands());
      self->Execute();
    }
  });
}

// `event` is the engine's word on where an event lies; `handled` is the last event that was
// released. One beyond the position was let go unhandled, as the group went back, and proves
// nothing.
void Group::SaveCheckpoint(Position position, std::optional<Position> event, bool may_go_back,
                           const std::optional<Witness>& handled) {
  CheckpointRecord record = store_->record();
  const bool back = may_go_back && record.checkpoint.has_value() && position < *record.checkpoint;
  record.checkpoint = position;
  if (back) {
    DropWitnessesBeyond(position, &record.witnesses);
  }
  if (handled.has_value() && handled->position <= position) {
    AddWitness(*handled, &record.witnesses);
  }
  record.last_event = event;
  record.plugin_digest = plugin_->digest;
  const Status saved = WaitOut(
      "checkpoint not written",
      [&] { return back ? store_->Rewind(record) : store_->Save(record); }, [] { return true; });
  if (saved.code() == Status::Code::kCancelled) {
    return;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (saved.ok()) {
    engine().CheckpointDurable(position, Now(), commands());
  } else {
    engine().StoreFailed(saved.message(), Now(), commands());
  }
  Execute();
}

void Group::Notice(const Command& command) {
  std::vector<LogField> fields = {{"reason", command.text}, {"expected", command.expected}};
  if (command.number != 0) {
    fields.emplace_back("attempt", command.number);
    fields.emplace_back(
        "delayMs", std::chrono::duration_cast<std::chrono::milliseconds>(command.delay).count());
  }
  Log(command.expected ? LogLevel::kInfo : LogLevel::kWarn, "Group notice", "Group.Engine",
      config_.name, fields);
}

void Group::StateChanged() {
  if (engine().state() == logged_state_) {
    return;
  }
  logged_state_ = engine().state();
  const bool bad = logged_state_ == GroupState::kFailed || logged_state_ == GroupState::kGivenUp;
  const bool waits = logged_state_ == GroupState::kWaiting;
  Log(bad ? LogLevel::kError : (waits ? LogLevel::kWarn : LogLevel::kInfo), "State changed",
      "Group.Engine", config_.name,
      {{"state", GroupStateName(logged_state_)},
       {"reason", engine().reason()},
       {"position", PositionText(engine().watermark())}});
}

void Group::LogProgress() {
  if (engine().handled() - logged_handled_ < config_.batch_size) {
    return;
  }
  const auto now = now_;
  if (now - logged_at_ < kProgressInterval) {
    return;
  }
  const auto seconds = [](auto duration) {
    return std::chrono::duration<double>(duration).count();
  };
  const double rate = Rate(engine().handled() - logged_handled_, seconds(now - logged_at_));
  logged_handled_ = engine().handled();
  logged_at_ = now;
  if (LogDrawsProgress()) {
    return;
  }
  Log(LogLevel::kInfo, "Progress", "Group.Progress", config_.name,
      {{"processedCount", engine().handled()},
       {"errorCount", error_count_},
       {"dlqCount", std::uint64_t{0}},
       {"timingMs", std::chrono::duration_cast<std::chrono::milliseconds>(now - started_).count()},
       {"avgRate", Rate(engine().handled(), seconds(now - started_))},
       {"rate", rate},
       {"position", PositionText(engine().watermark())},
       {"head", PositionText(head_)}});
}

}  // namespace catchup
