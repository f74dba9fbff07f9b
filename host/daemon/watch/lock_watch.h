#pragma once

#include <chrono>
#include <functional>

#include "host/base/mutex.h"
#include "host/base/status.h"
#include "host/daemon/threads/reactor.h"
#include "host/daemon/threads/worker_pool.h"
#include "host/store/state_directory.h"

namespace catchup {

// Makes sure every 2 s that the state directory is still this host's own: whoever removes it or
// takes its lock ends the host's right to write there. The looking may wait for a disk, so a worker
// does it. On the reactor.
class LockWatch {
 public:
  using Clock = std::chrono::steady_clock;
  // Comes on the reactor, once, and says why the host has no right to the directory any more.
  using OnLost = std::function<void(const Status& why)>;

  // All must outlive it, the worker and the reactor run no task of it afterwards; `worker` has one
  // thread.
  LockWatch(StateDirectory* state, WorkerPool* worker, Reactor* reactor, OnLost on_lost);
  LockWatch(const LockWatch&) = delete;
  LockWatch& operator=(const LockWatch&) = delete;

  // Asks if it is time to.
  void Look(Clock::time_point now);

 private:
  void OnAnswer(const Result<bool>& kept) CATCHUP_REQUIRES(on_reactor_);

  StateDirectory& state_;
  WorkerPool& worker_;
  Reactor& reactor_;
  const OnLost on_lost_;
  Role on_reactor_;
  bool asked_ CATCHUP_GUARDED_BY(on_reactor_) = false;
  bool lost_ CATCHUP_GUARDED_BY(on_reactor_) = false;
  Clock::time_point next_ CATCHUP_GUARDED_BY(on_reactor_){};
};

}  // namespace catchup
