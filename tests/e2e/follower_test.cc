#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "tests/e2e/cluster_site.h"

// The real program where another node than the leader is preferred: such a node may lag behind the
// leader, or be cut off from it, and does not say so (protocol notes, 3.13).

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

constexpr char kRead[] = "/event_store.client.streams.Streams/Read";

class FollowerTest : public ClusterTest {
 protected:
  FollowerTest() { site_.UseTestProgram(20); }

  // The number of the node that the host has found last.
  int Found(Process* host) const {
    for (int node = 0; node < Cluster::kNodes; ++node) {
      if (cluster_->address(node) == host->Log().Last("Node found", "", "source")) {
        return node;
      }
    }
    return -1;
  }
};

// 3.13 [M], as of a leader: what is open there stays open and silent, and it answers reads.
TEST_F(FollowerTest, LeavesANodeThatIsIsolatedInSilence) {
  for (const std::string preference : {"follower", "random"}) {
    const auto host = Run(cluster_->uri({0, 1, 2}, "&nodePreference=" + preference));
    ExpectOneMore(host.get());
    ASSERT_TRUE(AwaitState(host.get(), "caught up")) << host->Errors();
    const int lost = Found(host.get());
    ASSERT_GE(lost, 0);
    cluster_->Isolate(lost);
    if (lost == 0) {
      cluster_->Elect(1);
    }
    ExpectOneMore(host.get());
    EXPECT_THAT(host->Log().Last("Subscription dropped", "copy", "reason"),
                HasSubstr("silent for"));
    EXPECT_NE(Found(host.get()), lost);
    ExpectStops(host.get());
    cluster_ = std::make_unique<Cluster>(log_->address());
  }
}

// Two of three have the log as it was two events ago, and never get any further.
class LaggingFollowerTest : public FollowerTest {
 protected:
  LaggingFollowerTest() {
    ReadTwo();
    log_.reset();
    std::filesystem::copy(site_.file("log"), site_.file("behind"),
                          std::filesystem::copy_options::recursive);
    log_ = StartLog("log");
    behind_ = StartLog("behind");
    ReadTwo();
  }

  // Two more, read at the leader.
  void ReadTwo() {
    cluster_ = std::make_unique<Cluster>(log_->address());
    const auto host = Run(cluster_->uri({0, 1, 2}));
    ExpectOneMore(host.get());
    ExpectOneMore(host.get());
    ExpectStops(host.get());
  }

  Finished ResetToLastGood() {
    return site_.Catchup({"reset", "copy", "--to", "last-good", "--config", "host.toml"});
  }

  std::unique_ptr<embedded::EmbeddedServer> behind_;
};

TEST_F(LaggingFollowerTest, GoesOnAtTheLeaderWhereAFollowerLagsForAMinute) {
  cluster_ = std::make_unique<Cluster>(
      std::array{log_->address(), behind_->address(), behind_->address()});
  const auto host = Run(cluster_->uri({0, 1, 2}, "&nodePreference=follower"));
  EXPECT_TRUE(AwaitState(host.get(), "waiting", "; next try in ")) << host->Errors();
  ExpectOneMore(host.get());
  EXPECT_THAT(host->Log().Last("Log ends too early", "copy", "reason"),
              HasSubstr("asking the leader"));
  ExpectStops(host.get());
}

TEST_F(LaggingFollowerTest, HaltsWhereTheLeadersLogEndsTooEarlyTooUntilItIsReset) {
  cluster_ = std::make_unique<Cluster>(behind_->address());
  const std::string uri = cluster_->uri({0, 1, 2}, "&nodePreference=follower");
  const auto host = Run(uri);
  EXPECT_TRUE(AwaitState(host.get(), "halted", "lineage regressed: ")) << host->Errors();
  EXPECT_GE(cluster_->calls(0, kRead), 1) << "the leader";
  EXPECT_EQ(Written(site_, "copy"), wanted_);
  const Finished reset = ResetToLastGood();
  EXPECT_EQ(reset.exit, 0) << reset.err;
  EXPECT_THAT(reset.out, HasSubstr("what lies between comes again"));
  host->Signal(SIGTERM);
  host->Wait();
}

// The followers have not got the newest events that were handled.
TEST_F(LaggingFollowerTest, AResetToTheLastGoodPlaceAsksTheLeader) {
  cluster_ = std::make_unique<Cluster>(
      std::array{log_->address(), behind_->address(), behind_->address()});
  site_.Configure(JsonlGroup("copy"), cluster_->uri({1, 2}, "&nodePreference=follower"));
  const Finished without_host = ResetToLastGood();
  EXPECT_EQ(without_host.exit, 0) << without_host.err;
  EXPECT_THAT(without_host.out, HasSubstr("nothing comes again"));

  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(AwaitState(host.get(), "waiting")) << host->Errors();
  ASSERT_EQ(site_.Catchup({"stop", "copy", "--config", "host.toml"}).exit, 0);
  const Finished by_host = ResetToLastGood();
  EXPECT_EQ(by_host.exit, 0) << by_host.err;
  EXPECT_THAT(by_host.out, HasSubstr("nothing comes again"));
  ExpectStops(host.get());
}

// Without a host the command finds the node itself, as long as the string has it try.
TEST_F(LaggingFollowerTest, AResetToTheLastGoodPlaceSaysWhomItHasAskedWhereNoNodeIsFound) {
  for (int node = 0; node < Cluster::kNodes; ++node) {
    cluster_->Kill(node);
  }
  site_.Configure(JsonlGroup("copy"), cluster_->uri({0, 1}, "&maxDiscoverAttempts=2"));
  const Finished reset = ResetToLastGood();
  EXPECT_EQ(reset.exit, 1);
  EXPECT_THAT(reset.err, HasSubstr("--to last-good: the log could not be asked: no node of " +
                                   cluster_->address(0)));
}

}  // namespace
}  // namespace catchup::e2e
