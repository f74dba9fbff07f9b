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
  EXPECT_EQ(d.WakeIn(ended), 200ms);
  EXPECT_FALSE(Has(ended, Kind::kRelease));
  EXPECT_FALSE(Has(ended, Kind::kDrainRunner));
  ASSERT_TRUE(Has(ended, Kind::kNotice));
  EXPECT_TRUE(Find(ended, Kind::kNotice)->expected);
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(Contains(d.engine.reason(), "reset")) << d.engine.reason();
  d.Settled(1);
  EXPECT_EQ(d.engine.counts().handled, 1u);

  d.Wake(200ms);
  EXPECT_EQ(d.WakeIn(d.Ended(EndClass::kDropped, 2)), 400ms);
}

TEST(ReconnectTest, IsCappedAt30Seconds) {
  Driver d;
  d.Run();
  std::chrono::nanoseconds delay{};
  for (CallNumber call = 1; call <= 100; ++call) {
    delay = d.WakeIn(d.Ended(EndClass::kDropped, call));
    d.Wake(delay);
  }
  EXPECT_EQ(delay, 30s);
}

TEST(ReconnectTest, GoesBackToBaseAtTheFirstFrame) {
  Driver d;
  d.Run();
  d.Ended();
  d.Wake(200ms);
  EXPECT_EQ(d.WakeIn(d.Ended(EndClass::kDropped, 2)), 400ms);
  d.Wake(400ms);
  d.Checkpoint(P(1), 3);
  EXPECT_EQ(d.WakeIn(d.Ended(EndClass::kDropped, 3)), 200ms);
}

// Its server is gone: its second call is about to end before anybody has answered.
class GoneTest : public testing::Test {
 protected:
  GoneTest() {
    d.Run();
    d.Ended();
    d.tells_server = false;
    d.Wake(200ms);
  }
  Driver d;
};

TEST_F(GoneTest, GoesOnAtOnceWhenTheSourceAnswersSomebody) {
  const Commands gone = d.Ended({.text = "nobody listens"}, 2);
  EXPECT_TRUE(Has(gone, Kind::kMissSource));
  EXPECT_EQ(d.WakeIn(gone), 10s);
  EXPECT_TRUE(Contains(d.engine.reason(), "going on when the server answers")) << d.engine.reason();
  d.now += 1s;
  d.tells_server = true;
  EXPECT_TRUE(Has(d.SourceAnswers(), Kind::kConnect));
  EXPECT_TRUE(d.SourceAnswers().empty()) << "there is a call";
  EXPECT_TRUE(Has(d.Checkpoint(P(1), 3), Kind::kSourceFound));
  EXPECT_FALSE(Has(d.Checkpoint(P(2), 3), Kind::kSourceFound));
}

// Else a source that answers whoever looks, and no group, would be asked without end.
TEST_F(GoneTest, BacksOffFromASourceThatAnswersOthers) {
  d.Ended({.text = "nobody listens"}, 2);
  EXPECT_TRUE(Has(d.SourceAnswers(), Kind::kConnect));
  CallNumber call = 3;
  for (const auto pause : {400ms, 800ms, 1600ms}) {
    d.Ended({.text = "reset"}, call++);
    EXPECT_FALSE(Has(d.SourceAnswers(), Kind::kConnect));
    EXPECT_FALSE(Has(d.Wake(pause - 1ms), Kind::kConnect));
    EXPECT_TRUE(Has(d.Wake(1ms), Kind::kConnect));
  }
}

TEST_F(GoneTest, TriesByItselfTooWhereNobodyFindsTheSource) {
  d.Ended({.text = "nobody listens"}, 2);
  EXPECT_TRUE(Has(d.Wake(10s), Kind::kConnect));
}

TEST(ReconnectTest, LeavesAServerAloneForAsLongAsItAsks) {
  Driver d;
  d.Run();
  const Commands ended =
      d.Ended({.answered = true, .retry_after = 5s, .text = "SERVER_SHUTTING_DOWN"}, 1);
  EXPECT_EQ(d.WakeIn(ended), 5s);
  d.now += 1s;
  EXPECT_FALSE(Has(d.SourceAnswers(), Kind::kConnect));
  EXPECT_TRUE(Has(d.Wake(4s), Kind::kConnect));
}

