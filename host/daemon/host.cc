#include "host/daemon/host.h"

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "host/base/log.h"
#include "host/base/shortage.h"
#include "host/base/signals.h"
#include "host/base/stop_budget.h"
#include "host/base/time_text.h"
#include "host/daemon/group_slot.h"
#include "host/daemon/head_probe.h"
#include "host/daemon/log_address.h"
#include "host/daemon/progress.h"
#include "host/daemon/signal_watch.h"
#include "host/daemon/stall_detector.h"
#include "host/daemon/worker_pool.h"
#include "host/plugins/children.h"
#include "host/ring/host_end.h"

namespace catchup {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kProgressEvery{500};

// Whoever stops a process may tell it twice, itself and as one of its group; that is one wish.
constexpr std::chrono::milliseconds kSameSignal{50};

// How often the host makes sure that the state directory is still its own.
constexpr std::chrono::seconds kLockInterval{2};

// How long a killed process may take to be gone before it is looked for again; and at the end of
// the host, how long it is waited for.
constexpr std::chrono::milliseconds kSweepAgain{10};
constexpr std::chrono::milliseconds kLastSweep{500};

// Between two tries of what the host needs before its groups are there, while the machine lacks it.
constexpr std::chrono::seconds kOpenPause{1};

bool IsFailure(GroupState state) {
  return state == GroupState::kFailed || state == GroupState::kGivenUp;
}

TerminalSize AskTerminalSize() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {size.ws_col, size.ws_row};
}

// Each group needs a dozen descriptors, and 1,024 are a habit of shells, not a limit of the system.
Status RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return Status::FromErrno("look at the limit of open files", errno);
  }
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0
             ? Status()
             : Status::FromErrno("raise the limit of open files", errno);
}

// Threads for what the machine can do at once.
int Cores() { return static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); }

class Host {
 public:
  Host(const HostConfig& config, const RunOptions& options)
      : config_(config), options_(options), stop_limit_(StopLimit()), log_(config.source) {}
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // kCancelled: told to stop while it waited for what the machine lacks.
  Status Open();
  // The exit code after an Open() that failed, which this logs.
  int EndBeforeStart(const Status& opened);
  int Run();

 private:
  Status WaitOut(std::string_view what, const std::function<Status()>& step);
  Status OpenState();
  Status FindRunner();
  Status StartThreads();
  void LookAfterLock();
  void OnLock(const Result<bool>& kept);
  void SweepOrphans(const std::string& group);
  void StartGroups();
  std::chrono::milliseconds StopLimit() const;
  bool Runs(const GroupConfig& group) const;
  void OnStopSignal(const ReceivedSignal& signal, Clock::time_point at);
  void StopGroups();
  void Tick();
  bool CheckStalled(const std::vector<GroupStatus>& statuses);
  void TellLateGroups() const;
  std::vector<GroupStatus> Glance() const;
  void LogFailedGroups();
  int Conclude();

  const HostConfig& config_;
  const RunOptions options_;
  int cannot_start_ = EXIT_FAILURE;
  const std::chrono::milliseconds stop_limit_;
  std::optional<StateDirectory> state_;
  std::optional<RunnerBinary> runner_;
  LogAddress log_;
  std::unique_ptr<Reactor> reactor_;
  std::vector<std::unique_ptr<GroupSlot>> slots_;
  ProgressTable progress_;

  std::mutex mutex_;
  std::condition_variable changed_;
  int terminations_ = 0;
  bool limit_reached_ = false;  // Told to stop by the system, not by a person.
  bool finished_ = false;
  bool stalled_ = false;
  bool stopping_ = false;

  // On the reactor only.
  std::optional<Clock::time_point> terminated_at_;
  StallDetector stall_{Clock::now()};
  std::unique_ptr<HeadProbe> head_;
  bool lock_asked_ = false;
  Clock::time_point next_lock_ = Clock::now();
  bool state_lost_ = false;  // Somebody took or removed the state directory. Guarded by mutex_.

  std::unique_ptr<SignalWatch> signals_;             // Made before anything runs.
  std::optional<WorkerPool> worker_{std::in_place};  // Opens what may block.
  // Ends sources; apart from the above, so that neither waits for the other.
  std::optional<WorkerPool> retirer_{std::in_place};
  std::optional<WorkerPool> stores_{std::in_place};  // Of all groups.
};

// Whether the system knows what a runner is reached by. Asked before anything is opened, since a
// group could only wait for it for ever; what is merely used up at present it does wait for.
Status CheckSystem() {
  const Status made = HostEnd::Create("check").status();
  const bool may_come =
      made.code() == Status::Code::kExhausted || made.code() == Status::Code::kUnavailable;
  return may_come ? Status() : made;
}

