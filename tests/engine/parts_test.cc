#include <gtest/gtest.h>

#include "host/engine/backoff.h"
#include "host/engine/checkpoint_pacer.h"
#include "host/engine/runner_pacing.h"
#include "tests/engine/driver.h"

// The engine's smaller parts by themselves.

namespace catchup {
namespace {

TEST(BackoffTest, DoublesUpToItsCap) {
  const Backoff backoff{1s, 60s};
  EXPECT_EQ(backoff.Delay(0, 250), 1s);
  EXPECT_EQ(backoff.Delay(3, 250), 8s);
  EXPECT_EQ(backoff.Delay(6, 250), 60s);
  EXPECT_EQ(backoff.Delay(4'000'000'000u, 250), 60s);
}

TEST(BackoffTest, VariesByAQuarterAndStaysInItsBounds) {
  const Backoff backoff{1s, 60s};
  EXPECT_EQ(backoff.Delay(1, 0), 1500ms);
  EXPECT_EQ(backoff.Delay(1, 500), 2500ms);
  EXPECT_EQ(backoff.Delay(9, 0), 45s);
  EXPECT_EQ(backoff.Delay(9, 500), 60s);
  const Backoff tiny{1ms, 60s};
  EXPECT_EQ(tiny.Delay(0, 0), 100ms);
}

// A kill behind that would have the group begin at 50, which it has not got to.
TEST(CheckpointPacerTest, WritesThePlaceAgainThatAWriteHasPassedOverWhileTheGroupWentBackToIt) {
  CheckpointPacer pacer(1, 1s, 100);
  pacer.Reset(Position{10, 10}, Position{10, 10});
  pacer.OnProgress(1, 0s);
  ASSERT_EQ(pacer.Next(Position{50, 50}, 0, 0s), (Position{50, 50}));
  pacer.GoBack(Position{10, 10});
  EXPECT_TRUE(pacer.OnDurable(Position{50, 50}, 1s));
  EXPECT_FALSE(pacer.Covers(Position{10, 10}));
  EXPECT_EQ(pacer.Next(Position{10, 10}, 0, 2s), (Position{10, 10}));
}

TEST(RunnerPacingTest, ForgetsDeathsOfMoreThanTenMinutesAgo) {
  RunnerPacing pacing;
  std::chrono::nanoseconds now = 1h;
  for (int death = 0; death < 40; ++death) {
    pacing.OnBegun(now);
    EXPECT_FALSE(pacing.OnDeath(now, 250).give_up) << death;
    now += 61s;
  }
}

// What hangs in its set-up takes start_timeout for each death, so ten minutes do not hold eleven.
TEST(RunnerPacingTest, GivesUpAfterElevenRunnersInARowThatNeverBegan) {
  RunnerPacing pacing;
  std::chrono::nanoseconds now = 1h;
  for (int death = 1; death <= 10; ++death, now += 90s) {
    EXPECT_FALSE(pacing.OnDeath(now, 250).give_up) << death;
  }
  EXPECT_TRUE(pacing.OnDeath(now, 250).give_up);
}

TEST(RunnerPacingTest, OnProbationTheFirstDeathIsEnough) {
  RunnerPacing pacing;
  pacing.SetOnProbation();
  pacing.OnBegun(1h);
  EXPECT_TRUE(pacing.OnDeath(1h + 1s, 250).give_up);
}

TEST(RunnerPacingTest, ProbationEndsWithASettledEventOrTenMinutesOfWork) {
  RunnerPacing settles;
  settles.SetOnProbation();
  settles.OnBegun(1h);
  settles.OnSettled();
  EXPECT_FALSE(settles.OnDeath(1h + 1s, 250).give_up);

  RunnerPacing works;
  works.SetOnProbation();
  works.OnBegun(1h);
  EXPECT_FALSE(works.OnDeath(1h + 10min, 250).give_up);
  EXPECT_FALSE(works.OnDeath(1h + 10min, 250).give_up);
}

// The event becomes a letter in the end, and whatever it does the plugin had begun.
TEST(RunnerPacingTest, ADeathInACallOfAnEventGivesNothingUpAndEndsProbation) {
  RunnerPacing pacing;
  pacing.SetOnProbation();
  for (int death = 1; death <= 30; ++death) {
    pacing.OnBegun(1h);
    EXPECT_FALSE(pacing.OnDeath(1h, 250, true).give_up) << death;
  }
  EXPECT_FALSE(pacing.on_probation());
  pacing.Forgive(30);
  EXPECT_FALSE(pacing.OnDeath(1h, 250).give_up);
}

TEST(RunnerPacingTest, GivesUpAtTheEleventhDeathOfTenMinutes) {
  RunnerPacing pacing;
  for (int death = 1; death <= 10; ++death) {
    EXPECT_FALSE(pacing.OnDeath(1h, 250).give_up) << death;
  }
  EXPECT_TRUE(pacing.OnDeath(1h, 250).give_up);
}

TEST(RunnerPacingTest, StartsAgainAtOneSecondAfterASettledEvent) {
  RunnerPacing pacing;
  EXPECT_EQ(pacing.OnDeath(1h, 250).delay, 1s);
  EXPECT_EQ(pacing.OnDeath(1h, 250).delay, 2s);
  pacing.OnSettled();
  EXPECT_EQ(pacing.OnDeath(1h, 250).delay, 0s);
  EXPECT_EQ(pacing.OnDeath(1h, 250).delay, 1s);
}

}  // namespace
}  // namespace catchup