TEST(ReconnectTest, ARefusedGroupIsInNoHurryWhoeverIsAnswered) {
  Driver d;
  d.Run();
  const Commands refused = d.Ended(EndClass::kRights);
  EXPECT_FALSE(Has(refused, Kind::kMissSource));
  EXPECT_FALSE(Has(d.SourceAnswers(), Kind::kConnect));
  EXPECT_TRUE(Has(d.Wake(10s), Kind::kConnect));
}

TEST(ReconnectTest, ACallWithoutAFrameIsNotHealthyHoweverLongItHung) {
  Driver d;
  d.Run();
  d.Ended();
  d.Wake(200ms);
  d.now += 1h;
  EXPECT_EQ(d.WakeIn(d.Ended(EndClass::kDropped, 2)), 400ms);
}

TEST(ReconnectTest, ARefusalWaitsAtLeast10SecondsAndIsNotExpected) {
  Driver d;
  d.Run();
  const Commands ended = d.Ended(EndClass::kRights);
  EXPECT_EQ(d.WakeIn(ended), 10s);
  ASSERT_TRUE(Has(ended, Kind::kNotice));
  EXPECT_FALSE(Find(ended, Kind::kNotice)->expected);
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
}

TEST(ReconnectTest, WhatIsRefusedForWhoAsksIsTriedAgainOnceThatChanges) {
  for (const EndClass refused : {EndClass::kCredentials, EndClass::kRights}) {
    Driver d;
    d.Run();
    d.Ended(refused);
    EXPECT_EQ(d.engine.reason().rfind("credentials: refused (reset); next try in ", 0), 0u);
    EXPECT_TRUE(Has(d.AccessChanged(), Kind::kConnect));
  }
}

TEST(ReconnectTest, ChangedAccessHurriesNothingElse) {
  Driver d;
  d.Run();
  EXPECT_FALSE(Has(d.AccessChanged(), Kind::kConnect));
  d.Ended();
  EXPECT_FALSE(Has(d.AccessChanged(), Kind::kConnect));
}

TEST(ReconnectTest, AFiringThatComesTooEarlyIsPutOff) {
  Driver d;
  d.Run();
  d.Ended();
  const Commands early = d.Wake(150ms);
  EXPECT_FALSE(Has(early, Kind::kSubscribe));
  EXPECT_EQ(d.WakeIn(early), 50ms);
}

// What the runner still has may fill the window by itself; the first event of a new call would have
// no place, and the bound of duplicates no meaning.
TEST(ReconnectTest, WaitsForRoomInTheWindow) {
  Driver d({.window_events = 2});
  d.Run();
  d.Events(1, 2);
  d.Ended();
  EXPECT_FALSE(Has(d.Wake(200ms), Kind::kSubscribe));
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
  d.Wake(200ms);
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
  ASSERT_TRUE(Has(late, Kind::kNotice));
  EXPECT_FALSE(Find(late, Kind::kNotice)->expected);
  EXPECT_TRUE(Contains(Find(late, Kind::kNotice)->text, "7:7")) << Find(late, Kind::kNotice)->text;
  d.Settled(2);
  EXPECT_EQ(d.engine.counts().handled, 2u);
  EXPECT_EQ(d.engine.watermark(), P(7));
  d.Checkpoint(P(30));
  d.Checkpoint(P(40));
  EXPECT_EQ(d.engine.watermark(), P(7));
  d.Event(P(50));
  d.Settled(3);
  EXPECT_EQ(d.engine.watermark(), P(50));
}

// A death before it is settled would lose it.
TEST(LyingServerTest, NoCheckpointIsWrittenBeyondALateEventBeforeItIsSettled) {
  Driver d({.checkpoint_batch_size = 1});
  d.Run();
  d.Event(P(5));
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  d.Event(P(7));
  EXPECT_EQ(Persisted(d.Settled(1)), P(5));
  d.Durable(P(5));
  d.now += 10ms;
  EXPECT_EQ(Persisted(d.Settled(2)), P(7));
}

