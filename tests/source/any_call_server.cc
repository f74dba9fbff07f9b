#include "tests/source/any_call_server.h"

#include <grpcpp/server_builder.h>

#include <chrono>
#include <utility>

#include "host/base/check.h"

namespace catchup {

AnyCallServer::AnyCallServer(Serve serve,
                             const std::shared_ptr<grpc::ServerCredentials>& credentials)
    : serve_(std::move(serve)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
  builder.RegisterAsyncGenericService(&service_);
  builder.SetMaxReceiveMessageSize(kMaxTestMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  queue_ = builder.AddCompletionQueue();
  server_ = builder.BuildAndStart();
  CATCHUP_CHECK(server_ != nullptr && port_ != 0);
  accepting_ = std::thread([this] { Accept(); });
}

AnyCallServer::~AnyCallServer() {
  server_->Shutdown(std::chrono::system_clock::now());
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_->Shutdown();
  }
  accepting_.join();
  for (const auto& served : calls_) {
    if (served->thread.joinable()) {
      served->thread.join();
    }
  }
}

void AnyCallServer::Accept() {
  void* tag = nullptr;
  bool ok = false;
  while (Served* const served = AwaitNext()) {
    if (!queue_->Next(&tag, &ok) || !ok) {
      break;
    }
    served->thread = std::thread([this, call = &served->call] {
      serve_(call);
      call->queue.Shutdown();
      void* rest = nullptr;
      bool done = false;
      while (call->queue.Next(&rest, &done)) {
      }
    });
  }
  while (queue_->Next(&tag, &ok)) {
  }
}

AnyCallServer::Served* AnyCallServer::AwaitNext() {
  // gRPC aborts on a request to a queue that is shut down.
  const std::lock_guard lock(mutex_);
  if (stopping_) {
    return nullptr;
  }
  calls_.push_back(std::make_unique<Served>());
  AnyCall& call = calls_.back()->call;
  call.context.AsyncNotifyWhenDone(nullptr);
  service_.RequestCall(&call.context, &call.stream, &call.queue, queue_.get(), &call);
  return calls_.back().get();
}

}  // namespace catchup
