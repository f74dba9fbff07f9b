#include <catchup/plugin.h>
#include <signal.h>

#include <algorithm>

#include "host/base/log.h"
#include "host/base/signals.h"
#include "host/daemon/group.h"
#include "host/runner/instance.h"

namespace catchup {
namespace {

// A runner of a host that was killed is gone within milliseconds; longer is worth saying, and no
// longer worth asking often.
constexpr std::chrono::seconds kOldRunnerPatience{5};
constexpr std::chrono::milliseconds kOldRunnerPause{20};
constexpr std::chrono::milliseconds kOldRunnerSlowPause{500};

// How often a group looks whether its files are still there.
constexpr std::chrono::seconds kFilesInterval{2};

// When the machine lacks what a runner needs: descriptors, memory, room.
constexpr std::chrono::seconds kSpawnPause{2};

constexpr std::string_view kRunnerOutput = "Runner output";
constexpr std::string_view kPluginSays = "Plugin says";

// Of a plugin's CATCHUP_LOG_*.
LogLevel LevelOf(std::size_t level) {
  constexpr LogLevel kLevels[] = {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn,
                                  LogLevel::kError};
  return kLevels[std::min(level, std::size(kLevels) - 1)];
}

// How often the host looks at the clock of a call, as a part of its limit, and within these.
constexpr int kClockParts = 10;
constexpr std::chrono::milliseconds kFastestClock{20};
constexpr std::chrono::milliseconds kSlowestClock{500};

// Outcomes taken in one go, so that a plugin that logs without end cannot hold the mutex.
constexpr int kMostOutcomes = 256;

}  // namespace

// Raises the token before anything else: a runner believed dead may then be alive and can still not
// commit.
void Group::PrepareSpawn(SpawnNumber spawn) {
  const auto wanted = [this, spawn] { return cancelled_spawn_ != spawn; };
  std::uint64_t token = 0;
  const Status raised = WaitOut(
      "fencing token not written",
      [&] {
        const auto next = store_->RaiseToken();
        token = next.ok() ? *next : 0;
        return next.status();
      },
      wanted);
  Status staged = raised;
  if (raised.ok()) {
    staged = WaitOut(
        "plugin's copy not checked", [this] { return RestagePlugin(); }, wanted);
  }
  if (!staged.ok()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (staged.code() == Status::Code::kCancelled) {
      engine().RunnerExited(spawn, ExitClass::kClean, 0, "", Now(), commands());
    } else if (!raised.ok()) {
      engine().StoreFailed(raised.message(), Now(), commands());
      engine().RunnerExited(spawn, ExitClass::kClean, 0, "", Now(), commands());
    } else {
      engine().RunnerExited(spawn, ExitClass::kSetup, 0, staged.message(), Now(), commands());
    }
    Execute();
    return;
  }
  services_.reactor->Post([weak = weak_from_this(), spawn, token] {
    if (const auto self = weak.lock()) {
      self->SpawnNow(spawn, token, RunnerLink::Clock::now());
    }
  });
}

Status Group::RestagePlugin() {
  std::string lost;
  CATCHUP_RETURN_IF_ERROR(
      RestageIfLost(*plugin_, *services_.plugin_directories, services_.state->plugins(), &lost));
  if (!lost.empty()) {
    Log(LogLevel::kWarn, "Plugin copied again", "Group.Spawn", config_.name, {{"reason", lost}});
  }
  return {};
}

// A plugin that finds its working directory empty begins there as on its first day.
Result<StateDirectory::GroupData> Group::MakeDataDirectory() {
  auto data = services_.state->EnsureGroupData(config_.name);
  if (data.ok() && data->made) {
    Log(LogLevel::kWarn, "Working directory made again", "Group.Spawn", config_.name,
        {{"directory", services_.state->group_data(config_.name).string()},
         {"reason", "it was gone, and with it what the plugin kept there"}});
  }
  return data;
}

void Group::SpawnNow(SpawnNumber spawn, std::uint64_t token, RunnerLink::Clock::time_point since) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) {
    return;
  }
  if (cancelled_spawn_ == spawn) {
    EndWait(Waiter::kSpawn, false);
    engine().RunnerExited(spawn, ExitClass::kClean, 0, "", Now(), commands());
    Execute();
    return;
  }
  const std::filesystem::path file = services_.state->runner_lock(config_.name, kOnlyLane);
  auto runner_lock = RunnerLock::TryTake(file);
  if (!runner_lock.ok() && runner_lock.status().code() == Status::Code::kInUse) {
    const bool slow = RunnerLink::Clock::now() - since > kOldRunnerPatience;
    if (slow && waits_for_[static_cast<std::size_t>(Waiter::kSpawn)].empty()) {
      WaitFor(Waiter::kSpawn, RunnerLock::DescribeHolder(file));
    }
    SpawnLater(slow ? kOldRunnerSlowPause : kOldRunnerPause, spawn, token, since);
    return;
  }
  Status started =
      runner_lock.ok() ? StartRunner(spawn, token, *runner_lock) : runner_lock.status();
  if (started.ok()) {
    EndWait(Waiter::kSpawn, true);
  } else if (started.code() == Status::Code::kInvalid ||
             runner_lock.status().code() == Status::Code::kNotFound) {
    // No plugin to set up, or the group's folder is gone.
    EndWait(Waiter::kSpawn, false);
    engine().RunnerExited(spawn, ExitClass::kSetup, 0, started.message(), Now(), commands());
  } else {
    // The machine's fault, so no death of the runner's: it waits until there is room.
    WaitFor(Waiter::kSpawn, "runner not started: " + started.message());
    SpawnLater(kSpawnPause, spawn, token, since);
  }
  Execute();
}