Status Host::Open() {
  // First, so that a stop has its deadline whatever may hang.
  CATCHUP_RETURN_IF_ERROR(StartThreads());
  // Before anything is found to be too little.
  if (const Status raised = RaiseDescriptorLimit(); !raised.ok()) {
    Log(LogLevel::kWarn, "Limit of open files not raised", "Host.Open", "",
        {{"reason", raised.message()}});
  }
  CATCHUP_RETURN_IF_ERROR(CheckSystem());
  CATCHUP_RETURN_IF_ERROR(ProveLibraryNeeds());
  CATCHUP_RETURN_IF_ERROR(WaitOut("state directory not opened", [this] { return OpenState(); }));
  CATCHUP_RETURN_IF_ERROR(WaitOut("runner not opened", [this] { return FindRunner(); }));
  CATCHUP_RETURN_IF_ERROR(
      WaitOut("log not opened", [this] { return log_.Open(Cores(), &*worker_); }));
  CATCHUP_RETURN_IF_ERROR(Children::OfThisProcess().Adopt());
  return {};
}

// Does `step` until it succeeds or fails for something else than a shortage, and says all the while
// what the host waits for. What waits for the log's end waits no longer than for a group.
Status Host::WaitOut(std::string_view what, const std::function<Status()>& step) {
  const auto since = Clock::now();
  std::string waits_for;
  while (true) {
    const Status status = step();
    if (status.code() != Status::Code::kExhausted) {
      if (status.ok() && !waits_for.empty()) {
        Log(LogLevel::kInfo, "Wait over", "Host.Open", "", {{"reason", waits_for}});
      }
      return status;
    }
    if (options_.until_caught_up && Clock::now() - since >= StallDetector::kPatience) {
      return status.Within(std::string(what) + " for " + FormatDuration(StallDetector::kPatience));
    }
    if (std::string now = std::string(what) + ": " + status.message(); now != waits_for) {
      waits_for = std::move(now);
      Log(LogLevel::kWarn, "Host waits", "Host.Open", "",
          {{"reason", waits_for}, {"expected", true}});
    }
    if (signals_->AwaitStop(kOpenPause).has_value()) {
      return Status::Cancelled("stopped");
    }
  }
}

Status Host::OpenState() {
  auto state = StateDirectory::Open(config_.state.directory);
  if (state.ok()) {
    state_ = std::move(*state);
  } else if (state.status().code() == Status::Code::kIncompatible) {
    // No restart mends that, and a supervisor is to know it.
    cannot_start_ = EX_CONFIG;
  }
  return state.status();
}

Status Host::FindRunner() {
  auto runner = RunnerBinary::Find();
  if (runner.ok()) {
    runner_ = std::move(*runner);
  }
  return runner.status();
}

int Host::EndBeforeStart(const Status& opened) {
  if (opened.code() == Status::Code::kCancelled) {
    // Nothing was handled, so nothing can be lost.
    const auto signal = signals_->AwaitStop({});
    LogSignal(LogLevel::kInfo, "Stopping", *signal);
    cannot_start_ = signal->number == SIGXCPU ? EXIT_FAILURE : EXIT_SUCCESS;
    Log(cannot_start_ == EXIT_SUCCESS ? LogLevel::kInfo : LogLevel::kError, "Host ended",
        "Host.Open", "", {{"exitCode", cannot_start_}});
  } else {
    Log(LogLevel::kError, "Host cannot start", "Host.Open", "", {{"reason", opened.message()}});
  }
  FlushLog();
  return cannot_start_;
}

// All that the host itself ever needs, above all for its end: later there may be none to be had.
Status Host::StartThreads() {
  auto signals = SignalWatch::Start({stop_limit_ + kStopAbandon, kStopPatience + kStopMargin});
  if (!signals.ok()) {
    return signals.status();
  }
  signals_ = std::move(*signals);
  auto reactor = Reactor::Create();
  if (!reactor.ok()) {
    return reactor.status();
  }
  reactor_ = std::move(*reactor);
  CATCHUP_RETURN_IF_ERROR(worker_->Start(1));
  CATCHUP_RETURN_IF_ERROR(retirer_->Start(1));
  return stores_->Start(Cores());
}

