// What a test may rely on when it puts a FaultProxy between a client and its server. Both ends here
// are plain sockets of the test.
#include "tests/proxy/fault_proxy.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "host/base/unique_fd.h"
#include "tests/loopback.h"

namespace catchup {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Direction = FaultProxy::Direction;
using End = FaultProxy::End;

// Nothing here takes longer on a loaded machine; a wait this long has failed.
constexpr std::chrono::milliseconds kPatience{30'000};
// Nothing that should not come comes later than this in practice; too short only hides a defect.
constexpr std::chrono::milliseconds kSilence{50};

// One end of a connection.
class Peer {
 public:
  explicit Peer(UniqueFd socket) : socket_(std::move(socket)) {}

  static Peer ConnectTo(const std::string& address) {
    return Peer(test::ConnectToLoopback(address));
  }

  bool connected() const { return socket_.valid(); }

  void Send(const std::string& bytes) const {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n =
          ::send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      ASSERT_GT(n, 0) << std::strerror(errno);
      sent += static_cast<std::size_t>(n);
    }
  }

  // Takes what it can without waiting for room. Returns how much that was.
  std::size_t SendUntilFull() const {
    const std::string bytes(64u << 10, 'x');
    std::size_t sent = 0;
    for (;;) {
      pollfd room = {socket_.get(), POLLOUT, 0};
      if (::poll(&room, 1, static_cast<int>(kSilence.count())) == 0) {
        return sent;
      }
      const ssize_t n =
          ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0) {
        return sent;
      }
      sent += static_cast<std::size_t>(n);
    }
  }

  // Whether something has come, an end included.
  bool HasNews(std::chrono::milliseconds wait) const {
    pollfd news = {socket_.get(), POLLIN, 0};
    return ::poll(&news, 1, static_cast<int>(wait.count())) == 1;
  }

  // One read, as the sockets have it: what has come, "" at an end in good order, "RST" otherwise.
  std::string ReadOnce() const {
    if (!HasNews(kPatience)) {
      return "nothing";
    }
    std::string bytes(1u << 16, '\0');
    const ssize_t n = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (n < 0) {
      return errno == ECONNRESET ? "RST" : std::strerror(errno);
    }
    return bytes.substr(0, static_cast<std::size_t>(n));
  }

  // Exactly `size` bytes, or what came before an end.
  std::string Read(std::size_t size) const {
    std::string bytes;
    while (bytes.size() < size && HasNews(kPatience)) {
      std::string more(std::min<std::size_t>(size - bytes.size(), 64u << 10), '\0');
      const ssize_t n = ::recv(socket_.get(), more.data(), more.size(), 0);
      if (n <= 0) {
        break;
      }
      bytes.append(more, 0, static_cast<std::size_t>(n));
    }
    return bytes;
  }

  void FinishSending() const { ::shutdown(socket_.get(), SHUT_WR); }
  void Close() { socket_ = UniqueFd(); }

 private:
  UniqueFd socket_;
};

class Server {
 public:
  enum class Kind : std::uint8_t { kListening, kBound };

  explicit Server(Kind kind = Kind::kListening)
      : socket_(kind == Kind::kListening ? test::ListenOnLoopback() : test::BindLoopback(0)) {}

  std::string address() const { return test::AddressOf(socket_); }
  Peer Accept() const {
    pollfd caller = {socket_.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&caller, 1, static_cast<int>(kPatience.count())), 1);
    return Peer(UniqueFd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }
  bool HasCaller(std::chrono::milliseconds wait) const {
    pollfd caller = {socket_.get(), POLLIN, 0};
    return ::poll(&caller, 1, static_cast<int>(wait.count())) == 1;
  }

 private:
  UniqueFd socket_;
};

class FaultProxyTest : public testing::Test {
 protected:
  FaultProxyTest() : network_(server_.address()) {}

  // A connection through the proxy, both ends.
  std::pair<Peer, Peer> Connect() {
    Peer client = Peer::ConnectTo(network_.address());
    EXPECT_TRUE(client.connected());
    return {std::move(client), server_.Accept()};
  }

  Server server_;
  FaultProxy network_;
};

std::string Numbered(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>(i * 31 + i / 251);
  }
  return bytes;
}

