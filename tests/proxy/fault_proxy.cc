#include "tests/proxy/fault_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "host/base/check.h"
#include "host/base/host_port.h"

namespace catchup {
namespace {

using Clock = std::chrono::steady_clock;
using Direction = FaultProxy::Direction;
using End = FaultProxy::End;

// Taken and not passed on, in one direction of one connection: enough for any speed on loopback.
constexpr std::size_t kMostHeld = 256u << 10;
constexpr std::size_t kReadBytes = 64u << 10;

// A throttled direction moves in steps of this, so that a rate is one over any longer time.
constexpr std::chrono::milliseconds kThrottleStep{10};

// Between two looks whether a peer has all that was sent to it.
constexpr std::chrono::milliseconds kDrainLook{1};

constexpr std::size_t Index(Direction direction) { return static_cast<std::size_t>(direction); }
constexpr std::array<Direction, 2> kBoth = {Direction::kToServer, Direction::kToClient};

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// With the same flag on both, a second socket may be bound to the port of one that does not listen.
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

std::uint16_t PortOf(const std::string& server) {
  const auto parsed = ParseHostPort(server);
  CATCHUP_CHECK(parsed.ok() && parsed->port.has_value());
  return *parsed->port;
}

// The close that follows sends an RST.
void MakeReset(const UniqueFd& socket) {
  const linger at_once{1, 0};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

bool HasUnsent(const UniqueFd& socket) {
  int bytes = 0;
  return ::ioctl(socket.get(), SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

struct Chunk {
  Clock::time_point arrived;
  std::string bytes;
  std::size_t passed = 0;
};

// One direction of one connection.
struct Pipe {
  std::deque<Chunk> held;
  std::size_t held_bytes = 0;
  bool ended = false;      // The side it comes from says nothing any more.
  bool end_told = false;   // The other side knows.
  bool blocked = false;    // The other side takes no more at the moment.
  Clock::time_point next;  // When a throttled one goes on.
};

struct Connection {
  // Where each direction ends: [kToServer] is the server's side.
  std::array<UniqueFd, 2> sides;
  std::array<Pipe, 2> pipes;
  bool connecting = true;
  bool over = false;
  // Ends so once the peers have all that was passed on.
  std::optional<End> ending;
  // Nothing arrives, as where everything is swallowed.
  bool silent = false;
  // Ended in good order: whatever still comes is read and dropped, since a close would reset.
  bool draining = false;

  const UniqueFd& From(Direction direction) const { return sides[1 - Index(direction)]; }
  const UniqueFd& To(Direction direction) const { return sides[Index(direction)]; }

  void Reset() {
    for (const UniqueFd& side : sides) {
      MakeReset(side);
    }
    over = true;
  }
  void Fin() {
    for (const UniqueFd& side : sides) {
      (void)::shutdown(side.get(), SHUT_WR);
    }
    for (Pipe& pipe : pipes) {
      pipe.held.clear();
      pipe.held_bytes = 0;
    }
    draining = true;
  }
};

// What becomes of the connection that brings a direction's next bytes to `left`.
struct Cut {
  std::size_t left = 0;
  std::optional<End> end;  // Null: it falls silent.
};

}  // namespace

// All but the handing over of orders and counts belongs to the loop's thread.
class FaultProxy::Loop {
 public:
  explicit Loop(const std::string& server)
      : server_port_(PortOf(server)),
        reserved_(BindLoopback(0)),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    Listen();
  }

  std::uint16_t port() const { return PortOf(reserved_); }

  // Runs `order` on the loop's thread and waits until it has.
  void Do(std::function<void(Loop*)> order) {
    std::unique_lock lock(mutex_);
    order_ = std::move(order);
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
    changed_.wait(lock, [&] { return order_ == nullptr; });
  }

  Counts counts() const {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  bool Await(const std::function<bool(const Counts&)>& reached) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return reached(told_); });
  }

  void Run() {
    while (!stop_) {
      Wait();
      Obey();
      if (listener_.valid()) {
        TakeConnections();
      }
      for (Connection& connection : connections_) {
        Serve(&connection);
      }
      CloseOver();
      const std::lock_guard lock(mutex_);
      told_ = counts_;
      changed_.notify_all();
    }
  }

  // --- Orders. ---

