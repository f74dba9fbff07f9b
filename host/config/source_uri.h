#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "host/base/status.h"

namespace catchup {

inline constexpr std::uint16_t kDefaultServerPort = 2113;

// Where events come from or go to: a server, or an embedded log in a directory. A value type.
struct SourceUri {
  enum class Kind : std::uint8_t { kServer, kEmbedded };

  Kind kind = Kind::kServer;
  std::string host;  // kServer: a name, an IPv4 address, an IPv6 one without [].
  std::uint16_t port = kDefaultServerPort;  // kServer.
  std::filesystem::path path;               // kEmbedded: as written, so perhaps relative.

  // kServer: "host:port", an IPv6 address in brackets, as gRPC takes it. kEmbedded: empty.
  std::string target() const;
};

// Reads "kurrentdb://HOST[:PORT]?tls=false" (also esdb, kurrent and kdb) or "embedded:PATH".
//
// The rest of the servers' grammar is known and refused with a text that says what was found and
// what this version takes: TLS, discovery, several hosts, options. A user or password in it is
// refused and never repeated in the text. Fails with kInvalid; the text does not name the key or
// file that the value came from.
Result<SourceUri> ParseSourceUri(std::string_view text);

}  // namespace catchup
