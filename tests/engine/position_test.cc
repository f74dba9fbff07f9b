#include <gtest/gtest.h>

#include "catchup/plugin.h"
#include "tests/engine/driver.h"

// A plugin that keeps its own position.

namespace catchup {
namespace {

TEST(PositionTest, APositionMadeWithAnotherFilterFailsTheGroup) {
  Driver d;
  d.Start({.recorded_start = {}, .checkpoint = {}, .filter_changed = true});
  EXPECT_FALSE(Has(d.ReadyAt(1, P(40)), Kind::kSubscribe));
  d.Exited(1, ExitClass::kClean);
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(Contains(d.engine.reason(), "40:40")) << d.engine.reason();
}

TEST(PositionTest, AnotherFilterIsFineWhereThePluginHoldsNothing) {
  Driver d;
  d.Start({.recorded_start = {}, .checkpoint = {}, .filter_changed = true});
  EXPECT_TRUE(Has(d.ReadyAt(1, {}), Kind::kSubscribe));
}

TEST(PositionStartTest, ThePluginsPositionWinsWhenItIsAhead) {
  Driver d;
  d.Start({.recorded_start = {}, .checkpoint = P(10)});
  const Commands ready = d.ReadyAt(1, P(30));
  EXPECT_EQ(Find(ready, Kind::kSubscribe)->from, P(30));
  EXPECT_FALSE(Has(ready, Kind::kNotice));
  EXPECT_EQ(d.engine.watermark(), P(30));
  // The checkpoint is brought up to it.
  EXPECT_EQ(d.WakeIn(ready), 1s);
  EXPECT_EQ(Persisted(d.Wake(1s)), P(30));
}

TEST(PositionStartTest, ThePluginsPositionWinsWhenItIsBehindAndTheLogNamesBoth) {
  Driver d;
  d.Start({.recorded_start = {}, .checkpoint = P(30)});
  const Commands ready = d.ReadyAt(1, P(10));
  EXPECT_EQ(Find(ready, Kind::kSubscribe)->from, P(10));
  ASSERT_TRUE(Has(ready, Kind::kNotice));
  EXPECT_TRUE(Contains(Find(ready, Kind::kNotice)->text, "reset"));
  EXPECT_TRUE(Contains(Find(ready, Kind::kNotice)->text, "10:10"));
  EXPECT_TRUE(Contains(Find(ready, Kind::kNotice)->text, "30:30"));
  EXPECT_EQ(d.engine.durable(), P(10));
}

TEST(PositionStartTest, NoPositionMeansTheRecordedStart) {
  Driver d;
  d.Start({.recorded_start = P(5), .checkpoint = P(30)});
  const Commands ready = d.ReadyAt(1, {});
  EXPECT_EQ(Find(ready, Kind::kSubscribe)->from, P(5));
  EXPECT_TRUE(Has(ready, Kind::kNotice));
}

TEST(PositionRejoinTest, WhatThePluginHoldsIsSettledWithoutAReport) {
  Driver d;
  d.Start();
  d.ReadyAt(1, {});
  d.Events(1, 4);
  d.Settled(1);
  d.Exited(1, ExitClass::kCrash);
  const Commands ready = d.ReadyAt(2, P(3));
  EXPECT_EQ(Find(ready, Kind::kRelease)->last, 3u);
  EXPECT_EQ(Delivered(ready), (std::pair<Sequence, Sequence>{4, 4}));
  EXPECT_FALSE(Has(ready, Kind::kSubscribe));
  EXPECT_EQ(d.engine.counts().handled, 3u);
  EXPECT_EQ(d.engine.watermark(), P(3));
}

TEST(PositionRejoinTest, APositionBehindWhatWasSettledStartsAgainFromThere) {
  Driver d;
  d.Start();
  d.ReadyAt(1, {});
  d.Events(1, 4);
  d.Settled(3);
  d.Exited(1, ExitClass::kCrash);
  const Commands ready = d.ReadyAt(2, P(1));
  EXPECT_TRUE(Has(ready, Kind::kCancelSubscription));
  EXPECT_EQ(Find(ready, Kind::kRelease)->last, 4u);
  ASSERT_TRUE(Has(ready, Kind::kSubscribe));
  EXPECT_EQ(Find(ready, Kind::kSubscribe)->from, P(1));
  EXPECT_EQ(Find(ready, Kind::kSubscribe)->number, 2u);
  EXPECT_EQ(Delivered(ready).first, 0u);
  EXPECT_TRUE(Has(ready, Kind::kNotice));
  // Sequences go on where they were.
  d.Event(P(2), 1, false, 2);
  EXPECT_EQ(d.sequence, 5u);
}

// Their events come again and may be applied this time.
TEST(PositionRejoinTest, LettersBehindThatPositionAreRemoved) {
  Driver d;
  d.engine.LoadLetter(StoredLetter(P(2), LetterState::kDead));
  d.engine.LoadLetter(StoredLetter(P(5), LetterState::kDead));
  d.Start();
  d.ReadyAt(1, P(6));
  d.Event(P(7));
  d.Settled(1);
  d.Exited(1, ExitClass::kCrash);
  const Commands ready = d.ReadyAt(2, P(3));
  ASSERT_TRUE(Has(ready, Kind::kRemoveLetters));
  EXPECT_EQ(Find(ready, Kind::kRemoveLetters)->from, P(3));
  EXPECT_EQ(d.engine.letters().letters(), 1u);
}

TEST(PositionRejoinTest, APositionBeyondEverythingReceivedStartsAgainFromThere) {
  Driver d;
  d.Start();
  d.ReadyAt(1, {});
  d.Events(1, 2);
  d.Exited(1, ExitClass::kCrash);
  d.Wake(1s);
  const Commands ready = d.ReadyAt(2, P(50));
  EXPECT_EQ(Find(ready, Kind::kSubscribe)->from, P(50));
  EXPECT_EQ(d.engine.watermark(), P(50));
}

TEST(PositionRejoinTest, AWriteUnderWayDuringAResetCoversNothing) {
  Driver d({.checkpoint_batch_size = 2});
  d.Start();
  d.ReadyAt(1, {});
  d.Events(1, 2);
  EXPECT_EQ(Persisted(d.Settled(2)), P(2));
  d.Exited(1, ExitClass::kCrash);
  d.ReadyAt(2, {});
  d.Event(P(1), 1, false, 2);
  d.CaughtUp({}, 2);
  d.Settled(3, 2);
  EXPECT_EQ(Persisted(d.Durable(P(2))), P(1));
}

TEST(PositionRejoinTest, ARunnerThatSuddenlyKeepsNoPositionBreaksTheContract) {
  Driver d;
  d.Start();
  d.ReadyAt(1, {});
  d.Event(P(1));
  d.Settled(1);
  d.Exited(1, ExitClass::kCrash);
  EXPECT_TRUE(Has(d.Ready(2), Kind::kKillRunner));
}

TEST(PositionStartTest, APlaceThatIsNoneFailsTheGroup) {
  for (const Position nowhere :
       {kEndOfLog, Position{~0ull, 0}, Position{1ull << 63, 5}, Position{10, 11}}) {
    Driver d;
    d.Start({.recorded_start = {}, .checkpoint = P(10)});
    EXPECT_FALSE(Has(d.ReadyAt(1, nowhere), Kind::kSubscribe));
    const Commands exited = d.Exited(1, ExitClass::kClean);
    EXPECT_EQ(Persisted(exited), std::nullopt);
    EXPECT_EQ(d.engine.state(), GroupState::kFailed);
    EXPECT_TRUE(Contains(d.engine.reason(), FormatPosition(nowhere))) << d.engine.reason();
    EXPECT_EQ(d.engine.durable(), P(10));
  }
}

TEST(PositionRejoinTest, APlaceThatIsNoneFailsTheGroup) {
  Driver d;
  d.Start();
  d.ReadyAt(1, {});
  d.Events(1, 2);
  d.Settled(1);
  d.Exited(1, ExitClass::kCrash);
  d.ReadyAt(2, kEndOfLog);
  EXPECT_EQ(Persisted(d.Exited(2, ExitClass::kClean)), std::nullopt)
      << "it was asked for at the end";
  d.Durable(P(1));
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_EQ(d.engine.durable(), P(1));
}

// The checkpoint is for display and lineage; after a reset it follows the plugin back.
TEST(PositionRejoinTest, TheCheckpointFollowsAReset) {
  Driver d;
  d.Start({.recorded_start = {}, .checkpoint = P(30)});
  d.ReadyAt(1, P(10));
  EXPECT_EQ(Persisted(d.Wake(1s)), P(10));
  d.Durable(P(10));
  d.Events(11, 14);
  d.Settled(4);
  EXPECT_EQ(Persisted(d.Wake(1s)), P(14));
  d.Durable(P(14));
  d.Exited(1, ExitClass::kCrash);
  d.ReadyAt(2, P(12));
  EXPECT_EQ(Persisted(d.Wake(1s)), P(12));
}

// The store holds the checkpoint of before the first one until that is written.
TEST(PositionRejoinTest, TheCheckpointFollowsTheSecondOfTwoResetsInARow) {
  Driver d;
  d.Start({.recorded_start = {}, .checkpoint = P(30)});
  d.ReadyAt(1, P(10));
  d.Event(P(11));
  d.Settled(1);
  d.Exited(1, ExitClass::kCrash);
  ASSERT_EQ(d.engine.durable(), P(10)) << "nothing was written yet";
  d.ReadyAt(2, P(10));
  EXPECT_EQ(Persisted(d.Wake(1s)), P(10));
}

TEST(PositionRejoinTest, TheCheckpointFollowsAResetToWhatAWriteUnderWayPassesOver) {
  Driver d;
  d.Start({.recorded_start = {}, .checkpoint = P(10)});
  d.ReadyAt(1, P(10));
  d.Event(P(20));
  d.Settled(1);
  ASSERT_EQ(Persisted(d.Wake(1s)), P(20));
  d.Exited(1, ExitClass::kCrash);
  d.ReadyAt(2, P(10));
  d.Durable(P(20));
  EXPECT_FALSE(d.engine.settled_is_durable()) << "the store holds 20";
  EXPECT_EQ(Persisted(d.Wake(1s)), P(10));
}

// An event that comes behind an announcement that was wrong stands in the watermark where that one
// stands once the plugin holds it, and in the plugin's store where it lies itself.
class LateEventTest : public testing::Test {
 protected:
  // Event 5 is settled, 10 was announced and proven, and then event 7 comes.
  void LateEvent(bool advanced) {
    d.Start();
    d.ReadyAt(1, {});
    d.Event(P(5));
    if (advanced) {
      d.Settled(1);
    }
    d.Checkpoint(P(10));
    d.Checkpoint(P(20));
    if (advanced) {
      EXPECT_EQ(d.engine.AdvanceAt(2), P(10));
      d.Settled(2);
    } else {
      d.Settled(1);
    }
    d.Event(P(7));
    late = d.sequence;
  }

