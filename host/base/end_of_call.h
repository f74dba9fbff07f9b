#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace catchup {

// What the end of a call to a server means to whoever made it. There is no good end of a
// subscription: a server that closes the call in good order is a drop like any other.
enum class EndClass : std::uint8_t {
  kDropped,          // Transport, server restart, our own cancel.
  kNotReady,         // The server answers, and says that it cannot serve yet.
  kNotLeader,        // The server is not the leader that the call wants; see EndOfCall::leader.
  kCredentials,      // It does not know who asks.
  kRights,           // It knows, and the right is missing.
  kUnsupported,      // It has no such service or method.
  kBadRequest,       // It does not take the request.
  kTooLarge,         // A message is larger than either side takes.
  kInvalidPosition,  // It does not know the position asked for: no retry can help.
};

// Whether it stays so until somebody does something about it, so that a retry is slow and loud.
inline bool IsRefusal(EndClass kind) {
  switch (kind) {
    case EndClass::kCredentials:
    case EndClass::kRights:
    case EndClass::kUnsupported:
    case EndClass::kBadRequest:
    case EndClass::kTooLarge:
      return true;
    case EndClass::kDropped:
    case EndClass::kNotReady:
    case EndClass::kNotLeader:
    case EndClass::kInvalidPosition:
      return false;
  }
  return false;
}

// Whether it is for who asks, so that other credentials, or rights, may be all that is wanted.
inline bool IsRefusalOfAccess(EndClass kind) {
  return kind == EndClass::kCredentials || kind == EndClass::kRights;
}

// How a call to a server ended.
struct EndOfCall {
  EndClass kind = EndClass::kDropped;
  // A server has said something on this call: a message, a header or a trailer. False for what the
  // transport says by itself, as where nobody listens; such an end tells nothing of how busy a
  // server is.
  bool answered = false;
  // The server wants no other try before so long. Never negative.
  std::optional<std::chrono::nanoseconds> retry_after{};
  // kNotLeader: where the leader is, as "host:port", if the server knows.
  std::optional<std::string> leader{};
  int code = 0;      // The gRPC status code, 0 for a clean end.
  std::string text;  // Server, status name and detail, in one line.
};

}  // namespace catchup
