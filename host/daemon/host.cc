#include "host/daemon/host.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "host/base/log.h"
#include "host/base/time_text.h"
#include "host/daemon/group.h"
#include "host/daemon/progress.h"
#include "host/plugins/children.h"
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

// How long a killed process may take to be gone before it is looked for again; and at the end of
// the host, how often.
constexpr std::chrono::milliseconds kSweepAgain{10};
constexpr int kLastSweeps = 50;

constexpr int kSignals[] = {SIGTERM, SIGINT, SIGHUP};

sigset_t HostSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kSignals) {
    sigaddset(&set, number);
  }
  return set;
}

class Host {
 public:
  Host(const HostConfig& config, const RunOptions& options) : config_(config), options_(options) {}

  Status Open();
  int Run();

 private:
  std::string Address() const;
  void SweepOrphans(const std::string& group);
  void StartGroups();
  void WatchSignals();
  void OnSignal(std::uint32_t number);
  void StopGroups();
  std::chrono::milliseconds StopLimit() const;
  void Tick();
  bool CheckStalled();
  bool AllFinished();
  bool EveryGroupIsMeantToEnd() const;
  int Conclude();

  const HostConfig& config_;
  const RunOptions options_;
  std::optional<StateDirectory> state_;
  std::optional<RunnerBinary> runner_;
  std::unique_ptr<embedded::EmbeddedEndpoint> embedded_;
  std::string address_;
  UniqueFd signals_;
  UniqueFd ended_;
  std::thread signal_thread_;
  std::unique_ptr<Reactor> reactor_;
  std::vector<std::shared_ptr<Group>> groups_;
  ProgressLine progress_;

  std::mutex mutex_;
  std::condition_variable changed_;
  int terminations_ = 0;
  bool finished_ = false;
  bool stalled_ = false;
  bool stopping_ = false;

  // On the reactor only.
  std::uint64_t moved_signature_ = 0;
  Clock::time_point moved_at_ = Clock::now();
};

Status Host::Open() {
  auto state = StateDirectory::Open(config_.state.directory);
  if (!state.ok()) {
    return state.status();
  }
  state_ = std::move(*state);
  auto runner = RunnerBinary::Find();
  if (!runner.ok()) {
    return runner.status();
  }
  runner_ = std::move(*runner);
  if (config_.source.uri.kind == SourceUri::Kind::kEmbedded) {
    embedded::ServerOptions server;
    server.directory = config_.source.uri.path;
    server.listen = config_.source.embedded_listen.text();
    auto endpoint = embedded::OpenEmbedded(server);
    if (!endpoint.ok()) {
      return endpoint.status();
    }
    embedded_ = std::make_unique<embedded::EmbeddedEndpoint>(std::move(*endpoint));
    address_ = embedded_->address;
  } else {
    address_ = config_.source.uri.target();
  }
  CATCHUP_RETURN_IF_ERROR(Children::OfThisProcess().Adopt());
  const sigset_t set = HostSignals();
  signals_ = UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  ended_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
  if (!signals_.valid() || !ended_.valid()) {
    return Status::FromErrno("receive signals", errno);
  }
  auto reactor = Reactor::Create();
  if (!reactor.ok()) {
    return reactor.status();
  }
  reactor_ = std::move(*reactor);
  return {};
}

std::string Host::Address() const {
  // Served by another process, which may come back elsewhere.
  if (embedded_ != nullptr && embedded_->server == nullptr) {
    return embedded::LiveEmbeddedAddress(config_.source.uri.path).value_or(address_);
  }
  return address_;
}

void Host::StartGroups() {
  GroupServices services;
  services.reactor = reactor_.get();
  services.runner = &*runner_;
  services.state = &*state_;
  services.plugin_directories = &config_.plugins.directories;
  services.address = [this] { return Address(); };
  services.open_source = [](const std::string& address, const std::string& group) {
    ConnectionOptions connection;
    connection.address = address;
    connection.connection_name = "catchup-" + group;
    return OpenKurrentSource(connection);
  };
  services.on_runner_gone = [this](const std::string& group) { SweepOrphans(group); };
  services.on_finished = [this] { reactor_->Post([this] { Tick(); }); };
  for (const GroupConfig& group : config_.groups) {
    if (options_.only_group.empty() || options_.only_group == group.name) {
      groups_.push_back(std::make_shared<Group>(
          group, services, group.stop_on_caught_up || options_.until_caught_up));
    }
  }
  for (const auto& group : groups_) {
    group->Start();
  }
}

