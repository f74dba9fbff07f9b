#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <utility>

#include "host/base/check.h"
#include "host/base/host_port.h"
#include "host/base/unique_fd.h"

// Plain sockets of a test on 127.0.0.1. Any thread.

namespace catchup::test {

inline sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// Bound to `port`, or for 0 to one that is free; nobody is listened to yet. A second one may be
// bound to the port of one that does not listen. `flags` are those of socket(), beside
// close-on-exec.
inline UniqueFd BindLoopback(std::uint16_t port, int flags = 0) {
  UniqueFd bound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  const int on = 1;
  CATCHUP_CHECK(::setsockopt(bound.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
  const sockaddr_in address = Loopback(port);
  CATCHUP_CHECK(::bind(bound.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
                0);
  return bound;
}

inline UniqueFd ListenOnLoopback(std::uint16_t port = 0, int flags = 0) {
  UniqueFd listener = BindLoopback(port, flags);
  CATCHUP_CHECK(::listen(listener.get(), SOMAXCONN) == 0);
  return listener;
}

inline std::uint16_t PortOf(const UniqueFd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  CATCHUP_CHECK(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

// "127.0.0.1:PORT"
inline std::string AddressOf(const UniqueFd& socket) {
  return "127.0.0.1:" + std::to_string(PortOf(socket));
}

// Connected to "127.0.0.1:PORT"; invalid where nobody listens.
inline UniqueFd ConnectToLoopback(const std::string& address) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = Loopback(ParseHostPort(address)->port.value());
  const bool connected =
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  return connected ? std::move(socket) : UniqueFd();
}

}  // namespace catchup::test
