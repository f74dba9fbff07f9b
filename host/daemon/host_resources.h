#pragma once

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "host/base/status.h"
#include "host/config/config.h"
#include "host/daemon/letters/letter_sinks.h"
#include "host/daemon/source/log_address.h"
#include "host/daemon/threads/reactor.h"
#include "host/daemon/threads/worker_pool.h"
#include "host/daemon/watch/signal_watch.h"
#include "host/plugins/control_group.h"
#include "host/plugins/runner_process.h"
#include "host/store/state_directory.h"

namespace catchup {

// What a host has before it has groups, and until they are gone: its threads, the state directory,
// the runner's file and the way to the log. One thread, but for what is taken from it.
class HostResources {
 public:
  struct Limits {
    std::chrono::milliseconds stop{};  // What a stop may take, up to the host's own end.
    bool until_caught_up = false;
  };

  // `config` must outlive it.
  HostResources(const HostConfig& config, const Limits& limits,
                std::shared_ptr<Credentials> credentials)
      : config_(config),
        limits_(limits),
        log_(config.source, std::move(credentials)),
        skipped_streams_(SinkStreamsOf(config.groups)) {}
  HostResources(const HostResources&) = delete;
  HostResources& operator=(const HostResources&) = delete;

  // Gets all of it. What the machine lacks is waited for, and the log says what that is; until
  // caught up, no longer than for a group. kCancelled: told to stop meanwhile.
  Status Open();
  // The exit code after an Open() that failed, which this logs.
  int EndBeforeStart(const Status& opened);

  Reactor& reactor() { return *reactor_; }
  SignalWatch& signals() { return *signals_; }
  LogAddress& log() { return log_; }
  StateDirectory& state() { return *state_; }
  const RunnerBinary& runner() const { return *runner_; }
  // Null where this host was handed none.
  const ControlGroups* control_groups() const {
    return control_groups_.has_value() ? &*control_groups_ : nullptr;
  }
  WorkerPool& worker() { return *worker_; }    // What the host itself asks of a disk.
  WorkerPool& retirer() { return *retirer_; }  // Ends sources; neither waits for the other.
  WorkerPool& stores() { return *stores_; }    // What all groups ask of a disk.
  // What the groups' sinks need; empty where no group has one.
  SinkServices sinks();

  // Ends what may have to wait for a disk or a reader, while the signals' deadline still stands.
  // The groups must be gone and the reactor stopped.
  void Close();

 private:
  Status StartThreads();
  Status StartSinkThreads();
  Status WaitOut(std::string_view what, const std::function<Status()>& step);
  Status OpenState();
  Status FindRunner();
  void FindControlGroups();

  const HostConfig& config_;
  const Limits limits_;
  int cannot_start_ = EXIT_FAILURE;
  std::optional<StateDirectory> state_;
  std::optional<RunnerBinary> runner_;
  std::optional<ControlGroups> control_groups_;
  LogAddress log_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<SignalWatch> signals_;
  std::optional<WorkerPool> worker_{std::in_place};
  std::optional<WorkerPool> retirer_{std::in_place};
  std::optional<WorkerPool> stores_{std::in_place};
  std::optional<WorkerPool> sink_files_{std::in_place};
  std::optional<WorkerPool> sink_streams_{std::in_place};
  const SinkStreams skipped_streams_;
};

}  // namespace catchup
