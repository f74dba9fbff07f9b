#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "host/base/status.h"

namespace catchup {

// By which certificates a server is believed, and which is shown to it. PEM files.
struct TlsOptions {
  // Whether the server's certificate must be of a CA below and for the host that is connected to.
  bool verify_server = true;

  // The CAs that are believed; empty: the system's.
  std::filesystem::path ca_file;

  // Ours and its key, both or neither.
  std::filesystem::path certificate_file;
  std::filesystem::path key_file;
};

// How to reach one server. The numbers are those of the protocol's official clients where they have
// one; tests shorten them.
struct ConnectionOptions {
  // "host:port"; an IPv6 address in brackets.
  std::string address;

  // Null: the connection is in the clear.
  std::optional<TlsOptions> tls;

  // The whole value of the `authorization` header, asked for at each call anew; null: none is sent.
  // Its failure ends the call as UNAUTHENTICATED. Any thread.
  std::function<Result<std::string>()> authorization;
  // What that comes from, for people.
  std::string credentials_origin;

  // Named in the server's log.
  std::string connection_name = "catchup";

  // A node that is not the leader refuses what it would read from its own log, which can be old.
  bool requires_leader = true;

  // An HTTP/2 ping after so much silence, and how long its answer may take. Sent
  // also while a subscription is paused, and without a limit: the servers that this is for do not
  // mind pings.
  // Null: no ping, and for the second: its answer is not waited for.
  std::optional<std::chrono::milliseconds> keepalive_time = std::chrono::seconds(10);
  std::optional<std::chrono::milliseconds> keepalive_timeout = std::chrono::seconds(10);

  // What connecting may take, from the first packet to the server's first word in HTTP/2, its
  // certificates between; then it is tried anew.
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(2);

  // The limit of every call that is not a subscription, and of each append.
  std::chrono::milliseconds deadline = std::chrono::seconds(10);
};

}  // namespace catchup
