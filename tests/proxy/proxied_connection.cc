#include "tests/proxy/proxied_connection.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "host/base/check.h"

namespace catchup::proxy {
namespace {

// The close that follows sends an RST.
void MakeReset(const UniqueFd& socket) {
  const linger at_once{1, 0};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

UniqueFd BindLoopback(std::uint16_t port) {
  UniqueFd bound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  CATCHUP_CHECK(::setsockopt(bound.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
  const sockaddr_in address = Loopback(port);
  CATCHUP_CHECK(::bind(bound.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
                0);
  return bound;
}

std::uint16_t PortOf(const UniqueFd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  CATCHUP_CHECK(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

bool HasUnsent(const UniqueFd& socket) {
  int bytes = 0;
  return ::ioctl(socket.get(), SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

void Connection::FinishConnecting() {
  pollfd server = {To(FaultProxy::Direction::kToServer).get(), POLLOUT, 0};
  if (::poll(&server, 1, 0) != 1) {
    return;
  }
  int error = 0;
  socklen_t size = sizeof error;
  (void)::getsockopt(server.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  connecting = false;
  if (error != 0) {
    Reset();
  }
}

void Connection::Reset() {
  for (const UniqueFd& side : sides) {
    MakeReset(side);
  }
  over = true;
}

void Connection::Fin() {
  for (const UniqueFd& side : sides) {
    (void)::shutdown(side.get(), SHUT_WR);
  }
  for (Pipe& pipe : pipes) {
    pipe.held.clear();
    pipe.held_bytes = 0;
  }
  draining = true;
}

}  // namespace catchup::proxy