TEST(LyingServerTest, WhatWasPassedAndNotWrittenYetIsTakenBack) {
  Driver d({.checkpoint_interval = 1s});
  d.Run();
  d.Event(P(5));
  d.Settled(1);
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  d.Event(P(7));
  EXPECT_EQ(Persisted(d.Wake(1s)), P(5));
}

TEST(LyingServerTest, ACaughtUpThatWaitsForWhatWasPassedWaitsForNoMoreThanIsLeft) {
  Driver d({.checkpoint_batch_size = 1});
  d.Run();
  d.Event(P(5));
  ASSERT_EQ(Persisted(d.Settled(1)), P(5));
  d.Checkpoint(P(10));
  d.CaughtUp(P(20));
  ASSERT_EQ(d.engine.watermark(), P(10));
  d.Event(P(7));
  EXPECT_FALSE(d.engine.caught_up());
  d.Durable(P(5));
  EXPECT_TRUE(d.engine.caught_up());
}

// They lie below a checkpoint that cannot go back, so no death repeats them and no further write
// makes room for others.
TEST(LyingServerTest, LateEventsBelowTheCheckpointLeaveRoomForOthers) {
  Driver d({.checkpoint_batch_size = 1, .checkpoint_interval = 1s, .window_events = 2});
  d.Run();
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  ASSERT_EQ(Persisted(d.Wake(1s)), P(10));
  d.Durable(P(10));
  for (std::uint64_t n = 1; n <= 9; ++n) {
    d.Event(P(n));
    EXPECT_FALSE(Has(d.Settled(n), Kind::kPersist));
    ASSERT_TRUE(d.engine.wants_frames()) << "after event " << n;
  }
  d.Event(P(11));
  d.now += 10ms;
  EXPECT_EQ(Persisted(d.Settled(10)), P(11));
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
  EXPECT_EQ(Find(d.Wake(200ms), Kind::kSubscribe)->from, P(7));
  EXPECT_FALSE(Has(d.Event(P(8), 1, false, 2), Kind::kNotice)) << "it was said once";
  d.Settled(3);
  EXPECT_EQ(d.engine.counts().handled, 3u);
  EXPECT_EQ(d.engine.watermark(), P(8));
}

TEST(LyingServerTest, ATrueRepetitionStaysSilent) {
  Driver d;
  d.Run();
  d.Events(1, 3);
  const Commands again = d.Event(P(2));
  EXPECT_TRUE(again.empty());
  EXPECT_EQ(d.engine.counts().dropped, 1u);
}

// The place of a frame that is announced twice is proven, wherever the frames before it stood.
TEST(LyingServerTest, AProvenPlaceBehindTheWatermarkDoesNotPullItBack) {
  Driver d;
  d.Run();
  d.Event(P(5));
  d.Settled(1);
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  ASSERT_EQ(d.engine.watermark(), P(10));
  // An older server takes over, and then a newer one again.
  d.Ended();
  d.server = kOld;
  d.Wake(200ms);
  d.Probed(P(12), 2);
  d.Probed(P(5), 2);
  d.Ended(EndClass::kDropped, 2);
  d.server = {};
  d.Wake(400ms);
  d.Checkpoint(P(7), 3);
  d.Event(P(8), 1, false, 3);
  EXPECT_EQ(d.engine.watermark(), P(10));
  d.Settled(2);
  EXPECT_EQ(d.engine.watermark(), P(10));
}

// Servers before 24.2 go on behind the first record at or after the place that they are given, so
// where none lies there, that one is lost.
TEST(OldServerTest, AnnouncementsMoveNothing) {
  Driver d({.stop_on_caught_up = true});
  d.server = kOld;
  d.Start();
  d.Ready();
  d.Event(P(5));
  d.Settled(1);
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  EXPECT_EQ(d.engine.watermark(), P(5));
  EXPECT_EQ(Persisted(d.CaughtUp(P(30))), P(5));
  d.Durable(P(5));
  EXPECT_TRUE(d.engine.caught_up());
}

TEST(OldServerTest, IsNotAskedWhatLiesAtTheBeginning) {
  Driver d;
  d.server = kOld;
  d.Start();
  const Commands ready = d.Ready();
  EXPECT_FALSE(Has(ready, Kind::kProbe));
  EXPECT_EQ(Find(ready, Kind::kSubscribe)->from, std::nullopt);
}

