#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "host/base/status.h"

namespace catchup {

// A thread for what may block on the disk, such as a group's store: runs its jobs in order. The
// poster bounds the queue by having few jobs outstanding. Any thread may post.
class Worker {
 public:
  using Job = std::function<void()>;

  Worker() = default;
  // Runs what was posted, then joins; pauses are cut short. Without a thread the jobs are dropped.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Makes the thread. What was posted before waits for it. kExhausted: there is none to be had, and
  // it may be tried again. Once it has succeeded not again.
  Status Start();

  void Post(Job job);

  // Called by a job that waits for better times. Returns false at once when the worker is to end.
  bool Pause(std::chrono::nanoseconds time);

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::deque<Job> jobs_;
  std::thread thread_;
};

}  // namespace catchup
