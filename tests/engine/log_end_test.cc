#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// A place beyond the end of the log. A server takes it, says that the call has caught up, and
// leaves out what is appended up to there (protocol notes 3.6): so nothing is asked for from such a
// place.

namespace catchup {
namespace {

constexpr ServerTraits kFollower{.may_lag = true};

// Looks again every half second until the group ends; returns how long that took.
std::chrono::nanoseconds LookUntilFailed(Driver* d) {
  const std::chrono::nanoseconds since = d->now;
  while (d->engine.state() == GroupState::kWaiting && d->now - since < 1min) {
    EXPECT_FALSE(Has(d->Wake(500ms), Kind::kSubscribe));
  }
  d->Exited(1, ExitClass::kClean);
  return d->now - since;
}

TEST(LogEndTest, IsReadBeforeAnythingIsAskedForFromAPlace) {
  Driver d;
  d.tells_end = false;
  d.Start({.recorded_start = {}, .checkpoint = P(77)});
  const Commands ready = d.Ready();
  ASSERT_TRUE(Has(ready, Kind::kReadEnd));
  EXPECT_EQ(Find(ready, Kind::kReadEnd)->from, P(77));
  EXPECT_FALSE(Has(ready, Kind::kSubscribe));
  EXPECT_EQ(Find(d.EndKnown(P(77)), Kind::kSubscribe)->from, P(77));
}

TEST(LogEndTest, DoesNotMatterAtTheBeginning) {
  for (const std::optional<Position>& start : {std::optional<Position>(), std::optional(P(0))}) {
    Driver d;
    d.tells_end = false;
    d.Start({.recorded_start = start, .checkpoint = {}});
    const Commands ready = d.Ready();
    EXPECT_FALSE(Has(ready, Kind::kReadEnd));
    EXPECT_EQ(Find(ready, Kind::kSubscribe)->from, start);
  }
}

TEST(LogEndTest, IsReadAtEveryConnect) {
  Driver d;
  d.Run();
  d.Event(P(5));
  d.Settled(1);
  d.Ended();
  d.log_end = P(4);
  EXPECT_FALSE(Has(d.Wake(200ms), Kind::kSubscribe));
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(Contains(d.engine.reason(), "ends at 4:4, before 5:5, up to where it was read"))
      << d.engine.reason();
}

TEST(LogEndTest, BeforeThePlaceFailsTheGroupAfterThreeSecondsOfLooks) {
  Driver d;
  d.log_end = P(50);
  d.Start({.recorded_start = {}, .checkpoint = P(77), .last_event = P(77)});
  d.Ready();
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(Contains(d.engine.reason(), "50:50")) << d.engine.reason();
  EXPECT_EQ(LookUntilFailed(&d), 3s);
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(Contains(d.engine.reason(),
                       "the log ends at 50:50, before 77:77, where the group's checkpoint stands"))
      << d.engine.reason();
  ASSERT_TRUE(d.engine.foreign_log().has_value());
  EXPECT_EQ(d.engine.foreign_log()->fault, LineageFault::kRegressed);
  EXPECT_EQ(d.engine.durable(), P(77)) << "it must not move";
}

// 0:0 lies before all that a log can hold, so an empty log needs no other word.
TEST(LogEndTest, AnEmptyLogEndsBeforeEveryPlace) {
  Driver d;
  d.log_end.reset();
  d.Start({.recorded_start = {}, .checkpoint = P(77)});
  d.Ready();
  LookUntilFailed(&d);
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(Contains(d.engine.reason(), "the log is empty, before 77:77")) << d.engine.reason();
}

TEST(LogEndTest, TheReasonBlamesTheStartWhereThatIsThePlace) {
  Driver d;
  d.log_end = P(50);
  d.Start({.recorded_start = P(9'999'999), .checkpoint = {}});
  d.Ready();
  LookUntilFailed(&d);
  EXPECT_TRUE(Contains(d.engine.reason(), "before 9999999:9999999, the group's `start`"))
      << d.engine.reason();
  EXPECT_FALSE(Contains(d.engine.reason(), "checkpoint")) << d.engine.reason();
  EXPECT_FALSE(d.engine.foreign_log().has_value()) << "nothing was read of any log";
}

TEST(LogEndTest, TheReasonBlamesThePluginWhereItHoldsThePlace) {
  Driver d;
  d.log_end = P(50);
  d.Start({.recorded_start = {}, .checkpoint = P(40)});
  d.ReadyAt(1, P(77));
  LookUntilFailed(&d);
  EXPECT_TRUE(Contains(d.engine.reason(), "before 77:77, the position that the plugin holds"))
      << d.engine.reason();
}

TEST(LogEndTest, TheStartIsToBlameWhereThePluginHoldsNothing) {
  Driver d;
  d.log_end = P(50);
  d.Start({.recorded_start = P(77), .checkpoint = {}});
  d.ReadyAt(1, {});
  LookUntilFailed(&d);
  EXPECT_TRUE(Contains(d.engine.reason(), "before 77:77, the group's `start`"))
      << d.engine.reason();
}

// It would stand there for a checkpoint of this log.
TEST(LogEndTest, APlaceBeyondItThatThePluginHoldsIsNotWritten) {
  Driver d;
  d.log_end = P(50);
  d.Start({.recorded_start = {}, .checkpoint = P(40)});
  EXPECT_FALSE(Has(d.ReadyAt(1, P(77)), Kind::kPersist));
  EXPECT_FALSE(Has(d.Wake(1s), Kind::kPersist));
  EXPECT_FALSE(Has(d.Stop(), Kind::kPersist));
  const Commands exited = d.Exited(1, ExitClass::kClean);
  EXPECT_FALSE(Has(exited, Kind::kPersist));
  EXPECT_TRUE(Has(exited, Kind::kFinished));
  EXPECT_TRUE(d.engine.settled_is_durable()) << "nothing is";
}

TEST(LogEndTest, WhatThePluginHoldsIsWrittenOnceItIsSeenToLieInTheLog) {
  Driver d({.checkpoint_interval = 1s});
  d.Start({.recorded_start = {}, .checkpoint = P(40)});
  d.ReadyAt(1, P(77));
  EXPECT_EQ(Persisted(d.Wake(1s)), P(77));
}

// The plugin's store was put back while its runner was away, to a place of another log.
TEST(LogEndTest, IsHeldAgainstWhatTheNextRunnersPluginHolds) {
  Driver d;
  d.log_end = P(50);
  d.Start();
  d.ReadyAt(1, {});
  d.Event(P(5));
  d.Settled(1);
  d.Exited(1, ExitClass::kCrash);
  const Commands ready = d.ReadyAt(2, P(77));
  EXPECT_FALSE(Has(ready, Kind::kSubscribe));
  EXPECT_TRUE(Contains(d.engine.reason(), "before 77:77, the position that the plugin holds"))
      << d.engine.reason();
}

// A node that has just become the leader tells an end that it is about to pass.
TEST(LogEndTest, ToldTooEarlyIsForgivenWhenTheLastEventLiesWhereItLay) {
  Driver d;
  d.log_end = P(50);
  d.Start({.recorded_start = {}, .checkpoint = P(77), .last_event = P(70)});
  d.Ready();
  d.log_end = P(90);
  const Commands again = d.Wake(500ms);
  EXPECT_FALSE(Has(again, Kind::kSubscribe));
  EXPECT_EQ(Find(again, Kind::kProbe)->from, P(70));
  EXPECT_EQ(Find(d.Probed(P(70), 2), Kind::kSubscribe)->from, P(77));
  EXPECT_NE(d.engine.state(), GroupState::kWaiting);
  d.Event(P(80), 1, false, 2);
  EXPECT_EQ(d.sequence, 1u);
}

// Another log, restored from a backup, grows past the place between two looks: what was appended
// below the place would be left out.
TEST(LogEndTest, ALogThatHasGrownPastThePlaceMustHoldWhatWasReadBeyondItsEnd) {
  for (const std::optional<Position>& found : {std::optional(P(71)), std::optional<Position>()}) {
    Driver d;
    d.log_end = P(50);
    d.Start({.recorded_start = {}, .checkpoint = P(77), .last_event = P(70)});
    d.Ready();
    d.log_end = P(90);
    d.Wake(500ms);
    EXPECT_FALSE(Has(d.Probed(found, 2), Kind::kSubscribe));
    d.Exited(1, ExitClass::kClean);
    EXPECT_EQ(d.engine.state(), GroupState::kFailed);
    EXPECT_TRUE(Contains(d.engine.reason(), "the log ended at 50:50 and has grown since"))
        << d.engine.reason();
  }
}

// The place was announced, and no record may ever have lain there: nobody can tell, so it is not
// the log that is to blame.
TEST(LogEndTest, WithoutAnEventBeyondThatEndTheLogIsTakenForTheSame) {
  Driver d;
  d.log_end = P(50);
  d.Start({.recorded_start = {}, .checkpoint = P(77), .last_event = P(40)});
  d.Ready();
  d.log_end = P(90);
  const Commands again = d.Wake(500ms);
  EXPECT_FALSE(Has(again, Kind::kProbe));
  EXPECT_EQ(Find(again, Kind::kSubscribe)->from, P(77));
  EXPECT_TRUE(Contains(Find(again, Kind::kNotice)->text, "no event is known that lay between"));
}

// Looks every half second for so long, at a node that may lag; the place must be none to read from
// all the while. Returns what the last look asked for.
Commands LookAtFollower(Driver* d, std::chrono::nanoseconds while_it_looks) {
  Commands last;
  for (const auto since = d->now; d->now - since < while_it_looks;) {
    last = d->Wake(500ms);
    EXPECT_FALSE(Has(last, Kind::kSubscribe));
    EXPECT_EQ(d->engine.state(), GroupState::kWaiting);
  }
  return last;
}

// A group whose place lies beyond the end that such a node tells.
void StartAtFollower(Driver* d) {
  d->server = kFollower;
  d->log_end = P(50);
  d->Start({.recorded_start = {}, .checkpoint = P(77)});
  d->Ready();
}

// The minute is over, and whoever is connected to from here on leads. Nobody tells an end by
// himself any more; returns what the follower's last word asks for.
Commands LookForAMinute(Driver* d) {
  LookAtFollower(d, 59'500ms);
  d->tells_end = false;
  const Commands last = d->Wake(500ms);
  d->server = {};
  return d->EndKnown(P(50), Find(last, Kind::kReadEnd)->number);
}

TEST(LogEndTest, AFollowerGetsAMinuteToReachThePlace) {
  Driver d;
  StartAtFollower(&d);
  EXPECT_FALSE(Find(LookAtFollower(&d, 59s), Kind::kConnect)->to_leader);
  d.log_end = P(77);
  EXPECT_EQ(Find(d.Wake(500ms), Kind::kSubscribe)->from, P(77));
  EXPECT_NE(d.engine.state(), GroupState::kWaiting);
}

// A follower may lag for ever, so its word ends no group: the leader is asked, for three seconds,
// as a new one may tell an end that it is about to pass.
TEST(LogEndTest, AfterThatOnlyWhatTheLeaderSaysEndsTheGroup) {
  Driver d;
  StartAtFollower(&d);
  const Commands asked = LookForAMinute(&d);
  EXPECT_TRUE(Find(asked, Kind::kConnect)->to_leader);
  EXPECT_TRUE(Contains(d.engine.reason(), "asking the leader")) << d.engine.reason();
  d.tells_end = true;
  d.EndKnown(P(50), Find(asked, Kind::kReadEnd)->number);
  EXPECT_EQ(LookUntilFailed(&d), 3s);
  EXPECT_EQ(d.engine.foreign_log()->fault, LineageFault::kRegressed);
}

// The next one is opened where it is preferred.
TEST(LogEndTest, WhereTheLeaderHasThePlaceTheCallIsOpenedThere) {
  Driver d;
  StartAtFollower(&d);
  const CallNumber call = Find(LookForAMinute(&d), Kind::kReadEnd)->number;
  EXPECT_EQ(Find(d.EndKnown(P(90), call), Kind::kSubscribe)->from, P(77));
  d.Event(P(80), 1, false, call);
  EXPECT_NE(d.engine.state(), GroupState::kWaiting);
  d.Ended(EndClass::kDropped, call);
  EXPECT_FALSE(Find(d.Wake(200ms), Kind::kConnect)->to_leader);
}

// No leader may be there for long, and then nobody knows.
TEST(LogEndTest, TheLeaderIsAskedUntilItAnswers) {
  Driver d;
  StartAtFollower(&d);
  CallNumber call = Find(LookForAMinute(&d), Kind::kReadEnd)->number;
  for (int i = 0; i < 20; ++i) {
    d.Ended(EndClass::kDropped, call);
    EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
    const Commands again = d.Wake(1min);
    ASSERT_TRUE(Has(again, Kind::kConnect));
    EXPECT_TRUE(Find(again, Kind::kConnect)->to_leader);
    call = Find(again, Kind::kConnect)->number;
  }
}

// What passes while the server is away is not time in which its log might have grown.
TEST(LogEndTest, AnOutageUsesUpNoPatience) {
  Driver d;
  d.log_end = P(50);
  d.Start({.recorded_start = {}, .checkpoint = P(77)});
  d.Ready();
  d.tells_end = false;
  d.Wake(500ms);
  d.now += 1min;
  d.Ended(EndClass::kDropped, 2);
  d.Wake(1min);
  d.EndKnown(P(50), 3);
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
}

TEST(LogEndTest, AStopWhileItIsLookedForEndsTheCall) {
  Driver d;
  d.tells_end = false;
  d.Start({.recorded_start = {}, .checkpoint = P(77)});
  d.Ready();
  EXPECT_TRUE(Has(d.Stop(), Kind::kCancelSubscription));
  EXPECT_TRUE(d.EndKnown(P(50)).empty());
}

TEST(LogEndTest, AStopBetweenTwoLooksEndsTheGroup) {
  Driver d;
  d.log_end = P(50);
  d.Start({.recorded_start = {}, .checkpoint = P(77)});
  d.Ready();
  EXPECT_FALSE(Has(d.Stop(), Kind::kCancelSubscription));
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kStopped);
}

// One that does not say when it is caught up was caught up at once, whatever came later.
TEST(LogEndTest, BeforeThePlaceIsNotCaughtUpOnASilentServerEither) {
  Driver d;
  d.server = kOld;
  d.log_end = P(50);
  d.Start({.recorded_start = P(77), .checkpoint = {}});
  EXPECT_FALSE(Has(d.Ready(), Kind::kProbe));
  d.Head(P(50));
  EXPECT_FALSE(d.engine.caught_up());
  LookUntilFailed(&d);
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
}

TEST(LogEndTest, ThatIsNoPlaceIsNotBelieved) {
  Driver d;
  d.log_end = kEndOfLog;
  d.Start({.recorded_start = {}, .checkpoint = P(77)});
  EXPECT_FALSE(Has(d.Ready(), Kind::kSubscribe));
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(Contains(d.engine.reason(), "no place in a log")) << d.engine.reason();
}

}  // namespace
}  // namespace catchup