  Driver d;
  Sequence late = 0;
};

TEST_F(LateEventTest, IsSettledWhenThePluginHoldsIt) {
  LateEvent(false);
  d.Exited(1, ExitClass::kCrash);
  const Commands ready = d.ReadyAt(2, P(7));
  EXPECT_EQ(Delivered(ready).first, 0u) << "it would come a second time";
  EXPECT_FALSE(Has(ready, Kind::kConnect));
  EXPECT_EQ(d.engine.counts().handled, 2u);
  EXPECT_EQ(d.engine.watermark(), P(10)) << "it must not go back";
}

TEST_F(LateEventTest, IsSettledWhenThePluginHoldsItAfterTheAnnouncement) {
  LateEvent(true);
  d.Exited(1, ExitClass::kCrash);
  const Commands ready = d.ReadyAt(2, P(7));
  EXPECT_EQ(Delivered(ready).first, 0u) << "it would come a second time";
  EXPECT_FALSE(Has(ready, Kind::kConnect));
  EXPECT_EQ(d.engine.counts().handled, 2u);
}

TEST_F(LateEventTest, ComesAgainWhenThePluginHoldsTheAnnouncement) {
  LateEvent(true);
  d.Exited(1, ExitClass::kCrash);
  const Commands ready = d.ReadyAt(2, P(10));
  EXPECT_EQ(Delivered(ready), (std::pair(late, late)));
  EXPECT_FALSE(Has(ready, Kind::kConnect));
}

TEST_F(LateEventTest, IsNoResetAfterItWasSettled) {
  LateEvent(true);
  d.Settled(late);
  d.Exited(1, ExitClass::kCrash);
  const Commands ready = d.ReadyAt(2, P(7));
  EXPECT_FALSE(Has(ready, Kind::kNotice));
  EXPECT_FALSE(Has(ready, Kind::kConnect));
}

// Whether it was applied, nobody could tell.
TEST_F(LateEventTest, FailsTheGroupWhereThePluginHoldsItsPlaceAlready) {
  LateEvent(true);
  const Commands event = d.Event(P(10));
  EXPECT_EQ(d.sequence, 0u);
  EXPECT_TRUE(Has(event, Kind::kDrainRunner));
  EXPECT_EQ(d.engine.state(), GroupState::kDraining);
  EXPECT_TRUE(Contains(d.engine.reason(), "10:10")) << d.engine.reason();
}

TEST(AdvanceTest, HandsOverAProvenAnnouncementWhenNothingIsInFlight) {
  Driver d;
  d.Start();
  d.ReadyAt(1, {});
  d.Checkpoint({50, 0});
  const Commands proven = d.Checkpoint({60, 0});
  EXPECT_EQ(Delivered(proven), (std::pair<Sequence, Sequence>{1, 1}));
  EXPECT_EQ(d.engine.AdvanceAt(1), (Position{50, 0}));
  EXPECT_EQ(d.engine.watermark(), std::nullopt);
  d.Settled(1);
  EXPECT_EQ(d.engine.watermark(), (Position{50, 0}));
  EXPECT_EQ(d.engine.counts().handled, 0u);
  EXPECT_EQ(d.engine.AdvanceAt(1), std::nullopt);
}

TEST(AdvanceTest, ComesAtMostOncePerInterval) {
  Driver d({.checkpoint_interval = 1s});
  d.Start();
  d.ReadyAt(1, {});
  d.Checkpoint(P(10));
  EXPECT_EQ(Delivered(d.Checkpoint(P(20))).first, 1u);
  d.Settled(1);
  EXPECT_EQ(Delivered(d.Checkpoint(P(30))).first, 0u);
  EXPECT_EQ(Delivered(d.Checkpoint(P(40))).first, 0u);
  EXPECT_EQ(Delivered(d.Wake(1s)).first, 2u);
  EXPECT_EQ(d.engine.AdvanceAt(2), P(30));
}

TEST(AdvanceTest, WaitsForEventsInFlightAndIsNotNeededAfterALaterOne) {
  Driver d;
  d.Start();
  d.ReadyAt(1, {});
  d.Event(P(1));
  d.Checkpoint(P(10));
  EXPECT_EQ(Delivered(d.Event(P(20))), (std::pair<Sequence, Sequence>{2, 2}));
  EXPECT_EQ(d.engine.AdvanceAt(2), std::nullopt);
  // The announcement between the two waits for the event behind it.
  EXPECT_EQ(Delivered(d.Settled(1)).first, 0u);
  EXPECT_EQ(d.engine.watermark(), P(1));
  d.Settled(2);
  EXPECT_EQ(d.engine.watermark(), P(20));
}

// It is no event, so nothing of it can become a letter, whatever the plugin says of it.
class FailedAdvanceTest : public testing::Test {
 protected:
  FailedAdvanceTest() {
    d.Start();
    d.ReadyAt(1, {});
    d.Checkpoint(P(10));
    EXPECT_EQ(Delivered(d.Checkpoint(P(20))).first, 1u);
  }

