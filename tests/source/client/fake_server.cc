#include "tests/source/client/fake_server.h"

#include <grpcpp/server_builder.h>
#include <grpcpp/support/byte_buffer.h>

#include <chrono>
#include <cstdint>

#include "host/base/check.h"

namespace catchup {
namespace {

constexpr int kMaxMessageBytes = 32 << 20;

// Tags of a call's own queue.
constexpr int kOperation = 1;
constexpr int kOver = 2;

void* Tag(int tag) { return reinterpret_cast<void*>(static_cast<std::intptr_t>(tag)); }

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string ToText(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  CATCHUP_CHECK(buffer.DumpToSingleSlice(&slice).ok());
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

}  // namespace

struct FakeServer::Served {
  grpc::GenericServerContext context;
  grpc::GenericServerAsyncReaderWriter stream{&context};
  grpc::CompletionQueue queue;
  std::thread thread;
};

std::string FakeCall::Header(const std::string& name) const {
  const auto found = context_->client_metadata().find(name);
  return found == context_->client_metadata().end()
             ? ""
             : std::string(found->second.data(), found->second.size());
}

std::string FakeCall::PeerIdentity() const {
  const auto peer = context_->auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) {
    return "";
  }
  const auto identity = peer->GetPeerIdentity();
  return identity.empty() ? "" : std::string(identity.front().data(), identity.front().size());
}

bool FakeCall::Await(int wanted) {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
    if (tag == Tag(kOver)) {
      over_ = true;
    }
    if (tag == Tag(wanted)) {
      return ok;
    }
  }
  return false;
}

std::optional<std::string> FakeCall::Read() {
  grpc::ByteBuffer buffer;
  stream_->Read(&buffer, Tag(kOperation));
  if (!Await(kOperation)) {
    return std::nullopt;
  }
  return ToText(buffer);
}

bool FakeCall::Write(const std::string& bytes) {
  stream_->Write(ToBuffer(bytes), Tag(kOperation));
  return Await(kOperation);
}

void FakeCall::AddTrailer(const std::string& name, const std::string& value) {
  context_->AddTrailingMetadata(name, value);
}

void FakeCall::Finish(const grpc::Status& status) {
  finished_ = true;
  stream_->Finish(status, Tag(kOperation));
  Await(kOperation);
}

void FakeCall::AwaitCancel() {
  if (!over_) {
    Await(kOver);
  }
}

FakeServer::FakeServer(Script script, const std::shared_ptr<grpc::ServerCredentials>& credentials)
    : script_(std::move(script)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
  builder.RegisterAsyncGenericService(&service_);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // A node of the database does not mind pings; gRPC's servers do unless told otherwise.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  queue_ = builder.AddCompletionQueue();
  server_ = builder.BuildAndStart();
  CATCHUP_CHECK(server_ != nullptr && port_ != 0);
  accepting_ = std::thread([this] { Accept(); });
}

FakeServer::~FakeServer() {
  server_->Shutdown(std::chrono::system_clock::now());
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_->Shutdown();
  }
  accepting_.join();
  for (const auto& call : calls_) {
    if (call->thread.joinable()) {
      call->thread.join();
    }
  }
}

void FakeServer::Accept() {
  void* tag = nullptr;
  bool ok = false;
  while (Served* served = AwaitNext()) {
    if (!queue_->Next(&tag, &ok) || !ok) {
      break;
    }
    served->thread = std::thread([this, served] { Serve(served); });
  }
  while (queue_->Next(&tag, &ok)) {
  }
}

FakeServer::Served* FakeServer::AwaitNext() {
  // gRPC aborts on a request to a queue that is shut down.
  const std::lock_guard lock(mutex_);
  if (stopping_) {
    return nullptr;
  }
  calls_.push_back(std::make_unique<Served>());
  Served* served = calls_.back().get();
  served->context.AsyncNotifyWhenDone(Tag(kOver));
  service_.RequestCall(&served->context, &served->stream, &served->queue, queue_.get(), served);
  return served;
}

void FakeServer::Serve(Served* served) {
  FakeCall call(&served->context, &served->stream, &served->queue);
  script_(&call);
  if (!call.finished_) {
    call.Finish(grpc::Status::OK);
  }
  call.AwaitCancel();
  served->queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (served->queue.Next(&tag, &ok)) {
  }
}

}  // namespace catchup
