// How clients come to the embedded log: where it listens, and what becomes of those for whom there
// is no room.
#include "host/source/embedded/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "host/source/embedded/log_server.h"
#include "tests/loopback.h"
#include "tests/source/embedded/log_client.h"
#include "tests/source/embedded/server_process.h"
#include "tests/test_files.h"

namespace catchup::embedded {
namespace {

using testing::HasSubstr;

using test::Child;
using test::LogClient;
namespace wire = test::wire;

// More than the limit that the tests below set, with what the server itself has open.
constexpr int kLimit = 64;
constexpr int kFlood = 2 * kLimit;

bool Await(const std::function<bool()>& condition) {
  const auto give_up = std::chrono::steady_clock::now() + test::kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

bool CanRead(const std::string& address) {
  LogClient client(address);
  std::vector<wire::ReadResp> frames;
  return client.Read(LogClient::ReadAll(), &frames).ok();
}

// A connection that says nothing.
UniqueFd ConnectTo(const std::string& address) {
  UniqueFd socket = test::ConnectToLoopback(address);
  EXPECT_TRUE(socket.valid());
  return socket;
}

// Whether the other side ends the connection within kPatience; what it says before that is nothing
// to anybody.
bool IsEnded(const UniqueFd& socket) {
  const timeval patience{test::kPatience.count(), 0};
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  std::array<char, 256> said{};
  ssize_t size = 0;
  do {
    size = ::recv(socket.get(), said.data(), said.size(), 0);
  } while (size > 0);
  return size == 0 || errno == ECONNRESET;
}

// A server with few descriptors, and more clients than it has descriptors for.
class FloodedServerTest : public testing::Test {
 protected:
  void SetUp() override {
    child_ = std::make_unique<Child>(folder_.path() / "log", folder_ / "errors");
    address_ = Child::Endpoint(folder_.path() / "log");
    ASSERT_FALSE(address_.empty());
  }

  std::string Said() const { return ReadFile(folder_ / "errors"); }

  void Flood() {
    const rlimit few{kLimit, kLimit};
    ASSERT_EQ(::prlimit(child_->pid(), RLIMIT_NOFILE, &few, nullptr), 0);
    for (int i = 0; i < kFlood; ++i) {
      flood_.push_back(ConnectTo(address_));
    }
    ASSERT_TRUE(Await([&] { return Count(Said(), "Clients wait to be accepted") == 1; })) << Said();
  }

  TemporaryFolder folder_;
  std::unique_ptr<Child> child_;
  std::string address_;
  std::vector<UniqueFd> flood_;
};

TEST_F(FloodedServerTest, AcceptsClientsAgainOnceThereAreDescriptors) {
  Flood();
  // One that comes now waits with the others, and is answered when they have gone.
  bool answered = false;
  std::thread early([&] { answered = CanRead(address_); });
  flood_.clear();
  early.join();
  EXPECT_TRUE(answered);
  EXPECT_TRUE(CanRead(address_));
  EXPECT_TRUE(Await([&] { return Count(Said(), "Clients are accepted again") == 1; })) << Said();
  EXPECT_EQ(Count(Said(), "Clients wait to be accepted"), 1) << Said();
  EXPECT_THAT(Said(), HasSubstr(address_));
  EXPECT_THAT(Said(), HasSubstr("(ulimit -n)"));
}

TEST_F(FloodedServerTest, ServesThoseItHasMeanwhile) {
  LogClient client(address_);
  client.MustAppend("orders", {{}});
  Flood();
  client.MustAppend("orders", {{}});
  std::vector<wire::ReadResp> frames;
  EXPECT_TRUE(client.Read(LogClient::ReadStream("orders"), &frames).ok());
  EXPECT_EQ(frames.size(), 2u);
}

TEST_F(FloodedServerTest, KeepsDescriptorsForOtherThings) {
  Flood();
  const std::string descriptors = "/proc/" + std::to_string(child_->pid()) + "/fd/";
  constexpr int kFirstKept = kLimit - kLimit / static_cast<int>(kKeptPart);
  EXPECT_TRUE(std::filesystem::is_symlink(descriptors + std::to_string(kFirstKept - 1)));
  // It takes one for the moment in which it looks for room.
  EXPECT_TRUE(Await([&] {
    bool free = true;
    for (int fd = kFirstKept; fd < kLimit; ++fd) {
      free = free && !std::filesystem::is_symlink(descriptors + std::to_string(fd));
    }
    return free;
  }));
}

TEST_F(FloodedServerTest, GoesOnWhereALimitIsLiftedAgain) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "without a free descriptor clang's -fsanitize=vptr finds no type of any object";
#endif
  rlimit before{};
  ASSERT_EQ(::prlimit(child_->pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit none{8, before.rlim_max};
  ASSERT_EQ(::prlimit(child_->pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  const UniqueFd waits = ConnectTo(address_);
  ASSERT_TRUE(Await([&] { return Count(Said(), "Clients wait to be accepted") == 1; })) << Said();
  ASSERT_EQ(::prlimit(child_->pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_TRUE(CanRead(address_));
}

Result<std::unique_ptr<EmbeddedServer>> StartAt(const std::filesystem::path& directory,
                                                const std::string& listen) {
  ServerOptions options;
  options.directory = directory;
  options.listen = *ParseListenAddress(listen);
  return EmbeddedServer::Start(options);
}

// A system that was made without an installer may have no /etc/hosts.
bool KnowsLocalhost() {
  addrinfo* found = nullptr;
  const bool known = ::getaddrinfo("localhost", nullptr, nullptr, &found) == 0;
  if (known) {
    ::freeaddrinfo(found);
  }
  return known;
}

TEST(ListenTest, ListensOnEveryAddressOfAName) {
  if (!KnowsLocalhost()) {
    GTEST_SKIP() << "this machine knows no address of localhost";
  }
  const TemporaryFolder folder;
  const auto server = StartAt(folder.path(), "localhost:0");
  ASSERT_TRUE(server.ok()) << server.status().message();
  const std::string port = (*server)->address().substr((*server)->address().rfind(':'));
  EXPECT_NE(port, ":0");
  EXPECT_TRUE(CanRead((*server)->endpoint()));
  EXPECT_TRUE(CanRead("127.0.0.1" + port));
}

TEST(ListenTest, ListensOnAllAddressesOfBothKinds) {
  const TemporaryFolder folder;
  const auto server = StartAt(folder.path(), "[::]:0");
  if (!server.ok()) {
    GTEST_SKIP() << "no IPv6: " << server.status().message();
  }
  EXPECT_TRUE(CanRead((*server)->endpoint()));
  EXPECT_TRUE(CanRead("127.0.0.1" + (*server)->address().substr((*server)->address().rfind(':'))));
}

// Measured on a node (section 3.10 of the notes): a process that is frozen loses its connection.
TEST(SilentClientTest, LosesItsConnectionWhereItAnswersNoPing) {
  const TemporaryFolder directory;
  ServerOptions options;
  options.directory = directory.path();
  options.keepalive = std::chrono::milliseconds(100);
  const auto server = EmbeddedServer::Start(options);
  ASSERT_TRUE(server.ok()) << server.status().message();
  const UniqueFd client = ConnectTo((*server)->address());
  // How HTTP/2 begins, with an empty frame of settings.
  constexpr std::string_view kHello("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
  ASSERT_EQ(::send(client.get(), kHello.data(), kHello.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(kHello.size()));

  EXPECT_TRUE(IsEnded(client));
}

TEST(ListenTest, RefusesAPortThatAnotherSocketListensOn) {
  const TemporaryFolder folder;
  const auto first = StartAt(folder.path() / "first", "127.0.0.1:0");
  ASSERT_TRUE(first.ok()) << first.status().message();
  const std::string port = (*first)->address().substr((*first)->address().rfind(':'));
  std::vector<std::string> hosts = {"127.0.0.1", "0.0.0.0"};
  if (KnowsLocalhost()) {
    hosts.push_back("localhost");
  }
  for (const std::string& host : hosts) {
    const std::string address = host + port;
    const auto second = StartAt(folder.path() / "second", address);
    ASSERT_FALSE(second.ok()) << address;
    EXPECT_EQ(second.status().code(), Status::Code::kUnavailable);
    EXPECT_EQ(second.status().message(), "listen on " + address +
                                             ": Address already in use: another socket listens "
                                             "there");
  }
}

TEST(ListenTest, RefusesAnAddressThatIsNoneOfThisMachine) {
  const TemporaryFolder folder;
  const auto server = StartAt(folder.path(), "192.0.2.1:0");
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.status().message(), "listen on 192.0.2.1:0: Cannot assign requested address");
}

TEST(ListenTest, TakesItsPortAgainAtOnce) {
  const TemporaryFolder folder;
  auto server = StartAt(folder.path(), "127.0.0.1:0");
  ASSERT_TRUE(server.ok()) << server.status().message();
  const std::string address = (*server)->address();
  LogClient client(address);
  client.MustAppend("orders", {{}});
  server->reset();
  server = StartAt(folder.path(), address);
  ASSERT_TRUE(server.ok()) << server.status().message();
  EXPECT_TRUE(CanRead(address));
}

// What a client is told first: the settings of HTTP/2 that the library's own listener would send.
TEST(ListenTest, BeginsAConnectionWithTheSettingsOfItsServer) {
  const TemporaryFolder folder;
  const auto server = StartAt(folder.path(), "127.0.0.1:0");
  ASSERT_TRUE(server.ok()) << server.status().message();
  const UniqueFd socket = ConnectTo((*server)->address());
  const std::string hello("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
  ASSERT_EQ(::write(socket.get(), hello.data(), hello.size()), static_cast<ssize_t>(hello.size()));
  std::string frame(9 + 30, 0);
  ASSERT_EQ(::recv(socket.get(), frame.data(), frame.size(), MSG_WAITALL),
            static_cast<ssize_t>(frame.size()));
  // SETTINGS of five numbers; the first is SETTINGS_MAX_CONCURRENT_STREAMS.
  EXPECT_EQ(frame.substr(0, 9), std::string("\0\0\x1e\4\0\0\0\0\0", 9));
  EXPECT_EQ(frame.substr(9, 6), std::string("\0\3\0\0\0\x64", 6));
}

// A node serves its pages at the same port; clients fall back to them where they miss a service.
TEST(ListenTest, EndsAConnectionThatSpeaksHttp1AndNoOther) {
  const TemporaryFolder folder;
  const auto server = StartAt(folder.path(), "127.0.0.1:0");
  ASSERT_TRUE(server.ok()) << server.status().message();
  LogClient client((*server)->address());
  client.MustAppend("orders", {{}});
  const UniqueFd socket = ConnectTo((*server)->address());
  constexpr std::string_view kRequest("GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_EQ(::send(socket.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(kRequest.size()));

  EXPECT_TRUE(IsEnded(socket));
  client.MustAppend("orders", {{}});
}

}  // namespace
}  // namespace catchup::embedded
