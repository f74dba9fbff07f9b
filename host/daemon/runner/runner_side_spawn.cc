// The way from an order to a runner that is watched.
#include <utility>

#include "host/base/test_seams.h"
#include "host/daemon/runner/runner_side.h"
#include "host/daemon/runner/runner_start.h"

namespace catchup {
namespace {

// A runner of a host that was killed is gone within milliseconds; longer is worth saying, and no
// longer worth asking often.
constexpr std::chrono::seconds kOldRunnerPatience{5};
constexpr std::chrono::milliseconds kOldRunnerPause{20};
constexpr std::chrono::milliseconds kOldRunnerSlowPause{500};

// When the machine lacks what a runner needs: descriptors, memory, room.
constexpr std::chrono::seconds kSpawnPause{2};

}  // namespace

void RunnerSide::Spawn(SpawnNumber spawn, std::uint64_t token, const std::filesystem::path& plugin,
                       const std::optional<PositionReset>& reset) {
  services_.reactor->Post(Gate::Wrap(
      gate_,
      [this, order = Order{spawn, token, plugin, reset, Clock::now()}] { SpawnNow(order); }));
}

void RunnerSide::SpawnLater(std::chrono::nanoseconds pause, const Order& order) {
  services_.reactor->After(pause, Gate::Wrap(gate_, [this, order] { SpawnNow(order); }));
}

void RunnerSide::SpawnNow(const Order& order) {
  if (cancelled(order.spawn)) {
    GiveUp(order.spawn, ExitClass::kClean, "");
    return;
  }
  if (const auto old = FindOldRunner(); old.has_value()) {
    AwaitOldRunner(*old, order);
    return;
  }
  const std::filesystem::path file = services_.state->runner_lock(config_.name, LockNumber());
  const auto lock = RunnerLock::TryTake(file);
  if (!lock.ok() && lock.status().code() == Status::Code::kInUse) {
    AwaitOldRunner(file, order);
    return;
  }
  const Status started = lock.ok() ? Start(order, *lock) : lock.status();
  const bool no_folder = lock.status().code() == Status::Code::kNotFound;
  if (started.ok()) {
    if (std::exchange(waiting_, false)) {
      listener_.OnSpawnWaitEnds(true);
    }
  } else if (started.code() == Status::Code::kInvalid || no_folder) {
    // No plugin to set up, or the group's folder is gone.
    GiveUp(order.spawn, ExitClass::kSetup, started.message());
  } else {
    // The machine's fault, so no death of the runner's: it waits until there is room.
    waiting_ = true;
    listener_.OnSpawnWaits("runner not started: " + started.message());
    SpawnLater(FixedWait(kSpawnPause), order);
  }
}

void RunnerSide::AwaitOldRunner(const std::filesystem::path& lock, const Order& order) {
  const bool slow = Clock::now() - order.since > FixedWait(kOldRunnerPatience);
  if (slow && !waiting_) {
    waiting_ = true;
    listener_.OnSpawnWaits(RunnerLock::DescribeHolder(lock));
  }
  SpawnLater(FixedWait(slow ? kOldRunnerSlowPause : kOldRunnerPause), order);
}

// The lock of a runner that an earlier host has left behind, perhaps of a lane that there is none
// of any more. It may be in a call with an event that any lane would be given again, so none starts
// before it is gone.
std::optional<std::filesystem::path> RunnerSide::FindOldRunner() const {
  for (int lane = 0; !*services_.old_runners_gone && lane < static_cast<int>(kMaxLanes); ++lane) {
    const std::filesystem::path file = services_.state->runner_lock(config_.name, lane);
    std::error_code ignored;
    if (std::filesystem::exists(file, ignored) &&
        RunnerLock::TryTake(file).status().code() == Status::Code::kInUse) {
      return file;
    }
  }
  *services_.old_runners_gone = true;
  return std::nullopt;
}

void RunnerSide::GiveUp(SpawnNumber spawn, ExitClass why, const std::string& text) {
  if (std::exchange(waiting_, false)) {
    listener_.OnSpawnWaitEnds(false);
  }
  listener_.OnRunnerNotStarted(spawn, why, text);
}

Status RunnerSide::Start(const Order& order, const RunnerLock& lock) {
  CATCHUP_ASSIGN_OR_RETURN(const auto data, MakeDataDirectory());
  RunnerStart start;
  start.binary = services_.binary;
  start.group = &config_;
  start.plugin = order.plugin;
  start.working_directory = services_.state->group_data(config_.name);
  start.spawn = order.spawn;
  start.token = order.token;
  start.lane = lane_;
  start.reset = order.reset;
  start.control_groups = services_.control_groups;
  CATCHUP_ASSIGN_OR_RETURN(link_, StartRunner(start, lock));
  data_ = data;
  told_lost_ = {};
  memory_ = MemoryWatch(config_.limits.memory_bytes);
  next_memory_look_ = {};
  if (Status watched = Watch(order.spawn); !watched.ok()) {
    Unwatch();
    link_.reset();  // Kills and reaps it.
    return watched;
  }
  report_.Started(*link_, order.token);
  if (!link_->unlimited().ok() && !std::exchange(told_unlimited_, true)) {
    report_.NotLimited("no control group: " + link_->unlimited().message());
  }
  SetClock();
  return {};
}

// A plugin that finds its working directory empty begins there as on its first day.
Result<StateDirectory::GroupData> RunnerSide::MakeDataDirectory() {
  auto data = services_.state->EnsureGroupData(config_.name);
  if (data.ok() && data->made) {
    report_.DataDirectoryMade(services_.state->group_data(config_.name).string());
  }
  return data;
}

}  // namespace catchup
