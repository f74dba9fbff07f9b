#include "host/source/embedded/listener.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "host/base/log.h"
#include "host/base/shortage.h"
#include "host/base/wait.h"

namespace catchup::embedded {
namespace {

// The kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 4096;

// What was sent and is not acknowledged for so long ends a connection, as long as a keepalive ping
// is waited for.
constexpr int kUserTimeoutMs = 10'000;

// Between two looks for room. Begins short, for most shortages are; ends where a client that waits
// for a shortage of hours does not notice it, and nor does a processor.
constexpr int kFirstPauseMs = 10;
constexpr int kLongestPauseMs = 250;

// A name of several addresses gets one port for all of them. Port 0 may give one that is free on
// the first address only.
constexpr int kPortAttempts = 16;

constexpr std::string_view kMethod = "EmbeddedLog.Accept";

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

Result<Addresses> Resolve(const ListenAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  const int number = errno;
  if (error == 0) {
    return Addresses(found, ::freeaddrinfo);
  }
  const std::string what = fmt::format("listen address '{}'", address.text());
  if (error == EAI_SYSTEM) {
    return Status::FromErrno(what, number);
  }
  const std::string text = fmt::format("{}: {}", what, ::gai_strerror(error));
  if (error == EAI_MEMORY) {
    return Status::Exhausted(text);
  }
  return error == EAI_AGAIN ? Status::Unavailable(text) : Status::Invalid(text);
}

bool SetOption(int socket, int level, int name, int value) {
  return ::setsockopt(socket, level, name, &value, sizeof value) == 0;
}

// An address in use may be had later; a shortage passes, too.
Status Refusal(const ListenAddress& address, int number) {
  const std::string why = number == EADDRINUSE ? ": another socket listens there" : "";
  const Status status = Status::FromErrno("listen on " + address.text(), number);
  return {status.may_pass() ? status.code() : Status::Code::kUnavailable, status.message() + why};
}

std::uint16_t* PortIn(sockaddr_storage* name) {
  return name->ss_family == AF_INET6 ? &reinterpret_cast<sockaddr_in6*>(name)->sin6_port
                                     : &reinterpret_cast<sockaddr_in*>(name)->sin_port;
}

std::uint16_t PortOf(int socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  // A bound socket has a name.
  (void)::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(*PortIn(&name));
}

enum class Use : std::uint8_t { kBindOnly, kListen };

// Makes a socket with this address and port; 0, or errno. Connections inherit its options.
// SO_REUSEPORT stays off: two servers on one port would each get half of the clients.
int OpenSocket(const addrinfo& at, std::uint16_t port, Use use, UniqueFd* socket) {
  sockaddr_storage name{};
  std::memcpy(&name, at.ai_addr, at.ai_addrlen);
  *PortIn(&name) = htons(port);
  *socket = UniqueFd(::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = socket->get();
  const bool opened = socket->valid() && SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
                      SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
                      SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs) &&
                      // `[::]` is every address, those of IPv4 among them.
                      (at.ai_family != AF_INET6 || SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)) &&
                      ::bind(fd, reinterpret_cast<const sockaddr*>(&name), at.ai_addrlen) == 0 &&
                      (use == Use::kBindOnly || ::listen(fd, kBacklog) == 0);
  return opened ? 0 : errno;
}

// Whether this machine does not have the address, or addresses of its kind.
bool IsAbsent(int number) { return number == EADDRNOTAVAIL || number == EAFNOSUPPORT; }

bool IsSame(const addrinfo& a, const addrinfo& b) {
  return a.ai_addrlen == b.ai_addrlen && std::memcmp(a.ai_addr, b.ai_addr, a.ai_addrlen) == 0;
}

// One for each address of the name that this machine has, all with one port.
Result<std::vector<UniqueFd>> OpenSockets(const ListenAddress& address, const addrinfo* addresses,
                                          Use use) {
  std::vector<UniqueFd> sockets;
  std::uint16_t port = address.port;
  int absent = 0;
  for (const addrinfo* at = addresses; at != nullptr; at = at->ai_next) {
    const addrinfo* first = addresses;
    while (!IsSame(*first, *at)) {
      first = first->ai_next;
    }
    if (first != at) {
      continue;  // A name may give an address twice.
    }
    UniqueFd socket;
    const int error = OpenSocket(*at, port, use, &socket);
    if (error == 0) {
      port = PortOf(socket.get());
      sockets.push_back(std::move(socket));
    } else if (IsAbsent(error)) {
      absent = error;
    } else {
      return Refusal(address, error);
    }
  }
  if (sockets.empty()) {
    return Refusal(address, absent);
  }
  return sockets;
}

// What accept() fails with for one connection only, which is gone, or for none.
bool ConcernsOneConnection(int number) {
  switch (number) {
    case EINTR:
    case ECONNABORTED:
    case EPERM:  // A firewall's rule.
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

// Where the next descriptor is one of those that are kept, or there is none, says so. The kernel
// gives the lowest number that is free.
Status LookForRoom(int socket) {
  const UniqueFd next(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
  if (!next.valid()) {
    return Status::FromErrno("accept", errno);
  }
  // Where a filter forbids to look at the limit, accept() itself finds it.
  rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
  (void)::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t kept = std::min<rlim_t>(limit.rlim_cur / kKeptPart, kMostKept);
  if (static_cast<rlim_t>(next.get()) + kept >= limit.rlim_cur) {
    return Status::Exhausted(
        fmt::format("accept: the last {} of {} descriptors are kept for other things (ulimit -n)",
                    kept, limit.rlim_cur));
  }
  if (next.get() >= kMaxDescriptor) {
    return Status::Exhausted(
        fmt::format("accept: this process has {} descriptors in use, and takes no more connections",
                    kMaxDescriptor));
  }
  return {};
}

}  // namespace

Status CheckListenable(const ListenAddress& address) {
  CATCHUP_ASSIGN_OR_RETURN(const auto addresses, Resolve(address));
  return OpenSockets(address, addresses.get(), Use::kBindOnly).status();
}

Result<std::unique_ptr<Listener>> Listener::Open(const ListenAddress& address) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) {
    return Status::FromErrno(fmt::format("listen on {} (eventfd)", address.text()), errno);
  }
  CATCHUP_ASSIGN_OR_RETURN(const auto addresses, Resolve(address));
  auto sockets = OpenSockets(address, addresses.get(), Use::kListen);
  for (int attempt = 1; !sockets.ok() && address.port == 0 && attempt < kPortAttempts; ++attempt) {
    sockets = OpenSockets(address, addresses.get(), Use::kListen);
  }
  if (!sockets.ok()) {
    return sockets.status();
  }
  ListenAddress found{address.host, PortOf(sockets->front().get())};
  return std::unique_ptr<Listener>(
      new Listener(std::move(found), *std::move(sockets), std::move(wake)));
}

Listener::Listener(ListenAddress address, std::vector<UniqueFd> sockets, UniqueFd wake)
    : address_(std::move(address)), sockets_(std::move(sockets)), wake_(std::move(wake)) {
  for (const UniqueFd& socket : sockets_) {
    waits_.push_back({socket.get(), POLLIN, 0});
  }
  waits_.push_back({wake_.get(), POLLIN, 0});
}

Listener::~Listener() { Stop(); }

Status Listener::Start(Take take) {
  take_ = std::move(take);
  CATCHUP_ASSIGN_OR_RETURN(thread_, StartThread([this] { Run(); }));
  return {};
}

void Listener::Stop() {
  const std::uint64_t one = 1;
  // Fails only when as many wake-ups are pending as a counter holds.
  (void)!::write(wake_.get(), &one, sizeof one);
  if (thread_.joinable()) {
    thread_.join();
  }
  sockets_.clear();
}

void Listener::Run() {
  int pause_ms = kFirstPauseMs;
  while (true) {
    // What waits is not looked at while there is no room: it would be there at every look.
    const bool ends = short_ ? Pause(pause_ms) : AwaitClient();
    if (ends) {
      return;
    }
    const bool was_short = std::exchange(short_, !TakeAll());
    pause_ms = short_ && was_short ? std::min(2 * pause_ms, kLongestPauseMs) : kFirstPauseMs;
    if (was_short && !short_) {
      Log(LogLevel::kInfo, "Clients are accepted again", kMethod, "",
          {{"address", address_.text()}});
    }
  }
}

bool Listener::AwaitClient() {
  (void)PollOrPause(waits_.data(), waits_.size(), -1);
  return waits_.back().revents != 0;
}

bool Listener::Pause(int wait_ms) {
  (void)PollOrPause(&waits_.back(), 1, wait_ms);
  return waits_.back().revents != 0;
}

bool Listener::TakeAll() {
  for (const UniqueFd& socket : sockets_) {
    const Status taken = TakeFrom(socket.get());
    if (!taken.ok()) {
      if (!short_) {
        Log(LogLevel::kWarn, "Clients wait to be accepted", kMethod, "",
            {{"address", address_.text()}, {"reason", taken.message()}});
      }
      return false;
    }
  }
  return true;
}

Status Listener::TakeFrom(int socket) {
  // Somebody who connects without an end does not keep the thread from the other sockets, and from
  // the end.
  for (int i = 0; i < kBacklog; ++i) {
    CATCHUP_RETURN_IF_ERROR(LookForRoom(socket));
    UniqueFd connection(::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.valid()) {
      take_(std::move(connection));
    } else if (errno == EAGAIN) {
      return {};
    } else if (!ConcernsOneConnection(errno)) {
      return Status::FromErrno("accept", errno);
    }
  }
  return {};
}

}  // namespace catchup::embedded