void Group::SpawnLater(std::chrono::nanoseconds pause, SpawnNumber spawn, std::uint64_t token,
                       RunnerLink::Clock::time_point since) {
  services_.reactor->After(pause, [weak = weak_from_this(), spawn, token, since] {
    if (const auto self = weak.lock()) {
      self->SpawnNow(spawn, token, since);
    }
  });
}

Status Group::StartRunner(SpawnNumber spawn, std::uint64_t token, const RunnerLock& lock) {
  auto rings = HostEnd::Create(config_.name);
  if (!rings.ok()) {
    return rings.status();
  }
  RunnerSetup setup;
  setup.group = config_.name;
  setup.projection = config_.projection;
  const std::string path = plugin_->path.string();
  setup.plugin_path = path;
  setup.config_json = config_.settings.json;
  setup.open_files = config_.limits.open_files;
  setup.token = token;
  setup.settings = &config_.settings.values;
  if (Status written = (*rings)->WriteSetup(setup); !written.ok()) {
    return Status::Invalid(written.message());
  }
  (*rings)->Publish();
  const auto data = MakeDataDirectory();
  if (!data.ok()) {
    return data.status();
  }
  RunnerProcess::Options options;
  options.group = config_.name;
  options.rings = (*rings)->descriptors();
  options.working_directory = services_.state->group_data(config_.name);
  options.env = config_.env;
  auto process = RunnerProcess::Spawn(*services_.runner, options, lock);
  if (!process.ok()) {
    return process.status();
  }
  link_ = std::make_shared<RunnerLink>(spawn, std::move(*rings), std::move(*process));
  data_ = *data;
  told_dropped_ = 0;
  if (Status watched = WatchRunner(spawn); !watched.ok()) {
    DropRunner();
    return watched;
  }
  Log(LogLevel::kInfo, "Runner started", "Group.Spawn", config_.name,
      {{"plugin", config_.plugin}, {"pid", link_->process().pid()}, {"token", token}});
  OnClock();
  return {};
}

Status Group::WatchRunner(SpawnNumber spawn) {
  const auto watch = [&](int fd, void (Group::*handler)(SpawnNumber)) {
    return services_.reactor->Watch(fd, [weak = weak_from_this(), spawn, handler] {
      if (const auto self = weak.lock()) {
        ((*self).*handler)(spawn);
      }
    });
  };
  CATCHUP_RETURN_IF_ERROR(watch(link_->rings().descriptors().host_wake, &Group::OnRunnerWake));
  CATCHUP_RETURN_IF_ERROR(watch(link_->process().output(), &Group::OnRunnerOutput));
  return watch(link_->process().pidfd(), &Group::OnRunnerGone);
}

