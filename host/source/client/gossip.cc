#include "host/source/client/gossip.h"

#include <fmt/core.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/slice.h>

#include <chrono>
#include <optional>
#include <utility>

#include "host/base/check.h"
#include "host/base/host_port.h"
#include "host/base/mutex.h"
#include "host/source/client/call_status.h"
#include "host/source/client/channel.h"
#include "host/source/client/read_call.h"
#include "host/source/client/read_requests.h"
#include "host/source/proto/gossip.pb.h"

namespace catchup {
namespace {

using event_store::client::gossip::ClusterInfo;
using event_store::client::gossip::MemberInfo;

constexpr char kGossipMethod[] = "/event_store.client.gossip.Gossip/Read";

ClusterMember::State StateOf(const MemberInfo& member) {
  switch (member.state()) {
    case MemberInfo::Leader:
      return ClusterMember::State::kLeader;
    case MemberInfo::Follower:
      return ClusterMember::State::kFollower;
    case MemberInfo::ReadOnlyReplica:
      return ClusterMember::State::kReadOnlyReplica;
    case MemberInfo::PreReadOnlyReplica:
      return ClusterMember::State::kPreReadOnlyReplica;
    case MemberInfo::ReadOnlyLeaderless:
      return ClusterMember::State::kReadOnlyLeaderless;
    // A name of a newer server's, too: nobody knows what it serves.
    default:
      return ClusterMember::State::kOther;
  }
}

std::string NameOf(const MemberInfo& member) {
  const std::string name = MemberInfo::VNodeState_Name(member.state());
  return name.empty() ? fmt::format("state {}", static_cast<int>(member.state())) : name;
}

// Empty where no client could connect to it.
std::string AddressOf(const MemberInfo& member) {
  const auto& end_point = member.http_end_point();
  std::string address = fmt::format("{}:{}", BracketedHost(end_point.address()), end_point.port());
  const auto parsed = ParseHostPort(address);
  return parsed.ok() && parsed->port.value_or(0) != 0 ? std::move(address) : std::string();
}

}  // namespace

Result<std::vector<ClusterMember>> ParseGossip(std::string_view message) {
  ClusterInfo info;
  if (!info.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return Status::Invalid("malformed answer to the question for the nodes of the cluster");
  }
  std::vector<ClusterMember> members;
  for (const MemberInfo& member : info.members()) {
    std::string address = AddressOf(member);
    if (!address.empty() && members.size() < kMaxClusterMembers) {
      members.push_back({std::move(address), StateOf(member), NameOf(member), member.is_alive()});
    }
  }
  return members;
}

class GossipQuestion::Call final : public ReadCall, private ReadCall::Keeper {
 public:
  Call(const ConnectionOptions& options, Callback callback)
      : address_(options.address), callback_(std::move(callback)), stub_(OpenChannel(options)) {
    set_keeper(this);
    set_access(AccessTo::kStream, options.credentials_origin);
  }

  void Begin(const ConnectionOptions& options, grpc::CompletionQueue* queue) {
    const Status headers = AddHeaders(options, context());
    context()->set_deadline(std::chrono::system_clock::now() + options.deadline);
    if (headers.ok()) {
      Start(&stub_, queue, kGossipMethod, EmptyRequest());
    } else {
      Refuse(queue, {grpc::StatusCode::UNAUTHENTICATED, headers.message()});
    }
  }

  void AwaitEnd() {
    const MutexLock lock(&mutex_);
    while (!over_) {
      ended_.Wait(&mutex_);
    }
  }

 private:
  bool OnFrame(grpc::ByteBuffer* buffer) override {
    grpc::Slice bytes;
    auto members = buffer->DumpToSingleSlice(&bytes).ok()
                       ? ParseGossip({reinterpret_cast<const char*>(bytes.begin()), bytes.size()})
                       : Status::Invalid("malformed answer: its bytes cannot be read");
    if (members.ok()) {
      members_ = *std::move(members);
    } else {
      Abort({grpc::StatusCode::INTERNAL, members.status().message()});
    }
    return true;
  }

  void OnFinished(const grpc::Status& status, const grpc::ClientContext& context) override {
    if (status.ok() && members_.has_value()) {
      callback_(*std::move(members_));
    } else {
      callback_(ClassifyEnd(address_, status, context, heard()));
    }
    callback_ = nullptr;
  }

  void LetGo(ReadCall*) override {
    const MutexLock lock(&mutex_);
    over_ = true;
    ended_.NotifyAll();
  }

  const std::string address_;
  Callback callback_;
  std::optional<std::vector<ClusterMember>> members_;
  grpc::GenericStub stub_;
  Mutex mutex_;
  CondVar ended_;
  bool over_ CATCHUP_GUARDED_BY(mutex_) = false;
};

GossipQuestion::GossipQuestion(const ConnectionOptions& options,
                               std::shared_ptr<SourceThreads> threads, Callback callback)
    : threads_(std::move(threads)), call_(std::make_unique<Call>(options, std::move(callback))) {
  call_->Begin(options, threads_->NextQueue());
}

GossipQuestion::~GossipQuestion() {
  CATCHUP_CHECK(!threads_->IsHere());
  call_->Cancel();
  call_->AwaitEnd();
}

}  // namespace catchup
