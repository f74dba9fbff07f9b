// The calls with one request and one reply, and the table of methods.
#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "host/base/time_text.h"
#include "host/source/embedded/calls/pending_write.h"
#include "host/source/embedded/wire/append_request.h"
#include "host/source/embedded/wire/rpc_call.h"
#include "host/source/proto/gossip.pb.h"
#include "host/source/proto/server_features.pb.h"

namespace catchup::embedded {
namespace {

namespace wire = event_store::client::streams;

// The node whose recordings this server is held against. Three numbers and nothing else: the
// official client for Rust gives up on a server whose version has a suffix.
constexpr const char* kServerVersion = "24.10.14";

// Delete and Tombstone differ in their types and in what they write.
template <typename Request, typename Response>
class RemoveHandler final : public CallHandler {
 public:
  RemoveHandler(RpcCall& call, ServerCore& core, bool tombstone)
      : call_(call), core_(core), tombstone_(tombstone) {
    call_.Read();
  }

  void OnMessage(const std::string& message) override {
    Request request;
    if (!request.ParseFromString(message) || !request.has_options()) {
      call_.Finish(RpcError::Unhandled());
      return;
    }
    const auto& options = request.options();
    if (options.expected_stream_revision_case() ==
        Request::Options::EXPECTED_STREAM_REVISION_NOT_SET) {
      call_.Finish(RpcError::UnsetOneof(std::string(tombstone_ ? "Tombstone" : "Delete") +
                                        "Req+Types+Options+ExpectedStreamRevisionOneofCase"));
      return;
    }
    stream_ = options.stream_identifier().stream_name();
    const std::optional<ExpectedRevision> expected = ReadExpectedRevision(options);
    if (stream_.empty() || !expected) {
      call_.Finish(RpcError::Unhandled());
      return;
    }
    expected_ = *expected;
    write_.Submit(core_.writer, LogWriter::Delete{stream_, expected_, tombstone_}, call_.Waker());
  }

  void OnHalfClose() override { call_.Finish(RpcError::Incomplete()); }

  void OnWake() override {
    const std::optional<WriteOutcome> outcome = write_.TakeOrEnd(stream_, &call_);
    if (!outcome) {
      return;
    }
    if (outcome->kind == WriteOutcome::Kind::kConflict) {
      call_.Finish(RpcError::WrongVersion(stream_, expected_.value, outcome->revision));
      return;
    }
    Response reply;
    reply.mutable_position()->set_commit_position(outcome->position);
    reply.mutable_position()->set_prepare_position(outcome->position);
    call_.Send(reply.SerializeAsString());
    call_.Finish();
  }

 private:
  RpcCall& call_;
  ServerCore& core_;
  const bool tombstone_;
  std::string stream_;
  ExpectedRevision expected_;
  PendingWrite write_;
};

// A call whose request says nothing.
class FixedHandler final : public CallHandler {
 public:
  FixedHandler(RpcCall& call, std::string reply) : call_(call), reply_(std::move(reply)) {
    call_.Read();
  }
  void OnMessage(const std::string&) override {
    call_.Send(std::move(reply_));
    call_.Finish();
  }
  void OnHalfClose() override { call_.Finish(RpcError::Incomplete()); }

 private:
  RpcCall& call_;
  std::string reply_;
};

}  // namespace

std::unique_ptr<CallHandler> CreateDeleteHandler(RpcCall& call, ServerCore& core) {
  return std::make_unique<RemoveHandler<wire::DeleteReq, wire::DeleteResp>>(call, core, false);
}

std::unique_ptr<CallHandler> CreateTombstoneHandler(RpcCall& call, ServerCore& core) {
  return std::make_unique<RemoveHandler<wire::TombstoneReq, wire::TombstoneResp>>(call, core, true);
}

std::unique_ptr<CallHandler> CreateGossipHandler(RpcCall& call, ServerCore& core) {
  event_store::client::gossip::ClusterInfo info;
  auto& member = *info.add_members();
  auto& halves = *member.mutable_instance_id()->mutable_structured();
  halves.set_most_significant_bits(static_cast<std::int64_t>(core.instance_id.most_significant()));
  halves.set_least_significant_bits(
      static_cast<std::int64_t>(core.instance_id.least_significant()));
  member.set_time_stamp(NowTicks());
  member.set_state(event_store::client::gossip::MemberInfo::Leader);
  member.set_is_alive(true);
  member.mutable_http_end_point()->set_address(core.host);
  member.mutable_http_end_point()->set_port(core.port);
  return std::make_unique<FixedHandler>(call, info.SerializeAsString());
}

std::unique_ptr<CallHandler> CreateServerFeaturesHandler(RpcCall& call, ServerCore& core) {
  (void)core;
  const struct {
    const char* service;
    const char* method;
    std::vector<std::string> features;
  } methods[] = {
      {"event_store.client.streams.streams", "read", {"position", "events"}},
      {"event_store.client.streams.streams", "append", {}},
      {"event_store.client.streams.streams", "delete", {}},
      {"event_store.client.streams.streams", "tombstone", {}},
      {"event_store.client.streams.streams", "batchappend", {"deadline_duration"}},
      {"event_store.client.gossip.gossip", "read", {}},
      {"event_store.client.server_features.serverfeatures", "getsupportedmethods", {}},
  };
  event_store::client::server_features::SupportedMethods supported;
  for (const auto& entry : methods) {
    auto& method = *supported.add_methods();
    method.set_service_name(entry.service);
    method.set_method_name(entry.method);
    for (const std::string& feature : entry.features) {
      method.add_features(feature);
    }
  }
  supported.set_event_store_server_version(kServerVersion);
  return std::make_unique<FixedHandler>(call, supported.SerializeAsString());
}

namespace {

struct Method {
  std::string_view path;
  std::unique_ptr<CallHandler> (*create)(RpcCall&, ServerCore&);
};

constexpr Method kMethods[] = {
    {"/event_store.client.streams.Streams/Read", CreateReadHandler},
    {"/event_store.client.streams.Streams/Append", CreateAppendHandler},
    {"/event_store.client.streams.Streams/BatchAppend", CreateBatchAppendHandler},
    {"/event_store.client.streams.Streams/Delete", CreateDeleteHandler},
    {"/event_store.client.streams.Streams/Tombstone", CreateTombstoneHandler},
    {"/event_store.client.gossip.Gossip/Read", CreateGossipHandler},
    {"/event_store.client.server_features.ServerFeatures/GetSupportedMethods",
     CreateServerFeaturesHandler},
};

std::string_view ServiceOf(std::string_view path) { return path.substr(0, path.rfind('/')); }

}  // namespace

std::unique_ptr<CallHandler> CreateHandler(const std::string& method, RpcCall& call,
                                           ServerCore& core) {
  for (const Method& known : kMethods) {
    if (method == known.path) {
      return known.create(call, core);
    }
  }
  return nullptr;
}

RpcError Unimplemented(std::string_view method) {
  const bool is_service_known = std::any_of(
      std::begin(kMethods), std::end(kMethods),
      [method](const Method& known) { return ServiceOf(known.path) == ServiceOf(method); });
  return {RpcCode::kUnimplemented,
          is_service_known ? "Method is unimplemented." : "Service is unimplemented.",
          {}};
}

}  // namespace catchup::embedded
