#include "host/daemon/host.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
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
#include "host/base/time_text.h"
#include "host/base/wait.h"
#include "host/daemon/group_slot.h"
#include "host/daemon/progress.h"
#include "host/daemon/worker_pool.h"
#include "host/plugins/children.h"
#include "host/ring/host_end.h"
#include "host/source/client/kurrent_source.h"
#include "host/source/embedded/log_server.h"

namespace catchup {
namespace {

using Clock = std::chrono::steady_clock;

// Without progress for this long, waiting for the log's end is waiting for something else.
constexpr std::chrono::seconds kStalled{60};

// From the first SIGTERM: after the longest drain_timeout come three seconds of force, and what has
// not ended this much later is left to itself.
constexpr std::chrono::milliseconds kForce{3'000};
constexpr std::chrono::milliseconds kMargin{1'500};

// The very last word, in case a disk or a library holds up the end itself. Nothing can be lost by
// it: what is durable is durable, and runners die with the host.
constexpr std::chrono::milliseconds kAbandon{400};

constexpr std::chrono::milliseconds kProgressEvery{500};

// How old the head of the log may be that progress is shown against.
constexpr std::chrono::seconds kHeadInterval{2};
constexpr std::chrono::seconds kIdleHeadInterval{10};

// For another process that is just becoming the owner of a log; the next reconnect asks again.
constexpr std::chrono::milliseconds kOwnerPatience{200};

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

// How often a stop that came while the host started looks for groups to stop.
constexpr int kLookForGroupsMs = 20;

// How often a host that nobody stops looks whether it is about to end by itself.
constexpr int kLookForTheEndMs = 1'000;

embedded::ServerOptions EmbeddedOptions(const HostConfig& config) {
  embedded::ServerOptions options;
  options.directory = config.source.uri.path;
  options.listen = config.source.embedded_listen.text();
  return options;
}

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

void LogSignal(LogLevel level, std::string_view msg, const ReceivedSignal& signal) {
  // The fields only point at their texts.
  const std::string name = SignalName(signal.number);
  const std::string sender = signal.Sender();
  std::vector<LogField> fields{{"signal", static_cast<std::int64_t>(signal.number)},
                               {"signalName", name},
                               {"sender", sender}};
  if (signal.by_process) {
    fields.push_back({"senderPid", static_cast<std::int64_t>(signal.pid)});
    fields.push_back({"senderUid", static_cast<std::uint64_t>(signal.uid)});
  }
  Log(level, msg, "Host.Signal", "", fields);
}

class Host {
 public:
  Host(const HostConfig& config, const RunOptions& options)
      : config_(config), options_(options), stop_limit_(StopLimit()) {}
  ~Host() { EndSignalThread(); }
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
  Status OpenLog();
  std::string Address();
  void OwnEmbeddedLog();
  Status StartThreads();
  Result<std::unique_ptr<Source>> OpenSource(const std::string& address,
                                             const std::string& name) const;
  void RetireSource(std::shared_ptr<Source> source);
  void PollHead();
  void LookAfterLock();
  void OnLock(const Result<bool>& kept);
  void SweepOrphans(const std::string& group);
  void StartGroups();
  std::chrono::milliseconds StopLimit() const;
  bool Runs(const GroupConfig& group) const;
  void WatchSignals();
  bool GroupsAreThere();
  void EndSignalThread();
  void OnStopSignal(const ReceivedSignal& signal, Clock::time_point at);
  void StopGroups();
  void Tick();
  bool CheckStalled();
  void TellLateGroups() const;
  bool AllFinished();
  void LogFailedGroups();
  int Conclude();

  const HostConfig& config_;
  const RunOptions options_;
  int cannot_start_ = EXIT_FAILURE;
  const std::chrono::milliseconds stop_limit_;
  std::optional<StateDirectory> state_;
  std::optional<RunnerBinary> runner_;
  // Guards the next three, which change when the owner of an embedded log ends.
  std::mutex address_mutex_;
  std::unique_ptr<embedded::EmbeddedServer> server_;
  std::string address_;
  bool owning_ = false;
  std::optional<SignalInbox> signals_;
  UniqueFd ended_;
  std::thread signal_thread_;  // Made before anything runs, so that every stop has its deadline.
  std::unique_ptr<Reactor> reactor_;
  std::vector<std::unique_ptr<GroupSlot>> groups_;
  ProgressTable progress_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool watching_ = false;                     // Every group is there for a signal to find.
  std::optional<ReceivedSignal> early_stop_;  // The first that came before that.
  int terminations_ = 0;
  bool limit_reached_ = false;  // Told to stop by the system, not by a person.
  bool finished_ = false;
  bool stalled_ = false;
  bool stopping_ = false;

  // On the reactor only.
  std::optional<Clock::time_point> terminated_at_;
  std::uint64_t moved_signature_ = 0;
  Clock::time_point moved_at_ = Clock::now();
  std::unique_ptr<Source> head_source_;
  bool head_asked_ = false;
  Clock::time_point next_head_ = Clock::now();
  bool lock_asked_ = false;
  Clock::time_point next_lock_ = Clock::now();
  bool state_lost_ = false;  // Somebody took or removed the state directory. Guarded by mutex_.

  std::atomic<bool> closing_ = false;
  std::atomic<int> verdict_ = EXIT_FAILURE;          // The exit code, as far as it is known.
  std::optional<WorkerPool> worker_{std::in_place};  // Opens what may block.
  // Ends sources; apart from the above, so that neither waits for the other.
  std::optional<WorkerPool> retirer_{std::in_place};
  std::optional<WorkerPool> stores_{std::in_place};  // Of all groups.
  std::shared_ptr<SourceThreads> source_threads_;
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
  auto source_threads = SourceThreads::Start(Cores());
  if (!source_threads.ok()) {
    return source_threads.status();
  }
  source_threads_ = std::move(*source_threads);
  CATCHUP_RETURN_IF_ERROR(WaitOut("state directory not opened", [this] { return OpenState(); }));
  CATCHUP_RETURN_IF_ERROR(WaitOut("runner not opened", [this] { return FindRunner(); }));
  CATCHUP_RETURN_IF_ERROR(WaitOut("embedded log not opened", [this] { return OpenLog(); }));
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
    if (options_.until_caught_up && Clock::now() - since >= kStalled) {
      return status.Within(std::string(what) + " for " + FormatDuration(kStalled));
    }
    if (std::string now = std::string(what) + ": " + status.message(); now != waits_for) {
      waits_for = std::move(now);
      Log(LogLevel::kWarn, "Host waits", "Host.Open", "",
          {{"reason", waits_for}, {"expected", true}});
    }
    std::unique_lock<std::mutex> lock(mutex_);
    if (changed_.wait_for(lock, kOpenPause, [this] { return early_stop_.has_value(); })) {
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

Status Host::OpenLog() {
  if (config_.source.uri.kind != SourceUri::Kind::kEmbedded) {
    address_ = config_.source.uri.target();
    return {};
  }
  auto endpoint = embedded::OpenEmbedded(EmbeddedOptions(config_));
  if (endpoint.ok()) {
    server_ = std::move(endpoint->server);
    address_ = endpoint->address;
  }
  return endpoint.status();
}

int Host::EndBeforeStart(const Status& opened) {
  if (opened.code() == Status::Code::kCancelled) {
    // Nothing was handled, so nothing can be lost.
    const std::lock_guard<std::mutex> lock(mutex_);
    LogSignal(LogLevel::kInfo, "Stopping", *early_stop_);
    cannot_start_ = early_stop_->number == SIGXCPU ? EXIT_FAILURE : EXIT_SUCCESS;
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
  auto signals = SignalInbox::Open();
  if (!signals.ok()) {
    return signals.status();
  }
  signals_ = std::move(*signals);
  ended_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
  if (!ended_.valid()) {
    return Status::FromErrno("receive signals (eventfd)", errno);
  }
  auto reactor = Reactor::Create();
  if (!reactor.ok()) {
    return reactor.status();
  }
  reactor_ = std::move(*reactor);
  auto thread = StartThread([this] { WatchSignals(); });
  if (!thread.ok()) {
    return thread.status();
  }
  signal_thread_ = std::move(*thread);
  CATCHUP_RETURN_IF_ERROR(worker_->Start(1));
  CATCHUP_RETURN_IF_ERROR(retirer_->Start(1));
  return stores_->Start(Cores());
}

// Where the server is. An embedded log that another process served may be served elsewhere by now,
// or by nobody: then this process opens it.
std::string Host::Address() {
  const std::lock_guard<std::mutex> lock(address_mutex_);
  if (config_.source.uri.kind == SourceUri::Kind::kEmbedded && server_ == nullptr) {
    if (auto live = embedded::LiveEmbeddedAddress(config_.source.uri.path)) {
      address_ = *std::move(live);
    } else if (!owning_ && !closing_) {
      owning_ = true;
      worker_->Post([this] { OwnEmbeddedLog(); });
    }
  }
  return address_;
}

// On the worker: opening a log takes as long as its disk.
void Host::OwnEmbeddedLog() {
  if (closing_) {
    return;
  }
  auto endpoint = embedded::OpenEmbedded(EmbeddedOptions(config_), kOwnerPatience);
  const std::lock_guard<std::mutex> lock(address_mutex_);
  owning_ = false;
  if (!endpoint.ok()) {
    Log(LogLevel::kWarn, "Embedded log not opened", "Host.OwnEmbeddedLog", "",
        {{"reason", endpoint.status().message()}});
    return;
  }
  address_ = endpoint->address;
  server_ = std::move(endpoint->server);
  if (server_ != nullptr) {
    Log(LogLevel::kInfo, "Embedded log opened: its owner has ended", "Host.OwnEmbeddedLog", "",
        {{"source", address_}});
  }
}

Result<std::unique_ptr<Source>> Host::OpenSource(const std::string& address,
                                                 const std::string& name) const {
  ConnectionOptions connection;
  connection.address = address;
  connection.connection_name = "catchup-" + name;
  return OpenKurrentSource(connection, source_threads_);
}

void Host::RetireSource(std::shared_ptr<Source> source) {
  retirer_->Post([source = std::move(source)]() mutable { source.reset(); });
}

// Asks for the newest event of the log, once for all groups. On the reactor.
void Host::PollHead() {
  const auto now = Clock::now();
  if (head_asked_ || now < next_head_) {
    return;
  }
  bool someone_moves = false;
  bool someone_lives = false;
  for (const auto& group : groups_) {
    const GroupStatus status = group->Glance();
    someone_lives = someone_lives || !status.finished;
    someone_moves = someone_moves || (!status.finished && status.state != GroupState::kCaughtUp);
  }
  if (!someone_lives) {
    return;
  }
  next_head_ = now + (someone_moves ? kHeadInterval : kIdleHeadInterval);
  const std::string address = Address();
  if (head_source_ == nullptr || head_source_->address() != address) {
    auto opened = OpenSource(address, "head");
    if (!opened.ok()) {
      return;  // Only a display lacks it; the groups say by themselves what they wait for.
    }
    if (head_source_ != nullptr) {
      head_source_->Shutdown();
      RetireSource(std::move(head_source_));
    }
    head_source_ = std::move(*opened);
  }
  head_asked_ = true;
  head_source_->ReadHead([this](const Result<std::optional<Position>>& head) {
    reactor_->Post([this, head] {
      head_asked_ = false;
      // Each subscription reports an unreachable server by itself.
      if (head.ok()) {
        for (const auto& group : groups_) {
          group->SetHead(*head);
        }
      }
    });
  });
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
  services.source.address = [this] { return Address(); };
  services.source.open = [this](const std::string& address, const std::string& group) {
    return OpenSource(address, group);
  };
  services.source.retire = [this](std::shared_ptr<Source> source) {
    RetireSource(std::move(source));
  };
  services.on_runner_gone = [this](const std::string& group) { SweepOrphans(group); };
  services.on_finished = [this] { reactor_->Post([this] { Tick(); }); };
  for (const GroupConfig& group : config_.groups) {
    if (Runs(group)) {
      groups_.push_back(std::make_unique<GroupSlot>(
          group, services, group.stop_on_caught_up || options_.until_caught_up));
    }
  }
  for (const auto& group : groups_) {
    group->Start();
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
  return drain + kForce + kMargin;
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

// A thread of its own, so that a signal is heard and its deadline kept whatever the rest does. What
// comes before the groups are there waits for them.
void Host::WatchSignals() {
  std::optional<Clock::time_point> deadline;
  bool ending = false;
  std::vector<std::pair<ReceivedSignal, Clock::time_point>> stops;
  while (true) {
    if (!stops.empty() && GroupsAreThere()) {
      for (auto& [signal, at] : stops) {
        reactor_->Post([this, signal = std::move(signal), at = at] { OnStopSignal(signal, at); });
      }
      stops.clear();
    }
    pollfd waits[] = {{signals_->fd(), POLLIN, 0}, {ended_.get(), POLLIN, 0}};
    int timeout = -1;
    if (deadline.has_value()) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
      timeout = static_cast<int>(std::max<std::int64_t>(left, 0));
      if (!stops.empty()) {
        timeout = std::min(timeout, kLookForGroupsMs);
      }
    }
    if (!deadline.has_value()) {
      timeout = kLookForTheEndMs;
    }
    (void)PollOrPause(waits, std::size(waits), timeout);
    if ((waits[1].revents & POLLIN) != 0) {
      return;
    }
    // An end that nobody sent a signal for has its deadline, too.
    if (closing_ && !ending) {
      ending = true;
      deadline =
          std::min(deadline.value_or(Clock::time_point::max()), Clock::now() + kForce + kMargin);
    }
    if (deadline.has_value() && Clock::now() >= *deadline) {
      EndWithWords("Host ended without its libraries", "they did not end in time", verdict_);
    }
    while (const auto signal = signals_->Take()) {
      if (!signal->stops()) {
        LogSignal(LogLevel::kWarn,
                  signal->number == SIGHUP ? "SIGHUP ignored: this version reloads by a restart"
                                           : "Signal ignored: it means nothing to a host",
                  *signal);
        continue;
      }
      if (!deadline.has_value()) {
        deadline = Clock::now() + stop_limit_ + kAbandon;
      }
      // As of now: the reactor may be held up, and a signal that comes later is another one.
      stops.emplace_back(*signal, Clock::now());
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!watching_ && !early_stop_.has_value()) {
        early_stop_ = *signal;
        changed_.notify_all();
      }
    }
  }
}

bool Host::GroupsAreThere() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return watching_;
}

void Host::EndSignalThread() {
  if (!signal_thread_.joinable()) {
    return;
  }
  const std::uint64_t one = 1;
  (void)!write(ended_.get(), &one, sizeof one);
  signal_thread_.join();
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
  for (const auto& group : groups_) {
    group->Stop();
  }
}

void Host::TellLateGroups() const {
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(stop_limit_).count();
  for (const auto& group : groups_) {
    const GroupStatus status = group->Glance();
    if (!status.finished) {
      Log(LogLevel::kError, "Group did not end in time", "Host.Stop", status.name,
          {{"state", GroupStateName(status.state)}, {"reason", status.reason}, {"limitMs", limit}});
    }
  }
}

bool Host::AllFinished() {
  return std::all_of(groups_.begin(), groups_.end(),
                     [](const auto& group) { return group->Glance().finished; });
}

bool Host::CheckStalled() {
  std::uint64_t signature = 0;
  for (const auto& group : groups_) {
    const GroupStatus status = group->Glance();
    signature = signature * 31 + status.processed + status.skipped +
                status.position.value_or(Position{}).commit + (status.finished ? 1 : 0);
  }
  if (signature != moved_signature_) {
    moved_signature_ = signature;
    moved_at_ = Clock::now();
  }
  if (Clock::now() - moved_at_ < kStalled) {
    return false;
  }
  for (const auto& group : groups_) {
    const GroupStatus status = group->Glance();
    if (!status.finished) {
      Log(LogLevel::kError, "No group has moved for 60 s", "Host.CheckStalled", status.name,
          {{"state", GroupStateName(status.state)}, {"reason", status.reason}});
    }
  }
  return true;
}

// Runs on the reactor: draws, looks for the end.
void Host::Tick() {
  if (LogDrawsProgress()) {
    std::vector<GroupStatus> statuses;
    for (const auto& group : groups_) {
      statuses.push_back(group->Glance());
    }
    SetProgressLines(progress_.Draw(statuses, Clock::now(), AskTerminalSize()));
  }
  PollHead();
  LookAfterLock();
  // Whatever ended the groups: none of them comes back by itself, and a supervisor that restarts
  // the host helps more than a host that waits for nothing.
  const bool ended = AllFinished();
  const bool stalled = !ended && options_.until_caught_up && !stopping_ && CheckStalled();
  if (ended || stalled) {
    const std::lock_guard<std::mutex> lock(mutex_);
    finished_ = finished_ || ended;
    stalled_ = stalled_ || stalled;
    changed_.notify_all();
  }
}

int Host::Run() {
  StartGroups();
  {
    // Only now: a signal that came meanwhile is still there, and finds every group.
    const std::lock_guard<std::mutex> lock(mutex_);
    watching_ = true;
  }
  Log(LogLevel::kInfo, "Host started", "Host.Run", "",
      {{"pid", static_cast<std::int64_t>(getpid())},
       {"source", Address()},
       {"groups", static_cast<std::uint64_t>(groups_.size())}});
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
  for (const auto& group : groups_) {
    const GroupStatus status = group->Glance();
    if (IsFailure(status.state)) {
      Log(LogLevel::kError, "Group failed", "Host.Run", status.name,
          {{"state", GroupStateName(status.state)}, {"reason", status.reason}});
    }
  }
}

int Host::Conclude() {
  SetProgressLines({});
  closing_ = true;
  int terminations = 0;
  bool failed = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    terminations = terminations_;
    failed = stalled_ || state_lost_ || terminations_ > 1 || limit_reached_;
  }
  for (const auto& group : groups_) {
    const GroupStatus status = group->Glance();
    // A stop asked for by a signal is a success once nothing handled can be lost.
    failed = failed || !group->CheckpointSafe() || (terminations == 0 && IsFailure(status.state));
  }
  // From here on only what holds no event has to end.
  verdict_ = failed ? EXIT_FAILURE : EXIT_SUCCESS;
  for (const auto& group : groups_) {
    group->Close();
  }
  // The runners are gone; so is, in a moment, what came to this process from them. What the kernel
  // cannot end that soon is left to whoever adopts it next.
  Children::OfThisProcess().EndOrphans(kLastSweep);
  // In this order: no task may see groups that go, and groups still post what nobody will run.
  reactor_->Stop();
  if (failed) {
    LogFailedGroups();
  }
  groups_.clear();
  head_source_.reset();
  // While the last deadline still stands: each of these may have to wait for a disk or a reader.
  worker_.reset();
  retirer_.reset();
  stores_.reset();
  source_threads_.reset();
  {
    const std::lock_guard<std::mutex> lock(address_mutex_);
    server_.reset();
  }
  Log(failed ? LogLevel::kError : LogLevel::kInfo, "Host ended", "Host.Run", "",
      {{"exitCode", failed ? 1 : 0}});
  FlushLog();
  EndSignalThread();
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