void Group::UnwatchRunner() {
  services_.reactor->Unwatch(link_->process().pidfd());
  services_.reactor->Unwatch(link_->process().output());
  services_.reactor->Unwatch(link_->rings().descriptors().host_wake);
}

void Group::DropRunner() {
  UnwatchRunner();
  link_.reset();  // Kills and reaps what still runs.
}

// Re-arms itself while a runner is there. Called with the mutex or on the reactor, where it takes
// it.
void Group::OnClock() {
  const auto interval = std::clamp<std::chrono::nanoseconds>(
      std::min(config_.handler_timeout, config_.start_timeout) / kClockParts, kFastestClock,
      kSlowestClock);
  services_.reactor->Cancel(clock_timer_);
  clock_timer_ = services_.reactor->After(interval, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) {
      return;
    }
    const std::lock_guard<std::mutex> lock(self->mutex_);
    if (self->closed_ || self->link_ == nullptr) {
      return;
    }
    self->PollRunner();
    self->TellDroppedLines();
    self->ReplaceSwollenRunner();
    self->LookAfterFiles();
    const auto overdue = self->link_->CheckClock(
        RunnerLink::Clock::now(), {self->config_.handler_timeout, self->config_.start_timeout});
    // While the group ends, the ladder of the stop has its own times.
    const bool ending = self->engine().state() == GroupState::kDraining;
    if (overdue.has_value() && !ending && !self->link_->hung()) {
      self->link_->NoteHung();
      ++self->error_count_;
      const EventFields event = self->FieldsOf(overdue->sequence);
      std::vector<LogField> fields = {
          {"call", overdue->call},
          {"exitClass", ExitClassName(ExitClass::kHung)},
          {"limit", overdue->limit},
          {"limitMs", static_cast<std::int64_t>(overdue->limit_value.count())}};
      event.AddTo(&fields);
      Log(LogLevel::kError, "Call hung", "Group.Clock", self->config_.name, fields);
      self->engine().Hung(self->link_->spawn(), overdue->sequence, overdue->call + event.of(),
                          overdue->LimitText(), self->Now(), self->commands());
    }
    self->Execute();
    self->OnClock();
  });
}

// The memory behind a large event cannot be given back while its region is sealed, so an idle
// runner that has had one makes room for a small one.
void Group::ReplaceSwollenRunner() {
  if (link_->rings().used_large_region() && link_->ready()) {
    engine().ReplaceRunner(link_->spawn(), "it keeps the memory of a large event", Now(),
                           commands());
  }
}

void Group::OnRunnerWake(SpawnNumber spawn) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!Current(spawn)) {
    return;
  }
  link_->rings().DrainWake();
  PollRunner();
  Execute();
}

void Group::OnRunnerOutput(SpawnNumber spawn) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!Current(spawn)) {
    return;
  }
  TakeOutput(RunnerLink::ReadHow::kWhatIsThere);
}

void Group::TakeOutput(RunnerLink::ReadHow how) {
  const RunnerLink::Output output = link_->ReadOutput(how);
  for (const std::string& line : output.lines) {
    LogFromPlugin(LogLevel::kInfo, kRunnerOutput, "Runner.Output", config_.name, {{"text", line}});
  }
  LogLeftOutOfPlugin(LogLevel::kInfo, kRunnerOutput, config_.name, output.lines_left_out);
  for (const CrashRecord& crash : output.other_crashes) {
    LogCrash("Process of the plugin crashed", crash);
  }
  if (output.closed) {
    // The plugin closed both; a pipe without a writer would be readable for ever.
    services_.reactor->Unwatch(link_->process().output());
  }
}

