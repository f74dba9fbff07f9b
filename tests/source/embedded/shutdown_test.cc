// How clients see a server stop. Measured on a node (section 3.14 of the notes): GOAWAY at once,
// then silence, and connections that still have calls are reset without a status.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/source/embedded/connections.h"
#include "tests/loopback.h"
#include "tests/source/embedded/served_log.h"

namespace catchup::embedded {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using test::LogClient;
using test::Subscription;

// Longer than any test may take: who waits for it fails.
constexpr std::chrono::hours kForever{1};

UniqueFd ConnectTo(const std::string& address) {
  UniqueFd socket = test::ConnectToLoopback(address);
  EXPECT_TRUE(socket.valid());
  const timeval patience{test::kPatience.count(), 0};
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  return socket;
}

// A client that has one call and tells each frame that it gets (RFC 9113, section 6). It answers no
// ping: what is sent to a connection that was reset would take the error that tells it.
class FrameClient {
 public:
  FrameClient(const std::string& address, const std::string& method, const std::string& message)
      : socket_(ConnectTo(address)) {
    std::string headers;
    for (const auto& [name, value] :
         std::vector<std::pair<std::string, std::string>>{{":method", "POST"},
                                                          {":scheme", "http"},
                                                          {":path", method},
                                                          {":authority", address},
                                                          {"te", "trailers"},
                                                          {"content-type", "application/grpc"}}) {
      headers += '\0' + Sized(name) + Sized(value);  // Neither indexed nor compressed (RFC 7541).
    }
    const std::string body = std::string(4, '\0') + Sized(message);
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, "") +
         Frame(kHeaders, kEndHeaders, kCall, headers) + Frame(kData, 0, kCall, body));
  }

  // What comes of the call and of its connection, from now on, until the connection is over:
  // "message", "headers", "reset CODE" of the call, "goaway CODE", and how it ended.
  std::vector<std::string> UntilTheEnd() {
    std::vector<std::string> heard;
    while (auto told = Next()) {
      if (!told->empty()) {
        heard.push_back(*told);
      }
    }
    heard.push_back(end_);
    return heard;
  }
  void AwaitMessages(int count) {
    while (count > 0) {
      const auto told = Next();
      ASSERT_TRUE(told.has_value()) << end_;
      count -= *told == "message" ? 1 : 0;
    }
  }

 private:
  static constexpr char kData = 0;
  static constexpr char kHeaders = 1;
  static constexpr char kReset = 3;
  static constexpr char kSettings = 4;
  static constexpr char kGoaway = 7;
  static constexpr char kAck = 1;
  static constexpr char kEndHeaders = 4;
  static constexpr char kCall = 1;

  // Nothing here is longer than a byte says.
  static std::string Sized(const std::string& text) {
    EXPECT_LT(text.size(), 0x7fu);
    return static_cast<char>(text.size()) + text;
  }
  static std::string Frame(char type, char flags, char call, const std::string& payload) {
    std::string frame(2, '\0');
    frame[1] = static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size());
    frame += type;
    frame += flags;
    return frame + std::string(3, '\0') + call + payload;
  }

  void Send(const std::string& bytes) const {
    (void)::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  bool Receive(std::size_t size, std::string* bytes) {
    bytes->resize(size);
    for (std::size_t got = 0; got < size;) {
      const ssize_t n = ::recv(socket_.get(), bytes->data() + got, size - got, 0);
      if (n <= 0) {
        end_ = n == 0 ? "closed" : errno == ECONNRESET ? "connection reset" : "nothing came";
        return false;
      }
      got += static_cast<std::size_t>(n);
    }
    return true;
  }

  // What the next frame says, empty if it is of no interest; none at the end.
  std::optional<std::string> Next() {
    std::string head;
    std::string payload;
    if (!Receive(9, &head)) {
      return std::nullopt;
    }
    const auto byte = [&head](std::size_t at) { return static_cast<unsigned char>(head[at]); };
    if (!Receive(std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2), &payload)) {
      return std::nullopt;
    }
    switch (head[3]) {
      case kData:
        return "message";
      case kHeaders:
        return "headers";
      case kReset:
        return "reset " + std::to_string(payload.at(3));
      case kGoaway:
        return "goaway " + std::to_string(payload.at(7));
      case kSettings:
        if ((head[4] & kAck) == 0) {
          Send(Frame(kSettings, kAck, 0, ""));
        }
        return "";
      default:
        return "";
    }
  }

  UniqueFd socket_;
  std::string end_;
};

class ShutdownTest : public ServedLogTest {
 protected:
  void SetUp() override { ServeWith(kDefaultShutdownGrace); }

  void ServeWith(std::chrono::milliseconds grace) {
    server_.reset();
    ServerOptions options;
    options.directory = directory_.path();
    options.shutdown_grace = grace;
    auto server = EmbeddedServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
    client_ = std::make_unique<LogClient>(server_->address());
  }
};

TEST_F(ShutdownTest, ResetsTheConnectionOfACallAndGivesItNoStatus) {
  FrameClient client(server_->address(), "/event_store.client.streams.Streams/Read",
                     LogClient::SubscribeAll().SerializeAsString());
  client.AwaitMessages(2);  // Confirmation, caught up.

  server_->Shutdown();

  EXPECT_THAT(client.UntilTheEnd(), ElementsAre("goaway 0", "connection reset"));
}

TEST_F(ShutdownTest, IsALostConnectionToAClientOfGrpc) {
  Subscription subscription(*client_, LogClient::SubscribeAll());
  ASSERT_TRUE(subscription.UntilCaughtUp().has_caught_up());

  server_->Shutdown();

  EXPECT_FALSE(subscription.NextEvent().has_value());
  const grpc::Status status = subscription.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("Connection reset by peer"));
}

TEST_F(ShutdownTest, DoesNotWaitForClientsWithoutCalls) {
  ServeWith(kForever);
  client_->MustAppend("orders", Some(1));

  server_->Shutdown();
}

// A loopback connection, as its two sides.
std::pair<UniqueFd, UniqueFd> Connected() {
  const UniqueFd listener = test::ListenOnLoopback();
  UniqueFd client = ConnectTo(test::AddressOf(listener));
  return {UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)), std::move(client)};
}

TEST(ConnectionsTest, LeavesAnotherFileAloneThatHasTheNumberOfOneThatIsClosed) {
  Connections connections;
  auto [before, peer_before] = Connected();
  connections.Add(before.get());
  auto [after, peer_after] = Connected();
  ASSERT_EQ(::dup3(after.get(), before.get(), O_CLOEXEC), before.get());

  connections.Reset();

  EXPECT_EQ(::send(before.get(), "x", 1, MSG_NOSIGNAL), 1);
  char byte = 0;
  EXPECT_EQ(::recv(peer_after.get(), &byte, 1, 0), 1);
}

}  // namespace
}  // namespace catchup::embedded
