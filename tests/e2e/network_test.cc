#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/e2e/dev_server.h"
#include "tests/e2e/harness.h"
#include "tests/proxy/fault_proxy.h"

// What lies between the host and a server that is well fails in every way that it can, and then the
// server does. What holds each time: every event is handled once and in its order, by the runner
// that was there from the beginning, and no letter is written. Other kinds of fault:
//
//   what the client makes of delays and of single bytes: network_test of the client
//   a server that is gone, or ends: server_test, too
//   calls that a node ends, and frames that say what is not so: call_end_test
//   credentials, rights, TLS: credentials_test, tls_test
//   another log, a shorter one: lineage_test, log_end_test

namespace catchup::e2e {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Direction = FaultProxy::Direction;
using End = FaultProxy::End;
using Strings = std::vector<std::string>;

// The bound of the next event after an outage is 2 s: on a busy machine ten times that.
constexpr auto kBackAgain = 20s;

class NetworkTest : public testing::Test {
 protected:
  NetworkTest() { site_.UseTestProgram(10); }

  // A server behind the network, and what is asked of the connection to it.
  void Connect(const std::string& groups, const std::string& options = "") {
    server_.Serve();
    network_.emplace(server_.address());
    site_.Configure(groups, "kurrentdb://" + network_->address() + "?tls=false" + options);
  }
  // The same, and the group "copy", which is live.
  void GoLive(const std::string& options = "") {
    Connect(JsonlGroup("copy"), options);
    host_ = site_.Start({"run", "host.toml"});
    ASSERT_TRUE(WaitUntil([&] {
      return host_->Log().Last("State changed", "copy", "state") == "caught up";
    })) << host_->Errors();
  }
  void Append() {
    wanted_.push_back("s@" + std::to_string(wanted_.size()) + " x");
    site_.Append({EventLine("s", "x")});
  }
  void AwaitAll() {
    ASSERT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() >= wanted_.size(); }))
        << host_->Errors();
  }
  std::size_t Drops(const std::string& group = "copy") {
    return host_->Log().With("Subscription dropped", group).size();
  }
  bool AwaitDrop(std::size_t before, std::chrono::milliseconds limit = kPatience) {
    return WaitUntil([&] { return Drops() > before; }, limit);
  }

  // What holds each time.
  void ExpectWhole(const std::string& group, const Strings& wanted) {
    EXPECT_EQ(Written(site_, group), wanted);
    EXPECT_EQ(host_->Log().With("Runner started", group).size(), 1u);
    EXPECT_EQ(host_->Log().Last("Group ended", group, "dlqCount"), "0");
  }
  void Stop() {
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
  }

  Site site_;
  DevServer server_{&site_};
  std::optional<FaultProxy> network_;
  std::unique_ptr<Process> host_;
  Strings wanted_;
};

// Wherever it breaks: both groups have much before them, and each cut meets one of their calls.
TEST_F(NetworkTest, CutsWhileCatchingUpCostNoEventAndRepeatNone) {
  std::mt19937_64 random(TestSeed());
  constexpr std::size_t kEvents = 30'000;
  Strings lines;
  for (std::size_t i = 0; i < kEvents; ++i) {
    const std::string stream = "s" + std::to_string(i / 500);
    lines.push_back(EventLine(stream, "x"));
    wanted_.push_back(stream + "@" + std::to_string(i % 500) + " x");
  }
  site_.Append(lines);
  Connect(JsonlGroup("one") + JsonlGroup("two"));
  network_->Set(Direction::kToClient,
                {.kind = Fault::Kind::kThrottle, .bytes_per_second = 1'000'000});
  host_ = site_.Start({"run", "host.toml", "--until-caught-up"});
  for (int cut = 0; cut < 12; ++cut) {
    const std::size_t before = network_->counts().accepted;
    network_->CutAfter(Direction::kToClient, 1 + random() % 100'000,
                       random() % 2 == 0 ? End::kFin : End::kReset);
    ASSERT_TRUE(network_->Await([&](const auto& counts) { return counts.accepted > before; }))
        << host_->Errors();
  }
  const std::size_t midway = Drops("one") + Drops("two");
  network_->Heal();
  EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
  EXPECT_GE(midway, 6u) << "too few of the cuts met a group's call";
  ExpectWhole("one", wanted_);
  ExpectWhole("two", wanted_);
}

