#include "tests/proxy/fault_proxy_loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/check.h"
#include "host/base/host_port.h"
#include "tests/loopback.h"

namespace catchup {
namespace {

using proxy::Chunk;
using proxy::Clock;
using proxy::Connection;
using proxy::Cut;
using proxy::HasUnsent;
using proxy::Index;
using proxy::Pipe;
using Direction = FaultProxy::Direction;
using End = FaultProxy::End;

// Taken and not passed on, in one direction of one connection: enough for any speed on loopback.
constexpr std::size_t kMostHeld = 256u << 10;

// A throttled direction moves in steps of this, so that a rate is one over any longer time.
constexpr std::chrono::milliseconds kThrottleStep{10};

// Between two looks whether a peer has all that was sent to it.
constexpr std::chrono::milliseconds kDrainLook{1};

constexpr std::array<Direction, 2> kBoth = {Direction::kToServer, Direction::kToClient};

std::uint16_t PortOfServer(const std::string& server) {
  const auto parsed = ParseHostPort(server);
  CATCHUP_CHECK(parsed.ok() && parsed->port.has_value());
  return *parsed->port;
}

}  // namespace

FaultProxy::Loop::Loop(const std::string& server)
    : server_port_(PortOfServer(server)),
      reserved_(test::BindLoopback(0)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  Listen();
}

std::uint16_t FaultProxy::Loop::port() const { return test::PortOf(reserved_); }

void FaultProxy::Loop::Do(std::function<void(Loop*)> order) {
  std::unique_lock lock(mutex_);
  order_ = std::move(order);
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  changed_.wait(lock, [&] { return order_ == nullptr; });
}

FaultProxy::Counts FaultProxy::Loop::counts() const {
  const std::lock_guard lock(mutex_);
  return told_;
}
bool FaultProxy::Loop::Await(const std::function<bool(const Counts&)>& reached) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return reached(told_); });
}

void FaultProxy::Loop::Run() {
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

void FaultProxy::Loop::Stop() {
  EndAll(End::kReset);
  stop_ = true;
}

void FaultProxy::Loop::EndAll(End end) {
  for (Connection& connection : connections_) {
    end == End::kFin ? connection.Fin() : connection.Reset();
  }
}

void FaultProxy::Loop::Listen() {
  if (!listener_.valid()) {
    listener_ = test::ListenOnLoopback(port(), SOCK_NONBLOCK);
  }
}

void FaultProxy::Loop::Redirect(const std::string& server) { server_port_ = PortOfServer(server); }

void FaultProxy::Loop::ResetCalls(std::uint32_t code) {
  for (Connection& connection : connections_) {
    connection.reset_calls = code;
  }
}

void FaultProxy::Loop::Heal() {
  faults_ = {};
  for (Connection& connection : connections_) {
    connection.silent = false;
  }
}

bool FaultProxy::Loop::Swallows(const Connection& connection, Direction direction) const {
  return connection.silent || faults_[Index(direction)].kind == Fault::Kind::kSwallow;
}

bool FaultProxy::Loop::MayRead(const Connection& connection, Direction direction) const {
  const Pipe& pipe = connection.pipes[Index(direction)];
  return !pipe.ended && pipe.held_bytes < kMostHeld &&
         (connection.draining || !Swallows(connection, direction));
}

std::optional<Clock::time_point> FaultProxy::Loop::DueAt(const Connection& connection,
                                                         Direction direction) const {
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
    connections_.emplace_back().Begin(std::move(client), server_port_);
  }
}

void FaultProxy::Loop::Serve(Connection* connection) {
  if (connection->connecting && !connection->over) {
    connection->FinishConnecting();
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
std::size_t FaultProxy::Loop::Portion(const Connection& connection, Direction direction) const {
  const Pipe& pipe = connection.pipes[Index(direction)];
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
  if (direction == Direction::kToClient && connection.reset_calls.has_value()) {
    portion = std::min(portion, connection.frames.left());
  }
  return portion;
}

// Once the frame under way is whole, before the next.
void FaultProxy::Loop::AddResets(Connection* connection) {
  if (!connection->reset_calls.has_value() || connection->frames.left() > 0) {
    return;
  }
  std::string resets;
  for (const std::uint32_t stream : connection->frames.answered()) {
    resets += Http2Frames::Reset(stream, *connection->reset_calls);
    ++counts_.calls_reset;
  }
  connection->reset_calls.reset();
  Pipe& pipe = connection->pipes[Index(Direction::kToClient)];
  if (!pipe.held.empty()) {
    Chunk& rest = pipe.held.front();
    rest.bytes.erase(0, std::exchange(rest.passed, 0));
  }
  if (!resets.empty()) {
    pipe.held_bytes += resets.size();
    pipe.held.push_front({Clock::now(), std::move(resets), 0});
  }
}

void FaultProxy::Loop::PassOn(Connection* connection, Direction direction) {
  Pipe& pipe = connection->pipes[Index(direction)];
  for (;;) {
    if (direction == Direction::kToClient) {
      AddResets(connection);
    }
    const auto due = DueAt(*connection, direction);
    if (!due.has_value() || *due > Clock::now()) {
      return;
    }
    const Chunk& front = pipe.held.front();
    const std::size_t portion = Portion(*connection, direction);
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
  if (direction == Direction::kToClient) {
    connection->frames.Take(std::string_view(front.bytes).substr(front.passed, bytes));
  }
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

}  // namespace catchup
