#include <gtest/gtest.h>

#include "host/engine/catch_up.h"
#include "host/engine/lifecycle.h"
#include "tests/engine/driver.h"

// How a group gets to "caught up", and what it shows of itself.

namespace catchup {
namespace {

TEST(CatchUpTest, GoesFromLiveToSettledToDurable) {
  CatchUp catch_up;
  EXPECT_FALSE(catch_up.OnSettled(9, P(9))) << "not live";
  catch_up.OnLive(3);
  EXPECT_FALSE(catch_up.OnSettled(2, P(2)));
  EXPECT_TRUE(catch_up.OnSettled(3, P(3)));
  EXPECT_TRUE(catch_up.persisting());
  EXPECT_EQ(catch_up.watermark(), P(3));
  EXPECT_FALSE(catch_up.done());
  catch_up.OnDurable();
  EXPECT_TRUE(catch_up.done());
  EXPECT_FALSE(catch_up.OnSettled(4, P(4))) << "said once";
}

TEST(CatchUpTest, ARepeatedWordPutsNothingOff) {
  CatchUp catch_up;
  catch_up.OnLive(1);
  catch_up.OnLive(2);
  EXPECT_TRUE(catch_up.OnSettled(1, P(1)));
}

TEST(CatchUpTest, ADropBeginsAgain) {
  CatchUp catch_up;
  catch_up.OnLive(0);
  catch_up.OnSettled(0, {});
  catch_up.OnDurable();
  catch_up.Drop();
  EXPECT_FALSE(catch_up.begun());
  catch_up.OnLive(5);
  EXPECT_TRUE(catch_up.OnSettled(5, P(5)));
}

TEST(CatchUpTest, WaitsForNoMoreThanIsLeftOfTheWatermark) {
  CatchUp catch_up;
  catch_up.OnLive(0);
  catch_up.OnSettled(0, P(9));
  catch_up.Withdraw(P(7));
  EXPECT_EQ(catch_up.watermark(), P(7));
}

class LifecycleTest : public testing::Test {
 protected:
  bool Report() {
    const bool changed = life.Report(
        {begun, live, caught_up, runner_trouble, call_trouble, store_trouble, source_trouble});
    EXPECT_EQ(life.CheckInvariants(), "");
    return changed;
  }

  Lifecycle life;
  bool begun = false;
  bool live = false;
  bool caught_up = false;
  std::string runner_trouble;
  std::string call_trouble;
  std::string store_trouble;
  std::string source_trouble;
};

TEST_F(LifecycleTest, ShowsHowFarTheGroupHasGot) {
  EXPECT_FALSE(Report());
  EXPECT_EQ(life.state(), GroupState::kIdle);
  life.Start();
  EXPECT_TRUE(Report());
  EXPECT_FALSE(Report()) << "said once";
  EXPECT_EQ(life.state(), GroupState::kStarting);
  begun = live = true;
  Report();
  EXPECT_EQ(life.state(), GroupState::kCatchingUp);
  caught_up = true;
  Report();
  EXPECT_EQ(life.state(), GroupState::kCaughtUp);
}

TEST_F(LifecycleTest, ShowsWhatItWaitsForTheRunnerFirst) {
  life.Start();
  source_trouble = "reset";
  EXPECT_TRUE(Report());
  EXPECT_EQ(life.state(), GroupState::kWaiting);
  runner_trouble = "it died";
  EXPECT_TRUE(Report()) << "another reason";
  EXPECT_EQ(life.reason(), "it died");
}

TEST_F(LifecycleTest, ShowsWhatTheStoreWaitsForBeforeTheSourceAndAlsoWhileItDrains) {
  life.Start();
  source_trouble = "reset";
  store_trouble = "no room";
  Report();
  EXPECT_EQ(life.state(), GroupState::kWaiting);
  EXPECT_EQ(life.reason(), "no room");
  life.End(GroupState::kStopped, "stopped");
  EXPECT_TRUE(Report());
  EXPECT_EQ(life.state(), GroupState::kDraining);
  EXPECT_EQ(life.reason(), "stopped; no room");
}

TEST_F(LifecycleTest, AFailureTakesThePlaceOfAStopAndNothingThatOfAFailure) {
  life.Start();
  life.End(GroupState::kStopped, "stopped");
  Report();
  EXPECT_EQ(life.state(), GroupState::kDraining);
  life.End(GroupState::kFailed, "REJECT");
  life.End(GroupState::kFailed, "later");
  life.End(GroupState::kStopped, "stopped again");
  life.Finish();
  EXPECT_TRUE(Report());
  EXPECT_EQ(life.state(), GroupState::kFailed);
  EXPECT_EQ(life.reason(), "REJECT");
}

}  // namespace
}  // namespace catchup
