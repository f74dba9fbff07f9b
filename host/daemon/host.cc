#include "host/daemon/host.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "host/base/log.h"
#include "host/base/mutex.h"
#include "host/base/signals.h"
#include "host/base/stop_budget.h"
#include "host/base/test_seams.h"
#include "host/daemon/group/group_slot.h"
#include "host/daemon/host_desk.h"
#include "host/daemon/host_resources.h"
#include "host/daemon/source/source_hub.h"
#include "host/daemon/verdict.h"
#include "host/daemon/watch/credentials_watch.h"
#include "host/daemon/watch/head_probe.h"
#include "host/daemon/watch/lock_watch.h"
#include "host/daemon/watch/memory_trim.h"
#include "host/daemon/watch/progress.h"
#include "host/daemon/watch/stall_detector.h"
#include "host/plugins/children.h"

namespace catchup {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kProgressEvery{500};

// At the end, the time for sinks that work to get what became of the last letters; what they do not
// get they get in the next run. A part of what a stop leaves to the host; longer where there may be
// no next run for a while.
constexpr std::chrono::milliseconds kSinkPatienceAtStop{500};
constexpr std::chrono::milliseconds kSinkPatienceAtEnd{2'000};

TerminalSize AskTerminalSize() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {size.ws_col, size.ws_row};
}

// Whether this run is to have the group.
bool Runs(const GroupConfig& group, const RunOptions& options) {
  return options.only_group.empty() || options.only_group == group.name;
}

// What a stop may take, but for the very last word.
std::chrono::milliseconds StopLimit(const HostConfig& config, const RunOptions& options) {
  std::chrono::milliseconds drain{0};
  for (const GroupConfig& group : config.groups) {
    drain = Runs(group, options) ? std::max(drain, group.drain_timeout) : drain;
  }
  return drain + kStopPatience + kStopMargin;
}

class Host {
 public:
  Host(const HostConfig& config, const RunOptions& options)
      : config_(config),
        options_(options),
        stop_limit_(StopLimit(config, options)),
        resources_(config, {stop_limit_, options.until_caught_up}, options.credentials) {}
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  int Run();

 private:
  GroupServices ServicesOfGroups();
  void StartGroups();
  void LookForTheSource(SourceSide::Services source);
  void WatchHead(SourceSide::Services source);
  void SweepOrphans(const std::string& group);
  void OnStopSignal(const ReceivedSignal& signal, Clock::time_point at)
      CATCHUP_REQUIRES(on_reactor_);
  void OnStateLost(const Status& why) CATCHUP_REQUIRES(on_reactor_);
  void OnCredentialsChanged() CATCHUP_REQUIRES(on_reactor_);
  void StopGroups() CATCHUP_REQUIRES(on_reactor_);
  void Tick() CATCHUP_REQUIRES(on_reactor_);
  bool CheckStalled(const std::vector<GroupStatus>& statuses) CATCHUP_REQUIRES(on_reactor_);
  void TellLateGroups() const;
  std::vector<GroupStatus> Glance() const;
  void LogFailedGroups() const;
  void GiveUpWaiting();
  void GroupsEnded();
  void AwaitEnd();
  int ExitCode();
  int Conclude();

  const HostConfig& config_;
  const RunOptions options_;
  const std::chrono::milliseconds stop_limit_;
  HostResources resources_;
  std::vector<std::unique_ptr<GroupSlot>> slots_;
  std::optional<HostDesk> desk_;
  std::optional<HeadProbe> head_;
  std::optional<SourceHub> hub_;
  std::optional<LockWatch> lock_;
  std::optional<CredentialsWatch> credentials_;

  Role on_reactor_;
  ProgressTable progress_ CATCHUP_GUARDED_BY(on_reactor_);
  MemoryTrim trim_ CATCHUP_GUARDED_BY(on_reactor_);
  StallDetector stall_ CATCHUP_GUARDED_BY(on_reactor_){Clock::now(),
                                                       FixedWait(StallDetector::kPatience)};
  bool stopping_ CATCHUP_GUARDED_BY(on_reactor_) = false;

