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

// What the runner still has may fill the window by itself; the first event of a new call would have
// no place, and the bound of duplicates no meaning.
TEST(ReconnectTest, WaitsForRoomInTheWindow) {
  Driver d({.window_events = 2});
  d.Run();
  d.Events(1, 2);
  d.Ended();
  EXPECT_FALSE(Has(d.Fire(TimerKind::kReconnect, 200ms), Kind::kSubscribe));
  const Commands settled = d.Settled(1);
  ASSERT_TRUE(Has(settled, Kind::kSubscribe));
  EXPECT_EQ(Find(settled, Kind::kSubscribe)->from, P(2));
  EXPECT_FALSE(Has(d.Settled(2), Kind::kSubscribe));
}

TEST(ReconnectTest, AStopWhileItWaitsForRoomOpensNothing) {
  Driver d({.window_events = 1});
  d.Run();
  d.Event(P(1));
  d.Ended();
  d.Fire(TimerKind::kReconnect, 200ms);
  d.Stop();
  EXPECT_FALSE(Has(d.Settled(1), Kind::kSubscribe));
}

// Two wrong announcements in a row look like a right one. The event comes in order for its stream
// all the same, so it is handled; from then on only events move the watermark.
TEST(LyingServerTest, AnEventBehindAnAnnouncementIsHandledAndNoneIsBelievedAnyMore) {
  Driver d;
  d.Run();
  d.Event(P(5));
  d.Settled(1);
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  ASSERT_EQ(d.engine.watermark(), P(10));

  const Commands late = d.Event(P(7));

  EXPECT_EQ(Delivered(late), (std::pair<Sequence, Sequence>{2, 2}));
  ASSERT_TRUE(Has(late, Kind::kLog));
  EXPECT_FALSE(Find(late, Kind::kLog)->expected);
  EXPECT_TRUE(Contains(Find(late, Kind::kLog)->text, "7:7")) << Find(late, Kind::kLog)->text;
  d.Settled(2);
  EXPECT_EQ(d.engine.handled(), 2u);
  EXPECT_EQ(d.engine.watermark(), P(10)) << "it must not go back";
  d.Checkpoint(P(30));
  d.Checkpoint(P(40));
  EXPECT_EQ(d.engine.watermark(), P(10));
  d.Event(P(50));
  d.Settled(3);
  EXPECT_EQ(d.engine.watermark(), P(50));
}

// Between the event and what was announced there may be others.
TEST(LyingServerTest, AReconnectBeginsBehindTheLastEvent) {
  Driver d;
  d.Run();
  d.Event(P(5));
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  d.Event(P(7));
  d.Ended();
  EXPECT_EQ(Find(d.Fire(TimerKind::kReconnect, 200ms), Kind::kSubscribe)->from, P(7));
  EXPECT_FALSE(Has(d.Event(P(8), 1, false, 2), Kind::kLog)) << "it was said once";
  d.Settled(3);
  EXPECT_EQ(d.engine.handled(), 3u);
  EXPECT_EQ(d.engine.watermark(), P(10));
}

TEST(LyingServerTest, ATrueRepetitionStaysSilent) {
  Driver d;
  d.Run();
  d.Events(1, 3);
  const Commands again = d.Event(P(2));
  EXPECT_TRUE(again.empty());
  EXPECT_EQ(d.engine.dropped(), 1u);
}

// Old servers announce places behind which they would resume too late.
TEST(OldServerTest, AnnouncementsMoveNothingButStillSayThatItIsCaughtUp) {
  Driver d({.stop_on_caught_up = true});
  d.Start();
  d.Ready();
  d.engine.TrustAnnouncements(false);
  d.Event(P(5));
  d.Settled(1);
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  EXPECT_EQ(d.engine.watermark(), P(5));
  EXPECT_EQ(Persisted(d.CaughtUp(P(30))), P(5));
  d.Durable(P(5));
  EXPECT_TRUE(d.engine.caught_up());
}

// What a newer server announced is no place for an older one.
TEST(OldServerTest, IsAskedForWhatComesBehindTheLastEvent) {
  Driver d;
  d.Run();
  d.Event(P(5));
  d.Settled(1);
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  d.Ended();
  EXPECT_EQ(Find(d.Fire(TimerKind::kReconnect, 200ms), Kind::kSubscribe)->from, P(10));
  EXPECT_EQ(d.engine.TrustAnnouncements(false), P(5));
  EXPECT_FALSE(Has(d.Event(P(8), 1, false, 2), Kind::kLog)) << "no contradiction";
  d.Settled(2);
  EXPECT_EQ(d.engine.watermark(), P(10));
  // The next one is new again.
  d.Ended(EndClass::kDropped, 2);
  d.Fire(TimerKind::kReconnect, 400ms);
  EXPECT_EQ(d.engine.TrustAnnouncements(true), P(8));
  d.Checkpoint(P(9), 3);
  d.Checkpoint(P(30), 3);
  EXPECT_EQ(d.engine.watermark(), P(10)) << "it must not go back";
  d.Checkpoint(P(40), 3);
  EXPECT_EQ(d.engine.watermark(), P(30));
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
