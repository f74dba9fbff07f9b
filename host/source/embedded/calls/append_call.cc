// Streams/Append.
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "host/source/embedded/calls/pending_write.h"
#include "host/source/embedded/wire/append_request.h"
#include "host/source/embedded/wire/rpc_call.h"

namespace catchup::embedded {
namespace {

namespace wire = event_store::client::streams;

// The legacy copy has no "no stream" for what was expected and says it as revision -1.
constexpr std::uint64_t kLegacyNoStream = ~std::uint64_t{0};

// `by_number`: what was expected was given as a number, and is given back as one.
std::string ConflictReply(std::int64_t current, ExpectedRevision expected, bool by_number) {
  wire::AppendResp reply;
  auto& conflict = *reply.mutable_wrong_expected_version();
  if (current >= 0) {
    conflict.set_current_revision_20_6_0(static_cast<std::uint64_t>(current));
    conflict.set_current_revision(static_cast<std::uint64_t>(current));
  } else {
    conflict.mutable_no_stream_20_6_0();
    conflict.mutable_current_no_stream();
  }
  switch (expected.value) {
    case ExpectedRevision::kAny:
      conflict.mutable_any_20_6_0();
      conflict.mutable_expected_any();
      break;
    case ExpectedRevision::kStreamExists:
      conflict.mutable_stream_exists_20_6_0();
      conflict.mutable_expected_stream_exists();
      break;
    case ExpectedRevision::kNoStream:
      conflict.set_expected_revision_20_6_0(kLegacyNoStream);
      if (by_number) {
        conflict.set_expected_revision(kLegacyNoStream);
      } else {
        conflict.mutable_expected_no_stream();
      }
      break;
    default:
      conflict.set_expected_revision_20_6_0(static_cast<std::uint64_t>(expected.value));
      conflict.set_expected_revision(static_cast<std::uint64_t>(expected.value));
      break;
  }
  return reply.SerializeAsString();
}

std::string SuccessReply(const WriteOutcome& outcome) {
  wire::AppendResp reply;
  auto& success = *reply.mutable_success();
  if (outcome.revision >= 0) {
    success.set_current_revision(static_cast<std::uint64_t>(outcome.revision));
  } else {
    success.mutable_no_stream();
  }
  if (outcome.position != 0) {
    success.mutable_position()->set_commit_position(outcome.position);
    success.mutable_position()->set_prepare_position(outcome.position);
  } else {
    success.mutable_no_position();
  }
  return reply.SerializeAsString();
}

class AppendHandler final : public CallHandler {
 public:
  AppendHandler(RpcCall& call, ServerCore& core) : call_(call), core_(core) { call_.Read(); }

  void OnMessage(const std::string& message) override {
    wire::AppendReq request;
    if (!request.ParseFromString(message)) {
      call_.Finish(RpcError::Unhandled());
      return;
    }
    std::optional<RpcError> error =
        request.has_options() ? TakeOptions(request.options()) : TakeProposed(&request);
    if (error) {
      call_.Finish(*std::move(error));
      return;
    }
    call_.Read();
  }

  void OnHalfClose() override {
    if (!expected_) {
      call_.Finish(RpcError::Unhandled());
      return;
    }
    write_.Submit(core_.writer, LogWriter::Append{stream_, *expected_, std::move(events_)},
                  call_.Waker());
  }

  void OnWake() override {
    const std::optional<WriteOutcome> outcome = write_.TakeOrEnd(stream_, &call_);
    if (!outcome) {
      return;
    }
    const bool conflict = outcome->kind == WriteOutcome::Kind::kConflict;
    call_.Send(conflict ? ConflictReply(outcome->revision, *expected_, by_number_)
                        : SuccessReply(*outcome));
    call_.Finish();
  }

 private:
  std::optional<RpcError> TakeOptions(const wire::AppendReq::Options& options) {
    if (expected_) {
      return RpcError::Unhandled();
    }
    if (options.expected_stream_revision_case() ==
        wire::AppendReq::Options::EXPECTED_STREAM_REVISION_NOT_SET) {
      return RpcError::UnsetOneof("AppendReq+Types+Options+ExpectedStreamRevisionOneofCase");
    }
    stream_ = options.stream_identifier().stream_name();
    expected_ = ReadExpectedRevision(options);
    by_number_ = options.has_revision();
    if (stream_.empty() || !expected_) {
      return RpcError::Unhandled();
    }
    return std::nullopt;
  }

  std::optional<RpcError> TakeProposed(wire::AppendReq* request) {
    if (!expected_ || !request->has_proposed_message()) {
      return RpcError::Unhandled();
    }
    std::variant<NewEvent, RpcError> event = TakeEvent(request->mutable_proposed_message());
    if (auto* error = std::get_if<RpcError>(&event)) {
      return std::move(*error);
    }
    events_.push_back(std::move(std::get<NewEvent>(event)));
    bytes_ += AppendBytes(events_.back());
    if (bytes_ > core_.max_append_bytes) {
      return RpcError::AppendTooLarge(core_.max_append_bytes);
    }
    return std::nullopt;
  }

  RpcCall& call_;
  ServerCore& core_;
  std::string stream_;
  std::optional<ExpectedRevision> expected_;
  bool by_number_ = false;
  std::vector<NewEvent> events_;
  std::uint64_t bytes_ = 0;
  PendingWrite write_;
};

}  // namespace

std::unique_ptr<CallHandler> CreateAppendHandler(RpcCall& call, ServerCore& core) {
  return std::make_unique<AppendHandler>(call, core);
}

}  // namespace catchup::embedded
