#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "host/base/mutex.h"
#include "host/config/credentials.h"
#include "host/daemon/threads/reactor.h"
#include "host/daemon/threads/worker_pool.h"

namespace catchup {

// Looks every 2 s whether the credentials are others than before, so that what was refused with the
// old ones is tried again at once. The looking may wait for a disk, so a worker does it. On the
// reactor.
class CredentialsWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // `credentials`: null where there are none to look at. `changed` comes on the reactor. All must
  // outlive it, the worker and the reactor run no task of it afterwards.
  CredentialsWatch(std::shared_ptr<Credentials> credentials, WorkerPool* worker, Reactor* reactor,
                   std::function<void()> changed);
  CredentialsWatch(const CredentialsWatch&) = delete;
  CredentialsWatch& operator=(const CredentialsWatch&) = delete;

  // Looks if it is time to.
  void Look(Clock::time_point now);

 private:
  void LogChange() const;

  const std::shared_ptr<Credentials> credentials_;
  WorkerPool& worker_;
  Reactor& reactor_;
  const std::function<void()> changed_;
  Role on_reactor_;
  bool asked_ CATCHUP_GUARDED_BY(on_reactor_) = false;
  std::uint64_t changes_ CATCHUP_GUARDED_BY(on_reactor_) = 0;
  Clock::time_point next_ CATCHUP_GUARDED_BY(on_reactor_){};
};

}  // namespace catchup
