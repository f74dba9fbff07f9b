#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "host/base/host_port.h"
#include "host/source/embedded/log_server.h"
#include "tests/e2e/harness.h"
#include "tests/proxy/fault_proxy.h"
#include "tests/source/cluster/front.h"

// The real program at a single node that stops and starts again (protocol notes, 3.14).

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

// Much longer than everything that the host waits for, at the speed of these tests: as long as the
// 5 s of a node to a host.
constexpr int kSpeed = 10;
constexpr std::chrono::milliseconds kSilence{1'000};

class NodeLifeTest : public testing::Test {
 protected:
  NodeLifeTest() { site_.UseTestProgram(kSpeed); }

  std::unique_ptr<embedded::EmbeddedServer> Serve(const std::string& address = "127.0.0.1:0") {
    embedded::ServerOptions options;
    options.directory = site_.file("log");
    options.listen = *ParseListenAddress(address);
    options.shutdown_grace = kSilence;
    return *embedded::EmbeddedServer::Start(options);
  }
  std::unique_ptr<Process> Run(const std::string& address) {
    site_.Configure(JsonlGroup("copy"), "kurrentdb://" + address + "?tls=false");
    return site_.Start({"run", "host.toml"});
  }
  void ExpectOneMore(embedded::EmbeddedServer* log, Process* host) {
    ASSERT_TRUE(log->Seed("s", "x", "{}").ok());
    wanted_.push_back("s@" + std::to_string(wanted_.size()) + " x");
    EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() >= wanted_.size(); }))
        << host->Errors();
    EXPECT_EQ(Written(site_, "copy"), wanted_);
  }
  static void ExpectStops(Process* host) {
    host->Signal(SIGTERM);
    EXPECT_EQ(host->Wait(), 0) << host->Errors();
  }

  Site site_;
  std::vector<std::string> wanted_;
};

// [M], SIGTERM: GOAWAY at once, the calls open and silent for 5 s, then a connection that is reset.
TEST_F(NodeLifeTest, ANodeThatStopsInGoodOrderCostsNoEventAndRepeatsNone) {
  auto log = Serve();
  const std::string address = log->address();
  const auto host = Run(address);
  ExpectOneMore(log.get(), host.get());

  log->Shutdown();
  ASSERT_TRUE(host->WaitForLog("Subscription dropped", "copy"));
  log = Serve(address);
  ExpectOneMore(log.get(), host.get());

  const auto dropped = host->Log().With("Subscription dropped", "copy");
  EXPECT_THAT(dropped.front().at("reason"), HasSubstr("Connection reset by peer"))
      << host->Errors();
  EXPECT_EQ(host->Log().With("Runner started", "copy").size(), 1u);
  ExpectStops(host.get());
}

// [M], starting: connections are refused, then reads end as "Server Is Not Ready", those that do
// not require the leader, too, until the node is the leader.
TEST_F(NodeLifeTest, ANodeThatStartsIsWaitedForAndReadOnceItIsReady) {
  const auto log = Serve();
  Front front(log->address());
  front.SetRule([](const Front::Call& call) {
    return call.method.find(".Streams/") == std::string::npos
               ? Front::Fate()
               : Front::Fate::End({grpc::StatusCode::UNAVAILABLE, "Server Is Not Ready"});
  });
  FaultProxy port(front.address());
  port.Refuse();
  const auto host = Run(port.address());
  ASSERT_TRUE(host->WaitForLog("Subscription dropped", "copy"));
  EXPECT_THAT(host->Log().Last("Subscription dropped", "copy", "reason"),
              HasSubstr("Connection refused"));

  port.Accept();
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log()
               .Last("Subscription dropped", "copy", "reason")
               .find("UNAVAILABLE: Server Is Not Ready") != std::string::npos;
  })) << host->Errors();
  EXPECT_EQ(host->Log().Last("State changed", "copy", "state"), "waiting");

  front.SetRule([](const Front::Call&) { return Front::Fate(); });
  ExpectOneMore(log.get(), host.get());
  ExpectStops(host.get());
}

}  // namespace
}  // namespace catchup::e2e
