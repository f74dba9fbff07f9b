#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/status.h"
#include "host/config/connection_settings.h"

namespace catchup {

inline constexpr std::uint16_t kDefaultServerPort = 2113;

// Nobody names more nodes than this; a cluster tells of the others itself.
inline constexpr std::size_t kMaxServers = 64;

// One server of a connection string.
struct ServerAddress {
  std::string host;  // A name, an IPv4 address, an IPv6 one without [].
  std::uint16_t port = kDefaultServerPort;

  // "host:port", an IPv6 address in brackets, as gRPC takes it.
  std::string target() const;

  friend bool operator==(const ServerAddress&, const ServerAddress&) = default;
};

// Where events come from or go to: a server, a cluster of them, or an embedded log in a directory.
// A value type, without any secret.
struct SourceUri {
  enum class Kind : std::uint8_t { kServer, kEmbedded };

  Kind kind = Kind::kServer;
  std::vector<ServerAddress> servers;  // kServer: at least one, each once, in the order written.
  // kServer: the servers are asked for the nodes of their cluster. Else there is one, and that is
  // the one to connect to.
  bool discover = false;
  ConnectionSettings settings;        // kEmbedded: without TLS, the others as they are by default.
  std::filesystem::path path;         // kEmbedded: as written, so perhaps relative.
  std::vector<std::string> warnings;  // What is valid and still likely a mistake.

  // Of the first server; empty where there is none.
  std::string target() const;
  // Of all of them, "a:2113, b:2113".
  std::string targets() const;
};

// Reads "embedded:PATH", or a connection string as the servers' own clients take them:
//
//   SCHEME://HOST[:PORT][,HOST[:PORT]…][/][?KEY=VALUE[&KEY=VALUE]…]
//
// SCHEME is kurrentdb, esdb, kurrent or kdb, each also with "+discover", which goes with one host:
// a name that stands for all nodes. A HOST that is an IPv6 address stands in brackets. The options
// are those of connection_settings.h.
//
// A user or password in it is refused and never repeated in the text. Fails with kInvalid; the text
// does not name the key or file that the value came from.
Result<SourceUri> ParseSourceUri(std::string_view text);

}  // namespace catchup
