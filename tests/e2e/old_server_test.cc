#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/e2e/harness.h"
#include "tests/e2e/scripted_node.h"

// The real host at a server before 24.2. A subscription there goes on behind the first record at or
// after the place it is given, so where none lies at the place, the next event is never sent.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

using Strings = std::vector<std::string>;

class OldServerTest : public testing::TestWithParam<const char*> {
 protected:
  void Configure(const std::string& start) {
    site_.Configure(JsonlGroup("copy", "prefixes = [\"\"]\n" + start), node_.uri());
  }
  void Run() {
    const Finished run = site_.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 0) << run.err;
  }

  Site site_;
  ScriptedNode node_{{100, 200, 300, 400}};
};

TEST_P(OldServerTest, AStartWhereNoEventLiesSkipsNone) {
  node_.Become(GetParam());
  for (const char* start : {"150:150", "150:0"}) {
    std::filesystem::remove_all(site_.file("state"));
    Configure("start = \"" + std::string(start) + "\"");
    Run();
    EXPECT_EQ(Written(site_, "copy"), (Strings{"s@1 x", "s@2 x", "s@3 x"})) << start;
  }
  EXPECT_EQ(node_.probes(), 2);
}

TEST_P(OldServerTest, AStartAtAnEventResumesThere) {
  node_.Become(GetParam());
  Configure("start = \"200:200\"");
  Run();
  EXPECT_EQ(Written(site_, "copy"), (Strings{"s@2 x", "s@3 x"}));
  EXPECT_EQ(node_.resumed(), Strings{"200:200"});
}

// An upgrade that was taken back: the checkpoint stands where the newer node announced a place, and
// the next event lies behind it.
TEST_P(OldServerTest, ACheckpointThatANewerOneAnnouncedSkipsNone) {
  Configure("");
  Run();
  const Strings first{"s@0 x", "s@1 x", "s@2 x", "s@3 x"};
  ASSERT_EQ(Written(site_, "copy"), first);
  node_.Append(500);
  node_.Append(600);
  node_.Become(GetParam());
  Run();
  Strings all = first;
  all.insert(all.end(), {"s@4 x", "s@5 x"});
  EXPECT_EQ(Written(site_, "copy"), all) << "each once and in order";
  EXPECT_EQ(node_.resumed(), (Strings{"", "400:400"}));
  EXPECT_EQ(node_.probes(), 3) << "whether it is the log, at the checkpoint, at the last event";
  // What it announces itself becomes no checkpoint.
  node_.Append(700);
  Run();
  all.emplace_back("s@6 x");
  EXPECT_EQ(Written(site_, "copy"), all);
  EXPECT_EQ(node_.resumed().back(), "600:600");
}

TEST_P(OldServerTest, AStartBeyondTheEndOfItsLogFailsTheGroup) {
  node_.Become(GetParam());
  Configure("start = \"9999999:9999999\"");
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 1) << run.err;
  const std::string reason = run.Log().Last("Group ended", "copy", "reason");
  EXPECT_THAT(reason, HasSubstr("ends at 400:400, before 9999999:9999999"));
  EXPECT_EQ(node_.resumed(), Strings{}) << "nothing is asked for from there";
}

// A log may end with records that no read shows, and a checkpoint may stand at one of them.
TEST(NodeTest, APlaceAtARecordThatNoReadShowsLiesInTheLog) {
  Site site;
  ScriptedNode node{{100, 200}};
  node.SetLastRecord(250);
  site.Configure(JsonlGroup("copy", "prefixes = [\"\"]\nstart = \"250:250\""), node.uri());
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(node.resumed(), Strings{"250:250"});

  node.SetLastRecord(240);
  const Finished shorter = site.RunUntilCaughtUp();
  EXPECT_EQ(shorter.exit, 1) << shorter.err;
  const std::string reason = shorter.Log().Last("Group ended", "copy", "reason");
  EXPECT_THAT(reason, HasSubstr("ends at 240:240, before 250:250"));
}

// Protocol notes 4.2, 5.2: NOT_FOUND "not-leader" with the leader's address.
TEST(NodeTest, ANodeThatNamesItsLeaderIsFollowedThere) {
  Site site;
  ScriptedNode leader{{100, 200}};
  ScriptedNode node{{100}};
  const std::size_t colon = leader.address().find(':');
  node.EndReads({grpc::StatusCode::NOT_FOUND, "Leader info available"},
                {{"exception", "not-leader"},
                 {"leader-endpoint-host", leader.address().substr(0, colon)},
                 {"leader-endpoint-port", leader.address().substr(colon + 1)}});
  site.Configure(JsonlGroup("copy"), node.uri());
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Written(site, "copy"), (Strings{"s@0 x", "s@1 x"}));
  EXPECT_EQ(run.Log().Last("Server moved", "copy", "source"), leader.address());
}

// A run at a node that ends every read so, until the group says what it makes of that.
JsonObject FirstWordOf(const std::string& msg, grpc::Status status,
                       std::map<std::string, std::string> trailers = {}) {
  Site site;
  ScriptedNode node{{100}};
  node.EndReads(std::move(status), std::move(trailers));
  site.Configure(JsonlGroup("copy"), node.uri());
  const auto host = site.Start({"run", "host.toml"});
  EXPECT_TRUE(host->WaitForLog(msg, "copy"));
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  const auto said = host->Log().With(msg, "copy");
  EXPECT_EQ(said.size(), 1u) << host->Errors();
  return said.empty() ? JsonObject() : said.front();
}

TEST(NodeTest, WhatNoRetryMendsIsTriedEachMinuteAndToldAsAnError) {
  JsonObject said =
      FirstWordOf("Subscription refused", {grpc::StatusCode::UNIMPLEMENTED, "no such method"});
  EXPECT_EQ(said["level"], "error");
  EXPECT_EQ(said["delayMs"], "60000");
  EXPECT_THAT(said["reason"], HasSubstr("UNIMPLEMENTED: no such method"));
}

// Protocol notes 3.14 and 4.2.
TEST(NodeTest, AServerThatAsksForAPauseGetsIt) {
  JsonObject said = FirstWordOf("Subscription dropped", {grpc::StatusCode::UNAVAILABLE, "busy"},
                                {{"grpc-retry-pushback-ms", "40000"}});
  EXPECT_EQ(said["level"], "info");
  EXPECT_EQ(said["delayMs"], "40000");
}

INSTANTIATE_TEST_SUITE_P(Versions, OldServerTest, testing::Values("21.10.11", "22.10.5", "23.10.7"),
                         [](const auto& version) {
                           std::string name = version.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return "Version" + name;
                         });

}  // namespace
}  // namespace catchup::e2e
