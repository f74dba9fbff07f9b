#include "tests/source/cluster/users.h"

#include <optional>
#include <string_view>
#include <utility>

#include "host/source/proto/shared.pb.h"
#include "host/source/proto/streams.pb.h"

namespace catchup {
namespace {

namespace wire = event_store::client::streams;

// The bytes that `text` stands for in Base64; null if it is none.
std::optional<std::string> Decoded(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) {
    return std::nullopt;
  }
  while (text.ends_with('=')) {
    text.remove_suffix(1);
  }
  std::string bytes;
  unsigned value = 0;
  int bits = 0;
  for (const char c : text) {
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos) {
      return std::nullopt;
    }
    value = value << 6 | static_cast<unsigned>(digit);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<char>(value >> bits & 0xff));
    }
  }
  return bytes;
}

bool ReadsAll(const Front::Call& call) {
  wire::ReadReq request;
  return request.ParseFromString(call.message) && request.options().has_all();
}

// One of a BatchAppend, refused.
std::string AccessDenied(const std::string& message) {
  wire::BatchAppendReq request;
  wire::BatchAppendResp response;
  if (request.ParseFromString(message)) {
    *response.mutable_correlation_id() = request.correlation_id();
    *response.mutable_stream_identifier() = request.options().stream_identifier();
  }
  response.mutable_error()->set_code(google::rpc::PERMISSION_DENIED);
  response.mutable_error()->set_message("AccessDenied");
  response.mutable_error()->mutable_details()->PackFrom(event_store::client::AccessDenied());
  return response.SerializeAsString();
}

}  // namespace

Front::Rule AskForUsers(NodeUsers users) {
  return [users = std::move(users)](const Front::Call& call) -> Front::Fate {
    const auto denied = [] {
      return Front::Fate::End({grpc::StatusCode::PERMISSION_DENIED, "Access Denied"},
                              {{"exception", "access-denied"}});
    };
    const NodeUser* user = nullptr;
    if (const std::string header = call.Header("authorization"); !header.empty()) {
      const auto words = Decoded(header.starts_with("Basic ") ? header.substr(6) : "-");
      const auto colon = words ? words->find(':') : std::string::npos;
      if (colon == std::string::npos) {
        return Front::Fate::End(
            {grpc::StatusCode::UNKNOWN, "Received http2 header with status: 500"});
      }
      const auto found = users.find(words->substr(0, colon));
      if (found == users.end() || found->second.password != words->substr(colon + 1)) {
        return Front::Fate::End({grpc::StatusCode::UNAUTHENTICATED, "Unauthenticated"});
      }
      user = &found->second;
    }
    if (call.method.ends_with("/Read") && call.method.find("Streams") != std::string::npos) {
      const bool may = user != nullptr && (user->reads_all || !ReadsAll(call));
      return may ? Front::Fate() : denied();
    }
    if (call.method.ends_with("/BatchAppend") && (user == nullptr || !user->appends)) {
      Front::Fate fate;
      fate.answer = AccessDenied;
      return fate;
    }
    return {};
  };
}

}  // namespace catchup