TEST_F(NetworkTest, ABrokenConnectionCostsALiveGroupNoEventAndRepeatsNone) {
  // Pings are bytes to the server, too, where a cut may wait for some.
  GoLive("&keepAliveInterval=1000");
  const std::vector<std::function<void()>> breaks = {
      [&] { network_->Reset(); },
      [&] { network_->Fin(); },
      [&] { network_->CutAfter(Direction::kToClient, 100, End::kReset); },
      [&] { network_->CutAfter(Direction::kToClient, 3, End::kFin); },
      [&] { network_->CutAfter(Direction::kToServer, 10, End::kFin); },
      [&] { network_->CutAfter(Direction::kToServer, 1, End::kReset); },
      [&] {
        const std::size_t before = Drops();
        network_->Refuse();
        network_->Reset();
        EXPECT_TRUE(AwaitDrop(before));
        network_->Accept();
      },
      [&] {
        network_->Set({.kind = Fault::Kind::kSlice});
        network_->Reset();
      },
      [&] {
        network_->Heal();
        network_->Reset();
      },
  };
  for (std::size_t i = 0; i < breaks.size(); ++i) {
    const std::size_t before = Drops();
    // A cut may meet the connection of somebody else's question.
    for (int tries = 0; tries < 5 && Drops() == before; ++tries) {
      breaks[i]();
      Append();
      AwaitAll();
      AwaitDrop(before, 5s);
    }
    EXPECT_GT(Drops(), before) << "the group noticed nothing of break " << i;
  }
  Stop();
  ExpectWhole("copy", wanted_);
}

// HTTP/2's RST_STREAM ends a call without any status, and the connection stays. By the codes that
// servers and what stands before them are known to send (RFC 9113, section 7).
TEST_F(NetworkTest, ACallThatIsResetWithoutAWordCostsNoEventAndRepeatsNone) {
  GoLive();
  const std::map<std::uint32_t, std::string> codes = {
      {0, "NO_ERROR"},
      {1, "PROTOCOL_ERROR"},
      {2, "INTERNAL_ERROR"},
      {7, "REFUSED_STREAM"},
      {8, "CANCEL"},
      {11, "ENHANCE_YOUR_CALM"},
      {12, "INADEQUATE_SECURITY"},
  };
  for (const auto& [code, name] : codes) {
    const std::size_t before = Drops();
    network_->ResetCalls(code);
    EXPECT_TRUE(AwaitDrop(before)) << name << host_->Errors();
    EXPECT_THAT(host_->Log().Last("Subscription dropped", "copy", "reason"),
                HasSubstr("Received RST_STREAM with error code " + std::to_string(code)));
    Append();
    AwaitAll();
  }
  EXPECT_GE(network_->counts().calls_reset, codes.size());
  Stop();
  ExpectWhole("copy", wanted_);
}

// With pings all the time, and each answered in time.
TEST_F(NetworkTest, ASlowNetworkIsNoReasonToReconnect) {
  GoLive("&keepAliveInterval=1000&keepAliveTimeout=4000");
  for (const auto& [direction, fault] : std::vector<std::pair<Direction, Fault>>{
           {Direction::kToServer, {.kind = Fault::Kind::kDelay, .delay = 50ms}},
           {Direction::kToClient, {.kind = Fault::Kind::kDelay, .delay = 1s}},
           {Direction::kToClient, {.kind = Fault::Kind::kThrottle, .bytes_per_second = 1000}},
           {Direction::kToServer, {.kind = Fault::Kind::kThrottle, .bytes_per_second = 100}},
           {Direction::kToClient, {.kind = Fault::Kind::kSlice}},
       }) {
    network_->Set(direction, fault);
    for (int i = 0; i < 2; ++i) {
      Append();
      AwaitAll();
    }
    network_->Heal();
  }
  Stop();
  ExpectWhole("copy", wanted_);
  EXPECT_EQ(Drops(), 0u) << host_->Errors();
}

