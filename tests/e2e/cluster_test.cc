#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/e2e/cluster_site.h"

// The real program at a cluster of three (protocol notes, 3.13, 3.14 and 5).

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

constexpr char kRead[] = "/event_store.client.streams.Streams/Read";
constexpr char kGossip[] = "/event_store.client.gossip.Gossip/Read";
constexpr char kBatchAppend[] = "/event_store.client.streams.Streams/BatchAppend";

// 5.2: gossip of any member, then the best of those that it names.
TEST_F(ClusterTest, FindsTheLeaderThroughAnotherNode) {
  const auto host = Run(cluster_->uri({2}));
  ExpectOneMore(host.get());
  EXPECT_EQ(host->Log().Last("Node found", "", "source"), cluster_->address(0));
  EXPECT_EQ(host->Log().Last("Node found", "", "from"), cluster_->address(2));
  EXPECT_EQ(cluster_->calls(2, kRead), 0);
  EXPECT_FALSE(host->Log().Has("Subscription dropped"));
  ExpectStops(host.get());
}

// 5.1: one host without "+discover" is connected to as it is.
TEST_F(ClusterTest, AsksNobodyWhereOneHostIsNamed) {
  const auto host = Run("kurrentdb://" + cluster_->address(0) + "?tls=false");
  ExpectOneMore(host.get());
  EXPECT_EQ(cluster_->calls(0, kGossip), 0);
  ExpectStops(host.get());
}

// 5.2: node preference; 4.1: then no call requires the leader.
TEST_F(ClusterTest, ConnectsToAFollowerWhereThatIsPreferred) {
  const auto host = Run(cluster_->uri({0}, "&nodePreference=follower"));
  ExpectOneMore(host.get());
  EXPECT_EQ(host->Log().Last("Node found", "", "state"), "Follower");
  EXPECT_EQ(cluster_->calls(0, kRead), 0);
  ExpectStops(host.get());
}

// One search for all of them: each round is a call to nodes that have other work.
TEST_F(ClusterTest, TheGroupsOfASourceShareOneSearch) {
  std::string groups = JsonlGroup("copy");
  for (int i = 0; i < 10; ++i) {
    groups += JsonlGroup("copy" + std::to_string(i));
  }
  const auto host = Run(cluster_->uri({1}), groups);
  ExpectOneMore(host.get());
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy" + std::to_string(i)) == wanted_; }))
        << host->Errors();
  }
  EXPECT_EQ(cluster_->calls(1, kGossip), 1);
  ExpectStops(host.get());
}

// 3.14, killed; [M] the new leader is in gossip within 0.6 s.
TEST_F(ClusterTest, GoesOnAtTheNewLeaderWhenTheOldOneIsKilled) {
  const auto host = Run(cluster_->uri({0, 1, 2}));
  ExpectOneMore(host.get());
  cluster_->Kill(0);
  ASSERT_TRUE(AwaitState(host.get(), "waiting")) << host->Errors();
  cluster_->Elect(2);
  ExpectOneMore(host.get());
  EXPECT_EQ(host->Log().Last("Node found", "", "source"), cluster_->address(2));
  ExpectStops(host.get());
}

// The seeds may all be gone by then: members are known from gossip.
TEST_F(ClusterTest, AsksThoseThatItHasHeardOfToo) {
  const auto host = Run(cluster_->uri({0}));
  ExpectOneMore(host.get());
  cluster_->Kill(0);
  cluster_->Elect(1);
  ExpectOneMore(host.get());
  ExpectStops(host.get());
}

// 4.2: not-leader with an address, in catch-up: a page is read there.
TEST_F(ClusterTest, FollowsTheLeaderThatANodeNamesInMidCatchUp) {
  const auto host = Run(cluster_->uri({0, 1, 2}));
  ExpectOneMore(host.get());
  cluster_->Elect(1);
  cluster_->ReadOn(0);
  EXPECT_TRUE(host->WaitForLog("Subscription dropped", "copy"));
  EXPECT_THAT(host->Log().Last("Subscription dropped", "copy", "reason"),
              HasSubstr("(not-leader, the leader is " + cluster_->address(1) + ")"));
  ExpectOneMore(host.get());
  EXPECT_GE(cluster_->calls(1, kRead), 1);
  ExpectStops(host.get());
}