  Mutex mutex_;
  CondVar changed_;
  Verdict verdict_ CATCHUP_GUARDED_BY(mutex_);
  bool ended_ CATCHUP_GUARDED_BY(mutex_) = false;
};

GroupServices Host::ServicesOfGroups() {
  GroupServices services;
  services.reactor = &resources_.reactor();
  services.runner = &resources_.runner();
  services.state = &resources_.state();
  services.control_groups = resources_.control_groups();
  services.plugin_directories = &config_.plugins.directories;
  services.pool = &resources_.stores();
  services.source.address = [this] { return resources_.log().Now(); };
  services.source.discovery = resources_.log().discovery();
  services.source.open = [this](const std::string& address, const std::string& name) {
    return resources_.log().Connect(address, name);
  };
  services.source.leaders = resources_.log().leaders();
  if (resources_.log().may_lag()) {
    services.source.open_leader = [this](const std::string& address, const std::string& name) {
      return resources_.log().ConnectToLeader(address, name);
    };
  }
  services.source.retire = [this](std::shared_ptr<Source> source) {
    resources_.retirer().Post([source = std::move(source)]() mutable { source.reset(); });
  };
  LookForTheSource(services.source);
  services.source.watch = [this](std::function<void()> answers) {
    return hub_->Watch(std::move(answers));
  };
  services.source.read_next = [this](std::optional<Position> behind, const EventFilter& filter,
                                     Source::PlaceCallback callback) {
    head_->ReadNext(behind, filter, std::move(callback));
  };
  services.sinks = resources_.sinks();
  services.on_runner_gone = [this](const std::string& group) { SweepOrphans(group); };
  services.on_finished = [this] {
    resources_.reactor().Post([this] {
      on_reactor_.AssertHeld();
      Tick();
    });
  };
  return services;
}

void Host::LookForTheSource(SourceSide::Services source) {
  source.open = [this](const std::string& address, const std::string& name) {
    return resources_.log().ConnectWithin(ConnectPatience::kUsual, address, name);
  };
  SourceHub::Patience patience;
  patience.open = [this](const std::string& address, const std::string& name) {
    return resources_.log().ConnectWithin(config_.source.uri.settings.deadline, address, name);
  };
  patience.set_slow = [this](const std::string& address, bool slow) {
    resources_.log().patience().SetSlow(address, slow);
  };
  hub_.emplace(std::move(source), &resources_.reactor(), resources_.log().probe_pace(),
               std::move(patience));
}

void Host::StartGroups() {
  const GroupServices services = ServicesOfGroups();
  lock_.emplace(&resources_.state(), &resources_.worker(), &resources_.reactor(),
                [this](const Status& why) {
                  on_reactor_.AssertHeld();
                  OnStateLost(why);
                });
  credentials_.emplace(resources_.log().credentials(), &resources_.worker(), &resources_.reactor(),
                       [this] {
                         on_reactor_.AssertHeld();
                         OnCredentialsChanged();
                       });
  WatchHead(services.source);
  for (const GroupConfig& group : config_.groups) {
    if (Runs(group, options_)) {
      slots_.push_back(std::make_unique<GroupSlot>(
          group, services, group.stop_on_caught_up || options_.until_caught_up));
    }
  }
  for (const auto& slot : slots_) {
    slot->Start();
  }
}

void Host::WatchHead(SourceSide::Services source) {
  HeadProbe::Moved moved = [this](const std::string& from, const std::string& to) {
    for (const auto& slot : slots_) {
      slot->LeaveNode(from, to);
    }
  };
  if (source.leaders != nullptr) {
    source.discovery = source.leaders;
    source.open = source.open_leader;
    moved = nullptr;  // A node that leads no more is as good as another one.
  }
  head_.emplace(
      std::move(source), &resources_.reactor(),
      [this](const auto& head) {
        for (const auto& slot : slots_) {
          slot->SetHead(head);
        }
      },
      std::move(moved));
}

// Kills what the plugin of a runner that has ended left behind, until all of it is gone. What has
// left its session is told as `group`'s, whose runner it was that ended. Runs on the reactor.
void Host::SweepOrphans(const std::string& group) {
  const Children::Sweep sweep = Children::OfThisProcess().KillOrphans();
  for (const Children::Orphan& orphan : sweep.killed) {
    Log(LogLevel::kWarn, "Killed a process that a plugin left behind", "Host.SweepOrphans",
        orphan.owner.empty() ? group : orphan.owner,
        {{"pid", static_cast<std::int64_t>(orphan.pid)}});
  }
  if (!sweep.done) {
    resources_.reactor().After(Children::kSweepAgain, [this, group] { SweepOrphans(group); });
  }
}

void Host::OnStopSignal(const ReceivedSignal& signal, Clock::time_point at) {
  const Verdict::Wish wish = [&] {
    const MutexLock lock(&mutex_);
    return verdict_.Told(signal, at);
  }();
  if (wish != Verdict::Wish::kSaidBefore) {
    LogSignal(LogLevel::kInfo, wish == Verdict::Wish::kStop ? "Stopping" : "Stopping by force",
              signal);
    StopGroups();
  }
}

void Host::OnCredentialsChanged() {
  head_->AccessChanged();
  for (const auto& slot : slots_) {
    slot->AccessChanged();
  }
}

void Host::OnStateLost(const Status& why) {
  if (stopping_) {
    return;
  }
  Log(LogLevel::kError, "State directory lost", "Host.LookAfterLock", "",
      {{"reason", why.message()}});
  {
    const MutexLock lock(&mutex_);
    verdict_.LostState();
  }
  StopGroups();
}

void Host::StopGroups() {
  if (!stopping_) {
    stopping_ = true;
    resources_.reactor().After(stop_limit_, [this] {
      TellLateGroups();
      GiveUpWaiting();
    });
  }
  for (const auto& slot : slots_) {
    slot->Stop();
  }
}

void Host::TellLateGroups() const {
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(stop_limit_).count();
  for (const GroupStatus& status : Glance()) {
    if (!status.finished) {
      Log(LogLevel::kError, "Group did not end in time", "Host.Stop", status.name,
          {{"state", GroupStateName(status.state)}, {"reason", status.reason}, {"limitMs", limit}});
    }
  }
}

std::vector<GroupStatus> Host::Glance() const {
  std::vector<GroupStatus> statuses;
  for (const auto& slot : slots_) {
    statuses.push_back(slot->Glance());
  }
  return statuses;
}

bool Host::CheckStalled(const std::vector<GroupStatus>& statuses) {
  if (!stall_.Look(statuses, Clock::now())) {
    return false;
  }
  const bool longer = StallDetector::WaitsLonger(statuses);
  static_assert(StallDetector::kPatience == std::chrono::seconds(60), "the lines below say so");
  for (const GroupStatus& status : statuses) {
    if (!status.finished) {
      Log(LogLevel::kError, longer ? "No group has moved for 90 s" : "No group has moved for 60 s",
          "Host.CheckStalled", status.name,
          {{"state", GroupStateName(status.state)}, {"reason", status.reason}});
    }
  }
  return true;
}

void Host::GiveUpWaiting() {
  const MutexLock lock(&mutex_);
  verdict_.GaveUpWaiting();
  ended_ = true;
  changed_.NotifyAll();
}

void Host::GroupsEnded() {
  const MutexLock lock(&mutex_);
  ended_ = true;
  changed_.NotifyAll();
}

void Host::AwaitEnd() {
  const MutexLock lock(&mutex_);
  while (!ended_) {
    changed_.Wait(&mutex_);
  }
}

// Draws, looks for the end.
void Host::Tick() {
  const std::vector<GroupStatus> statuses = Glance();
  if (LogDrawsProgress()) {
    SetProgressLines(progress_.Draw(statuses, Clock::now(), AskTerminalSize()));
  }
  head_->Look(statuses, Clock::now());
  lock_->Look(Clock::now());
  credentials_->Look(Clock::now());
  if (trim_.Look(statuses, Clock::now())) {
    resources_.worker().Post(GiveMemoryBack);
  }
  for (const auto& slot : slots_) {
    slot->Look();
  }
  // Whatever ended the groups: none of them comes back by itself, and a supervisor that restarts
  // the host helps more than a host that waits for nothing.
  const bool for_commands = !stopping_ && !options_.until_caught_up;
  if (std::all_of(statuses.begin(), statuses.end(), [&](const GroupStatus& status) {
        return status.finished && !(for_commands && status.held);
      })) {
    GroupsEnded();
  } else if (options_.until_caught_up && !stopping_ && CheckStalled(statuses)) {
    GiveUpWaiting();
  }
}

int Host::Run() {
  if (const Status opened = resources_.Open(); !opened.ok()) {
    return resources_.EndBeforeStart(opened);
  }
  StartGroups();
  // Only now: a signal that came meanwhile is still there, and finds every group.
  resources_.signals().Deliver([this](const ReceivedSignal& signal, Clock::time_point at) {
    resources_.reactor().Post([this, signal, at] {
      on_reactor_.AssertHeld();
      OnStopSignal(signal, at);
    });
  });
  Log(LogLevel::kInfo, "Host started", "Host.Run", "",
      {{"pid", static_cast<std::int64_t>(getpid())},
       {"source", resources_.log().Now()},
       {"groups", static_cast<std::uint64_t>(slots_.size())}});
  std::function<void()> tick = [this, &tick] {
    on_reactor_.AssertHeld();
    Tick();
    resources_.reactor().After(FixedWait(kProgressEvery), tick);
  };
  resources_.reactor().Post(tick);
  desk_.emplace(&resources_.reactor(), &slots_);
  if (options_.serve != nullptr) {
    resources_.reactor().Post([this] { desk_->Open(options_.serve, resources_.state()); });
  }
  AwaitEnd();
  return Conclude();
}

// Says once more, as the last of the log, what each failed group had said in its time.
void Host::LogFailedGroups() const {
  for (const GroupStatus& status : Glance()) {
    if (Verdict::IsFailure(status.state) || status.held) {
      Log(LogLevel::kError, status.held ? "Group not run" : "Group failed", "Host.Run", status.name,
          {{"state", GroupStateName(status.state)}, {"reason", status.reason}});
    }
  }
}

int Host::ExitCode() {
  std::vector<Verdict::GroupEnd> ends;
  for (const auto& slot : slots_) {
    ends.push_back({slot->Glance(), slot->CheckpointSafe()});
  }
  const MutexLock lock(&mutex_);
  return verdict_.ExitCode(ends);
}

int Host::Conclude() {
  SetProgressLines({});
  desk_->Close();
  resources_.log().Closing();
  resources_.signals().Ending(EXIT_FAILURE);
  const int code = ExitCode();
  // What has yet to end from here on holds no event.
  resources_.signals().Ending(code);
  const auto settled_by =
      Clock::now() + (options_.until_caught_up ? kSinkPatienceAtEnd : kSinkPatienceAtStop);
  for (const auto& slot : slots_) {
    slot->SettleSinks(settled_by);
  }
  for (const auto& slot : slots_) {
    slot->Close();
  }
  // The runners are gone; so is, in a moment, what came to this process from them. What the kernel
  // cannot end that soon is left to whoever adopts it next.
  Children::OfThisProcess().EndOrphans(Children::kOrphansEnd);
  // In this order: no task may see groups that go, and groups still post what nobody will run.
  resources_.reactor().Stop();
  if (code != EXIT_SUCCESS) {
    LogFailedGroups();
  }
  slots_.clear();
  head_.reset();
  hub_.reset();
  resources_.Close();
  Log(code == EXIT_SUCCESS ? LogLevel::kInfo : LogLevel::kError, "Host ended", "Host.Run", "",
      {{"exitCode", code}});
  FlushLog();
  return code;
}

}  // namespace

int RunHost(const HostConfig& config, const RunOptions& options) {
  return Host(config, options).Run();
}

}  // namespace catchup