std::chrono::milliseconds Host::StopLimit() const {
  std::chrono::milliseconds longest{0};
  for (const GroupConfig& group : config_.groups) {
    longest = std::max(longest, group.drain_timeout);
  }
  return longest + kForce + kMargin;
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

// A thread of its own, so that a signal is heard and its deadline kept whatever the rest does.
void Host::WatchSignals() {
  std::optional<Clock::time_point> deadline;
  while (true) {
    pollfd waits[] = {{signals_.get(), POLLIN, 0}, {ended_.get(), POLLIN, 0}};
    int timeout = -1;
    if (deadline.has_value()) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
      timeout = static_cast<int>(std::max<std::int64_t>(left, 0));
    }
    const int ready = poll(waits, std::size(waits), timeout);
    if ((waits[1].revents & POLLIN) != 0) {
      return;
    }
    if (ready == 0) {
      _exit(EXIT_FAILURE);
    }
    signalfd_siginfo info{};
    while (read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo != SIGHUP && !deadline.has_value()) {
        deadline = Clock::now() + StopLimit() + kAbandon;
      }
      reactor_->Post([this, number = info.ssi_signo] { OnSignal(number); });
    }
  }
}

// Runs on the reactor.
void Host::OnSignal(std::uint32_t number) {
  if (number == SIGHUP) {
    Log(LogLevel::kWarn, "SIGHUP ignored: this version reloads by a restart", "Host.Signal", "");
    return;
  }
  bool first = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    first = terminations_++ == 0;
  }
  Log(LogLevel::kInfo, first ? "Stopping" : "Stopping by force", "Host.Signal", "",
      {{"signal", number}});
  StopGroups();
}

void Host::StopGroups() {
  if (!stopping_) {
    stopping_ = true;
    reactor_->After(StopLimit(), [this] {
      Log(LogLevel::kError, "Groups did not end in time", "Host.Stop", "");
      const std::lock_guard<std::mutex> lock(mutex_);
      stalled_ = true;
      changed_.notify_all();
    });
  }
  for (const auto& group : groups_) {
    group->Stop();
  }
}

bool Host::AllFinished() {
  return std::all_of(groups_.begin(), groups_.end(),
                     [](const auto& group) { return group->Glance().finished; });
}

bool Host::EveryGroupIsMeantToEnd() const {
  return options_.until_caught_up ||
         std::all_of(config_.groups.begin(), config_.groups.end(),
                     [this](const GroupConfig& group) {
                       return group.stop_on_caught_up ||
                              (!options_.only_group.empty() && options_.only_group != group.name);
                     });
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
    std::vector<std::string> lines;
    for (const auto& group : groups_) {
      const GroupStatus status = group->Glance();
      if (!status.finished && status.state != GroupState::kIdle) {
        lines.push_back(progress_.Format(status, Clock::now()));
      }
    }
    SetProgressLines(std::move(lines));
  }
  const bool ended = AllFinished() && (stopping_ || EveryGroupIsMeantToEnd());
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
  // Only now: a signal that came meanwhile is still there, and finds every group.
  signal_thread_ = std::thread([this] { WatchSignals(); });
  Log(LogLevel::kInfo, "Host started", "Host.Run", "",
      {{"pid", static_cast<std::int64_t>(getpid())},
       {"source", address_},
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

int Host::Conclude() {
  SetProgressLines({});
  int terminations = 0;
  bool failed = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    terminations = terminations_;
    failed = stalled_ || terminations_ > 1;
  }
  for (const auto& group : groups_) {
    const GroupStatus status = group->Glance();
    const bool bad = status.state == GroupState::kFailed || status.state == GroupState::kGivenUp;
    // A stop asked for by a signal is a success once nothing handled can be lost.
    failed = failed || !group->CheckpointSafe() || (terminations == 0 && bad);
  }
  for (const auto& group : groups_) {
    group->Close();
  }
  // The runners are gone; so is, in a moment, what came to this process from them. What the kernel
  // cannot end that soon is left to whoever adopts it next.
  for (int i = 0; i < kLastSweeps && !Children::OfThisProcess().KillOrphans().done; ++i) {
    std::this_thread::sleep_for(kSweepAgain);
  }
  // In this order: no task may see groups that go, and groups still post what nobody will run.
  reactor_->Stop();
  groups_.clear();
  embedded_.reset();
  const std::uint64_t one = 1;
  (void)!write(ended_.get(), &one, sizeof one);
  signal_thread_.join();
  reactor_.reset();
  Log(failed ? LogLevel::kError : LogLevel::kInfo, "Host ended", "Host.Run", "",
      {{"exitCode", failed ? 1 : 0}});
  FlushLog();
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace

void BlockHostSignals() {
  const sigset_t set = HostSignals();
  CATCHUP_CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  CATCHUP_CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

int RunHost(const HostConfig& config, const RunOptions& options) {
  Host host(config, options);
  if (Status opened = host.Open(); !opened.ok()) {
    Log(LogLevel::kError, "Host cannot start", "Host.Open", "", {{"reason", opened.message()}});
    FlushLog();
    return EXIT_FAILURE;
  }
  return host.Run();
}

}  // namespace catchup