  void Stop() {
    EndAll(End::kReset);
    stop_ = true;
  }
  void Set(Direction direction, const Fault& fault) { faults_[Index(direction)] = fault; }
  void EndAll(End end) {
    for (Connection& connection : connections_) {
      end == End::kFin ? connection.Fin() : connection.Reset();
    }
  }
  void CutAfter(Direction direction, const Cut& cut) { cuts_[Index(direction)] = cut; }
  void Refuse() { listener_ = UniqueFd(); }
  void Listen() {
    if (!listener_.valid()) {
      listener_ = BindLoopback(port());
      CATCHUP_CHECK(::listen(listener_.get(), SOMAXCONN) == 0);
    }
  }
  void Redirect(std::uint16_t port) { server_port_ = port; }
  void Heal() {
    faults_ = {};
    for (Connection& connection : connections_) {
      connection.silent = false;
    }
  }

 private:
  bool Swallows(const Connection& connection, Direction direction) const {
    return connection.silent || faults_[Index(direction)].kind == Fault::Kind::kSwallow;
  }
  bool MayRead(const Connection& connection, Direction direction) const {
    const Pipe& pipe = connection.pipes[Index(direction)];
    return !pipe.ended && pipe.held_bytes < kMostHeld &&
           (connection.draining || !Swallows(connection, direction));
  }

  // When the front of a pipe may go; null while it may not by time alone.
  std::optional<Clock::time_point> DueAt(const Connection& connection, Direction direction) const {
    const Pipe& pipe = connection.pipes[Index(direction)];
    const Fault& fault = faults_[Index(direction)];
    if (connection.connecting || connection.draining || connection.ending.has_value() ||
        pipe.blocked || pipe.held.empty() || Swallows(connection, direction)) {
      return std::nullopt;
    }
    switch (fault.kind) {
      case Fault::Kind::kDelay:
        return pipe.held.front().arrived + fault.delay;
      case Fault::Kind::kThrottle:
        return pipe.next;
      default:
        return Clock::time_point();
    }
  }

  void Wait();
  void Obey();
  void TakeConnections();
  void Serve(Connection* connection);
  void FinishConnecting(Connection* connection);
  void Read(Connection* connection, Direction direction);
  void PassOn(Connection* connection, Direction direction);
  std::size_t Portion(const Pipe& pipe, Direction direction) const;
  void Passed(Connection* connection, Direction direction, std::size_t bytes);
  void TellEnds(Connection* connection);
  void CloseOver();

  std::uint16_t server_port_;
  const UniqueFd reserved_;  // Keeps the port while nobody listens.
  const UniqueFd wake_;
  UniqueFd listener_;
  std::list<Connection> connections_;
  std::string scratch_ = std::string(kReadBytes, '\0');
  std::array<Fault, 2> faults_;
  std::array<std::optional<Cut>, 2> cuts_;
  Counts counts_;
  bool stop_ = false;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::function<void(Loop*)> order_;  // Under the lock, as the next.
  Counts told_;
};

// Asks only for what can be acted upon, so that no fault makes the loop spin.
void FaultProxy::Loop::Wait() {
  std::vector<pollfd> waits = {{wake_.get(), POLLIN, 0}};
  if (listener_.valid()) {
    waits.push_back({listener_.get(), POLLIN, 0});
  }
  std::optional<Clock::time_point> due;
  const auto consider = [&due](Clock::time_point when) { due = due ? std::min(*due, when) : when; };
  for (const Connection& connection : connections_) {
    std::array<int, 2> events{};
    for (const Direction direction : kBoth) {
      if (MayRead(connection, direction)) {
        events[1 - Index(direction)] |= POLLIN;
      }
      if (connection.pipes[Index(direction)].blocked) {
        events[Index(direction)] |= POLLOUT;
      }
      if (const auto when = DueAt(connection, direction)) {
        consider(*when);
      }
    }
    if (connection.connecting) {
      events[Index(Direction::kToServer)] = POLLOUT;
    }
    if (connection.ending.has_value()) {
      consider(Clock::now() + kDrainLook);
    }
    for (const Direction side : kBoth) {
      if (events[Index(side)] != 0) {
        waits.push_back({connection.sides[Index(side)].get(),
                         static_cast<std::int16_t>(events[Index(side)]), 0});
      }
    }
  }
  int wait_ms = -1;
  if (due.has_value()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - Clock::now());
    wait_ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
  }
  (void)::poll(waits.data(), waits.size(), wait_ms);
}

