#include <gtest/gtest.h>

#include "host/engine/backoff.h"
#include "host/engine/runner_pacing.h"
#include "host/engine/watermark.h"
#include "tests/engine/driver.h"

// The engine's parts by themselves.

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

TEST(RunnerPacingTest, ForgetsDeathsOfMoreThanTenMinutesAgo) {
  RunnerPacing pacing;
  std::chrono::nanoseconds now = 1h;
  for (int death = 0; death < 40; ++death) {
    EXPECT_FALSE(pacing.OnDeath(now, 250).give_up) << death;
    now += 61s;
  }
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

TEST(WatermarkTest, IsTheLastPositionOfTheDonePrefix) {
  Watermark watermark;
  watermark.AddEvent(1, P(10), 5);
  watermark.AddEvent(2, P(20), 6);
  watermark.AddPassed(P(25));
  EXPECT_EQ(watermark.position(), std::nullopt);
  EXPECT_EQ(watermark.pending_bytes(), 11u);
  EXPECT_EQ(watermark.SettleThrough(1).events, 1u);
  EXPECT_EQ(watermark.position(), P(10));
  EXPECT_EQ(watermark.SettleThrough(2).entries, 2u);
  EXPECT_EQ(watermark.position(), P(25));
  EXPECT_TRUE(watermark.idle());
  EXPECT_EQ(watermark.pending_bytes(), 0u);
}

TEST(WatermarkTest, TakesBackWhatWasPassedBeyondTheLastEvent) {
  Watermark watermark;
  watermark.AddEvent(1, P(10), 0);
  watermark.AddPassed(P(20));
  watermark.Withdraw(P(10));
  watermark.AddEvent(2, P(15), 0);
  watermark.SettleThrough(1);
  EXPECT_EQ(watermark.position(), P(10));
  watermark.SettleThrough(2);
  EXPECT_EQ(watermark.position(), P(15));
  watermark.AddPassed(P(30));
  ASSERT_EQ(watermark.position(), P(30));
  watermark.Withdraw(P(15));
  EXPECT_EQ(watermark.position(), P(15));
}

TEST(WatermarkTest, KeepsAnEventThatWasSkippedWhenItTakesBackAnAnnouncement) {
  Watermark watermark;
  watermark.AddEvent(1, P(10), 0);
  watermark.AddPassed(P(12), true);
  watermark.AddPassed(P(20));
  watermark.Withdraw(P(12));
  watermark.SettleThrough(1);
  EXPECT_EQ(watermark.position(), P(12));
  EXPECT_EQ(watermark.last_event(), P(12));
}

// The plugin stores it: nobody can take it from there.
TEST(WatermarkTest, DoesNotTakeBackAnAdvance) {
  Watermark watermark;
  watermark.Reset({}, true);
  watermark.AddPassed(P(20));
  watermark.MakeAdvance(1);
  watermark.Withdraw(std::nullopt);
  watermark.SettleThrough(1);
  EXPECT_EQ(watermark.position(), P(20));
  watermark.Withdraw(std::nullopt);
  EXPECT_EQ(watermark.position(), P(20));
}

TEST(WatermarkTest, StaysBoundedHoweverManyPositionsPass) {
  for (const bool hold_passed : {false, true}) {
    Watermark watermark;
    watermark.Reset({}, hold_passed);
    watermark.AddEvent(1, P(1), 0);
    for (std::uint64_t n = 2; n < 10'000; ++n) {
      watermark.AddPassed(P(n));
    }
    EXPECT_EQ(watermark.size(), 2u);
    watermark.SettleThrough(1);
    EXPECT_EQ(watermark.position(), hold_passed ? P(1) : P(9'999));
  }
}

}  // namespace
}  // namespace catchup
