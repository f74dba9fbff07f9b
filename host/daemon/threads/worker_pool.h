#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "host/base/mutex.h"
#include "host/base/status.h"

namespace catchup {

// Threads for what may block on a disk. Jobs begin in the order in which they were posted; with one
// thread they also run one after the other. The posters bound the queue by having few jobs
// outstanding. Any thread may post.
class WorkerPool {
 public:
  using Job = std::function<void()>;

  WorkerPool() = default;
  // Runs what was posted, then joins. Without threads the jobs are dropped.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Makes the threads. What was posted before waits for them. kExhausted: they are not all to be
  // had; those that were go on. Once.
  Status Start(int threads);

  void Post(Job job);

 private:
  void Run();

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ CATCHUP_GUARDED_BY(mutex_) = false;
  std::deque<Job> jobs_ CATCHUP_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace catchup