void FaultProxy::Loop::Obey() {
  std::uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof count);
  const std::lock_guard lock(mutex_);
  if (order_ != nullptr) {
    order_(this);
    // What the order closes is closed, and no longer counted, before its caller goes on.
    CloseOver();
    told_ = counts_;
    order_ = nullptr;
    changed_.notify_all();
  }
}

void FaultProxy::Loop::TakeConnections() {
  for (;;) {
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client.valid()) {
      return;
    }
    ++counts_.accepted;
    Connection& connection = connections_.emplace_back();
    UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    CATCHUP_CHECK(server.valid());
    const int on = 1;
    (void)::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)::setsockopt(server.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection.sides[Index(Direction::kToServer)] = std::move(server);
    connection.sides[Index(Direction::kToClient)] = std::move(client);
    const sockaddr_in address = Loopback(server_port_);
    if (::connect(connection.To(Direction::kToServer).get(),
                  reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
        errno != EINPROGRESS) {
      connection.Reset();
    }
  }
}

void FaultProxy::Loop::FinishConnecting(Connection* connection) {
  pollfd server = {connection->To(Direction::kToServer).get(), POLLOUT, 0};
  if (::poll(&server, 1, 0) != 1) {
    return;
  }
  int error = 0;
  socklen_t size = sizeof error;
  (void)::getsockopt(server.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  connection->connecting = false;
  if (error != 0) {
    connection->Reset();
  }
}

void FaultProxy::Loop::Serve(Connection* connection) {
  if (connection->connecting && !connection->over) {
    FinishConnecting(connection);
  }
  for (const Direction direction : kBoth) {
    connection->pipes[Index(direction)].blocked = false;
    if (!connection->over && MayRead(*connection, direction) &&
        !(connection->connecting && direction == Direction::kToClient)) {
      Read(connection, direction);
    }
    if (!connection->over) {
      PassOn(connection, direction);
    }
  }
  if (!connection->over) {
    TellEnds(connection);
  }
}

void FaultProxy::Loop::Read(Connection* connection, Direction direction) {
  Pipe& pipe = connection->pipes[Index(direction)];
  const ssize_t count =
      ::recv(connection->From(direction).get(), scratch_.data(), scratch_.size(), 0);
  if (count > 0 && !connection->draining) {
    const auto size = static_cast<std::size_t>(count);
    pipe.held_bytes += size;
    pipe.held.push_back({Clock::now(), scratch_.substr(0, size), 0});
  } else if (count == 0) {
    pipe.ended = true;
  } else if (count < 0 && errno != EAGAIN && errno != EINTR) {
    connection->Reset();
  }
}

// How much may go in one piece now.
std::size_t FaultProxy::Loop::Portion(const Pipe& pipe, Direction direction) const {
  const Fault& fault = faults_[Index(direction)];
  std::size_t portion = pipe.held.front().bytes.size() - pipe.held.front().passed;
  if (fault.kind == Fault::Kind::kSlice) {
    portion = 1;
  } else if (fault.kind == Fault::Kind::kThrottle) {
    constexpr std::size_t kSteps = std::chrono::seconds(1) / kThrottleStep;
    portion = std::min(portion, std::max<std::size_t>(fault.bytes_per_second / kSteps, 1));
  }
  if (const auto& cut = cuts_[Index(direction)]) {
    portion = std::min(portion, cut->left);
  }
  return portion;
}

void FaultProxy::Loop::PassOn(Connection* connection, Direction direction) {
  Pipe& pipe = connection->pipes[Index(direction)];
  for (;;) {
    const auto due = DueAt(*connection, direction);
    if (!due.has_value() || *due > Clock::now()) {
      return;
    }
    const Chunk& front = pipe.held.front();
    const std::size_t portion = Portion(pipe, direction);
    const ssize_t sent = ::send(connection->To(direction).get(), front.bytes.data() + front.passed,
                                portion, MSG_NOSIGNAL);
    if (sent < 0) {
      pipe.blocked = errno == EAGAIN || errno == EINTR;
      if (!pipe.blocked) {
        connection->Reset();
      }
      return;
    }
    Passed(connection, direction, static_cast<std::size_t>(sent));
    // Every byte a segment: the rest waits for the next round.
    if (faults_[Index(direction)].kind == Fault::Kind::kSlice) {
      return;
    }
  }
}

void FaultProxy::Loop::Passed(Connection* connection, Direction direction, std::size_t bytes) {
  Pipe& pipe = connection->pipes[Index(direction)];
  Chunk& front = pipe.held.front();
  front.passed += bytes;
  pipe.held_bytes -= bytes;
  if (front.passed == front.bytes.size()) {
    pipe.held.pop_front();
  }
  (direction == Direction::kToServer ? counts_.to_server : counts_.to_client) += bytes;
  const Fault& fault = faults_[Index(direction)];
  if (fault.kind == Fault::Kind::kThrottle) {
    const auto rate = static_cast<std::int64_t>(std::max<std::size_t>(fault.bytes_per_second, 1));
    pipe.next =
        std::max(pipe.next, Clock::now() - kThrottleStep) +
        std::chrono::nanoseconds(std::chrono::seconds(1)) * static_cast<std::int64_t>(bytes) / rate;
  }
  if (auto& cut = cuts_[Index(direction)]) {
    cut->left -= bytes;
    if (cut->left == 0) {
      connection->silent = !cut->end.has_value();
      connection->ending = cut->end;
      cut.reset();
    }
  }
}

void FaultProxy::Loop::TellEnds(Connection* connection) {
  if (connection->ending.has_value() && !connection->draining) {
    if (*connection->ending == End::kFin) {
      connection->Fin();
    } else if (!HasUnsent(connection->sides[0]) && !HasUnsent(connection->sides[1])) {
      connection->Reset();
    }
    return;
  }
  bool all = true;
  for (const Direction direction : kBoth) {
    Pipe& pipe = connection->pipes[Index(direction)];
    if (pipe.ended && !pipe.end_told && !connection->draining && pipe.held.empty() &&
        !connection->connecting && !Swallows(*connection, direction)) {
      (void)::shutdown(connection->To(direction).get(), SHUT_WR);
      pipe.end_told = true;
    }
    all = all && (connection->draining ? pipe.ended : pipe.end_told);
  }
  connection->over = all;
}

void FaultProxy::Loop::CloseOver() {
  std::erase_if(connections_, [](const Connection& connection) { return connection.over; });
  counts_.open = static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(), [](const Connection& connection) {
        return !connection.draining && !connection.ending.has_value();
      }));
  counts_.silent = static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(),
                    [](const Connection& connection) { return connection.silent; }));
}

