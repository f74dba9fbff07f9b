#include "host/source/client/source_threads.h"

#include <grpcpp/completion_queue.h>

#include <algorithm>
#include <utility>

#include "host/base/check.h"
#include "host/base/shortage.h"
#include "host/source/client/read_call.h"

namespace catchup {

struct SourceThreads::Server {
  grpc::CompletionQueue queue;
  std::thread thread;

  void Serve() {
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) {
      auto* call = static_cast<ReadCall*>(tag);
      if (call->Proceed(ok)) {
        call->keeper()->LetGo(call);
      }
    }
  }
};

SourceThreads::SourceThreads() = default;

Result<std::shared_ptr<SourceThreads>> SourceThreads::Start(int count) {
  std::shared_ptr<SourceThreads> threads(new SourceThreads);
  for (int i = 0; i < count; ++i) {
    auto server = std::make_unique<Server>();
    auto thread = StartThread([server = server.get()] { server->Serve(); });
    if (thread.ok()) {
      server->thread = std::move(*thread);
    }
    threads->servers_.push_back(std::move(server));
    if (!thread.ok()) {
      return thread.status();
    }
  }
  return threads;
}

SourceThreads::~SourceThreads() {
  CATCHUP_CHECK(!IsHere());
  for (const auto& server : servers_) {
    server->queue.Shutdown();
  }
  for (const auto& server : servers_) {
    if (server->thread.joinable()) {
      server->thread.join();
    } else {
      server->Serve();  // Never started: a queue must be emptied before it goes.
    }
  }
}

grpc::CompletionQueue* SourceThreads::NextQueue() {
  return &servers_[next_++ % servers_.size()]->queue;
}

bool SourceThreads::IsHere() const {
  return std::any_of(servers_.begin(), servers_.end(), [](const auto& server) {
    return server->thread.get_id() == std::this_thread::get_id();
  });
}

}  // namespace catchup