// Where a group may begin that resumes: a checkpoint that a newer server announced, a start that
// was written by hand, one number of an older store.
class OldServerStartTest : public testing::Test {
 protected:
  // Resumes at 10:0, with the last event at 5:5.
  Commands Resume(std::optional<Position> last_event = P(5)) {
    d.server = kOld;
    d.Start({.recorded_start = {}, .checkpoint = Position{10, 0}, .last_event = last_event});
    const Commands ready = d.Ready();
    EXPECT_FALSE(Has(ready, Kind::kSubscribe));
    EXPECT_EQ(Find(ready, Kind::kProbe)->from, (Position{10, 0}));
    return ready;
  }

  Driver d;
};

TEST_F(OldServerStartTest, ResumesWhereARecordLies) {
  Resume();
  const Commands probed = d.Probed(Position{10, 0});
  ASSERT_TRUE(Has(probed, Kind::kSubscribe));
  EXPECT_EQ(Find(probed, Kind::kSubscribe)->from, (Position{10, 0}));
}

TEST_F(OldServerStartTest, ResumesAtTheLastEventWhereNoRecordLies) {
  Resume();
  EXPECT_EQ(Find(d.Probed(P(10)), Kind::kProbe)->from, P(5));
  EXPECT_EQ(Find(d.Probed(P(5)), Kind::kSubscribe)->from, P(5));
  // What comes up to the checkpoint was had before.
  d.Event(P(8));
  EXPECT_EQ(d.sequence, 0u);
  d.Event(P(10));
  EXPECT_EQ(d.sequence, 1u);
}

// A record that is appended meanwhile would be the first one at or after that place.
TEST_F(OldServerStartTest, DoesNotResumeBehindTheLastRecordOfTheLog) {
  Resume();
  EXPECT_EQ(Find(d.Probed({}), Kind::kProbe)->from, P(5));
}

TEST_F(OldServerStartTest, MayResumeAtAScavengedEventWhenTheNextOneWasHadToo) {
  Resume();
  d.Probed(P(10));
  EXPECT_EQ(Find(d.Probed(P(7)), Kind::kSubscribe)->from, P(5));
}

TEST_F(OldServerStartTest, ReadsFromTheBeginningWhereNoEventIsKnownAndSaysSo) {
  Resume({});
  const Commands probed = d.Probed(P(12));
  ASSERT_TRUE(Has(probed, Kind::kSubscribe));
  EXPECT_EQ(Find(probed, Kind::kSubscribe)->from, std::nullopt);
  ASSERT_TRUE(Has(probed, Kind::kNotice));
  EXPECT_TRUE(Contains(Find(probed, Kind::kNotice)->text, "10:0"));
  d.Event(P(5));
  d.Event(P(9));
  EXPECT_EQ(d.engine.counts().dropped, 2u);
  d.Event(P(12));
  EXPECT_EQ(d.sequence, 1u);
}

TEST_F(OldServerStartTest, ReadsFromTheBeginningWhereTheLastEventIsGoneToo) {
  Resume();
  d.Probed(P(12));
  const Commands probed = d.Probed(P(12));
  ASSERT_TRUE(Has(probed, Kind::kSubscribe));
  EXPECT_EQ(Find(probed, Kind::kSubscribe)->from, std::nullopt);
}

// Whatever comes before a place is no answer to the question for the first record from there on.
TEST_F(OldServerStartTest, AnAnswerFromBeforeThePlaceIsNotBelieved) {
  Resume();
  EXPECT_EQ(Find(d.Probed(P(9)), Kind::kProbe)->from, P(5));
}

TEST_F(OldServerStartTest, ACallThatEndsWhileItIsAskedIsADropLikeAnyOther) {
  Resume();
  EXPECT_EQ(d.WakeIn(d.Ended()), 200ms);
  EXPECT_TRUE(d.Probed(Position{10, 0}).empty());
  EXPECT_TRUE(Has(d.Wake(200ms), Kind::kProbe));
}

