#include "tests/proxy/proxied_connection.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "host/base/check.h"
#include "tests/loopback.h"

namespace catchup::proxy {
namespace {

// The close that follows sends an RST.
void MakeReset(const UniqueFd& socket) {
  const linger at_once{1, 0};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

bool HasUnsent(const UniqueFd& socket) {
  int bytes = 0;
  return ::ioctl(socket.get(), SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

void Connection::Begin(UniqueFd client, std::uint16_t port) {
  UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  CATCHUP_CHECK(server.valid());
  const int on = 1;
  (void)::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)::setsockopt(server.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const sockaddr_in address = test::Loopback(port);
  const bool refused =
      ::connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS;
  sides[Index(FaultProxy::Direction::kToServer)] = std::move(server);
  sides[Index(FaultProxy::Direction::kToClient)] = std::move(client);
  if (refused) {
    Reset();
  }
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
