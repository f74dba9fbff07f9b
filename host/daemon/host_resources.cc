#include "host/daemon/host_resources.h"

#include <sched.h>
#include <sys/resource.h>
#include <sysexits.h>

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "host/base/log.h"
#include "host/base/shortage.h"
#include "host/base/stop_budget.h"
#include "host/base/test_seams.h"
#include "host/base/time_text.h"
#include "host/daemon/letters/stream_sink.h"
#include "host/daemon/source/server_connection.h"
#include "host/daemon/watch/stall_detector.h"
#include "host/plugins/children.h"
#include "host/ring/host_end.h"

namespace catchup {
namespace {

using Clock = std::chrono::steady_clock;

// Between two tries of what the host needs before its groups are there, while the machine lacks it.
constexpr std::chrono::seconds kOpenPause{1};

// Each lane of a group needs a dozen descriptors, and 1,024 are a habit of shells, not a limit of
// the system.
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

// Threads for what can be done at once: on the cores that we may use, of those that there are.
int Cores() {
  cpu_set_t ours;
  return sched_getaffinity(0, sizeof ours, &ours) == 0
             ? CPU_COUNT(&ours)
             : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

// Each waits for the connections of all, so one that serves no group's would only take what is for
// another and wake that. What the host asks for itself needs no thread of its own.
int SourceThreadsFor(std::size_t groups) {
  return static_cast<int>(std::clamp<std::size_t>(groups, 1, static_cast<std::size_t>(Cores())));
}

// Whether the system knows what a runner is reached by. Asked before anything is opened, since a
// group could only wait for it for ever; what is merely used up at present it does wait for.
Status CheckSystem() {
  const Status made = HostEnd::Create("check").status();
  const bool may_come =
      made.code() == Status::Code::kExhausted || made.code() == Status::Code::kUnavailable;
  return may_come ? Status() : made;
}

}  // namespace

Status HostResources::Open() {
  // First, so that a stop has its deadline whatever may hang.
  CATCHUP_RETURN_IF_ERROR(StartThreads());
  // First of all, before anything is found to be too little.
  if (const Status raised = RaiseDescriptorLimit(); !raised.ok()) {
    Log(LogLevel::kWarn, "Limit of open files not raised", "Host.Open", "",
        {{"reason", raised.message()}});
  }
  CATCHUP_RETURN_IF_ERROR(CheckSystem());
  CATCHUP_RETURN_IF_ERROR(ProveLibraryNeeds());
  CATCHUP_RETURN_IF_ERROR(WaitOut("state directory not opened", [this] { return OpenState(); }));
  CATCHUP_RETURN_IF_ERROR(WaitOut("runner not opened", [this] { return FindRunner(); }));
  CATCHUP_RETURN_IF_ERROR(WaitOut("log not opened", [this] {
    return log_.Open(SourceThreadsFor(config_.groups.size()), &*worker_, reactor_.get());
  }));
  CATCHUP_RETURN_IF_ERROR(Children::OfThisProcess().Adopt());
  FindControlGroups();
  return {};
}

// Does `step` until it succeeds or fails for something else than a shortage, and says all the while
// what the host waits for. What waits for the log's end waits no longer than for a group.
Status HostResources::WaitOut(std::string_view what, const std::function<Status()>& step) {
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
    if (limits_.until_caught_up && Clock::now() - since >= FixedWait(StallDetector::kPatience)) {
      return status.Within(std::string(what) + " for " + FormatDuration(StallDetector::kPatience));
    }
    if (std::string now = std::string(what) + ": " + status.message(); now != waits_for) {
      waits_for = std::move(now);
      Log(LogLevel::kWarn, "Host waits", "Host.Open", "",
          {{"reason", waits_for}, {"expected", true}});
    }
    if (signals_->AwaitStop(std::chrono::ceil<std::chrono::milliseconds>(FixedWait(kOpenPause)))
            .has_value()) {
      return Status::Cancelled("stopped");
    }
  }
}

Status HostResources::OpenState() {
  auto state = StateDirectory::Open(config_.state.directory);
  if (state.ok()) {
    state_ = std::move(*state);
  } else if (state.status().code() == Status::Code::kIncompatible) {
    // No restart mends that, and a supervisor is to know it.
    cannot_start_ = EX_CONFIG;
  }
  return state.status();
}

Status HostResources::FindRunner() {
  auto runner = RunnerBinary::Find();
  if (runner.ok()) {
    runner_ = std::move(*runner);
  }
  return runner.status();
}

// Either way the host looks at what its runners have; with them the kernel does, too.
void HostResources::FindControlGroups() {
  auto groups = ControlGroups::Find();
  if (groups.ok()) {
    control_groups_ = *std::move(groups);
    Log(LogLevel::kInfo, "Runners get control groups", "Host.Open", "",
        {{"directory", control_groups_->folder().string()}});
  } else {
    Log(groups.status().code() == Status::Code::kNotFound ? LogLevel::kInfo : LogLevel::kWarn,
        "Runners get no control groups", "Host.Open", "", {{"reason", groups.status().message()}});
  }
}

int HostResources::EndBeforeStart(const Status& opened) {
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
Status HostResources::StartThreads() {
  CATCHUP_ASSIGN_OR_RETURN(
      signals_, SignalWatch::Start({limits_.stop + kStopAbandon, kStopPatience + kStopMargin}));
  CATCHUP_ASSIGN_OR_RETURN(reactor_, Reactor::Create());
  CATCHUP_RETURN_IF_ERROR(worker_->Start(1));
  CATCHUP_RETURN_IF_ERROR(retirer_->Start(1));
  CATCHUP_RETURN_IF_ERROR(StartSinkThreads());
  return stores_->Start(Cores());
}

Status HostResources::StartSinkThreads() {
  using Kind = LetterSinkConfig::Kind;
  const auto has = [this](Kind kind) {
    return std::any_of(config_.groups.begin(), config_.groups.end(),
                       [kind](const GroupConfig& group) {
                         const auto& sinks = group.dead_letters.sinks;
                         return std::any_of(sinks.begin(), sinks.end(),
                                            [kind](const auto& sink) { return sink.kind == kind; });
                       });
  };
  if (has(Kind::kLines)) {
    CATCHUP_RETURN_IF_ERROR(sink_files_->Start(1));
  }
  return has(Kind::kStream) ? sink_streams_->Start(1) : Status();
}

SinkServices HostResources::sinks() {
  SinkServices services;
  services.files = &*sink_files_;
  services.streams = &*sink_streams_;
  services.skipped = &skipped_streams_;
  services.open_stream = [this](const std::string& group, const std::string& stream) {
    const auto server = [this, group,
                         address = std::string()]() mutable -> Result<ConnectionOptions> {
      CATCHUP_ASSIGN_OR_RETURN(address, log_.ToWrite(std::exchange(address, {})));
      return ServerConnection(config_.source.uri.settings, address, group + "-letters",
                              log_.credentials());
    };
    return std::make_unique<StreamSink>(server, group, stream);
  };
  return services;
}

void HostResources::Close() {
  sink_files_.reset();
  sink_streams_.reset();
  worker_.reset();
  retirer_.reset();
  stores_.reset();
  log_.Close();
}

}  // namespace catchup
