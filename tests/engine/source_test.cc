#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// What becomes of a subscription that ends.

namespace catchup {
namespace {

TEST(ReconnectTest, BacksOffFrom200MillisecondsAndKeepsRunnerAndWindow) {
  Driver d;
  d.Run();
  d.Event(P(1));
  const Commands ended = d.Ended();
  EXPECT_EQ(TimerDelay(ended, TimerKind::kReconnect), 200ms);
  EXPECT_FALSE(Has(ended, Kind::kRelease));
  EXPECT_FALSE(Has(ended, Kind::kDrainRunner));
  ASSERT_TRUE(Has(ended, Kind::kLog));
  EXPECT_TRUE(Find(ended, Kind::kLog)->expected);
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(Contains(d.engine.reason(), "reset")) << d.engine.reason();
  d.Settled(1);
  EXPECT_EQ(d.engine.handled(), 1u);

  d.Fire(TimerKind::kReconnect, 200ms);
  EXPECT_EQ(TimerDelay(d.Ended(EndClass::kDropped, 2), TimerKind::kReconnect), 400ms);
}

TEST(ReconnectTest, IsCappedAt30Seconds) {
  Driver d;
  d.Run();
  std::chrono::nanoseconds delay{};
  for (CallNumber call = 1; call <= 100; ++call) {
    delay = TimerDelay(d.Ended(EndClass::kDropped, call), TimerKind::kReconnect);
    d.Fire(TimerKind::kReconnect, delay);
  }
  EXPECT_EQ(delay, 30s);
}

TEST(ReconnectTest, GoesBackToBaseAfter30SecondsOfHealthyStream) {
  Driver d;
  d.Run();
  d.Ended();
  d.Fire(TimerKind::kReconnect, 200ms);
  d.Checkpoint(P(1), 2);
  d.now += 29s;
  EXPECT_EQ(TimerDelay(d.Ended(EndClass::kDropped, 2), TimerKind::kReconnect), 400ms);
  d.Fire(TimerKind::kReconnect, 400ms);
  d.Checkpoint(P(1), 3);
  d.now += 30s;
  EXPECT_EQ(TimerDelay(d.Ended(EndClass::kDropped, 3), TimerKind::kReconnect), 200ms);
}

TEST(ReconnectTest, ACallWithoutAFrameIsNotHealthyHoweverLongItHung) {
  Driver d;
  d.Run();
  d.Ended();
  d.Fire(TimerKind::kReconnect, 200ms);
  d.now += 1h;
  EXPECT_EQ(TimerDelay(d.Ended(EndClass::kDropped, 2), TimerKind::kReconnect), 400ms);
}

TEST(ReconnectTest, ARefusalWaitsAtLeast10SecondsAndIsNotExpected) {
  Driver d;
  d.Run();
  const Commands ended = d.Ended(EndClass::kRefused);
  EXPECT_EQ(TimerDelay(ended, TimerKind::kReconnect), 10s);
  ASSERT_TRUE(Has(ended, Kind::kLog));
  EXPECT_FALSE(Find(ended, Kind::kLog)->expected);
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
}

TEST(ReconnectTest, AFiringThatComesTooEarlyIsPutOff) {
  Driver d;
  d.Run();
  d.Ended();
  const Commands early = d.Fire(TimerKind::kReconnect, 150ms);
  EXPECT_FALSE(Has(early, Kind::kSubscribe));
  EXPECT_EQ(TimerDelay(early, TimerKind::kReconnect), 50ms);
}

TEST(InvalidPositionTest, FailsTheGroupAndSaysWhatToDo) {
  Driver d;
  d.Start({.recorded_start = {}, .checkpoint = P(77)});
  d.Ready();
  const Commands ended = d.Ended(EndClass::kInvalidPosition);
  EXPECT_TRUE(Has(ended, Kind::kDrainRunner));
  EXPECT_FALSE(Has(ended, Kind::kCancelSubscription));
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(Contains(d.engine.reason(), "77:77")) << d.engine.reason();
  EXPECT_TRUE(Contains(d.engine.reason(), "reset the group")) << d.engine.reason();
  EXPECT_EQ(d.engine.durable(), P(77));
}

}  // namespace
}  // namespace catchup
