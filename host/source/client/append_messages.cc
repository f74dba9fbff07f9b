#include "host/source/client/append_messages.h"

#include <fmt/core.h>

#include <string>
#include <utility>

#include "host/source/client/call_status.h"

namespace catchup {
namespace {

using event_store::client::streams::BatchAppendReq;
using event_store::client::streams::BatchAppendResp;

// The upper half of correlation ids, which only need to be unique within a call.
constexpr std::uint64_t kCorrelation = 0x6361746368757000ull;

// What the details of a failed append add to its name; empty if nothing.
std::string Explain(const google::rpc::Status& error) {
  if (event_store::client::MaximumAppendSizeExceeded all; error.details().UnpackTo(&all)) {
    return fmt::format(": it takes {} bytes in one append", all.maxappendsize());
  }
  if (event_store::client::MaximumAppendEventSizeExceeded one; error.details().UnpackTo(&one)) {
    return fmt::format(": event {} has {} bytes, it takes {}", one.eventid(),
                       one.proposedeventsize(), one.maxappendeventsize());
  }
  if (event_store::client::BadRequest bad; error.details().UnpackTo(&bad)) {
    return ": " + bad.message();
  }
  if (error.details().Is<event_store::client::WrongExpectedVersion>()) {
    return ": some of these event ids are in the stream already, others are not";
  }
  return {};
}

Status AppendError(std::string_view address, const google::rpc::Status& error) {
  // A server that is not ready or busy leaves the code at 0 and says so in words only.
  const std::string name = error.code() == google::rpc::OK ? "" : StatusName(error.code()) + ": ";
  std::string text = fmt::format("{}: {}{}{}", address, name, error.message(), Explain(error));
  switch (error.code()) {
    case google::rpc::OK:
    case google::rpc::DEADLINE_EXCEEDED:
    case google::rpc::UNAVAILABLE:
    case google::rpc::ABORTED:
      return Status::Unavailable(std::move(text));
    case google::rpc::PERMISSION_DENIED:
    case google::rpc::UNAUTHENTICATED:
      return Status::Denied(std::move(text));
    case google::rpc::NOT_FOUND:
    case google::rpc::INVALID_ARGUMENT:
    case google::rpc::ALREADY_EXISTS:
    case google::rpc::FAILED_PRECONDITION:
      return Status::Invalid(std::move(text));
    default:
      return Status::Internal(std::move(text));
  }
}

void SetId(const Uuid& id, event_store::client::UUID* out) {
  out->mutable_structured()->set_most_significant_bits(
      static_cast<std::int64_t>(id.most_significant()));
  out->mutable_structured()->set_least_significant_bits(
      static_cast<std::int64_t>(id.least_significant()));
}

}  // namespace

BatchAppendReq AppendRequest(std::uint64_t number, std::string_view stream,
                             const ExpectedStream& expected,
                             std::span<const NewEvent* const> events) {
  BatchAppendReq request;
  SetId(Uuid::FromHalves(kCorrelation, number), request.mutable_correlation_id());
  BatchAppendReq::Options* options = request.mutable_options();
  options->mutable_stream_identifier()->set_stream_name(std::string(stream));
  switch (expected.kind) {
    case ExpectedStream::Kind::kAny:
      options->mutable_any();
      break;
    case ExpectedStream::Kind::kRevision:
      options->set_stream_position(expected.revision);
      break;
    case ExpectedStream::Kind::kNone:
      options->mutable_no_stream();
      break;
  }
  for (const NewEvent* const event : events) {
    BatchAppendReq::ProposedMessage* message = request.add_proposed_messages();
    SetId(event->id, message->mutable_id());
    auto& properties = *message->mutable_metadata();
    properties["type"] = event->type;
    properties["content-type"] = event->is_json ? "application/json" : "application/octet-stream";
    message->set_data(event->data);
    message->set_custom_metadata(event->metadata);
  }
  request.set_is_final(true);
  return request;
}

std::uint64_t AnsweredAppend(const BatchAppendResp& response) {
  return static_cast<std::uint64_t>(
      response.correlation_id().structured().least_significant_bits());
}

AppendAnswer ReadAppendResponse(const BatchAppendResp& response, std::string_view address,
                                std::string_view stream) {
  AppendAnswer answer;
  answer.number = AnsweredAppend(response);
  if (response.result_case() == BatchAppendResp::kSuccess) {
    const BatchAppendResp::Success& success = response.success();
    if (success.current_revision_option_case() == BatchAppendResp::Success::kCurrentRevision) {
      answer.revision = success.current_revision();
    }
    if (success.has_position()) {
      answer.position =
          Position{success.position().commit_position(), success.position().prepare_position()};
    }
  } else {
    event_store::client::WrongExpectedVersion conflict;
    answer.conflict = response.error().details().UnpackTo(&conflict);
    if (conflict.current_stream_revision_option_case() ==
        event_store::client::WrongExpectedVersion::kCurrentStreamRevision) {
      answer.revision = conflict.current_stream_revision();
    }
    answer.status =
        AppendError(address, response.error()).Within("append to stream " + std::string(stream));
  }
  return answer;
}

}  // namespace catchup
