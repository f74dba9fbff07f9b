#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// Announcements, checkpoints and the way to caught up. Where a group goes on from is the greatest
// place that it knows of events, checkpoints and caught-up (protocol notes 3.4, 3.5).

namespace catchup {
namespace {

TEST(AnnouncementTest, EntersOnlyWhenALaterFrameIsGreater) {
  Driver d;
  d.Run();
  d.Checkpoint({50, 0});
  EXPECT_EQ(d.engine.watermark(), std::nullopt);
  d.Checkpoint({50, 0});
  EXPECT_EQ(d.engine.watermark(), std::nullopt);
  d.Checkpoint({60, 0});
  EXPECT_EQ(d.engine.watermark(), (Position{50, 0}));
}

TEST(AnnouncementTest, IsProvenByALaterEvent) {
  Driver d;
  d.Run();
  d.Checkpoint({50, 0});
  d.Event(P(50));
  EXPECT_EQ(d.engine.watermark(), (Position{50, 0}));
}

TEST(AnnouncementTest, IsForgottenWhenAnEventLiesAtOrBeforeIt) {
  Driver d;
  d.Run();
  d.Checkpoint(P(50));
  d.Event(P(50));
  EXPECT_NE(d.sequence, 0u);
  EXPECT_EQ(d.engine.watermark(), std::nullopt);
  d.Checkpoint(P(90));
  d.Event(P(70));
  EXPECT_NE(d.sequence, 0u);
  d.Event(P(100));
  d.Settled(1);
  EXPECT_EQ(d.engine.watermark(), P(50));
}

TEST(AnnouncementTest, NeverOvertakesAnUnfinishedEvent) {
  Driver d;
  d.Run();
  d.Event(P(1));
  d.Checkpoint(P(5));
  d.Checkpoint(P(6));
  EXPECT_EQ(d.engine.watermark(), std::nullopt);
  d.Settled(1);
  EXPECT_EQ(d.engine.watermark(), P(5));
}

TEST(AnnouncementTest, IsIgnoredAtTheEndOfTheLogAndWhenItIsNotNew) {
  Driver d;
  d.Run();
  d.Event(P(10));
  d.Settled(1);
  d.Checkpoint(kEndOfLog);
  d.Checkpoint(P(10));
  d.Checkpoint(P(4));
  d.Event(P(20));
  EXPECT_EQ(d.engine.watermark(), P(10));
}

TEST(AnnouncementTest, TheLowerOfTwoThatContradictEachOtherIsKept) {
  Driver d;
  d.Run();
  d.Checkpoint(P(90));
  d.Checkpoint(P(30));
  d.Checkpoint(P(40));
  EXPECT_EQ(d.engine.watermark(), P(30));
}

TEST(AnnouncementTest, IsCountedAsDroppedWhereItGoesBack) {
  Driver d;
  d.Run();
  d.Event(P(50));
  d.Checkpoint(P(50));
  d.Checkpoint({60, 0});
  EXPECT_EQ(d.engine.counts().dropped, 0u);
  d.Checkpoint(P(40));
  d.CaughtUp(P(50));
  d.Checkpoint({1, 2});
  EXPECT_EQ(d.engine.counts().dropped, 3u);
  EXPECT_EQ(d.engine.watermark(), std::nullopt);
}

TEST(AnnouncementTest, ACaughtUpPositionIsOneToo) {
  Driver d;
  d.Run();
  d.CaughtUp(P(30));
  EXPECT_EQ(d.engine.watermark(), std::nullopt);
  d.Event(P(31));
  EXPECT_EQ(d.engine.watermark(), P(30));
}

TEST(ResumeTest, GoesOnFromTheLastEventOrProvenAnnouncementNotFromAHeldOne) {
  Driver d;
  d.Run();
  d.Event(P(10));
  d.Checkpoint({20, 0});
  d.Ended();
  EXPECT_EQ(Find(d.Wake(200ms), Kind::kSubscribe)->from, P(10));

  d.Checkpoint({20, 0}, 2);
  d.Checkpoint({30, 0}, 2);
  d.Ended(EndClass::kDropped, 2);
  const Commands again = d.Wake(400ms);
  EXPECT_EQ(Find(again, Kind::kSubscribe)->from, (Position{20, 0}));
  EXPECT_EQ(Find(again, Kind::kSubscribe)->number, 3u);
}

TEST(CheckpointTest, IsWrittenAfterABatch) {
  Driver d({.checkpoint_batch_size = 3});
  d.Run();
  d.Events(1, 3);
  EXPECT_EQ(Persisted(d.Settled(2)), std::nullopt);
  EXPECT_EQ(Persisted(d.Settled(3)), P(3));
}

TEST(CheckpointTest, IsWrittenAfterTheIntervalWhenThereIsSomethingNew) {
  Driver d({.checkpoint_interval = 1s});
  d.Run();
  d.Event(P(1));
  const Commands settled = d.Settled(1);
  EXPECT_EQ(Persisted(settled), std::nullopt);
  EXPECT_EQ(d.WakeIn(settled), 1s);
  EXPECT_EQ(Persisted(d.Wake(1s)), P(1));
  d.Durable(P(1));
  EXPECT_TRUE(d.Wake(5s).empty());
}

TEST(CheckpointTest, OneWriteAtATimeSharedByWhateverComesMeanwhile) {
  Driver d({.checkpoint_batch_size = 1, .window_events = 4});
  d.Run();
  d.Events(1, 4);
  EXPECT_EQ(Persisted(d.Settled(1)), P(1));
  EXPECT_EQ(Persisted(d.Settled(2)), std::nullopt);
  EXPECT_EQ(Persisted(d.Settled(3)), std::nullopt);
  EXPECT_EQ(Persisted(d.Durable(P(1))), P(3));
  EXPECT_EQ(d.engine.durable(), P(1));
  EXPECT_EQ(Persisted(d.Durable(P(3))), std::nullopt);
}

TEST(CheckpointTest, LeavesTheDiskTwoMillisecondsBetweenCommits) {
  Driver d({.checkpoint_batch_size = 2});
  d.Run();
  d.Events(1, 4);
  EXPECT_EQ(Persisted(d.Settled(2)), P(2));
  d.Durable(P(2));
  const Commands settled = d.Settled(4);
  EXPECT_EQ(Persisted(settled), std::nullopt);
  EXPECT_EQ(d.WakeIn(settled), 2ms);
  EXPECT_EQ(Persisted(d.Wake(2ms)), P(4));
}

TEST(CheckpointTest, DoesNotWaitOnceHalfOfTheDuplicateBoundIsUndurable) {
  Driver d({.checkpoint_batch_size = 2, .window_events = 6});
  d.Run();
  d.Events(1, 6);
  EXPECT_EQ(Persisted(d.Settled(2)), P(2));
  d.Durable(P(2));
  // Two settled and two pending are half of 2 + 6.
  EXPECT_EQ(Persisted(d.Settled(4)), P(4));
}

TEST(CheckpointTest, LeavesTheDiskTenMillisecondsAfterACommitOfManyEvents) {
  Driver d({.window_events = 1'024});
  d.Run();
  d.Events(1, 200);
  EXPECT_EQ(Persisted(d.Settled(128)), P(128));
  d.Durable(P(128));
  const Commands settled = d.Settled(200);
  EXPECT_EQ(Persisted(settled), std::nullopt);
  EXPECT_EQ(d.WakeIn(settled), 10ms);
  EXPECT_EQ(Persisted(d.Wake(10ms)), P(200));
  // That one had few.
  d.Durable(P(200));
  d.Events(201, 220);
  EXPECT_EQ(d.WakeIn(d.Settled(220)), 2ms);
}

TEST(CheckpointTest, WaitsNoLongerThanHalfOfTheDuplicateBoundAfterACommitOfManyEventsEither) {
  Driver d({.checkpoint_batch_size = 10, .window_events = 390});
  d.Run();
  d.Events(1, 327);
  EXPECT_EQ(Persisted(d.Settled(128)), P(128));
  d.Durable(P(128));
  EXPECT_EQ(Persisted(d.Settled(327)), std::nullopt);
  // Half of 10 + 390 lie beyond the last one.
  EXPECT_EQ(Persisted(d.Event(P(328))), P(327));
}

TEST(CheckpointTest, FollowsAnnouncementsWhereNothingMatches) {
  Driver d({.checkpoint_interval = 1s});
  d.Run();
  d.Checkpoint({50, 0});
  d.Checkpoint({60, 0});
  EXPECT_EQ(Persisted(d.Wake(1s)), (Position{50, 0}));
}

TEST(CheckpointTest, IgnoresTheWordOfAWriteItDidNotAskFor) {
  Driver d;
  d.Run();
  EXPECT_TRUE(d.Durable(P(99)).empty());
  EXPECT_EQ(d.engine.durable(), std::nullopt);
}

TEST(CaughtUpTest, ComesOnlyAfterEverythingBeforeIsSettledAndDurable) {
  Driver d;
  d.Run();
  d.Events(1, 2);
  d.CaughtUp();
  EXPECT_EQ(d.engine.state(), GroupState::kCatchingUp);
  d.Event(P(3));
  d.Settled(1);
  EXPECT_FALSE(d.engine.caught_up());
  EXPECT_EQ(Persisted(d.Settled(2)), P(2));
  EXPECT_FALSE(d.engine.caught_up());
  EXPECT_TRUE(Has(d.Durable(P(2)), Kind::kStateChanged));
  EXPECT_EQ(d.engine.state(), GroupState::kCaughtUp);
}

TEST(CaughtUpTest, IsNotPutOffByARepeatedFrame) {
  Driver d;
  d.Run();
  d.Event(P(1));
  d.CaughtUp();
  d.Event(P(2));
  d.CaughtUp();
  d.Settled(1);
  d.Durable(P(1));
  EXPECT_TRUE(d.engine.caught_up());
}

TEST(CaughtUpTest, LaterEventsLeaveTheStateAlone) {
  Driver d;
  d.Run();
  d.CaughtUp();
  EXPECT_EQ(d.engine.state(), GroupState::kCaughtUp);
  d.Event(P(1));
  EXPECT_EQ(d.engine.state(), GroupState::kCaughtUp);
}

TEST(CaughtUpTest, ADroppedSubscriptionHasToCatchUpAgain) {
  Driver d;
  d.Run();
  d.CaughtUp();
  d.Ended();
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_FALSE(d.engine.caught_up());
  d.Wake(200ms);
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  d.Event(P(1), 1, false, 2);
  EXPECT_EQ(d.engine.state(), GroupState::kCatchingUp);
  d.Settled(1);
  d.CaughtUp({}, 2);
  d.Durable(P(1));
  EXPECT_EQ(d.engine.state(), GroupState::kCaughtUp);
}

TEST(CaughtUpTest, AFrameAtTheHeadWillDoForServersThatDoNotSayIt) {
  Driver d;
  d.server = kSilent;
  d.Run();
  d.Head(P(20));
  d.Event(P(10));
  d.Settled(1);
  d.Wake(1s);
  d.Durable(P(10));
  EXPECT_FALSE(d.engine.caught_up());
  d.Checkpoint(kEndOfLog);
  EXPECT_FALSE(d.engine.caught_up());
  d.Checkpoint(P(20));
  EXPECT_TRUE(d.engine.caught_up());
}

TEST(CaughtUpTest, AnEventAtTheHeadWillDo) {
  Driver d;
  d.server = kSilent;
  d.Run();
  d.Head(P(20));
  d.Event(P(20));
  EXPECT_EQ(Persisted(d.Settled(1)), P(20));
  d.Durable(P(20));
  EXPECT_TRUE(d.engine.caught_up());
}

TEST(CaughtUpTest, AHeadAtTheStartWillDoAndSoWillAnEmptyLog) {
  Driver resumed;
  resumed.server = kSilent;
  resumed.Start({.recorded_start = {}, .checkpoint = P(20)});
  resumed.Ready();
  resumed.Head(P(20));
  EXPECT_EQ(resumed.engine.state(), GroupState::kCaughtUp);

  Driver empty;
  empty.server = kSilent;
  empty.Start();
  empty.Ready();
  empty.Head({});
  EXPECT_EQ(empty.engine.state(), GroupState::kCaughtUp);
}

// The question for the head and the subscription are two calls.
TEST(CaughtUpTest, AHeadThatComesAfterTheFrameThatReachedItWillDo) {
  Driver d;
  d.server = kSilent;
  d.Run();
  d.Checkpoint(P(20));
  d.Head(P(20));
  EXPECT_TRUE(d.engine.caught_up());
}

TEST(CaughtUpTest, StopsTheGroupWhenAskedTo) {
  Driver d({.stop_on_caught_up = true});
  d.Run();
  d.Event(P(1));
  d.CaughtUp();
  d.Settled(1);
  const Commands durable = d.Durable(P(1));
  EXPECT_TRUE(Has(durable, Kind::kCancelSubscription));
  EXPECT_TRUE(Has(durable, Kind::kDrainRunner));
  EXPECT_EQ(d.engine.state(), GroupState::kDraining);
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kStopped);
  EXPECT_EQ(d.engine.reason(), "caught up");
}

}  // namespace
}  // namespace catchup