TEST_F(OldServerStartTest, APlaceThatTheServerDoesNotKnowFailsTheGroup) {
  Resume();
  d.Ended(EndClass::kInvalidPosition);
  d.Exited(1, ExitClass::kClean);
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
}

TEST_F(OldServerStartTest, AStopWhileItIsAskedEndsTheCall) {
  Resume();
  EXPECT_TRUE(Has(d.Stop(), Kind::kCancelSubscription));
  EXPECT_TRUE(d.Probed(Position{10, 0}).empty());
}

TEST(OldServerTest, IsAskedWhatLiesWhereThePluginStands) {
  Driver d;
  d.server = kOld;
  d.Start({.recorded_start = {}, .checkpoint = P(10), .last_event = P(9)});
  EXPECT_EQ(Find(d.ReadyAt(1, Position{30, 0}), Kind::kProbe)->from, (Position{30, 0}));
  EXPECT_EQ(Find(d.Probed(P(31)), Kind::kProbe)->from, P(9));
  d.Probed(P(9));
  d.Event(P(20));
  EXPECT_EQ(d.sequence, 0u) << "the plugin has had it";
}

// Nothing lies where a newer server has proven what it announced.
TEST(OldServerTest, TakesOverFromANewerOne) {
  Driver d;
  d.Run();
  d.Event(P(5));
  d.Settled(1);
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  d.Ended();
  d.server = kOld;
  EXPECT_EQ(Find(d.Wake(200ms), Kind::kProbe)->from, P(10));
  d.Probed(P(12), 2);
  EXPECT_EQ(Find(d.Probed(P(5), 2), Kind::kSubscribe)->from, P(5));
  EXPECT_FALSE(Has(d.Event(P(8), 1, false, 2), Kind::kNotice)) << "no contradiction";
  d.Settled(2);
  EXPECT_EQ(d.engine.watermark(), P(10)) << "it must not go back";
}

// The newer one was wrong: the event had not been sent, so nothing passes it now that it is here.
TEST(OldServerTest, PassesNothingThatANewerOneAnnouncedTooEarly) {
  Driver d;
  d.Run();
  d.Event(P(5));
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  d.Ended();
  d.server = kOld;
  d.Wake(200ms);
  d.Probed(P(12), 2);
  d.Probed(P(5), 2);
  d.Event(P(10), 1, false, 2);
  d.Settled(1);
  EXPECT_EQ(d.engine.watermark(), P(5));
  d.Settled(2);
  EXPECT_EQ(d.engine.watermark(), P(10));
}

TEST(OldServerTest, TheCheckpointNamesTheLastEventForTheNextStart) {
  Driver d({.checkpoint_batch_size = 1});
  d.Run();
  d.Event(P(5));
  d.Settled(1);
  d.Durable(P(5));
  d.Checkpoint(P(10));
  d.Checkpoint(P(20));
  const Commands written = d.Wake(1s);
  EXPECT_EQ(Persisted(written), P(10));
  EXPECT_EQ(Find(written, Kind::kPersist)->event, P(5));
  d.Durable(P(10));
  // An event that is skipped by rule lies somewhere, too.
  d.Event(P(30), 1, true);
  EXPECT_EQ(Find(d.Wake(1s), Kind::kPersist)->event, P(30));
}

// The head is read beside the subscription: whichever answer comes last decides.
TEST(HeadTest, MayBeAnsweredAfterTheFrameThatReachedIt) {
  for (const bool old : {true, false}) {
    Driver d;
    d.server = {.resumes_anywhere = !old, .says_caught_up = false};
    d.Start();
    d.Ready();
    d.Checkpoint(P(30));
    d.Head(P(28));
    EXPECT_TRUE(d.engine.caught_up()) << old;
  }
}

TEST(HeadTest, IsReachedByWhatWasHadBeforeTheCall) {
  Driver d;
  d.server = kOld;
  d.Start({.recorded_start = {}, .checkpoint = P(10), .last_event = P(5)});
  d.Ready();
  d.Probed(P(12));
  d.Probed(P(5));
  d.Head(P(9));
  EXPECT_TRUE(d.engine.caught_up());
}

