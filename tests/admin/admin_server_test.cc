#include "host/admin/admin_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "host/admin/admin_client.h"
#include "host/admin/admin_socket.h"
#include "host/admin/limits.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How long a busy machine may take.
constexpr seconds kPatience{60};

// A server with a route that echoes and one whose answer the test gives.
class AdminServerTest : public ::testing::Test {
 protected:
  AdminServerTest() {
    Router router;
    router.Add("POST", "/echo", [](const Router::Call& call, const HttpReply& reply) {
      reply({200, "[" + call.request.body + "]", {}});
    });
    router.Add("POST", "/later", [this](const Router::Call&, const HttpReply& reply) {
      const std::lock_guard<std::mutex> lock(mutex_);
      replies_.push_back(reply);
      changed_.notify_all();
    });
    auto server = AdminServer::Start(folder_.path(), std::move(router));
    EXPECT_TRUE(server.ok()) << server.status().message();
    server_ = std::move(*server);
    EXPECT_TRUE(WaitForSocket());
  }

  bool WaitForSocket() {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!ConnectToAdminSocket(folder_.path()).ok()) {
      if (std::chrono::steady_clock::now() > deadline) {
        return false;
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
  }

  HttpReply WaitForReply(std::size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return replies_.size() >= count; }));
    return replies_.back();
  }

  Result<HttpResponse> Ask(const std::string& target, const std::string& body = "") {
    return AskHost(folder_.path(), {"POST", target, body, {}}, kPatience);
  }

  // A connection of the test's own.
  UniqueFd Connect() {
    auto fd = ConnectToAdminSocket(folder_.path());
    EXPECT_TRUE(fd.ok()) << fd.status().message();
    return fd.ok() ? *std::move(fd) : UniqueFd();
  }

  static void Send(const UniqueFd& fd, std::string_view bytes) {
    (void)::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  // Everything until the server lets go.
  static std::string ReadToEnd(const UniqueFd& fd) {
    std::string all;
    char bytes[4096];
    pollfd look{fd.get(), POLLIN, 0};
    while (::poll(&look, 1, static_cast<int>(milliseconds(kPatience).count())) > 0) {
      const ssize_t size = ::recv(fd.get(), bytes, sizeof bytes, 0);
      if (size <= 0) {
        return all;
      }
      all.append(bytes, static_cast<std::size_t>(size));
    }
    ADD_FAILURE() << "the server holds the connection";
    return all;
  }

  const TemporaryFolder folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HttpReply> replies_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, AnswersOverTheSocket) {
  const auto response = Ask("/echo", "some body");
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "[some body]\n");
}

TEST_F(AdminServerTest, AnAnswerMayComeLaterFromAnyThreadAndOnce) {
  std::thread answers([this] {
    const HttpReply reply = WaitForReply(1);
    reply({202, "{}", {}});
    reply({500, "{}", {}});
  });
  const auto response = Ask("/later");
  answers.join();
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(response->status, 202);
}

TEST_F(AdminServerTest, WhatIsNoRequestGetsAnErrorAndTheNextOneIsServed) {
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\r\n\r\n\x01\x02 nonsense\r\n\r\n", "400"},
      {"GET\r\n\r\n", "400"},
      {"\x16\x03\x01\x02\x00\x01\x00", "400"},  // TLS.
      {head + "Content-Length: 99999999999999999999999\r\n\r\n", "400"},
      {head + "Content-Length: 1000000\r\n\r\n" + std::string(70'000, 'x'), "413"},
      {head + "Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + std::string(70'000, 'x'), "413"},
      {head + "X: " + std::string(20'000, 'x') + "\r\n\r\n", "431"},
      {"GET /none HTTP/1.1\r\n\r\n", "404"},
      {"GET /echo HTTP/1.1\r\n\r\n", "405"},
  };
  for (const auto& [bytes, status] : cases) {
    const UniqueFd fd = Connect();
    Send(fd, bytes);
    const std::string answer = ReadToEnd(fd);
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 " + status) << bytes.substr(0, 60) << answer;
    EXPECT_NE(answer.find("\r\n\r\n{\"error\":\""), std::string::npos) << answer;
  }
  EXPECT_TRUE(Ask("/echo").ok());
}

TEST_F(AdminServerTest, ARequestOfTheMostBytesIsTaken) {
  const auto most = Ask("/echo", std::string(kMaxRequestBytes - kMaxRequestHeadBytes, 'x'));
  ASSERT_TRUE(most.ok()) << most.status().message();
  EXPECT_EQ(most->status, 200);
  const auto more = Ask("/echo", std::string(kMaxRequestBytes + 1, 'x'));
  ASSERT_TRUE(more.ok()) << more.status().message();
  EXPECT_EQ(more->status, 413);
}

TEST_F(AdminServerTest, ASilentClientIsLetGo) {
  const UniqueFd silent = Connect();
  const UniqueFd slow = Connect();
  Send(slow, "POST /echo HTTP/1.1\r\nContent-Le");
  EXPECT_EQ(ReadToEnd(silent), "");
  EXPECT_EQ(ReadToEnd(slow), "");
}

TEST_F(AdminServerTest, ClientsThatSendNothingKeepNobodyOut) {
  std::vector<UniqueFd> silent;
  for (std::size_t i = 0; i < 3 * kMaxConnections; ++i) {
    silent.push_back(Connect());
  }
  const auto response = Ask("/echo");
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(response->status, 200);
}

TEST_F(AdminServerTest, AClientThatLeavesBeforeItsAnswerCostsNothing) {
  {
    const UniqueFd fd = Connect();
    Send(fd, "POST /later HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    (void)WaitForReply(1);
  }
  WaitForReply(1)({200, std::string(1'000'000, 'x'), {}});
  EXPECT_TRUE(Ask("/echo").ok());
}

TEST_F(AdminServerTest, AnAnswerAfterItsEndIsForNobody) {
  const UniqueFd fd = Connect();
  Send(fd, "POST /later HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
  const HttpReply reply = WaitForReply(1);
  server_.reset();
  EXPECT_EQ(ReadToEnd(fd), "");
  reply({200, "{}", {}});
  EXPECT_EQ(Ask("/echo").status().code(), Status::Code::kNotFound);
}

TEST_F(AdminServerTest, AClientHearsThatTheHostEnded) {
  std::thread ends([this] {
    (void)WaitForReply(1);
    server_.reset();
  });
  const auto response = Ask("/later");
  ends.join();
  EXPECT_EQ(response.status().code(), Status::Code::kCancelled);
}

TEST_F(AdminServerTest, ASocketThatWasRemovedIsMadeAgain) {
  ASSERT_TRUE(std::filesystem::remove(folder_ / "admin.sock"));
  EXPECT_TRUE(WaitForSocket());
  EXPECT_TRUE(Ask("/echo").ok());
}

// A name that is taken is no reason to end; once it is free the socket is there.
TEST(AdminServerStartTest, WaitsForItsName) {
  const TemporaryFolder folder;
  WriteFile(folder / "admin.sock", "precious");
  const auto server = AdminServer::Start(folder.path(), Router());
  ASSERT_TRUE(server.ok()) << server.status().message();
  std::filesystem::rename(folder / "admin.sock", folder / "moved");
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!ConnectToAdminSocket(folder.path()).ok() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_TRUE(ConnectToAdminSocket(folder.path()).ok());
}

}  // namespace
}  // namespace catchup
