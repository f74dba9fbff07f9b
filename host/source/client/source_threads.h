#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "host/base/status.h"

namespace grpc {
class CompletionQueue;
}

namespace catchup {

// The threads that serve sources: a few for any number of connections, each with a queue of its
// own. A source stays with one of them, so its callbacks come one at a time. They are handed round:
// a source has one frame under way, and asks for its next one behind those of the others.
//
// Any thread may use it; it ends on none of its own.
class SourceThreads {
 public:
  // kExhausted: they are not all to be had.
  static Result<std::shared_ptr<SourceThreads>> Start(int count);
  // Every source on them must be gone.
  ~SourceThreads();
  SourceThreads(const SourceThreads&) = delete;
  SourceThreads& operator=(const SourceThreads&) = delete;

  // The queue of the thread whose turn it is to get another source. Lives as long as this.
  grpc::CompletionQueue* NextQueue();

  // Whether the caller is one of them.
  bool IsHere() const;

 private:
  struct Server;

  SourceThreads();

  std::vector<std::unique_ptr<Server>> servers_;
  std::atomic<std::size_t> next_ = 0;
};

}  // namespace catchup
