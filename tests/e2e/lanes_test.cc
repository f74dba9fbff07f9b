#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"

// Groups of several lanes, each a runner of its own.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

std::string Do(const std::string& what, const std::string& more = {}) {
  return "{\"do\":\"" + what + "\"" + (more.empty() ? "" : "," + more) + "}";
}

// One line of the journal of tests/plugins/trouble.
struct Delivery {
  std::string stream;
  std::uint64_t revision = 0;
  std::uint64_t number = 0;  // Of this event.
};

std::vector<Delivery> Deliveries(const Site& site) {
  std::vector<Delivery> deliveries;
  for (const std::string& text : Delivered(site, "g")) {
    const std::size_t at = text.find('@');
    deliveries.push_back({text.substr(0, at), std::stoull(text.substr(at + 1)),
                          std::stoull(text.substr(text.rfind(' ') + 1))});
  }
  return deliveries;
}

// First deliveries of each stream come in the order of its revisions, without a gap, up to as many
// as it has events.
void ExpectStreamsInOrder(const std::vector<Delivery>& deliveries,
                          const std::map<std::string, std::uint64_t>& events) {
  std::map<std::string, std::uint64_t> next;
  for (const Delivery& delivery : deliveries) {
    std::uint64_t& expected = next[delivery.stream];
    if (delivery.number == 1) {
      ASSERT_EQ(delivery.revision, expected) << "stream " << delivery.stream;
      ++expected;
    } else {
      ASSERT_LT(delivery.revision, expected) << "stream " << delivery.stream;
    }
  }
  EXPECT_EQ(next, events);
}

std::size_t Repeated(const std::vector<Delivery>& deliveries) {
  return static_cast<std::size_t>(
      std::count_if(deliveries.begin(), deliveries.end(),
                    [](const Delivery& delivery) { return delivery.number > 1; }));
}

class LanesTest : public testing::Test {
 protected:
  // Appends the events of `lines_` and configures the group g.
  void Prepare(const std::string& keys) {
    site_.UseTestProgram(10);
    site_.Append(lines_);
    site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\n" + keys));
  }

  void Add(const std::string& stream, const std::string& data = Do("ok")) {
    lines_.push_back(EventLine(stream, "t", data));
    ++events_[stream];
  }

  // Processes of the lanes that were started last.
  std::map<std::string, pid_t> Runners(const HostLog& log) {
    std::map<std::string, pid_t> pids;
    for (const JsonObject& line : log.With("Runner started", "g")) {
      pids[line.at("lane")] = static_cast<pid_t>(std::stoi(line.at("pid")));
    }
    return pids;
  }

  Site site_;
  Strings lines_;
  std::map<std::string, std::uint64_t> events_;
};

TEST_F(LanesTest, ASlowStreamHoldsNoOther) {
  Add("slow", Do("slow", "\"ms\":3000"));
  Add("slow");
  for (int i = 0; i < 100; ++i) {
    Add("s-" + std::to_string(i % 10));
  }
  Prepare("lanes = 2");
  const Finished run = site_.RunUntilCaughtUp();
  ASSERT_EQ(run.exit, 0) << run.err;
  const std::vector<Delivery> deliveries = Deliveries(site_);
  ExpectStreamsInOrder(deliveries, events_);
  ASSERT_EQ(deliveries.size(), 102u);
  EXPECT_EQ(deliveries.back().stream, "slow") << "all others came while its first was handled";
  std::set<std::string> lanes;
  for (const JsonObject& line : run.Log().With("Runner started", "g")) {
    lanes.insert(line.at("lane"));
  }
  EXPECT_EQ(lanes, (std::set<std::string>{"0", "1"}));
}

