// Which node of a cluster is connected to (protocol notes, 5.2: the orders of the official
// clients).
#include "host/daemon/source/node_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

namespace catchup {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;
using State = ClusterMember::State;
using Members = std::vector<ClusterMember>;

const Members kOneOfEach = {{"other:1", State::kOther, "Unknown", true},
                            {"leaderless:1", State::kReadOnlyLeaderless, "", true},
                            {"pre:1", State::kPreReadOnlyReplica, "", true},
                            {"replica:1", State::kReadOnlyReplica, "", true},
                            {"follower:1", State::kFollower, "", true},
                            {"leader:1", State::kLeader, "", true}};

std::string Choose(const Members& members, NodePreference preference, std::uint64_t random = 0,
                   const std::string& avoided = {}) {
  const ClusterMember* const node = ChooseNode(members, preference, avoided, random);
  return node == nullptr ? "" : node->address;
}

// In turn those that are chosen when the ones before are dead.
std::vector<std::string> Order(NodePreference preference) {
  Members members = kOneOfEach;
  std::vector<std::string> order;
  for (std::string node = Choose(members, preference); !node.empty();
       node = Choose(members, preference)) {
    order.push_back(node);
    for (ClusterMember& member : members) {
      member.alive = member.alive && member.address != node;
    }
  }
  return order;
}

TEST(ChooseNodeTest, FollowsTheOrderOfThePreference) {
  EXPECT_THAT(Order(NodePreference::kLeader),
              ElementsAre("leader:1", "follower:1", "replica:1", "pre:1", "leaderless:1"));
  EXPECT_THAT(Order(NodePreference::kFollower),
              ElementsAre("follower:1", "leader:1", "replica:1", "pre:1", "leaderless:1"));
  EXPECT_THAT(Order(NodePreference::kReadOnlyReplica),
              ElementsAre("replica:1", "pre:1", "leaderless:1", "leader:1", "follower:1"));
}

// 3.13: a node may be alive by all that is said of it, and silent.
TEST(ChooseNodeTest, TakesTheOneToAvoidOnlyWhereNoOtherServes) {
  for (const NodePreference preference : {NodePreference::kFollower, NodePreference::kRandom}) {
    EXPECT_EQ(Choose({{"follower:1", State::kFollower, "", true},
                      {"leaderless:1", State::kReadOnlyLeaderless, "", true}},
                     preference, 0, "follower:1"),
              "leaderless:1");
    EXPECT_EQ(Choose({{"follower:1", State::kFollower, "", true}}, preference, 0, "follower:1"),
              "follower:1");
  }
}

// Whoever wants the leader is refused by all others.
TEST(ChooseNodeTest, TakesTheLeaderWhereThatIsWantedEvenIfItIsTheOneToAvoid) {
  EXPECT_EQ(Choose(kOneOfEach, NodePreference::kLeader, 0, "leader:1"), "leader:1");
}

TEST(ChooseNodeTest, AtRandomTakesAnyThatServes) {
  EXPECT_THAT(Order(NodePreference::kRandom),
              UnorderedElementsAre("leader:1", "follower:1", "replica:1", "pre:1", "leaderless:1"));
  std::set<std::string> chosen;
  for (std::uint64_t random = 0; random < 20; ++random) {
    chosen.insert(Choose(kOneOfEach, NodePreference::kRandom, random));
  }
  EXPECT_EQ(chosen.size(), 5u);
}

TEST(ChooseNodeTest, AmongEqualsItIsChance) {
  const Members followers = {{"a:1", State::kFollower, "", true},
                             {"b:1", State::kFollower, "", true},
                             {"c:1", State::kFollower, "", false},
                             {"d:1", State::kLeader, "", true}};
  std::set<std::string> chosen;
  for (std::uint64_t random = 0; random < 20; ++random) {
    chosen.insert(Choose(followers, NodePreference::kFollower, random));
  }
  EXPECT_THAT(chosen, UnorderedElementsAre("a:1", "b:1"));
}

TEST(ChooseNodeTest, ConnectsToNoneThatIsDeadOrOnItsWay) {
  EXPECT_EQ(Choose({}, NodePreference::kRandom), "");
  EXPECT_EQ(Choose({{"a:1", State::kOther, "ShuttingDown", true},
                    {"b:1", State::kLeader, "Leader", false}},
                   NodePreference::kRandom),
            "");
}

const Members kKnown = {{"a:1", State::kLeader, "", true}, {"b:1", State::kFollower, "", true}};

TEST(OrderOfAskingTest, AsksWhoIsKnownThenTheSeedsAndEachOnce) {
  const std::vector<std::string> seeds = {"s:1", "b:1", "t:1"};
  std::set<std::vector<std::string>> orders;
  for (std::uint64_t random = 0; random < 50; ++random) {
    const auto order = OrderOfAsking(kKnown, seeds, "", random);
    ASSERT_EQ(order.size(), 4u);
    EXPECT_THAT((std::vector{order[0], order[1]}), UnorderedElementsAre("a:1", "b:1"));
    EXPECT_THAT((std::vector{order[2], order[3]}), UnorderedElementsAre("s:1", "t:1"));
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 4u) << "each by chance";
}

TEST(OrderOfAskingTest, AsksTheOneThatWasLostLast) {
  for (std::uint64_t random = 0; random < 20; ++random) {
    EXPECT_EQ(OrderOfAsking(kKnown, std::vector<std::string>{"s:1"}, "a:1", random).back(), "a:1");
  }
}

TEST(OrderOfAskingTest, TheSameChanceGivesTheSameOrder) {
  const std::vector<std::string> seeds = {"a:1", "b:1", "c:1", "d:1", "e:1"};
  EXPECT_EQ(OrderOfAsking({}, seeds, "", 42), OrderOfAsking({}, seeds, "", 42));
}

}  // namespace
}  // namespace catchup
