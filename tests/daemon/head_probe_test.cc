#include "host/daemon/watch/head_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/daemon/scripted_source.h"
#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

using testing::Optional;

using std::chrono::seconds;

class HeadProbeTest : public testing::Test {
 protected:
  HeadProbeTest() { Make(nullptr); }
  // In place of the one before.
  void Make(Discovery* discovery) {
    SourceSide::Services services;
    services.address = [this, discovery] {
      return discovery == nullptr ? server_.address : discovery->known().value_or("");
    };
    services.discovery = discovery;
    services.open = [this, discovery](const std::string& address, const std::string& name) {
      opened_.Tell(name);
      if (discovery != nullptr) {
        server_.address = address;
      }
      return Result<std::unique_ptr<Source>>(std::make_unique<ScriptedSource>(&server_));
    };
    services.retire = [this](std::shared_ptr<Source> source) { retired_ = std::move(source); };
    probe_ = std::make_unique<HeadProbe>(
        services, reactor_.get(), [this](const auto& head) { found_.Tell(PlaceOf(head)); },
        [this](const std::string& from, const std::string& to) {
          moved_.Tell(from + " to " + to);
        });
  }
  ~HeadProbeTest() override { reactor_->Stop(); }

  // On the reactor, and what was asked there has been answered when the n-th head is found.
  void Look(seconds at) {
    Told<bool> looked;
    reactor_->Post([&] {
      probe_->Look(groups_, begin_ + at);
      looked.Tell(true);
    });
    ASSERT_TRUE(looked.Await().has_value());
  }

  const HeadProbe::Clock::time_point begin_ = HeadProbe::Clock::now();
  ScriptedServer server_;
  std::unique_ptr<Reactor> reactor_ = *Reactor::Create();
  std::shared_ptr<Source> retired_;
  Told<std::string> opened_;
  Told<std::optional<Position>> found_;
  Told<std::string> moved_;
  std::vector<GroupStatus> groups_{1};
  std::unique_ptr<HeadProbe> probe_;
};

TEST_F(HeadProbeTest, FindsTheNewestEventEveryFiveSecondsWhileAGroupMoves) {
  server_.Append("a");
  Look(seconds(0));
  ASSERT_THAT(found_.Await(0), Optional((Position{100, 100})));

  Look(seconds(4));
  Look(seconds(5));

  EXPECT_TRUE(found_.Await(1).has_value());
  EXPECT_EQ(found_.size(), 2u);
  EXPECT_EQ(opened_.size(), 1u);
}

TEST_F(HeadProbeTest, AsksSeldomOnceAllGroupsAreLive) {
  groups_[0].state = GroupState::kCaughtUp;
  Look(seconds(0));
  ASSERT_TRUE(found_.Await(0).has_value());
  Look(seconds(9));
  Look(seconds(10));

  EXPECT_TRUE(found_.Await(1).has_value());
  EXPECT_EQ(found_.size(), 2u);
}

TEST_F(HeadProbeTest, AsksNobodyOnceAllGroupsHaveEnded) {
  groups_[0].finished = true;
  Look(seconds(0));

  EXPECT_EQ(opened_.size(), 0u);
}

TEST_F(HeadProbeTest, FollowsAServerThatHasMoved) {
  Look(seconds(0));
  ASSERT_TRUE(found_.Await(0).has_value());
  server_.address = "scripted:2";

  Look(seconds(5));

  ASSERT_TRUE(found_.Await(1).has_value());
  ASSERT_NE(retired_, nullptr);
  EXPECT_EQ(retired_->address(), "scripted:1");
}

