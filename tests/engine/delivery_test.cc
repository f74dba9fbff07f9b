#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// Starting, handing events over in order, and how much may be under way.

namespace catchup {
namespace {

TEST(StartTest, SpawnsTheFirstRunnerAndSubscribesOnlyOnceItIsReady) {
  Driver d;
  const Commands started = d.Start();
  ASSERT_TRUE(Has(started, Kind::kSpawnRunner));
  EXPECT_EQ(Find(started, Kind::kSpawnRunner)->number, 1u);
  EXPECT_FALSE(Has(started, Kind::kSubscribe));
  EXPECT_EQ(d.engine.state(), GroupState::kStarting);

  const Commands ready = d.Ready();
  ASSERT_TRUE(Has(ready, Kind::kSubscribe));
  EXPECT_EQ(Find(ready, Kind::kSubscribe)->number, 1u);
  EXPECT_EQ(Find(ready, Kind::kSubscribe)->from, std::nullopt);
  EXPECT_EQ(d.engine.state(), GroupState::kStarting);

  d.Event(P(1));
  EXPECT_EQ(d.engine.state(), GroupState::kCatchingUp);
}

TEST(StartTest, ResumesAfterTheCheckpointEvenIfAStartIsRecorded) {
  Driver d;
  d.Start({.recorded_start = P(5), .checkpoint = Position{90, 0}});
  EXPECT_EQ(Find(d.Ready(), Kind::kSubscribe)->from, (Position{90, 0}));
  EXPECT_EQ(d.engine.durable(), (Position{90, 0}));
  EXPECT_EQ(d.engine.watermark(), (Position{90, 0}));
}

TEST(StartTest, BeginsAtTheRecordedStartWithoutACheckpoint) {
  Driver d;
  d.Start({.recorded_start = P(5), .checkpoint = {}});
  EXPECT_EQ(Find(d.Ready(), Kind::kSubscribe)->from, P(5));
  EXPECT_EQ(d.engine.durable(), std::nullopt);
  // Nothing was handled, so there is nothing to write.
  EXPECT_EQ(Persisted(d.CaughtUp()), std::nullopt);
  EXPECT_TRUE(d.engine.caught_up());
}

TEST(StartTest, ShowsTheCheckpointWhileTheRunnerIsNotThereYet) {
  Driver d;
  d.Start({.recorded_start = {}, .checkpoint = P(9)});
  EXPECT_EQ(d.engine.durable(), P(9));
  EXPECT_EQ(d.engine.watermark(), P(9));
}

TEST(StartTest, NeedsNoCheckpointForAStartThatIsRecorded) {
  Driver d;
  d.Start({.recorded_start = P(5), .checkpoint = {}});
  d.Ready();
  EXPECT_TRUE(d.engine.settled_is_durable());
  d.Event(P(6));
  d.Settled(1);
  EXPECT_FALSE(d.engine.settled_is_durable());
  d.Wake(1s);
  d.Durable(P(6));
  EXPECT_TRUE(d.engine.settled_is_durable());
}

TEST(DeliveryTest, HandsEachEventOverAtOnceWhileTheRunnerIsReady) {
  Driver d;
  d.Run();
  EXPECT_EQ(Delivered(d.Event(P(10))), (std::pair<Sequence, Sequence>{1, 1}));
  EXPECT_EQ(d.sequence, 1u);
  EXPECT_EQ(Delivered(d.Event(P(20))), (std::pair<Sequence, Sequence>{2, 2}));
  EXPECT_EQ(d.sequence, 2u);
}

TEST(DeliveryTest, ReleasesAndCountsWhatIsSettled) {
  Driver d;
  d.Run();
  d.Events(1, 3);
  const Commands settled = d.Settled(2);
  ASSERT_TRUE(Has(settled, Kind::kRelease));
  EXPECT_EQ(Find(settled, Kind::kRelease)->last, 2u);
  EXPECT_EQ(d.engine.counts().handled, 2u);
  EXPECT_EQ(d.engine.watermark(), P(2));
  EXPECT_TRUE(d.Settled(2).empty());
}

TEST(DeliveryTest, DropsAndCountsWhatItHasSeenBefore) {
  Driver d;
  d.Run();
  d.Event(P(10));
  EXPECT_EQ(Delivered(d.Event(P(10))).first, 0u);
  EXPECT_EQ(d.sequence, 0u);
  d.Event(Position{10, 9});
  EXPECT_EQ(d.sequence, 0u);
  EXPECT_EQ(d.engine.counts().dropped, 2u);
  d.Event(Position{11, 3});
  EXPECT_EQ(d.sequence, 2u);
}

TEST(DeliveryTest, SkipsAndCountsWhatARuleSays) {
  Driver d;
  d.Run();
  d.Event(P(1));
  EXPECT_EQ(Delivered(d.Event(P(2), 1, true)).first, 0u);
  EXPECT_EQ(d.sequence, 0u);
  EXPECT_EQ(d.engine.counts().skipped, 1u);
  EXPECT_EQ(d.engine.watermark(), std::nullopt);
  d.Settled(1);
  EXPECT_EQ(d.engine.watermark(), P(2));
  EXPECT_EQ(d.engine.counts().handled, 1u);
}

TEST(DeliveryTest, KeepsEventsForARunnerThatIsNotThereYet) {
  Driver d;
  d.Run();
  d.Events(1, 3);
  d.Settled(1);
  d.Exited(1, ExitClass::kCrash);
  EXPECT_EQ(Delivered(d.Event(P(4))).first, 0u);
  EXPECT_EQ(d.sequence, 4u);
  EXPECT_EQ(Delivered(d.Ready(2)), (std::pair<Sequence, Sequence>{2, 4}));
}

TEST(DeliveryTest, IgnoresInputsOfAnEarlierCall) {
  Driver d;
  d.Run();
  d.Ended();
  EXPECT_TRUE(d.Event(P(1)).empty());
  EXPECT_EQ(d.sequence, 0u);
  d.Wake(200ms);
  EXPECT_TRUE(d.Event(P(1), 1, false, 1).empty());
  EXPECT_TRUE(d.Checkpoint(P(1), 1).empty());
  EXPECT_TRUE(d.CaughtUp(P(1), 1).empty());
  EXPECT_TRUE(d.Head({}, 1).empty());
  EXPECT_TRUE(d.Ended(EndClass::kDropped, 1).empty());
  d.Event(P(1), 1, false, 2);
  EXPECT_EQ(d.sequence, 1u);
}

TEST(WindowTest, StopsAskingWhenTheEventsAreFull) {
  Driver d({.window_events = 2});
  d.Run();
  d.Event(P(1));
  EXPECT_TRUE(d.engine.wants_frames());
  d.Event(P(2));
  EXPECT_FALSE(d.engine.wants_frames());
  EXPECT_TRUE(d.engine.progress_helps());
  d.Settled(1);
  EXPECT_TRUE(d.engine.wants_frames());
}

TEST(WindowTest, StopsAskingWhenTheBytesAreFull) {
  Driver d({.window_bytes = 100});
  d.Run();
  d.Event(P(1), 99);
  EXPECT_TRUE(d.engine.wants_frames());
  d.Event(P(2), 1);
  EXPECT_FALSE(d.engine.wants_frames());
  d.Settled(1);
  EXPECT_TRUE(d.engine.wants_frames());
}

TEST(WindowTest, LetsOneEventBiggerThanTheWindowPassAlone) {
  Driver d({.window_bytes = 100});
  d.Run();
  EXPECT_TRUE(d.engine.wants_frames());
  EXPECT_EQ(Delivered(d.Event(P(1), 1000)).first, 1u);
  EXPECT_FALSE(d.engine.wants_frames());
  d.Settled(1);
  EXPECT_TRUE(d.engine.wants_frames());
}

TEST(WindowTest, WaitsForTheStoreWhenBatchAndWindowLieBeyondTheCheckpoint) {
  Driver d({.checkpoint_batch_size = 2, .window_events = 3});
  d.Run();
  d.Events(1, 2);
  EXPECT_EQ(Persisted(d.Settled(2)), P(2));
  d.Events(3, 4);
  d.Settled(4);
  EXPECT_TRUE(d.engine.wants_frames());
  d.Event(P(5));
  EXPECT_FALSE(d.engine.wants_frames());
  // Whoever is woken by the runner's progress would be woken for nothing.
  EXPECT_FALSE(d.engine.progress_helps());
  d.Settled(5);
  EXPECT_FALSE(d.engine.wants_frames());
  d.Durable(P(2));
  EXPECT_TRUE(d.engine.wants_frames());
}

TEST(WindowTest, DoesNotAskWithoutASubscription) {
  Driver d;
  d.Start();
  EXPECT_FALSE(d.engine.wants_frames());
  d.Ready();
  EXPECT_TRUE(d.engine.wants_frames());
  d.Ended();
  EXPECT_FALSE(d.engine.wants_frames());
  d.Wake(200ms);
  EXPECT_TRUE(d.engine.wants_frames());
  d.Stop();
  EXPECT_FALSE(d.engine.wants_frames());
}

}  // namespace
}  // namespace catchup