// Kills of runners and of the host, and events on which the plugin dies: no event is lost, none
// overtakes another of its stream, and nothing waits for a person.
TEST_F(LanesTest, KillsAndCrashesCostNoEventAndNoOrder) {
  constexpr int kEvents = 3'000;
  constexpr int kKills = 8;
  std::mt19937 random(TestSeed());
  for (int i = 0; i < kEvents; ++i) {
    const std::string stream = "s-" + std::to_string(random() % 40);
    const bool dies = i % 500 == 250;
    Add(stream, dies ? Do("segv", "\"times\":1") : Do("slow", "\"ms\":1"));
  }
  Prepare("lanes = 4");
  std::size_t killed = 0;
  for (int life = 0; life < 2; ++life) {
    const auto host = site_.Start({"run", "host.toml"});
    for (int kill = 0; kill < kKills / 2; ++kill) {
      const std::size_t before = Deliveries(site_).size();
      const std::size_t more = 50 + random() % 200;
      ASSERT_TRUE(WaitUntil([&] { return Deliveries(site_).size() >= before + more; }))
          << host->Errors();
      const auto pids = Runners(host->Log());
      auto victim = pids.begin();
      std::advance(victim, random() % pids.size());
      // The line may be of one that is gone; then its successor is spared.
      killed += ::kill(victim->second, SIGKILL) == 0 ? 1 : 0;
    }
    host->Signal(life == 0 ? SIGKILL : SIGTERM);
    EXPECT_EQ(host->Wait(), life == 0 ? 128 + SIGKILL : 0) << host->Errors();
  }
  EXPECT_GT(killed, 0u);
  EXPECT_LT(Deliveries(site_).size(), static_cast<std::size_t>(kEvents)) << "nothing was left";
  // Fewer lanes go on where more have ended.
  site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\nlanes = 2"));
  const Finished last = site_.RunUntilCaughtUp();
  ASSERT_EQ(last.exit, 0) << last.err;
  EXPECT_EQ(last.Log().Last("Group ended", "g", "dlqCount"), "0");
  const std::vector<Delivery> deliveries = Deliveries(site_);
  ExpectStreamsInOrder(deliveries, events_);
  // The host's kill repeats at most batch and window; a runner's death what its lane had.
  EXPECT_LE(Repeated(deliveries), 10u + 4096u + 100u);
}

TEST_F(LanesTest, APoisonEventHoldsItsOwnStreamOnly) {
  Add("p", Do("fail"));
  Add("p");
  for (int i = 0; i < 60; ++i) {
    Add("s-" + std::to_string(i % 6));
  }
  Prepare("lanes = 3\nmax_retries = 1\nretry_delay = \"3s\"");
  const Finished run = site_.RunUntilCaughtUp();
  ASSERT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(run.Log().Last("Group ended", "g", "dlqCount"), "1");
  EXPECT_EQ(run.Log().Last("Group ended", "g", "followerCount"), "1") << "what follows it";
  const std::vector<Delivery> deliveries = Deliveries(site_);
  const auto retried = std::find_if(deliveries.begin(), deliveries.end(),
                                    [](const Delivery& delivery) { return delivery.number == 2; });
  ASSERT_NE(retried, deliveries.end());
  EXPECT_EQ(retried - deliveries.begin(), 61) << "all others came before its first retry";
  EXPECT_EQ(std::count_if(deliveries.begin(), deliveries.end(),
                          [](const Delivery& d) { return d.stream == "p" && d.revision == 1; }),
            0)
      << "its stream waits behind it";
}

TEST_F(LanesTest, AStopDrainsAllLanesAndRepeatsNothing) {
  for (int i = 0; i < 400; ++i) {
    Add("s-" + std::to_string(i % 8), Do("slow", "\"ms\":20"));
  }
  Prepare("lanes = 4");
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Deliveries(site_).size() >= 40; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(std::chrono::seconds(10)), 0) << host->Errors();
  EXPECT_LT(Deliveries(site_).size(), 400u);
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  const std::vector<Delivery> deliveries = Deliveries(site_);
  ExpectStreamsInOrder(deliveries, events_);
  EXPECT_EQ(Repeated(deliveries), 0u);
}

TEST_F(LanesTest, AHangOnEveryLaneDelaysAStopNoLongerThanPromised) {
  for (int i = 0; i < 4; ++i) {
    Add("s-" + std::to_string(i), Do("hang"));
  }
  Prepare("lanes = 4");
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Deliveries(site_).size() >= 4; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(std::chrono::seconds(20)), 0) << host->Errors();
}

TEST_F(LanesTest, APluginThatKeepsItsPositionHasOneLane) {
  site_.Append({EventLine("order-1", "order-placed", "{\"customer\":\"c\",\"amount\":1}")});
  site_.Configure(
      "[groups.g]\nplugin = \"order_totals.so\"\nprefixes = [\"order-\"]\nlanes = 2\n"
      "config = { database = \"totals.db\" }\n");
  const Finished checked = site_.Catchup({"check", "host.toml", "--create"});
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, HasSubstr("lanes = 2, and the plugin keeps its own position"));
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 1);
  EXPECT_THAT(run.Log().Last("Group ended", "g", "reason"), HasSubstr("wanted lanes = 1"));
}

}  // namespace
}  // namespace catchup::e2e
