#include "host/engine/lane.h"

#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// One runner after the other, by itself.

namespace catchup {
namespace {

class LaneTest : public testing::Test {
 protected:
  Commands Plan(std::chrono::nanoseconds later = {}) {
    now += later;
    Commands commands;
    Turn turn({.now = now, .random = 250}, &commands);
    lane.Plan(&spawns, turn);
    EXPECT_EQ(lane.CheckInvariants(), "");
    Commands more;
    Turn again({.now = now, .random = 250}, &more);
    lane.Plan(&spawns, again);
    EXPECT_TRUE(more.empty());
    return commands;
  }
  void Run() {
    lane.SpawnAt(now);
    Plan();
    lane.OnReady(0ns);
  }

  Lane lane;
  SpawnNumber spawns = 0;
  std::chrono::nanoseconds now = 1h;
};

TEST_F(LaneTest, SpawnsOneAfterTheOtherWhenItsTimeHasCome) {
  lane.SpawnAt(now + 1s);
  EXPECT_TRUE(Plan().empty());
  EXPECT_EQ(lane.wake_at(), now + 1s);
  EXPECT_EQ(Find(Plan(1s), Kind::kSpawnRunner)->number, 1u);
  EXPECT_TRUE(lane.Is(1));
  EXPECT_FALSE(lane.takes());
  lane.OnReady(0ns);
  EXPECT_TRUE(lane.takes());
  lane.OnExited();
  EXPECT_FALSE(lane.Is(1));
  lane.SpawnAt(now);
  EXPECT_EQ(Find(Plan(), Kind::kSpawnRunner)->number, 2u);
}

TEST_F(LaneTest, SpawnsNoneThatIsNotWantedAnyMore) {
  lane.SpawnAt(now);
  lane.SpawnNone();
  EXPECT_TRUE(Plan().empty());
  EXPECT_EQ(lane.wake_at(), std::nullopt);
}

TEST_F(LaneTest, ClimbsFromDrainToAbortToKill) {
  Run();
  lane.Press(Lane::Force::kDrain, 5s);
  EXPECT_TRUE(Has(Plan(), Kind::kDrainRunner));
  EXPECT_FALSE(lane.takes());
  EXPECT_EQ(lane.wake_at(), now + 5s);
  EXPECT_TRUE(Plan(4s).empty());
  EXPECT_TRUE(Has(Plan(1s), Kind::kAbortRunner));
  EXPECT_EQ(lane.wake_at(), now + kStopPatience);
  EXPECT_TRUE(Has(Plan(3s), Kind::kKillRunner));
  EXPECT_EQ(lane.wake_at(), std::nullopt);
}

TEST_F(LaneTest, IsPressedUpwardsOnly) {
  Run();
  lane.Press(Lane::Force::kAbort, 5s);
  EXPECT_TRUE(Has(Plan(), Kind::kAbortRunner));
  lane.Press(Lane::Force::kDrain, 1s);
  EXPECT_TRUE(Plan().empty());
  EXPECT_EQ(lane.wake_at(), now + 5s);
  lane.Press(Lane::Force::kKill, {});
  EXPECT_TRUE(Has(Plan(), Kind::kKillRunner));
}

TEST_F(LaneTest, PressesNobodyWhereNobodyIsAndNotTheNextOne) {
  lane.Press(Lane::Force::kKill, {});
  EXPECT_TRUE(Plan().empty());
  Run();
  EXPECT_TRUE(lane.takes());
  lane.Press(Lane::Force::kDrain, 5s);
  Plan();
  lane.OnExited();
  EXPECT_EQ(lane.wake_at(), std::nullopt);
  Run();
  EXPECT_TRUE(lane.takes());
}

TEST_F(LaneTest, ADeathIsFollowedByASpawnAfterItsPause) {
  Run();
  lane.OnExited();
  EXPECT_EQ(lane.OnDeath(now, 250).delay, 1s);
  EXPECT_EQ(lane.wake_at(), now + 1s);
  Plan(1s);
  lane.OnReady(0ns);
  lane.OnSettled();
  lane.OnExited();
  EXPECT_EQ(lane.OnDeath(now, 250).delay, 0s);
  EXPECT_TRUE(Has(Plan(), Kind::kSpawnRunner));
}

TEST_F(LaneTest, ATroubleIsOverWhenTheNextOneIsReady) {
  Run();
  lane.OnExited();
  lane.SetTrouble("it died");
  lane.SpawnAt(now);
  Plan();
  EXPECT_EQ(lane.trouble(), "it died");
  lane.OnReady(0ns);
  EXPECT_EQ(lane.trouble(), "");
}

}  // namespace
}  // namespace catchup
