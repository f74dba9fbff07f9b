#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "host/base/mutex.h"
#include "host/daemon/threads/worker_pool.h"

namespace catchup {

// The jobs of one owner on a pool that many share: one at a time, in the order in which they were
// posted. A job takes a thread only while it runs, and never waits for better times: who posted it
// posts it again then. After each job the owner goes to the end of the pool's queue, so that one
// with many jobs holds up nobody.
//
// Lives as long as somebody holds it or one of its jobs is under way. Any thread.
class SerialQueue : public std::enable_shared_from_this<SerialQueue> {
 public:
  using Job = std::function<void()>;

  // `pool` must outlive it and its jobs.
  static std::shared_ptr<SerialQueue> Create(WorkerPool* pool);
  SerialQueue(const SerialQueue&) = delete;
  SerialQueue& operator=(const SerialQueue&) = delete;

  void Post(Job job);

  // Takes no job any more. Those that it has are run as ever, some perhaps after this returns.
  void Close();

 private:
  explicit SerialQueue(WorkerPool* pool) : pool_(*pool) {}

  void RunFront();
  void PostFront() CATCHUP_REQUIRES(mutex_);

  WorkerPool& pool_;
  Mutex mutex_;
  bool closed_ CATCHUP_GUARDED_BY(mutex_) = false;
  std::deque<Job> jobs_ CATCHUP_GUARDED_BY(mutex_);  // The front one is with the pool.
};

}  // namespace catchup
