#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "tests/e2e/harness.h"

// Signals that ask a host for nothing, and who sent those that do.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::chrono::seconds kStopLimit{10};

std::vector<int> IdleSignals() {
  std::vector<int> idle = {SIGUSR1,   SIGUSR2,  SIGHUP,  SIGALRM, SIGVTALRM,
                           SIGPROF,   SIGIO,    SIGPIPE, SIGXFSZ, SIGPWR,
                           SIGSTKFLT, SIGWINCH, SIGURG,  SIGCHLD, SIGCONT};
  for (const int number : {SIGRTMIN, SIGRTMIN + 7, SIGRTMAX}) {
    idle.push_back(number);
  }
  // The library's own, which it keeps below those.
  idle.push_back(32);
  idle.push_back(33);
  return idle;
}

class SignalTest : public testing::Test {
 protected:
  void SetUp() override {
    site_.Configure(JsonlGroup("copy"));
    site_.Append({EventLine("s", "one")});
  }
  Site site_;
};

TEST_F(SignalTest, SignalsWithoutMeaningDoNotEndAHost) {
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 1; })) << host->Errors();
  for (const int number : IdleSignals()) {
    host->Signal(number);
  }
  // It goes on with its work.
  site_.Append({EventLine("s", "two")});
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 2 || !host->Running(); }));
  ASSERT_TRUE(host->Running()) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
}

TEST_F(SignalTest, AnIgnoredSignalIsAWarningThatNamesItsSender) {
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Projection started", "copy"));
  host->Signal(SIGUSR1);
  ASSERT_TRUE(host->WaitForLog("Signal ignored: it means nothing to a host"));
  const JsonObject line = host->Log().With("Signal ignored: it means nothing to a host").front();
  EXPECT_EQ(line.at("level"), "warn");
  EXPECT_EQ(line.at("signalName"), "SIGUSR1");
  EXPECT_EQ(line.at("senderPid"), std::to_string(getpid()));
  EXPECT_EQ(line.at("senderUid"), std::to_string(getuid()));
}

TEST_F(SignalTest, AStopNamesWhoSentIt) {
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Projection started", "copy"));
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
  const JsonObject line = host->Log().With("Stopping").front();
  EXPECT_EQ(line.at("signalName"), "SIGTERM");
  EXPECT_EQ(line.at("senderPid"), std::to_string(getpid()));
  EXPECT_EQ(line.at("senderUid"), std::to_string(getuid()));
  EXPECT_THAT(line.at("sender"), StartsWith("pid " + std::to_string(getpid()) + " ("));
}

// Nobody asked for that end, so whoever supervises the host starts it again.
TEST_F(SignalTest, TheLimitOfCpuTimeStopsInOrderAndFails) {
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 1; })) << host->Errors();
  host->Signal(SIGXCPU);
  EXPECT_EQ(host->Wait(kStopLimit), 1) << host->Errors();
  EXPECT_EQ(host->Log().Last("Group ended", "copy", "state"), "stopped");
}

TEST_F(SignalTest, ADevServerStopsForWhoAsksAndSaysWhoThatWas) {
  const auto server = site_.Start({"dev-server", "--listen", "127.0.0.1:0", "--data", "other"});
  ASSERT_TRUE(WaitUntil([&] { return !server->Output().empty() || !server->Running(); }));
  for (const int number : IdleSignals()) {
    server->Signal(number);
  }
  const std::string us = "pid " + std::to_string(getpid());
  EXPECT_TRUE(WaitUntil([&] {
    return server->Errors().find("ignored SIGUSR1, from " + us) != std::string::npos;
  })) << server->Errors();
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait(kStopLimit), 0) << server->Errors();
  EXPECT_THAT(server->Errors(), HasSubstr("stopped by SIGTERM, from " + us));
}

}  // namespace
}  // namespace catchup::e2e