// On the reactor; the looking itself may wait for a disk.
void Host::LookAfterLock() {
  const auto now = Clock::now();
  if (lock_asked_ || now < next_lock_) {
    return;
  }
  lock_asked_ = true;
  next_lock_ = now + kLockInterval;
  worker_->Post([this] {
    reactor_->Post([this, kept = state_->KeepLock()] {
      lock_asked_ = false;
      OnLock(kept);
    });
  });
}

void Host::OnLock(const Result<bool>& kept) {
  if (kept.ok()) {
    if (*kept) {
      Log(LogLevel::kWarn, "Lock of the state directory made again: it was removed",
          "Host.LookAfterLock", "", {{"directory", state_->path().string()}});
    }
    return;
  }
  const bool lost = kept.status().code() == Status::Code::kNotFound ||
                    kept.status().code() == Status::Code::kInUse;
  if (!lost || stopping_) {
    return;
  }
  Log(LogLevel::kError, "State directory lost", "Host.LookAfterLock", "",
      {{"reason", kept.status().message()}});
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    state_lost_ = true;
  }
  StopGroups();
}

void Host::StartGroups() {
  GroupServices services;
  services.reactor = reactor_.get();
  services.runner = &*runner_;
  services.state = &*state_;
  services.plugin_directories = &config_.plugins.directories;
  services.pool = &*stores_;
  services.source.address = [this] { return log_.Now(); };
  services.source.open = [this](const std::string& address, const std::string& name) {
    return log_.Connect(address, name);
  };
  services.source.retire = [this](std::shared_ptr<Source> source) {
    retirer_->Post([source = std::move(source)]() mutable { source.reset(); });
  };
  head_ = std::make_unique<HeadProbe>(services.source, reactor_.get(), [this](const auto& head) {
    for (const auto& slot : slots_) {
      slot->group()->SetHead(head);
    }
  });
  services.on_runner_gone = [this](const std::string& group) { SweepOrphans(group); };
  services.on_finished = [this] { reactor_->Post([this] { Tick(); }); };
  for (const GroupConfig& group : config_.groups) {
    if (Runs(group)) {
      slots_.push_back(std::make_unique<GroupSlot>(
          group, services, group.stop_on_caught_up || options_.until_caught_up));
    }
  }
  for (const auto& slot : slots_) {
    slot->Start();
  }
}

bool Host::Runs(const GroupConfig& group) const {
  return options_.only_group.empty() || options_.only_group == group.name;
}

std::chrono::milliseconds Host::StopLimit() const {
  std::chrono::milliseconds drain{0};
  for (const GroupConfig& group : config_.groups) {
    drain = Runs(group) ? std::max(drain, group.drain_timeout) : drain;
  }
  return drain + kStopPatience + kStopMargin;
}

// Kills what the plugin of a runner that has ended left behind, until all of it is gone. Runs on
// the reactor.
void Host::SweepOrphans(const std::string& group) {
  const Children::Sweep sweep = Children::OfThisProcess().KillOrphans();
  for (const pid_t pid : sweep.killed) {
    Log(LogLevel::kWarn, "Killed a process that a plugin left behind", "Host.SweepOrphans", group,
        {{"pid", static_cast<std::int64_t>(pid)}});
  }
  if (!sweep.done) {
    reactor_->After(kSweepAgain, [this, group] { SweepOrphans(group); });
  }
}

// Runs on the reactor.
void Host::OnStopSignal(const ReceivedSignal& signal, Clock::time_point at) {
  if (terminated_at_.has_value() && at - *terminated_at_ < kSameSignal) {
    return;
  }
  const bool first = !terminated_at_.has_value();
  if (first) {
    terminated_at_ = at;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++terminations_;
    limit_reached_ = limit_reached_ || signal.number == SIGXCPU;
  }
  LogSignal(LogLevel::kInfo, first ? "Stopping" : "Stopping by force", signal);
  StopGroups();
}

void Host::StopGroups() {
  if (!stopping_) {
    stopping_ = true;
    reactor_->After(stop_limit_, [this] {
      TellLateGroups();
      const std::lock_guard<std::mutex> lock(mutex_);
      stalled_ = true;
      changed_.notify_all();
    });
  }
  for (const auto& slot : slots_) {
    slot->group()->Stop();
  }
}

void Host::TellLateGroups() const {
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(stop_limit_).count();
  for (const auto& slot : slots_) {
    const GroupStatus status = slot->group()->Glance();
    if (!status.finished) {
      Log(LogLevel::kError, "Group did not end in time", "Host.Stop", status.name,
          {{"state", GroupStateName(status.state)}, {"reason", status.reason}, {"limitMs", limit}});
    }
  }
}

