#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "host/daemon/reactor.h"
#include "host/daemon/worker_pool.h"

namespace catchup {

// The jobs of one owner on a pool that many share: one at a time, in the order in which they were
// posted. A job takes a thread only while it runs; one that has to wait for better times says for
// how long, leaves the thread to others and runs again then, before those behind it. After each job
// the owner goes to the end of the pool's queue, so that one with many jobs holds up nobody.
//
// Lives as long as somebody holds it or one of its jobs is under way. Any thread.
class SerialQueue : public std::enable_shared_from_this<SerialQueue> {
 public:
  // Returns after how long it is to be run again; nothing: it is done.
  using Job = std::function<std::optional<std::chrono::nanoseconds>()>;

  // Both must outlive it and its jobs.
  static std::shared_ptr<SerialQueue> Create(WorkerPool* pool, Reactor* reactor);
  SerialQueue(const SerialQueue&) = delete;
  SerialQueue& operator=(const SerialQueue&) = delete;

  void Post(Job job);

  // Takes no job any more and runs none again: one that waits is let go. Those behind it are run as
  // ever, some perhaps after this returns.
  void Close();

 private:
  SerialQueue(WorkerPool* pool, Reactor* reactor) : pool_(*pool), reactor_(*reactor) {}

  void RunFront();
  void RunAgain();
  void PostFront();

  WorkerPool& pool_;
  Reactor& reactor_;
  std::mutex mutex_;
  bool closed_ = false;
  bool waits_ = false;    // The front job, for its time.
  std::deque<Job> jobs_;  // The front one is with the pool, or waits.
};

}  // namespace catchup