// 4.2: not-leader, leader unknown to the reply: rediscover.
TEST_F(ClusterTest, LooksForTheLeaderThatANodeDoesNotName) {
  const auto host = Run(cluster_->uri({0, 1, 2}));
  ExpectOneMore(host.get());
  cluster_->HideLeader();
  cluster_->Elect(1);
  cluster_->ReadOn(0);
  EXPECT_TRUE(host->WaitForLog("Subscription dropped", "copy"));
  ExpectOneMore(host.get());
  EXPECT_EQ(host->Log().Last("Node found", "", "source"), cluster_->address(1));
  ExpectStops(host.get());
}

// 3.13: while no leader is known, "Server Is Not Ready".
TEST_F(ClusterTest, WaitsForALeaderToBeElected) {
  cluster_->Depose();
  const auto host = Run(cluster_->uri({0, 1, 2}));
  EXPECT_TRUE(AwaitState(host.get(), "waiting", "names no node that is alive and serves"))
      << host->Errors();
  cluster_->Elect(2);
  ExpectOneMore(host.get());
  ExpectStops(host.get());
}

// 5.2, item 5; it goes on looking, though.
TEST_F(ClusterTest, SaysThatNoNodeIsFoundAndWhomItHasAsked) {
  for (int node = 0; node < Cluster::kNodes; ++node) {
    cluster_->Kill(node);
  }
  const auto host = Run(cluster_->uri({0, 1}, "&maxDiscoverAttempts=2"));
  EXPECT_TRUE(
      AwaitState(host.get(), "waiting",
                 "no node of " + cluster_->address(0) + ", " + cluster_->address(1) + " found"))
      << host->Errors();
  EXPECT_TRUE(host->WaitForLog("No node found"));
  EXPECT_THAT(host->Log().Last("No node found", "", "reason"), HasSubstr(" found in 2 rounds; "));
  ExpectStops(host.get());
}

// 3.13 [M]: an isolated leader leaves its subscriptions open and silent, and no call says so.
TEST_F(ClusterTest, LeavesALeaderThatIsIsolatedInSilence) {
  site_.UseTestProgram(20);
  const auto host = Run(cluster_->uri({0, 1, 2}));
  ExpectOneMore(host.get());
  ASSERT_TRUE(AwaitState(host.get(), "caught up")) << host->Errors();
  cluster_->Isolate(0);
  cluster_->Elect(1);
  ExpectOneMore(host.get());
  EXPECT_THAT(host->Log().Last("Subscription dropped", "copy", "reason"),
              HasSubstr("does not serve the head of the log any more, which " +
                        cluster_->address(1) + " does"));
  ExpectStops(host.get());
}

// 3.13 [M]: one that resigns keeps its subscriptions, which go on.
TEST_F(ClusterTest, MissesNothingWhenTheLeaderResigns) {
  site_.UseTestProgram(20);
  const auto host = Run(cluster_->uri({0, 1, 2}));
  ExpectOneMore(host.get());
  cluster_->Elect(1);
  ExpectOneMore(host.get());
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().Last("Node found", "", "source") == cluster_->address(1);
  })) << host->Errors();
  ExpectOneMore(host.get());
  ExpectStops(host.get());
}

TEST_F(ClusterTest, AnAppendFindsTheLeader) {
  WriteFile(site_.file("events.jsonl"), EventLine("t", "x") + "\n");
  const Finished written = site_.Catchup({"append", "--to", cluster_->uri({2}), "events.jsonl"});
  EXPECT_EQ(written.exit, 0) << written.err;
  EXPECT_EQ(written.out, "written 1, already there 0, next line 2\n");
  EXPECT_GE(cluster_->calls(0, kBatchAppend), 1);
  EXPECT_EQ(cluster_->calls(2, kBatchAppend), 0);
}