std::vector<GroupStatus> Host::Glance() const {
  std::vector<GroupStatus> statuses;
  for (const auto& slot : slots_) {
    statuses.push_back(slot->group()->Glance());
  }
  return statuses;
}

bool Host::CheckStalled(const std::vector<GroupStatus>& statuses) {
  if (!stall_.Look(statuses, Clock::now())) {
    return false;
  }
  for (const GroupStatus& status : statuses) {
    if (!status.finished) {
      Log(LogLevel::kError, "No group has moved for 60 s", "Host.CheckStalled", status.name,
          {{"state", GroupStateName(status.state)}, {"reason", status.reason}});
    }
  }
  return true;
}

// Runs on the reactor: draws, looks for the end.
void Host::Tick() {
  const std::vector<GroupStatus> statuses = Glance();
  if (LogDrawsProgress()) {
    SetProgressLines(progress_.Draw(statuses, Clock::now(), AskTerminalSize()));
  }
  head_->Look(statuses, Clock::now());
  LookAfterLock();
  // Whatever ended the groups: none of them comes back by itself, and a supervisor that restarts
  // the host helps more than a host that waits for nothing.
  const bool ended = std::all_of(statuses.begin(), statuses.end(),
                                 [](const GroupStatus& status) { return status.finished; });
  const bool stalled = !ended && options_.until_caught_up && !stopping_ && CheckStalled(statuses);
  if (ended || stalled) {
    const std::lock_guard<std::mutex> lock(mutex_);
    finished_ = finished_ || ended;
    stalled_ = stalled_ || stalled;
    changed_.notify_all();
  }
}

int Host::Run() {
  StartGroups();
  // Only now: a signal that came meanwhile is still there, and finds every group.
  signals_->Deliver([this](const ReceivedSignal& signal, Clock::time_point at) {
    reactor_->Post([this, signal, at] { OnStopSignal(signal, at); });
  });
  Log(LogLevel::kInfo, "Host started", "Host.Run", "",
      {{"pid", static_cast<std::int64_t>(getpid())},
       {"source", log_.Now()},
       {"groups", static_cast<std::uint64_t>(slots_.size())}});
  std::function<void()> tick = [this, &tick] {
    Tick();
    reactor_->After(kProgressEvery, tick);
  };
  reactor_->Post(tick);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return finished_ || stalled_; });
  }
  return Conclude();
}

// Says once more, as the last of the log, what each failed group had said in its time.
void Host::LogFailedGroups() {
  for (const auto& slot : slots_) {
    const GroupStatus status = slot->group()->Glance();
    if (IsFailure(status.state)) {
      Log(LogLevel::kError, "Group failed", "Host.Run", status.name,
          {{"state", GroupStateName(status.state)}, {"reason", status.reason}});
    }
  }
}

int Host::Conclude() {
  SetProgressLines({});
  log_.Closing();
  signals_->Ending(EXIT_FAILURE);
  int terminations = 0;
  bool failed = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    terminations = terminations_;
    failed = stalled_ || state_lost_ || terminations_ > 1 || limit_reached_;
  }
  for (const auto& slot : slots_) {
    const GroupStatus status = slot->group()->Glance();
    // A stop asked for by a signal is a success once nothing handled can be lost.
    failed = failed || !slot->group()->CheckpointSafe() ||
             (terminations == 0 && IsFailure(status.state));
  }
  // From here on only what holds no event has to end.
  signals_->Ending(failed ? EXIT_FAILURE : EXIT_SUCCESS);
  for (const auto& slot : slots_) {
    slot->group()->Close();
  }
  // The runners are gone; so is, in a moment, what came to this process from them. What the kernel
  // cannot end that soon is left to whoever adopts it next.
  Children::OfThisProcess().EndOrphans(kLastSweep);
  // In this order: no task may see groups that go, and groups still post what nobody will run.
  reactor_->Stop();
  if (failed) {
    LogFailedGroups();
  }
  slots_.clear();
  head_.reset();
  // While the last deadline still stands: each of these may have to wait for a disk or a reader.
  worker_.reset();
  retirer_.reset();
  stores_.reset();
  log_.Close();
  Log(failed ? LogLevel::kError : LogLevel::kInfo, "Host ended", "Host.Run", "",
      {{"exitCode", failed ? 1 : 0}});
  FlushLog();
  signals_.reset();
  reactor_.reset();
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace

int RunHost(const HostConfig& config, const RunOptions& options) {
  Host host(config, options);
  if (Status opened = host.Open(); !opened.ok()) {
    return host.EndBeforeStart(opened);
  }
  return host.Run();
}

}  // namespace catchup
