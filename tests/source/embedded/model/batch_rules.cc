#include <google/protobuf/message.h>

#include <utility>

#include "tests/source/embedded/model/write_parts.h"

namespace catchup::embedded::model {
namespace {

using Kind = Decision::Kind;

std::optional<std::int64_t> ExpectedOf(const wire::BatchAppendReq::Options& options) {
  switch (options.expected_stream_position_case()) {
    case wire::BatchAppendReq::Options::kStreamPosition:
      return static_cast<std::int64_t>(options.stream_position());
    case wire::BatchAppendReq::Options::kNoStream:
      return kNoStream;
    case wire::BatchAppendReq::Options::kAny:
      return kAny;
    case wire::BatchAppendReq::Options::kStreamExists:
      return kStreamExists;
    default:
      return std::nullopt;
  }
}

shared::WrongExpectedVersion ConflictOf(const ModelLog& log, const Proposal& proposal) {
  shared::WrongExpectedVersion conflict;
  if (const std::int64_t last = log.LastRevision(proposal.stream); last >= 0) {
    conflict.set_current_stream_revision(static_cast<std::uint64_t>(last));
  } else {
    conflict.mutable_current_no_stream();
  }
  if (proposal.expected == kAny) {
    conflict.mutable_expected_any();
  } else if (proposal.expected == kStreamExists) {
    conflict.mutable_expected_stream_exists();
  } else if (proposal.expected == kNoStream) {
    conflict.mutable_expected_no_stream();
  } else {
    conflict.set_expected_stream_position(static_cast<std::uint64_t>(proposal.expected));
  }
  return conflict;
}

std::string ErrorText(wire::BatchAppendResp reply, google::rpc::Code code, const char* message,
                      const google::protobuf::Message& details) {
  reply.mutable_error()->set_code(code);
  reply.mutable_error()->set_message(message);
  reply.mutable_error()->mutable_details()->PackFrom(details);
  return ToText(reply);
}

// What is wrong with the request, if anything is; as the text of the reply.
std::optional<std::string> FlawOf(const wire::BatchAppendReq& request,
                                  const wire::BatchAppendResp& reply) {
  const auto& options = request.options();
  for (const auto& message : request.proposed_messages()) {
    if (!message.metadata().contains("content-type")) {
      shared::BadRequest details;
      details.set_message("The given key was not present in the dictionary.");
      return ErrorText(reply, google::rpc::INVALID_ARGUMENT, "BadRequest", details);
    }
  }
  if (options.has_deadline() && options.deadline().seconds() <= 0) {
    return ErrorText(reply, google::rpc::DEADLINE_EXCEEDED, "Timeout", shared::Timeout());
  }
  return std::nullopt;
}

}  // namespace

Expectation BatchAppend(const wire::BatchAppendReq& request, ModelLog* log) {
  Expectation answer;
  answer.rule = "7.3: malformed; a requested deadline <= 0 fails at once";
  wire::BatchAppendResp reply;
  *reply.mutable_correlation_id() = request.correlation_id();
  *reply.mutable_stream_identifier() = request.options().stream_identifier();
  if (auto flaw = FlawOf(request, reply)) {
    answer.frames = {*flaw};
    return answer;
  }
  Proposal proposal{request.options().stream_identifier().stream_name(),
                    ExpectedOf(request.options()).value_or(kAny),
                    {}};
  for (const auto& message : request.proposed_messages()) {
    proposal.events.push_back(RecordOf(proposal.stream, message));
  }
  const Decision decision = Decide(*log, proposal);
  answer.rule = decision.why + "; 7.3";
  answer.shows = ShownBy(*log, proposal, decision);
  if (decision.kind == Kind::kUndecided) {
    return Undecided(decision.why);
  }
  if (decision.kind == Kind::kDeleted && !log->IsTombstoned(proposal.stream)) {
    return Undecided("7.3: BatchAppend with stream_exists to a soft-deleted stream");
  }
  if (decision.kind == Kind::kDeleted) {
    shared::StreamDeleted details;
    *details.mutable_stream_identifier() = request.options().stream_identifier();
    answer.frames = {ErrorText(reply, google::rpc::NOT_FOUND, "StreamDeleted", details)};
  } else if (decision.kind == Kind::kConflict) {
    answer.frames = {ErrorText(reply, google::rpc::ALREADY_EXISTS, "WrongExpectedVersion",
                               ConflictOf(*log, proposal))};
  } else {
    const std::string head =
        request.correlation_id().string() + " for " + Escape(proposal.stream) + ": ";
    answer.frames = {head + CarryOut(std::move(proposal), decision, log)};
  }
  return answer;
}

}  // namespace catchup::embedded::model