// At error level, and by another msg than the plugin's own lines, whose rate it does not share.
void Group::LogCrash(std::string_view msg, const CrashRecord& crash) {
  // Fields borrow what they show.
  const EventFields event = FieldsOf(link_->tickets().ItemOf(crash.ticket));
  const std::string signal = SignalName(static_cast<int>(crash.signal));
  std::vector<LogField> fields = {
      {"signal", signal},
      {"call", crash.call},
      {"exitClass", ExitClassName(link_->hung() ? ExitClass::kHung : ExitClass::kCrash)},
      {"plugin", config_.plugin},
      {"lane", crash.lane},
      {"pid", crash.pid}};
  if (!crash.plugin.empty()) {
    fields.emplace_back("loaded", crash.plugin);
  }
  if (crash.events > 0) {
    fields.emplace_back("events", crash.events);
  }
  event.AddTo(&fields);
  // What ends a runner so is SIGKILL, a thread whose signal stack is missing or overflown, or a
  // plugin that took the signal or closed the report's descriptor.
  fields.emplace_back("frames", crash.frames.empty() ? std::string_view("no report came")
                                                     : std::string_view(crash.frames));
  if (!crash.modules.empty()) {
    fields.emplace_back("modules", crash.modules);
  }
  Log(LogLevel::kError, msg, "Runner.Crash", config_.name, fields);
}

void Group::OnRunnerGone(SpawnNumber spawn) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!Current(spawn)) {
    return;
  }
  // Output and rings survive their writer: its last words are read, and what it settled before it
  // died counts.
  TakeOutput(RunnerLink::ReadHow::kToTheEnd);
  while (PollRunner()) {
  }
  TellDroppedLines();
  UnwatchRunner();
  const RunnerLink::Ending ending = link_->Reap();
  const EventFields event = FieldsOf(ending.charged);
  std::vector<LogField> fields = {{"exitClass", ExitClassName(ending.exit_class)},
                                  {"pid", link_->process().pid()},
                                  {"reason", ending.text}};
  event.AddTo(&fields);
  const bool asked = ending.exit_class == ExitClass::kClean ||
                     (link_->discarded() && ending.exit_class == ExitClass::kKilled);
  Log(asked ? LogLevel::kInfo : LogLevel::kWarn, "Runner ended", "Group.Runner", config_.name,
      fields);
  if (ending.crash.has_value()) {
    LogCrash(link_->hung() ? "Runner hung" : "Runner crashed", *ending.crash);
  }
  if (!asked && !link_->hung()) {
    ++error_count_;
  }
  if (link_->position_refused() && engine().may_persist()) {
    // No other runner was spawned since, so it is the present token that goes.
    worker_.Post([this] { TakeBackToken(); });
  }
  link_.reset();
  services_.on_runner_gone(config_.name);
  // "died of SIGSEGV in handle of …".
  engine().RunnerExited(spawn, ending.exit_class, ending.charged, ending.text + event.of(), Now(),
                        commands());
  Execute();
}

// Keeps a fence where it is: the runner that was refused stored nothing under its token.
void Group::TakeBackToken() {
  if (const Status taken = store_->TakeBackToken(store_->record().token); !taken.ok()) {
    Log(LogLevel::kWarn, "Fencing token not taken back", "Group.Spawn", config_.name,
        {{"reason", taken.message()}});
  }
}

// Of lines that found no room on their way from the plugin to us, whatever their level.
void Group::TellDroppedLines() {
  const std::uint64_t dropped = link_->rings().log_lines_dropped();
  if (dropped > told_dropped_) {
    Log(LogLevel::kWarn, "Plugin lines lost", "Plugin.Log", config_.name,
        {{"lines", dropped - told_dropped_},
         {"reason", "the plugin logged faster than the host could take its lines"}});
    told_dropped_ = dropped;
  }
}