  Driver d;
};

TEST_F(FailedAdvanceTest, WaitsAtTheBreakersPaceUntilThePluginStoresIt) {
  for (const std::int32_t status : {CATCHUP_REJECT, CATCHUP_FAILED}) {
    const Commands failed = d.Failed({1, status, "handle_at", "constraint violated"});
    EXPECT_FALSE(Has(failed, Kind::kPark));
    EXPECT_FALSE(Has(failed, Kind::kDeliver));
    EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
    const Commands again = d.Wake(d.engine.breaker().open_until().value() - d.now);
    EXPECT_EQ(Delivered(again).first, 1u);
  }
  d.Settled(1);
  EXPECT_EQ(d.engine.watermark(), P(10));
  EXPECT_EQ(d.engine.counts().parked, 0u);
}

TEST_F(FailedAdvanceTest, WaitsForItsInfrastructureAsAnEventDoes) {
  const Commands failed = d.Failed({1, CATCHUP_RETRY, "handle_at", "later"});
  EXPECT_FALSE(Has(failed, Kind::kDeliver));
  EXPECT_EQ(d.WakeIn(failed), 1s);
  EXPECT_EQ(Delivered(d.Wake(1s)).first, 1u);
}

TEST_F(FailedAdvanceTest, ChargesADeathToThePluginAlone) {
  for (SpawnNumber spawn = 1; spawn <= 5; ++spawn) {
    const Commands died = d.Exited(spawn, ExitClass::kCrash, 1);
    EXPECT_FALSE(Has(died, Kind::kPark));
    d.Wake(60s);
    d.ReadyAt(spawn + 1, {});
  }
  EXPECT_EQ(d.engine.counts().parked, 0u);
  EXPECT_TRUE(d.engine.breaker().closed()) << "nothing was wrong with a call";
}

TEST_F(FailedAdvanceTest, IsGivenUpWithAPluginThatDiesOfItAgainAndAgain) {
  for (SpawnNumber spawn = 1; spawn <= RunnerPacing::kMaxDeaths + 1; ++spawn) {
    const Commands died = d.Exited(spawn, ExitClass::kCrash, 1);
    d.Wake(std::max(d.WakeIn(died), 0ns));
    d.ReadyAt(spawn + 1, {});
  }
  EXPECT_EQ(d.engine.state(), GroupState::kGivenUp) << d.engine.reason();
}

// It would stand behind an event that comes before it is handed over.
TEST(AdvanceTest, IsNotMadeWhileALetterIsCalled) {
  Driver d;
  d.engine.LoadLetter(StoredLetter(P(5)));
  d.Start({.recorded_start = {}, .checkpoint = P(5)});
  ASSERT_TRUE(Has(d.ReadyAt(1, P(5)), Kind::kCallLetter));
  d.Checkpoint(P(10));
  EXPECT_EQ(Delivered(d.Checkpoint(P(20))).first, 0u);
  d.Event(P(30));
  EXPECT_EQ(d.sequence, 1u);
  EXPECT_EQ(Delivered(d.Settled(kLetterCall)).first, 1u);
  EXPECT_EQ(d.engine.AdvanceAt(1), std::nullopt);
}

// An event that is a letter is passed as a place, and is no event any more.
TEST(ParkedPlaceTest, IsNotParkedASecondTimeWhenItsRunnerDies) {
  Driver d({.max_crashes = 1});
  d.Start();
  d.ReadyAt(1, {});
  d.Event(P(5));
  d.Failed({1, CATCHUP_REJECT, "handle_at", "no"});
  EXPECT_EQ(Delivered(d.LetterDurable(1)).first, 1u);
  EXPECT_EQ(d.engine.AdvanceAt(1), P(5));
  for (SpawnNumber spawn = 1; spawn <= 3; ++spawn) {
    EXPECT_FALSE(Has(d.Exited(spawn, ExitClass::kCrash, 1), Kind::kPark));
    d.Wake(60s);
    d.ReadyAt(spawn + 1, {});
  }
  EXPECT_EQ(d.engine.counts().parked, 1u);
}

TEST(AdvanceTest, IsHandedToTheNextRunnerUnlessThePluginStoredIt) {
  for (const bool stored : {false, true}) {
    Driver d;
    d.Start();
    d.ReadyAt(1, {});
    d.Checkpoint(P(10));
    d.Checkpoint(P(20));
    d.Event(P(30));
    d.Exited(1, ExitClass::kCrash);
    d.Wake(1s);
    const Commands ready = d.ReadyAt(2, stored ? std::optional(P(10)) : std::nullopt);
    EXPECT_EQ(Delivered(ready), (std::pair<Sequence, Sequence>{stored ? 2 : 1, 2}));
    EXPECT_EQ(d.engine.AdvanceAt(1).has_value(), !stored);
  }
}

TEST(AdvanceTest, PassesSkippedSystemEventsToo) {
  Driver d;
  d.Start();
  d.ReadyAt(1, {});
  const Commands skipped = d.Event(P(10), 1, true);
  EXPECT_EQ(d.sequence, 0u);
  EXPECT_EQ(Delivered(skipped).first, 1u);
  EXPECT_EQ(d.engine.AdvanceAt(1), P(10));
}

TEST(PositionModeTest, TheCheckpointNeverHoldsUpDelivery) {
  Driver d({.checkpoint_batch_size = 1, .window_events = 1});
  d.Start();
  d.ReadyAt(1, {});
  for (std::uint64_t n = 1; n <= 20; ++n) {
    EXPECT_TRUE(d.engine.wants_frames());
    d.Event(P(n));
    d.Settled(n);
  }
  EXPECT_EQ(d.engine.durable(), std::nullopt);
}

}  // namespace
}  // namespace catchup
