#include "host/source/client/call_status.h"

#include <fmt/core.h>

#include <array>

#include "host/base/text.h"

namespace catchup {
namespace {

// A detail is text of somebody else's: as much as a log line bears.
constexpr std::size_t kMaxDetailBytes = 1024;

std::string_view Trailer(const grpc::ClientContext& context, const char* name) {
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto found = trailers.find(name);
  if (found == trailers.end()) {
    return {};
  }
  return {found->second.data(), found->second.size()};
}

std::string Detail(std::string_view text) { return OneLine(text, kMaxDetailBytes); }

// What the code of a call that failed says of it.
Status::Code Meaning(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED:
      return Status::Code::kDenied;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ALREADY_EXISTS:
      return Status::Code::kInvalid;
    case grpc::StatusCode::UNIMPLEMENTED:
      return Status::Code::kIncompatible;
    case grpc::StatusCode::CANCELLED:
      return Status::Code::kCancelled;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Status::Code::kExhausted;
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::DATA_LOSS:
      return Status::Code::kInternal;
    // INTERNAL is also what a connection reset in the middle of a message is called, and NOT_FOUND
    // is a node that has stopped being the leader.
    default:
      return Status::Code::kUnavailable;
  }
}

bool SaysInvalidPosition(const grpc::Status& status) {
  // Subscriptions and single reads word it differently. Only these two codes carry a text of the
  // server's about the request; in others the words would mean something else.
  if (status.error_code() != grpc::StatusCode::INVALID_ARGUMENT &&
      status.error_code() != grpc::StatusCode::UNKNOWN) {
    return false;
  }
  return status.error_message().find("invalid position") != std::string::npos ||
         status.error_message().find("InvalidPosition") != std::string::npos;
}

}  // namespace

std::string StatusName(int code) {
  static constexpr std::array<std::string_view, 17> kNames = {"OK",
                                                              "CANCELLED",
                                                              "UNKNOWN",
                                                              "INVALID_ARGUMENT",
                                                              "DEADLINE_EXCEEDED",
                                                              "NOT_FOUND",
                                                              "ALREADY_EXISTS",
                                                              "PERMISSION_DENIED",
                                                              "RESOURCE_EXHAUSTED",
                                                              "FAILED_PRECONDITION",
                                                              "ABORTED",
                                                              "OUT_OF_RANGE",
                                                              "UNIMPLEMENTED",
                                                              "INTERNAL",
                                                              "UNAVAILABLE",
                                                              "DATA_LOSS",
                                                              "UNAUTHENTICATED"};
  if (code < 0 || code >= static_cast<int>(kNames.size())) {
    return fmt::format("status {}", code);
  }
  return std::string(kNames[static_cast<std::size_t>(code)]);
}

std::string DescribeEnd(std::string_view address, const grpc::Status& status,
                        const grpc::ClientContext& context) {
  std::string text(address);
  text += ": ";
  text += StatusName(status.error_code());
  if (!status.error_message().empty()) {
    text += ": " + Detail(status.error_message());
    // What OpenSSL calls bytes that are no TLS.
    if (status.error_message().find("wrong version number") != std::string::npos) {
      text +=
          " (it answers in the clear: wanted tls=false in the connection string, or a port with "
          "TLS)";
    }
  }
  const std::string_view exception = Trailer(context, "exception");
  if (exception.empty()) {
    return text;
  }
  text += " (" + Detail(exception);
  const std::string_view leader = Trailer(context, "leader-endpoint-host");
  if (!leader.empty()) {
    text += fmt::format(", the leader is {}:{}", Detail(leader),
                        Detail(Trailer(context, "leader-endpoint-port")));
  }
  return text + ")";
}

EndOfCall ClassifyEnd(std::string_view address, const grpc::Status& status,
                      const grpc::ClientContext& context) {
  if (status.ok()) {
    return {EndKind::kDropped, status.error_code(),
            std::string(address) + ": OK: the server ended the subscription"};
  }
  EndOfCall end{EndKind::kDropped, status.error_code(), DescribeEnd(address, status, context)};
  if (SaysInvalidPosition(status)) {
    end.kind = EndKind::kInvalidPosition;
    return end;
  }
  // What else is invalid speaks of a stream's state, which no subscription asks for.
  const Status::Code meaning = Meaning(status.error_code());
  if (meaning == Status::Code::kDenied || meaning == Status::Code::kIncompatible ||
      status.error_code() == grpc::StatusCode::INVALID_ARGUMENT) {
    end.kind = EndKind::kRefused;
  }
  return end;
}

Status ToStatus(std::string_view address, const grpc::Status& status,
                const grpc::ClientContext& context) {
  return {Meaning(status.error_code()), DescribeEnd(address, status, context)};
}

}  // namespace catchup