// True: there was more than one look takes. Once a runner has broken the contract, nothing more is
// taken from it.
bool Group::PollRunner() {
  if (link_ == nullptr || link_->contract_broken()) {
    return false;
  }
  Result<Ticket> ticket = link_->rings().PollSettled();
  if (!ticket.ok()) {
    ContractBroken(ticket.status().message());
    return false;
  }
  const Sequence settled = link_->tickets().ItemOf(*ticket);
  if (link_->ready() && settled > dispatch_.window().settled()) {
    engine().Settled(link_->spawn(), settled, Now(), commands());
  }
  for (int i = 0; i < kMostOutcomes; ++i) {
    Result<std::optional<Outcome>> outcome = link_->rings().PollOutcome();
    if (!outcome.ok()) {
      ContractBroken(outcome.status().message());
      return false;
    }
    if (!outcome->has_value()) {
      return false;
    }
    TakeOutcome(std::move(**outcome));
    if (link_->contract_broken()) {
      return false;
    }
  }
  // More is waiting: come back after others had their turn.
  services_.reactor->Post([weak = weak_from_this(), spawn = link_->spawn()] {
    if (const auto self = weak.lock()) {
      self->OnRunnerWake(spawn);
    }
  });
  return true;
}

void Group::TakeOutcome(Outcome outcome) {
  switch (outcome.kind) {
    case OutcomeKind::kReady:
      TakeReady(outcome);
      break;
    case OutcomeKind::kFailure:
      TakeFailure(std::move(outcome));
      break;
    case OutcomeKind::kLog:
      LogFromPlugin(LevelOf(outcome.level), kPluginSays, "Plugin.Log", config_.name,
                    {{"text", outcome.text}});
      break;
    case OutcomeKind::kStopped:
      link_->NoteStopped();
      break;
  }
}

void Group::TakeReady(const Outcome& outcome) {
  link_->MarkReady();
  Log(LogLevel::kInfo, "Projection started", "Group.Runner", config_.name,
      {{"plugin", config_.plugin},
       {"keepsPosition", outcome.position_mode},
       {"position", outcome.loaded.has_value() ? FormatPosition(*outcome.loaded) : "none"},
       {"maxEvents", outcome.max_events}});
  if (filter_changed_ && !outcome.loaded.has_value()) {
    worker_.Post([this, spawn = link_->spawn(), mode = outcome.position_mode] {
      AcceptFilter(spawn, mode);
    });
    return;
  }
  engine().RunnerReady(link_->spawn(), outcome.position_mode, outcome.loaded, Now(), commands());
}

// Nothing was handled under the old filter; the new one is durable before its first event is, so
// that no position of the plugin's is taken for the old one's.
void Group::AcceptFilter(SpawnNumber spawn, bool position_mode) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!engine().may_persist()) {
      return;
    }
  }
  const Status accepted = WaitOut(
      "filter not written", [this] { return store_->AcceptFilter(); }, [] { return true; });
  if (accepted.code() == Status::Code::kCancelled) {
    return;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (accepted.ok()) {
    filter_changed_ = false;
    engine().RunnerReady(spawn, position_mode, std::nullopt, Now(), commands());
  } else {
    engine().StoreFailed(accepted.message(), Now(), commands());
  }
  Execute();
}

void Group::TakeFailure(Outcome outcome) {
  const std::string call(CallName(outcome.call));
  const Sequence sequence = link_->tickets().ItemOf(outcome.ticket);
  if (outcome.status == kRunnerSetupFailed) {
    // The runner ends by itself.
    link_->NoteRefusal(std::move(outcome.text));
    return;
  }
  if (outcome.status == kRunnerContract) {
    // In a set-up call there is no event.
    const std::string event = sequence != 0 ? ", at event " + FieldsOf(sequence).text() : "";
    ContractBroken((outcome.call == CallKind::kNone ? "" : call + " ") + outcome.text + event);
    return;
  }
  if (link_->discarded() || LostDataDirectory()) {
    return;
  }
  ++error_count_;
  if (outcome.call == CallKind::kLoadPosition && outcome.status == CATCHUP_FATAL) {
    link_->NotePositionRefused();
  }
  const EventFields event = FieldsOf(sequence);
  std::vector<LogField> fields = {{"call", call},
                                  {"class", CallStatusName(outcome.status)},
                                  {"status", CallStatusName(outcome.status)},
                                  {"reason", outcome.text}};
  event.AddTo(&fields);
  Log(LogLevel::kError, "Call failed", "Group.Runner", config_.name, fields);
  engine().Failed(link_->spawn(), {sequence, outcome.status, call + event.of(), outcome.text},
                  Now(), commands());
}

