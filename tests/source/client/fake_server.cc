#include "tests/source/client/fake_server.h"

#include <utility>

#include "tests/source/byte_buffer.h"

namespace catchup {
namespace {

template <typename Notice>
void* ToTag(Notice notice) {
  return reinterpret_cast<void*>(static_cast<std::intptr_t>(notice));
}

}  // namespace

std::string FakeCall::Header(const std::string& name) const {
  const auto found = call_.context.client_metadata().find(name);
  return found == call_.context.client_metadata().end()
             ? ""
             : std::string(found->second.data(), found->second.size());
}

std::string FakeCall::PeerIdentity() const {
  const auto peer = call_.context.auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) {
    return "";
  }
  const auto identity = peer->GetPeerIdentity();
  return identity.empty() ? "" : std::string(identity.front().data(), identity.front().size());
}

bool FakeCall::Await(Notice wanted) {
  void* tag = nullptr;
  bool ok = false;
  while (call_.queue.Next(&tag, &ok)) {
    if (tag == ToTag(Notice::kOver)) {
      over_ = true;
    }
    if (tag == ToTag(wanted)) {
      return ok;
    }
  }
  return false;
}

std::optional<std::string> FakeCall::Read() {
  grpc::ByteBuffer buffer;
  call_.stream.Read(&buffer, ToTag(Notice::kOperation));
  if (!Await(Notice::kOperation)) {
    return std::nullopt;
  }
  return ToText(buffer);
}

bool FakeCall::Write(const std::string& bytes) {
  call_.stream.Write(ToBuffer(bytes), ToTag(Notice::kOperation));
  return Await(Notice::kOperation);
}

void FakeCall::AddTrailer(const std::string& name, const std::string& value) {
  call_.context.AddTrailingMetadata(name, value);
}

void FakeCall::Finish(const grpc::Status& status) {
  finished_ = true;
  call_.stream.Finish(status, ToTag(Notice::kOperation));
  Await(Notice::kOperation);
}

void FakeCall::AwaitCancel() {
  if (!over_) {
    Await(Notice::kOver);
  }
}

FakeServer::FakeServer(Script script, const std::shared_ptr<grpc::ServerCredentials>& credentials)
    : server_([script = std::move(script)](AnyCall* call) { Run(script, call); }, credentials) {}

void FakeServer::Run(const Script& script, AnyCall* any_call) {
  FakeCall call(any_call);
  script(&call);
  if (!call.finished_) {
    call.Finish(grpc::Status::OK);
  }
  call.AwaitCancel();
}

}  // namespace catchup
