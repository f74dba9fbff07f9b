#include "host/daemon/threads/serial_queue.h"

#include <utility>

namespace catchup {

std::shared_ptr<SerialQueue> SerialQueue::Create(WorkerPool* pool) {
  return std::shared_ptr<SerialQueue>(new SerialQueue(pool));
}

void SerialQueue::Post(Job job) {
  const MutexLock lock(&mutex_);
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
    const MutexLock lock(&mutex_);
    job = std::move(jobs_.front());
  }
  job();
  const MutexLock lock(&mutex_);
  jobs_.pop_front();
  if (!jobs_.empty()) {
    PostFront();
  }
}

void SerialQueue::Close() {
  const MutexLock lock(&mutex_);
  closed_ = true;
}

}  // namespace catchup