// A leader that is one no more, or isolated, keeps its subscriptions open and silent (protocol
// notes, 3.13); a read that requires the leader is refused there.
class ClusterProbeTest : public HeadProbeTest {
 protected:
  ClusterProbeTest() {
    Discovery::Services nodes;
    nodes.seeds = {"seed:1"};
    nodes.attempts = 1'000'000;
    nodes.interval = std::chrono::milliseconds(1);
    nodes.random = [] { return 0; };
    nodes.ask = [this](const std::string& address,
                       std::function<void(const Discovery::Members&)> answer) {
      asked_.Tell(address);
      answer(std::vector<ClusterMember>{{leader_, ClusterMember::State::kLeader, "Leader", true}});
      return std::make_shared<int>();
    };
    discovery_ = std::make_unique<Discovery>(std::move(nodes), reactor_.get());
    Make(discovery_.get());
  }
  ~ClusterProbeTest() override { reactor_->Stop(); }

  // Looks until the log's head was found so many times.
  void LookUntil(std::size_t found) {
    ASSERT_TRUE(Becomes([&] {
      Look(now_ += seconds(10));
      return found_.size() >= found;
    }));
  }
  // Looks until the node that is known has refused to answer, so that one is looked for again.
  void LookUntilRefused(EndClass why) {
    const std::size_t asked = asked_.size();
    server_.SetUnreachable(EndOfCall{.kind = why, .text = "no"});
    ASSERT_TRUE(Becomes([&] {
      Look(now_ += seconds(10));
      return asked_.size() > asked;
    }));
  }
  // Looks, and is refused, until the node that leads is known.
  void LookUntilKnown(const std::string& leader) {
    ASSERT_TRUE(Becomes([&] {
      Look(now_ += seconds(10));
      return discovery_->known() == leader;
    }));
  }

  seconds now_{0};
  std::string leader_ = "old:1";  // Of the reactor.
  Told<std::string> asked_;
  std::unique_ptr<Discovery> discovery_;
};

TEST_F(ClusterProbeTest, TellsWhereToMoveOnceAnotherNodeServesInPlaceOfOneThatRefuses) {
  std::string leader = "old:1";
  for (const EndClass why : {EndClass::kNotLeader, EndClass::kNotReady}) {
    LookUntil(found_.size() + 1);
    LookUntilRefused(why);
    const std::size_t moved = moved_.size();
    const std::string from = std::exchange(leader, leader + "x");
    reactor_->Post([&] { leader_ = leader; });
    LookUntilKnown(leader);
    server_.SetUnreachable(std::nullopt);
    LookUntil(found_.size() + 1);
    EXPECT_EQ(moved_.Await(moved), from + " to " + leader);
  }
}

TEST_F(ClusterProbeTest, TellsNothingWhereTheSameNodeServesAgain) {
  LookUntil(1);
  LookUntilRefused(EndClass::kNotReady);
  server_.SetUnreachable(std::nullopt);
  LookUntil(found_.size() + 1);
  EXPECT_EQ(moved_.size(), 0u);
}

TEST_F(HeadProbeTest, ReadsOnItsOwnConnectionWhatAGroupMisses) {
  for (const char* type : {"a", "b", "c"}) {
    server_.Append(type);
  }
  Look(seconds(0));
  Told<std::optional<Position>> next;
  for (const std::uint64_t behind : {100u, 300u}) {
    probe_->ReadNext(Position{behind, behind}, EventFilter{},
                     [&](const auto& answer) { next.Tell(*answer); });
  }

  EXPECT_THAT(next.Await(0), Optional(Optional(Position{200, 200})));
  EXPECT_THAT(next.Await(1), Optional(std::optional<Position>()));
  EXPECT_EQ(opened_.size(), 1u);
}

TEST_F(HeadProbeTest, SaysWhyItCannotReadWhatAGroupMisses) {
  server_.SetUnreachable(EndOfCall{.text = "nobody is there"});
  Told<std::string> why;
  probe_->ReadNext(std::nullopt, EventFilter{},
                   [&](const auto& answer) { why.Tell(answer.end().text); });

  EXPECT_EQ(why.Await(), "nobody is there");
}

}  // namespace
}  // namespace catchup