TEST_F(NetworkTest, FiveSecondsOfDelayAreNoReasonToReconnect) {
  GoLive();
  network_->Set(Direction::kToClient, {.kind = Fault::Kind::kDelay, .delay = 5s});
  for (int i = 0; i < 3; ++i) {
    Append();
    AwaitAll();
  }
  Stop();
  ExpectWhole("copy", wanted_);
  EXPECT_EQ(Drops(), 0u) << host_->Errors();
}

// As its first word after a TLS handshake under load. Takes as long as gRPC's own clock says, which
// nobody can make faster.
TEST_F(NetworkTest, AServerThatTakesLongerToConnectToThanIsUsuallyWaitedForIsReached) {
  Connect(JsonlGroup("copy"));
  network_->Set(Direction::kToClient, {.kind = Fault::Kind::kDelay, .delay = 2500ms});
  Append();
  host_ = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(host_->WaitForLog("Server answers again")) << host_->Errors();
  const std::size_t drops = Drops();
  const std::uint64_t before = network_->counts().to_client;
  EXPECT_TRUE(network_->Await([&](const auto& counts) { return counts.to_client > before; }));
  network_->Heal();
  AwaitAll();
  EXPECT_EQ(Drops(), drops) << host_->Errors();
  Stop();
  ExpectWhole("copy", wanted_);
}

// Nobody tells either side that the other is gone. By the pings alone, each way and both.
TEST_F(NetworkTest, AConnectionThatIsOpenAndSilentIsFoundAndReplaced) {
  GoLive("&keepAliveInterval=1000&keepAliveTimeout=1000");
  const Fault silence{.kind = Fault::Kind::kSwallow};
  const std::vector<std::function<void()>> silences = {
      [&] { network_->Set(silence); },
      [&] { network_->Set(Direction::kToClient, silence); },
      [&] { network_->Set(Direction::kToServer, silence); },
  };
  for (const auto& fall_silent : silences) {
    const std::size_t before = Drops();
    fall_silent();
    Append();
    EXPECT_TRUE(AwaitDrop(before)) << host_->Errors();
    network_->Heal();
    AwaitAll();
  }
  Stop();
  ExpectWhole("copy", wanted_);
}

// From none to the largest that a server takes, with a break in the middle.
TEST_F(NetworkTest, EventsOfEverySizeArriveWhole) {
  constexpr std::size_t kMiB = 1u << 20;
  // A node takes 16,767,216 bytes of a request, and there is more in one than the data.
  constexpr std::size_t kLargest = 16'767'216 - 1024;
  const std::vector<std::size_t> sizes = {2,        4 * kMiB - 1, 4 * kMiB, 4 * kMiB + 1,
                                          8 * kMiB, kLargest,     kLargest};
  Strings lines = {R"({"stream":"s","type":"x"})"};
  for (const std::size_t size : sizes) {
    lines.push_back(EventLine("s", "x", '"' + std::string(size - 2, 'd') + '"'));
  }
  Connect(JsonlGroup("copy"));
  site_.Append(lines);
  // Slow enough that the largest are still to come when the first of 4 MiB are written.
  network_->Set(Direction::kToClient,
                {.kind = Fault::Kind::kThrottle, .bytes_per_second = 20 * kMiB});
  host_ = site_.Start({"run", "host.toml", "--until-caught-up"});
  const auto out = site_.data("copy", "out.jsonl");
  ASSERT_TRUE(WaitUntil([&] {
    return std::filesystem::exists(out) && std::filesystem::file_size(out) > 4 * kMiB;
  })) << host_->Errors();
  network_->Reset();
  EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
  EXPECT_GE(Drops(), 1u);

  const Strings written = ReadLines(out);
  ASSERT_EQ(written.size(), lines.size());
  EXPECT_THAT(written[0], testing::Not(HasSubstr("\"data\"")));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(ParseJsonObject(written[i + 1])["data"].size(), sizes[i] - 2);
  }
}

