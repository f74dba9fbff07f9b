#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/status.h"

namespace catchup {

// A host and a port as text has them, "HOST[:PORT]": a name, an IPv4 address, or an IPv6 address in
// brackets.
struct HostPort {
  std::string host;  // Without brackets.
  std::optional<std::uint16_t> port;
};

// kInvalid for anything else; the text names what is wrong and not where it came from.
Result<HostPort> ParseHostPort(std::string_view text);

// An IPv6 address in brackets, any other host as it is.
std::string BracketedHost(const std::string& host);

// Where a server listens.
struct ListenAddress {
  std::string host;        // Without brackets.
  std::uint16_t port = 0;  // 0: any free one.

  // "host:port", an IPv6 address in brackets.
  std::string text() const;
};

// The same with a port, which may be 0.
Result<ListenAddress> ParseListenAddress(std::string_view text);

}  // namespace catchup