// True: what the runner works in is not the group's data/ any more, so a call that fails says
// nothing about its event, and one that succeeds leaves nothing. The next runner gets what is in
// flight again, in the directory that has the name then.
bool Group::LostDataDirectory() {
  const auto data = MakeDataDirectory();
  if (data.ok() && data->IsSame(data_)) {
    return false;
  }
  if (data.status().code() == Status::Code::kNotFound) {
    engine().StoreFailed(services_.state->group(config_.name).string() +
                             ": the folder of the group was removed or moved away while it ran",
                         Now(), commands());
    return true;
  }
  link_->NoteDiscarded();
  std::string why = "its working directory was removed or moved away";
  if (!data.ok()) {
    why += ": " + data.status().message();
  } else if (!data->made) {
    why += ", and another one has its name";
  }
  engine().DiscardRunner(link_->spawn(), why, Now(), commands());
  return true;
}

// Now and then: whether checkpoint and data/ are still where a restart would look for them. Commits
// and failing calls find out by themselves, but a quiet group has none.
void Group::LookAfterFiles() {
  const auto now = RunnerLink::Clock::now();
  if (files_asked_ || now < next_files_look_) {
    return;
  }
  files_asked_ = true;
  next_files_look_ = now + kFilesInterval;
  worker_.Post([this, spawn = link_->spawn(), data = data_] {
    const Status there = store_->CheckStillThere();
    const bool has_data = !there.ok() || services_.state->HasGroupData(config_.name, data);
    const std::lock_guard<std::mutex> lock(mutex_);
    files_asked_ = false;
    if (!there.ok()) {
      engine().StoreFailed(there.message(), Now(), commands());
    } else if (!has_data && Current(spawn) && !link_->discarded() && !link_->contract_broken()) {
      (void)LostDataDirectory();
    }
    Execute();
  });
}

void Group::ContractBroken(const std::string& text) {
  link_->NoteContractBroken(text);
  link_->process().Kill();
  engine().ContractBroken(link_->spawn(), text, Now(), commands());
}

void Group::PumpRing() {
  if (link_ == nullptr || !link_->ready() || link_->contract_broken()) {
    return;
  }
  DeliveryWindow& window = dispatch_.window();
  bool wrote = false;
  for (; const auto slot = window.Next(); window.Wrote()) {
    const Ticket ticket = slot->frame != nullptr
                              ? link_->rings().WriteEvent(slot->frame->event, 1)
                              : link_->rings().WriteAdvance(*engine().AdvanceAt(slot->sequence));
    if (ticket == 0) {
      break;
    }
    link_->tickets().Give(ticket, slot->sequence);
    wrote = true;
  }
  if (wrote) {
    link_->rings().Publish();
  }
}

// Decides whether the source is to go on, and asks to be told about the runner's progress where
// something waits for it.
void Group::UpdateFlow() {
  bool wants = engine().wants_frames();
  if (!wants && !paused_) {
    // Perhaps the runner is further than was last looked at.
    PollRunner();
    wants = engine().wants_frames();
  }
  if (paused_ && wants && subscription_ != nullptr) {
    paused_ = false;
    subscription_->Resume();
  } else if (!wants) {
    paused_ = true;
  }
  if (link_ == nullptr || !link_->ready() || link_->contract_broken()) {
    return;
  }
  const auto wake_at = dispatch_.window().WakeAt(paused_);
  if (wake_at.has_value() && !link_->rings().WakeWhenSettled(link_->tickets().TicketOf(*wake_at))) {
    PollRunner();
  }
}

EventFields Group::FieldsOf(Sequence sequence) const {
  const EventFrame* frame = dispatch_.window().Find(sequence);
  return frame == nullptr ? EventFields() : EventFields(frame->event);
}

}  // namespace catchup
