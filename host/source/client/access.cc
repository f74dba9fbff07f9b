#include "host/source/client/access.h"

#include <fmt/core.h>

#include <string>

namespace catchup {
namespace {

constexpr std::string_view kNone =
    "no credentials were sent: wanted source.credentials_file, for an append --credentials-file, "
    "or CATCHUP_CREDENTIALS in the environment";

// All that a node says of a wrong password. The code's name says it already.
constexpr std::string_view kUnauthenticated = "Unauthenticated";

// As gRPC words an answer that is none of its own protocol.
bool IsServerError(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNKNOWN &&
         status.error_message().find("http2 header with status: 500") != std::string::npos;
}

std::string Unknown(std::string_view credentials) {
  return credentials.empty()
             ? std::string(kNone)
             : fmt::format(
                   "the server knows no such user and password: wanted those of a user of "
                   "it in {}",
                   credentials);
}

std::string NoRight(AccessTo access, std::string_view credentials) {
  if (credentials.empty()) {
    return std::string(kNone);
  }
  return access == AccessTo::kAll
             ? fmt::format(
                   "the user of {} may not read $all, which by default only members of "
                   "$admins do: wanted such a user, or its name or role under \"$r\" in the "
                   "metadata of $all",
                   credentials)
             : fmt::format(
                   "the user of {} has no right to do this with the stream: wanted one "
                   "that has",
                   credentials);
}

grpc::Status With(const grpc::Status& status, grpc::StatusCode code, const std::string& advice) {
  const std::string& text = status.error_message();
  return {code,
          text.empty() || text == kUnauthenticated ? advice : fmt::format("{}; {}", text, advice)};
}

}  // namespace

grpc::Status AdviseOnAccess(const grpc::Status& status, AccessTo access,
                            std::string_view credentials) {
  if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED ||
      (IsServerError(status) && !credentials.empty())) {
    return With(status, grpc::StatusCode::UNAUTHENTICATED, Unknown(credentials));
  }
  if (status.error_code() == grpc::StatusCode::PERMISSION_DENIED) {
    return With(status, status.error_code(), NoRight(access, credentials));
  }
  return status;
}

}  // namespace catchup