// A wrong announcement would make a group caught up that is not; the server itself says it better.
TEST(HeadTest, SaysNothingAboutAServerThatSaysWhenItIsCaughtUp) {
  Driver d;
  d.Run();
  EXPECT_FALSE(d.engine.needs_head());
  d.Head(P(28));
  d.Checkpoint(P(30));
  EXPECT_FALSE(d.engine.caught_up());
  d.CaughtUp();
  EXPECT_TRUE(d.engine.caught_up());
}

TEST(ImpossiblePlaceTest, AnAnnouncementIsIgnoredAndSaidOnce) {
  for (const Position nowhere : {Position{1ull << 63, 0}, Position{20, 21}}) {
    Driver d;
    d.Run();
    const Commands first = d.Checkpoint(nowhere);
    ASSERT_TRUE(Has(first, Kind::kNotice));
    EXPECT_TRUE(Contains(Find(first, Kind::kNotice)->text, FormatPosition(nowhere)));
    EXPECT_FALSE(Has(d.CaughtUp(nowhere), Kind::kNotice));
    d.Checkpoint(kEndOfLog);
    EXPECT_EQ(d.engine.watermark(), std::nullopt);
  }
}

TEST(ImpossiblePlaceTest, AnEventBreaksTheCallOff) {
  Driver d;
  d.Run();
  d.Event(P(5));
  const Commands event = d.Event(kEndOfLog);
  EXPECT_EQ(d.sequence, 0u);
  EXPECT_EQ(Find(event, Kind::kCancelSubscription)->number, 1u);
  EXPECT_EQ(d.WakeIn(event), 60s);
  EXPECT_TRUE(Contains(d.engine.reason(), "no place in a log")) << d.engine.reason();
  EXPECT_EQ(Find(d.Wake(60s), Kind::kSubscribe)->from, P(5));
}

TEST(ImpossiblePlaceTest, AHeadIsNoHead) {
  Driver d;
  d.server = kOld;
  d.Start();
  d.Ready();
  d.Head(kEndOfLog);
  EXPECT_TRUE(d.engine.needs_head());
}

TEST(ImpossiblePlaceTest, ARecordedPositionFailsTheGroupBeforeItStarts) {
  for (const StartPoint& start :
       {StartPoint{.recorded_start = {}, .checkpoint = Position{7, 8}},
        StartPoint{.recorded_start = Position{1ull << 63, 0}, .checkpoint = {}}}) {
    Driver d;
    const Commands started = d.Start(start);
    EXPECT_FALSE(Has(started, Kind::kSpawnRunner));
    EXPECT_TRUE(Has(started, Kind::kFinished));
    EXPECT_EQ(d.engine.state(), GroupState::kFailed);
    EXPECT_TRUE(Contains(d.engine.reason(), "no place in a log")) << d.engine.reason();
  }
}

TEST(InvalidPositionTest, FailsTheGroupAsTheLogIsAnotherOne) {
  Driver d;
  d.Start({.recorded_start = {}, .checkpoint = P(77)});
  d.Ready();
  const Commands ended = d.Ended(EndClass::kInvalidPosition);
  EXPECT_TRUE(Has(ended, Kind::kDrainRunner));
  EXPECT_FALSE(Has(ended, Kind::kCancelSubscription));
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(Contains(d.engine.reason(), "77:77, where the group's checkpoint stands"))
      << d.engine.reason();
  ASSERT_TRUE(d.engine.foreign_log().has_value());
  EXPECT_EQ(d.engine.foreign_log()->fault, LineageFault::kDiverged);
  EXPECT_EQ(d.engine.durable(), P(77));
}

// Nothing was ever read, so no checkpoint is to blame, and there is nothing to move away.
TEST(InvalidPositionTest, BlamesTheConfiguredStartWhereThatIsThePlace) {
  Driver d;
  d.Start({.recorded_start = P(77), .checkpoint = {}});
  d.Ready();
  (void)d.Ended(EndClass::kInvalidPosition);
  EXPECT_TRUE(Contains(d.engine.reason(), "77:77, the group's `start`")) << d.engine.reason();
  EXPECT_FALSE(Contains(d.engine.reason(), "checkpoint")) << d.engine.reason();
  EXPECT_FALSE(d.engine.foreign_log().has_value());
}

}  // namespace
}  // namespace catchup
