#include "host/daemon/serial_queue.h"

#include <utility>

namespace catchup {

std::shared_ptr<SerialQueue> SerialQueue::Create(WorkerPool* pool, Reactor* reactor) {
  return std::shared_ptr<SerialQueue>(new SerialQueue(pool, reactor));
}

void SerialQueue::Post(Job job) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) {
    return;
  }
  jobs_.push_back(std::move(job));
  if (jobs_.size() == 1) {
    PostFront();
  }
}

void SerialQueue::PostFront() {
  pool_.Post([self = shared_from_this()] { self->RunFront(); });
}

void SerialQueue::RunFront() {
  Job job;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    job = std::move(jobs_.front());
  }
  const auto again = job();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (again.has_value() && !closed_) {
      jobs_.front() = std::move(job);
      waits_ = true;
      reactor_.After(*again, [self = shared_from_this()] { self->RunAgain(); });
      return;
    }
    jobs_.pop_front();
    if (!jobs_.empty()) {
      PostFront();
    }
  }
}

void SerialQueue::RunAgain() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (std::exchange(waits_, false)) {
    PostFront();
  }
}

void SerialQueue::Close() {
  Job dropped;  // Destroyed after the lock is released.
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  if (std::exchange(waits_, false)) {
    dropped = std::move(jobs_.front());
    jobs_.pop_front();
    if (!jobs_.empty()) {
      PostFront();
    }
  }
}

}  // namespace catchup
