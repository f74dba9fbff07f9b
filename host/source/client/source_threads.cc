#include "host/source/client/source_threads.h"

#include <grpcpp/completion_queue.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "host/base/check.h"
#include "host/base/shortage.h"
#include "host/source/client/read_call.h"
#include "host/source/source.h"

namespace catchup {

struct SourceThreads::Server {
  grpc::CompletionQueue queue;
  std::thread thread;
  std::vector<ReadCall*> round;  // The calls that have a part in the present one.

  void Serve() {
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) {
      ServeRound(tag, ok);
    }
  }

  // What is complete by now, this operation first.
  void ServeRound(void* tag, bool ok) {
    constexpr int kLookAtClockEvery = 8;
    const auto end = std::chrono::steady_clock::now() + SourceRound::kLongest;
    int frames = 0;
    do {
      auto* call = static_cast<ReadCall*>(tag);
      if (std::find(round.begin(), round.end(), call) == round.end()) {
        round.push_back(call);
      }
      if (call->Proceed(ok)) {
        std::erase(round, call);
        call->keeper()->LetGo(call);
      }
      ++frames;
    } while (frames < SourceRound::kMostFrames &&
             (frames % kLookAtClockEvery != 0 || std::chrono::steady_clock::now() < end) &&
             queue.AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)) ==
                 grpc::CompletionQueue::GOT_EVENT);
    for (ReadCall* call : round) {
      call->OnRoundEnd();
    }
    round.clear();
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