TEST_F(FaultProxyTest, PassesEverythingBothWaysUntilItsEnd) {
  const auto [client, server] = Connect();
  const std::string there = Numbered(100'000);
  const std::string back = Numbered(70'001);
  client.Send(there);
  EXPECT_EQ(server.Read(there.size()), there);
  server.Send(back);
  EXPECT_EQ(client.Read(back.size()), back);
  client.FinishSending();
  EXPECT_EQ(server.ReadOnce(), "");
  // The other direction goes on.
  server.Send("late");
  EXPECT_EQ(client.ReadOnce(), "late");
  server.FinishSending();
  EXPECT_EQ(client.ReadOnce(), "");
  EXPECT_TRUE(network_.Await([](const auto& counts) { return counts.open == 0; }));
  EXPECT_EQ(network_.counts().accepted, 1u);
  EXPECT_EQ(network_.counts().to_server, there.size());
  EXPECT_EQ(network_.counts().to_client, back.size() + 4);
}

TEST_F(FaultProxyTest, CarriesSeveralConnectionsAtOnce) {
  const auto [a, a_server] = Connect();
  const auto [b, b_server] = Connect();
  a.Send("a");
  b.Send("b");
  EXPECT_EQ(b_server.ReadOnce(), "b");
  EXPECT_EQ(a_server.ReadOnce(), "a");
  EXPECT_EQ(network_.counts().accepted, 2u);
}

TEST_F(FaultProxyTest, PushesBackWhereNobodyReads) {
  const auto [client, server] = Connect();
  const std::size_t sent = client.SendUntilFull();
  EXPECT_GT(sent, 0u);
  EXPECT_EQ(server.Read(sent).size(), sent);
}

TEST_F(FaultProxyTest, DelaysOneDirection) {
  const auto [client, server] = Connect();
  network_.Set(Direction::kToServer, {.kind = Fault::Kind::kDelay, .delay = 300ms});
  const auto begin = Clock::now();
  client.Send("slow");
  server.Send("fast");
  EXPECT_EQ(client.ReadOnce(), "fast");
  EXPECT_EQ(server.ReadOnce(), "slow");
  EXPECT_GE(Clock::now() - begin, 300ms);
}

TEST_F(FaultProxyTest, WhatIsDelayedGoesAtOnceWhenTheDelayIsOver) {
  const auto [client, server] = Connect();
  network_.Set({.kind = Fault::Kind::kDelay, .delay = 1h});
  client.Send("held");
  EXPECT_FALSE(server.HasNews(kSilence));
  network_.Heal();
  EXPECT_EQ(server.ReadOnce(), "held");
}

TEST_F(FaultProxyTest, ThrottlesToARate) {
  const auto [client, server] = Connect();
  network_.Set(Direction::kToServer, {.kind = Fault::Kind::kThrottle, .bytes_per_second = 100'000});
  const auto begin = Clock::now();
  client.Send(std::string(40'000, 'x'));
  EXPECT_EQ(server.Read(40'000).size(), 40'000u);
  EXPECT_GE(Clock::now() - begin, 350ms);
}

TEST_F(FaultProxyTest, SlicesIntoSingleBytes) {
  const auto [client, server] = Connect();
  network_.Set(Direction::kToServer, {.kind = Fault::Kind::kSlice});
  const std::string bytes = Numbered(5'000);
  client.Send(bytes);
  EXPECT_EQ(server.Read(bytes.size()), bytes);
}

TEST_F(FaultProxyTest, SwallowsOneWayAndTellsNobodyOfAnEnd) {
  auto [client, server] = Connect();
  network_.Set(Direction::kToServer, {.kind = Fault::Kind::kSwallow});
  client.Send("lost?");
  server.Send("heard");
  EXPECT_EQ(client.ReadOnce(), "heard");
  client.Close();
  EXPECT_FALSE(server.HasNews(kSilence));
  // An outage that a connection outlives costs nothing.
  network_.Heal();
  EXPECT_EQ(server.ReadOnce(), "lost?");
}

TEST_F(FaultProxyTest, SwallowsBothWaysAlsoOnNewConnections) {
  network_.Set({.kind = Fault::Kind::kSwallow});
  const auto [client, server] = Connect();
  client.Send("a");
  server.Send("b");
  EXPECT_FALSE(client.HasNews(kSilence));
  EXPECT_FALSE(server.HasNews(kSilence));
  network_.Heal();
  EXPECT_EQ(server.ReadOnce(), "a");
  EXPECT_EQ(client.ReadOnce(), "b");
}

TEST_F(FaultProxyTest, EndsEveryConnectionInGoodOrder) {
  const auto [a, a_server] = Connect();
  const auto [b, b_server] = Connect();
  network_.Fin();
  EXPECT_EQ(network_.counts().open, 0u);
  for (const Peer* peer : {&a, &a_server, &b, &b_server}) {
    EXPECT_EQ(peer->ReadOnce(), "");
  }
}

TEST_F(FaultProxyTest, ResetsEveryConnection) {
  const auto [a, a_server] = Connect();
  const auto [b, b_server] = Connect();
  network_.Reset();
  EXPECT_EQ(network_.counts().open, 0u);
  for (const Peer* peer : {&a, &a_server, &b, &b_server}) {
    EXPECT_EQ(peer->ReadOnce(), "RST");
  }
  // And takes new ones.
  const auto [c, c_server] = Connect();
  c.Send("again");
  EXPECT_EQ(c_server.ReadOnce(), "again");
}

TEST_F(FaultProxyTest, ResetsWhatIsSwallowed) {
  network_.Set({.kind = Fault::Kind::kSwallow});
  const auto [client, server] = Connect();
  client.Send("x");
  network_.Reset();
  EXPECT_EQ(client.ReadOnce(), "RST");
  EXPECT_EQ(server.ReadOnce(), "RST");
}

TEST_F(FaultProxyTest, CutsBehindAByte) {
  for (const End end : {End::kFin, End::kReset}) {
    const auto [client, server] = Connect();
    network_.CutAfter(Direction::kToServer, 1'000, end);
    client.Send(Numbered(3'000));
    EXPECT_EQ(server.Read(3'000), Numbered(3'000).substr(0, 1'000));
    EXPECT_TRUE(network_.Await([](const auto& counts) { return counts.open == 0; }));
  }
  // Once: the next connection is whole.
  const auto [client, server] = Connect();
  client.Send(Numbered(3'000));
  EXPECT_EQ(server.Read(3'000), Numbered(3'000));
}

TEST_F(FaultProxyTest, CutsInTheDirectionThatIsNamed) {
  const auto [client, server] = Connect();
  network_.CutAfter(Direction::kToClient, 2, End::kReset);
  client.Send("question");
  EXPECT_EQ(server.Read(8), "question");
  server.Send("answer");
  EXPECT_EQ(client.Read(2), "an");
  EXPECT_EQ(client.ReadOnce(), "RST");
}

TEST_F(FaultProxyTest, SilencesOneConnectionOfAll) {
  const auto [client, server] = Connect();
  const auto [other, other_server] = Connect();
  network_.SilenceAfter(Direction::kToClient, 2);
  server.Send("answer");
  EXPECT_EQ(client.Read(2), "an");
  client.Send("question");
  EXPECT_FALSE(client.HasNews(kSilence));
  EXPECT_FALSE(server.HasNews(kSilence));
  other_server.Send("answer");
  EXPECT_EQ(other.Read(6), "answer");
  EXPECT_EQ(network_.counts().open, 2u);
  EXPECT_EQ(network_.counts().silent, 1u);
  network_.Heal();
  EXPECT_EQ(network_.counts().silent, 0u);
  EXPECT_EQ(client.Read(4), "swer");
  EXPECT_EQ(server.Read(8), "question");
}

TEST_F(FaultProxyTest, RefusesOnlyNewConnectionsAndKeepsItsPort) {
  const auto [client, server] = Connect();
  const std::string address = network_.address();
  network_.Refuse();
  EXPECT_FALSE(Peer::ConnectTo(address).connected());
  client.Send("still");
  EXPECT_EQ(server.ReadOnce(), "still");
  network_.Accept();
  EXPECT_EQ(network_.address(), address);
  const auto [next, next_server] = Connect();
  next.Send("new");
  EXPECT_EQ(next_server.ReadOnce(), "new");
}

TEST_F(FaultProxyTest, IsRefusedWhereTheServerIsNotThere) {
  const Server bound(Server::Kind::kBound);  // A port that nobody else takes, and nobody answers.
  network_.Redirect(bound.address());
  const Peer client = Peer::ConnectTo(network_.address());
  EXPECT_EQ(client.ReadOnce(), "RST");
}

TEST_F(FaultProxyTest, RedirectsNewConnectionsOnly) {
  const auto [old, old_server] = Connect();
  const Server other;
  network_.Redirect(other.address());
  const Peer fresh = Peer::ConnectTo(network_.address());
  const Peer fresh_server = other.Accept();
  fresh.Send("new");
  old.Send("old");
  EXPECT_EQ(fresh_server.ReadOnce(), "new");
  EXPECT_EQ(old_server.ReadOnce(), "old");
  EXPECT_FALSE(server_.HasCaller(0ms));
}

TEST_F(FaultProxyTest, AResetOfOneEndResetsTheOther) {
  auto [client, server] = Connect();
  client.Send("unread");
  EXPECT_TRUE(server.HasNews(kPatience));
  server.Close();  // With bytes unread, which makes it a reset.
  EXPECT_EQ(client.ReadOnce(), "RST");
}

}  // namespace
}  // namespace catchup
