#include "host/daemon/worker.h"

#include <utility>

#include "host/base/check.h"
#include "host/base/shortage.h"

namespace catchup {

Status Worker::Start() {
  CATCHUP_CHECK(!thread_.joinable());
  auto thread = StartThread([this] { Run(); });
  if (!thread.ok()) {
    return thread.status();
  }
  thread_ = std::move(*thread);
  return {};
}

Worker::~Worker() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Worker::Post(Job job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_all();
}

bool Worker::Pause(std::chrono::nanoseconds time) {
  std::unique_lock<std::mutex> lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return stopping_; });
}

void Worker::Run() {
  while (true) {
    Job job;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
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