// 3.13 [M]: an isolated leader refuses appends, as a node does that knows no leader.
TEST_F(ClusterTest, AnAppendIsRefusedByALeaderThatIsIsolatedAndTakenByTheNextOne) {
  WriteFile(site_.file("events.jsonl"), EventLine("t", "x") + "\n");
  cluster_->Isolate(0);
  cluster_->Elect(1);
  const Finished refused = site_.Catchup(
      {"append", "--to", "kurrentdb://" + cluster_->address(0) + "?tls=false", "events.jsonl"});
  EXPECT_EQ(refused.exit, 1) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("UNAVAILABLE: Server Is Not Ready"));

  const Finished written = site_.Catchup({"append", "--to", cluster_->uri({0, 2}), "events.jsonl"});
  EXPECT_EQ(written.exit, 0) << written.err;
  EXPECT_EQ(written.out, "written 1, already there 0, next line 2\n");
  EXPECT_EQ(cluster_->calls(1, kBatchAppend), 1);
}

TEST_F(ClusterTest, AnAppendWithoutAnyNodeSaysWhomItHasAsked) {
  for (int node = 0; node < Cluster::kNodes; ++node) {
    cluster_->Kill(node);
  }
  WriteFile(site_.file("events.jsonl"), EventLine("t", "x") + "\n");
  const Finished none = site_.Catchup(
      {"append", "--to", cluster_->uri({0, 1}, "&maxDiscoverAttempts=2"), "events.jsonl"});
  EXPECT_EQ(none.exit, 1);
  EXPECT_THAT(none.err, HasSubstr("no node of " + cluster_->address(0) + ", " +
                                  cluster_->address(1) + " found in 2 rounds; tried "));
}

// 7.1: a read-only replica would refuse it, so the preference is for reading.
TEST_F(ClusterTest, TheStreamOfASinkIsWrittenAtTheLeader) {
  ASSERT_TRUE(log_->Seed("s", "x", R"({"do":"reject"})").ok());
  const auto host =
      Run(cluster_->uri({2}, "&nodePreference=follower"),
          TroubleGroup("copy", "prefixes = [\"\"]\ndead_letters = {sinks = [\"stream:letters\"]}"));
  EXPECT_TRUE(WaitUntil([&] { return cluster_->calls(0, kBatchAppend) > 0; })) << host->Errors();
  EXPECT_EQ(cluster_->calls(1, kBatchAppend) + cluster_->calls(2, kBatchAppend), 0);
  ExpectStops(host.get());
}

// 3.13 [M]: a new leader is in gossip before it takes appends, which is a second or two later.
TEST_F(ClusterTest, TheStreamOfASinkIsWrittenOnceTheNewLeaderTakesAppends) {
  site_.UseTestProgram(20);
  cluster_->Kill(0);
  cluster_->Choose(1);
  ASSERT_TRUE(log_->Seed("s", "x", R"({"do":"reject"})").ok());
  const auto host =
      Run(cluster_->uri({1, 2}, "&nodePreference=follower"),
          TroubleGroup("copy", "prefixes = [\"\"]\ndead_letters = {sinks = [\"stream:letters\"]}"));
  constexpr char kFails[] = "Dead-letter sink fails, tried again until it works";
  ASSERT_TRUE(host->WaitForLog(kFails, "copy"));
  EXPECT_THAT(host->Log().Last(kFails, "copy", "reason"),
              HasSubstr(cluster_->address(1) + ": UNAVAILABLE: Server Is Not Ready"));

  cluster_->Elect(1);
  EXPECT_TRUE(host->WaitForLog("Dead-letter sink works again", "copy"));
  ExpectStops(host.get());
}

}  // namespace
}  // namespace catchup::e2e
