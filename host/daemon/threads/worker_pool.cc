#include "host/daemon/threads/worker_pool.h"

#include <utility>

#include "host/base/check.h"
#include "host/base/shortage.h"

namespace catchup {

Status WorkerPool::Start(int threads) {
  CATCHUP_CHECK(threads_.empty());
  for (int i = 0; i < threads; ++i) {
    CATCHUP_ASSIGN_OR_RETURN(std::thread thread, StartThread([this] { Run(); }));
    threads_.push_back(std::move(thread));
  }
  return {};
}

WorkerPool::~WorkerPool() {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

void WorkerPool::Post(Job job) {
  {
    const MutexLock lock(&mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.NotifyOne();
}

void WorkerPool::Run() {
  while (true) {
    Job job;
    {
      const MutexLock lock(&mutex_);
      while (!stopping_ && jobs_.empty()) {
        changed_.Wait(&mutex_);
      }
      if (jobs_.empty()) {
        return;
      }
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

}  // namespace catchup