// Of five groups, each with a connection of its own.
class OutageTest : public NetworkTest {
 protected:
  static constexpr int kGroups = 5;

  void Start(const std::string& options = "") {
    std::string groups;
    for (int i = 0; i < kGroups; ++i) {
      groups += JsonlGroup(Name(i));
    }
    Connect(groups, options);
    host_ = site_.Start({"run", "host.toml"});
    Append();
    AwaitAllGroups(kPatience);
  }
  static std::string Name(int group) { return "copy" + std::to_string(group); }

  void AwaitAllGroups(std::chrono::milliseconds limit) {
    for (int i = 0; i < kGroups; ++i) {
      ASSERT_TRUE(
          WaitUntil([&] { return Written(site_, Name(i)).size() >= wanted_.size(); }, limit))
          << Name(i) << host_->Errors();
    }
  }
  void ExpectAllWhole() {
    for (int i = 0; i < kGroups; ++i) {
      ExpectWhole(Name(i), wanted_);
    }
  }
};

// So many tries in vain that it would be a long one for groups that wait longer after each: the
// network takes each of them and finds nobody to pass it on to.
TEST_F(OutageTest, IsOverForEveryGroupOnceTheServerAnswersHoweverLongItWas) {
  Start();
  for (const std::size_t tries : {2u, 40u}) {
    server_.Kill();
    const std::size_t before = network_->counts().accepted;
    ASSERT_TRUE(network_->Await([&](const auto& counts) {
      return counts.accepted >= before + tries;
    })) << host_->Errors();
    server_.Serve();
    Append();
    AwaitAllGroups(kBackAgain);
  }
  Stop();
  ExpectAllWhole();
}

// Killed, and ended in good order, when HTTP/2 says goodbye (protocol notes 3.14).
TEST_F(OutageTest, RestartsInARowAreEachFollowedByTheNextEventOfEveryGroup) {
  Start();
  for (const int signal : {SIGKILL, SIGTERM, SIGKILL, SIGTERM, SIGKILL}) {
    server_.End(signal);
    server_.Serve();
    Append();
    AwaitAllGroups(kBackAgain);
  }
  Stop();
  ExpectAllWhole();
}

// Its connections stay and new ones are taken, by the kernel, but nobody ever answers.
TEST_F(OutageTest, AServerThatStandsStillForAWhileIsLeftAndComeBackToOnce) {
  Start("&keepAliveInterval=1000&keepAliveTimeout=1000");
  const auto since = Clock::now();
  const std::size_t before = network_->counts().accepted;
  server_.Freeze();
  for (int i = 0; i < kGroups; ++i) {
    ASSERT_TRUE(WaitUntil([&] { return Drops(Name(i)) > 0; })) << host_->Errors();
  }
  ASSERT_TRUE(network_->Await([&](const auto& counts) { return counts.accepted >= before + 2; }))
      << "nobody has looked for it";
  server_.Thaw();
  const std::size_t tries = network_->counts().accepted - before;
  const auto looks = static_cast<std::size_t>((Clock::now() - since) / 25ms);
  Append();
  AwaitAllGroups(kBackAgain);
  Stop();
  ExpectAllWhole();
  EXPECT_LE(tries, looks + kGroups + 1) << "wanted one look for all, and not all the time";
  for (int i = 0; i < kGroups; ++i) {
    EXPECT_EQ(Drops(Name(i)), 1u) << host_->Errors();
  }
}

}  // namespace
}  // namespace catchup::e2e
