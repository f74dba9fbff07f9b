#include "host/source/client/call_status.h"

#include <fmt/core.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "host/base/host_port.h"
#include "host/base/number.h"
#include "host/base/text.h"
#include "host/source/client/retry_delay.h"

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

bool Says(const grpc::Status& status, std::string_view words) {
  return status.error_message().find(words) != std::string::npos;
}

// A text of the server's about the request, by what it says: subscriptions and single reads word an
// invalid position differently. In other codes the words would mean something else.
std::optional<EndClass> ClassByText(const grpc::Status& status) {
  // A call that is reset without a word. gRPC makes a status of HTTP/2's number for it, such as
  // RESOURCE_EXHAUSTED of ENHANCE_YOUR_CALM: nobody has looked at a message or at rights.
  if (Says(status, "Received RST_STREAM")) {
    return EndClass::kDropped;
  }
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::UNKNOWN:
      if (Says(status, "invalid position") || Says(status, "InvalidPosition")) {
        return EndClass::kInvalidPosition;
      }
      if (Says(status, "No leader info")) {
        return EndClass::kNotLeader;
      }
      return std::nullopt;
    case grpc::StatusCode::UNAVAILABLE:
      if (Says(status, "Not Ready") || Says(status, "not ready") || Says(status, "Too Busy")) {
        return EndClass::kNotReady;
      }
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

EndClass ClassOf(const grpc::Status& status, const grpc::ClientContext& context) {
  if (const auto said = ClassByText(status)) {
    return *said;
  }
  switch (status.error_code()) {
    case grpc::StatusCode::UNAUTHENTICATED:
      return EndClass::kCredentials;
    case grpc::StatusCode::PERMISSION_DENIED:
      return EndClass::kRights;
    case grpc::StatusCode::UNIMPLEMENTED:
      return EndClass::kUnsupported;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return EndClass::kBadRequest;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return EndClass::kTooLarge;
    case grpc::StatusCode::NOT_FOUND:
      return ServerException(context) == "not-leader" ? EndClass::kNotLeader : EndClass::kDropped;
    // What else is invalid speaks of a stream's state, which no subscription asks for.
    default:
      return EndClass::kDropped;
  }
}

// "host:port" of the leader, if the server knows it.
std::optional<std::string> Leader(const grpc::ClientContext& context) {
  const std::string_view host = Trailer(context, "leader-endpoint-host");
  const std::string_view port = Trailer(context, "leader-endpoint-port");
  if (host.empty() || port.empty()) {
    return std::nullopt;
  }
  std::string address = fmt::format("{}:{}", BracketedHost(std::string(host)), port);
  const auto parsed = ParseHostPort(address);
  return parsed.ok() && parsed->port.has_value() ? std::optional(std::move(address)) : std::nullopt;
}

// How long the server wants to be left alone, by either way of saying so. A negative number of
// milliseconds is meant for retries that gRPC makes by itself, and there are none.
std::optional<std::chrono::nanoseconds> RetryAfter(const grpc::ClientContext& context) {
  const auto ms = ParseNumber<std::int32_t>(Trailer(context, "grpc-retry-pushback-ms"));
  if (ms && *ms >= 0) {
    return std::chrono::milliseconds(*ms);
  }
  return RetryDelay(Trailer(context, "grpc-status-details-bin"));
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

std::string_view ServerException(const grpc::ClientContext& context) {
  return Trailer(context, "exception");
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
  const std::string_view exception = ServerException(context);
  if (exception.empty()) {
    return text;
  }
  text += " (" + Detail(exception);
  const std::string_view leader = Trailer(context, "leader-endpoint-host");
  if (!leader.empty()) {
    text += fmt::format(", the leader is {}:{}", BracketedHost(Detail(leader)),
                        Detail(Trailer(context, "leader-endpoint-port")));
  }
  return text + ")";
}

EndOfCall ClassifyEnd(std::string_view address, const grpc::Status& status,
                      const grpc::ClientContext& context, bool heard) {
  EndOfCall end;
  end.answered = heard;
  end.code = status.error_code();
  if (status.ok()) {
    end.text = std::string(address) + ": OK: the server ended the call";
    return end;
  }
  end.text = DescribeEnd(address, status, context);
  end.kind = ClassOf(status, context);
  // Everything but a drop is in the server's own words.
  end.answered = heard || end.kind != EndClass::kDropped;
  if (heard) {
    end.retry_after = RetryAfter(context);
  }
  if (end.kind == EndClass::kNotLeader) {
    end.leader = Leader(context);
  }
  return end;
}

Status ToStatus(std::string_view address, const grpc::Status& status,
                const grpc::ClientContext& context) {
  return {Meaning(status.error_code()), DescribeEnd(address, status, context)};
}

// A clean end that answered nothing is as good as none.
Status ToStatus(const EndOfCall& end) {
  return {
      end.code == 0 ? Status::Code::kUnavailable : Meaning(static_cast<grpc::StatusCode>(end.code)),
      end.text};
}

}  // namespace catchup