FaultProxy::FaultProxy(const std::string& server) : loop_(std::make_unique<Loop>(server)) {
  port_ = loop_->port();
  thread_ = std::thread([loop = loop_.get()] { loop->Run(); });
}

FaultProxy::~FaultProxy() {
  loop_->Do([](Loop* loop) { loop->Stop(); });
  thread_.join();
}

void FaultProxy::Set(Direction direction, Fault fault) {
  loop_->Do([&](Loop* loop) { loop->Set(direction, fault); });
}

void FaultProxy::Set(Fault fault) {
  loop_->Do([&](Loop* loop) {
    loop->Set(Direction::kToServer, fault);
    loop->Set(Direction::kToClient, fault);
  });
}

void FaultProxy::EndAll(End end) {
  loop_->Do([end](Loop* loop) { loop->EndAll(end); });
}

void FaultProxy::CutAfter(Direction direction, std::size_t bytes, End end) {
  CATCHUP_CHECK(bytes > 0);
  loop_->Do([&](Loop* loop) { loop->CutAfter(direction, {bytes, end}); });
}

void FaultProxy::SilenceAfter(Direction direction, std::size_t bytes) {
  CATCHUP_CHECK(bytes > 0);
  loop_->Do([&](Loop* loop) { loop->CutAfter(direction, {bytes, std::nullopt}); });
}

void FaultProxy::Heal() {
  loop_->Do([](Loop* loop) { loop->Heal(); });
}

void FaultProxy::Refuse() {
  loop_->Do([](Loop* loop) { loop->Refuse(); });
}

void FaultProxy::Accept() {
  loop_->Do([](Loop* loop) { loop->Listen(); });
}

void FaultProxy::Redirect(const std::string& server) {
  const std::uint16_t port = PortOf(server);
  loop_->Do([port](Loop* loop) { loop->Redirect(port); });
}

FaultProxy::Counts FaultProxy::counts() const {
  // An order that does nothing: whatever a peer has seen already is counted once it is done.
  loop_->Do([](Loop*) {});
  return loop_->counts();
}

bool FaultProxy::Await(const std::function<bool(const Counts&)>& reached) const {
  return loop_->Await(reached);
}

}  // namespace catchup
