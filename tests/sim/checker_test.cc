#include "tests/sim/checker.h"

#include <gtest/gtest.h>

#include "tests/sim/script.h"

// The checker against histories made by hand: good ones that it must let pass, and at least one for
// each way to break an invariant. What is about letters lies in letter_checker_test.cc.

namespace catchup::sim {
namespace {

// --- Good histories. ---

TEST(CheckerTest, AcceptsAnEmptyHistory) { EXPECT_EQ(Script().Broken(), Names{}); }

TEST(CheckerTest, AcceptsACompleteRun) {
  Script s;
  s.h.complete = true;
  s.Host().Runner(1).Handle(0, 5).Ask(At(5)).Durable(At(5)).Graceful();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsDuplicatesThatAKillExplains) {
  Script s;
  s.Host().Runner(1).Handle(0, 4).Durable(At(1)).Kill();
  s.Host().Runner(2).Handle(2, 5).Durable(At(5)).Graceful();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsDuplicatesThatARunnersDeathExplains) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Deliver(1).Deliver(2).Apply(1).Death();
  s.Runner(2).Handle(1, 2);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsDuplicatesOfOneKillThatComeAfterAGracefulStop) {
  Script s;
  s.Host().Runner(1).Handle(0, 3).Kill();
  s.Host().Runner(2).Handle(0, 0).Durable(At(0)).Graceful();
  s.Host().Runner(3).Handle(1, 3);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsARepeatOfACallThatTheStopCutOff) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Deliver(1).Apply(1).Durable(At(0)).Graceful(true);
  s.Host().Runner(2).Handle(1, 1);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsAnAnnouncedCheckpointBetweenEvents) {
  Script s;
  s.Host().Runner(1).Handle(0, 1).Durable({29, 0}).Handle(2, 2);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsEventsThatDoNotMatchOrAreSkippedByRule) {
  Script s;
  s.h.complete = true;
  s.h.log[1].matches = false;
  s.h.log[2].system = true;
  s.Host().Runner(1).Handle(0, 0).Skip(2).Handle(3, 5).Durable(At(5)).Graceful();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsThatNothingBeforeTheStartIsHandled) {
  Script s;
  s.h.complete = true;
  s.h.start = At(3);
  s.Host().Runner(1).Handle(4, 5).Durable(At(5)).Graceful();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsAReportOfAnEarlierRunnerThatNobodyFollows) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Deliver(1).Death().Runner(2).Deliver(1);
  s.As(1).Report(1).As(2).Apply(1).Report(1).Durable(At(1));
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsEffectsAgainAfterTheirStoreWasPutBack) {
  Script s;
  s.h.position_mode = true;
  s.Host().Runner(1).Handle(0, 3).Durable(At(3)).Graceful().Restore(At(0));
  s.Host().Runner(2).Handle(1, 2).Ask(At(2)).Durable(At(2)).Handle(3, 3);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsACommitThatReachesTheStoreAfterItsRunnersDeath) {
  Script s;
  s.h.position_mode = true;
  s.Host().Runner(1).Deliver(0).Deliver(1).Death().Apply(0).Apply(1);
  s.Runner(2).Deliver(2).Apply(2);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsOneEventBiggerThanTheWindow) {
  Script s;
  s.h.window_bytes = 5;
  s.Host().Runner(1).Handle(0, 1);
  EXPECT_EQ(s.Broken(), Names{});
}

// --- I1: no loss. ---

TEST(CheckerTest, FindsAnEventBelowTheLastCheckpointThatWasNeverApplied) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Durable(At(1));
  EXPECT_EQ(s.Broken(), (Names{"I2", "I1"}));
}

TEST(CheckerTest, FindsAnEventLeftOutInTheMiddle) {
  Script s;
  s.Host().Runner(1).Deliver(0).Apply(0).Deliver(1).Deliver(2).Apply(2).Durable(At(2));
  EXPECT_EQ(s.Broken(), (Names{"I2", "I1"}));
}

TEST(CheckerTest, FindsAnEventThatACompleteRunNeverReached) {
  Script s;
  s.h.complete = true;
  s.Host().Runner(1).Handle(0, 4).Durable(At(4)).Graceful();
  EXPECT_EQ(s.Broken(), Names{"I1"});
}

TEST(CheckerTest, FindsACompleteRunWhoseCheckpointStayedBehind) {
  Script s;
  s.h.complete = true;
  s.h.position_mode = true;
  s.Host().Runner(1).Handle(0, 5).Durable(At(4)).Graceful();
  EXPECT_EQ(s.Broken(), Names{"I1"});
}

TEST(CheckerTest, FindsAnEventSkippedWithoutARule) {
  Script s;
  s.Host().Runner(1).Skip(0);
  EXPECT_EQ(s.Broken(), Names{"I1"});
}

TEST(CheckerTest, FindsASystemEventSkippedAlthoughTheGroupWantsThem) {
  Script s;
  s.h.system_events = true;
  s.h.log[0].system = true;
  s.Host().Runner(1).Skip(0);
  EXPECT_EQ(s.Broken(), Names{"I1"});
}

TEST(CheckerTest, FindsASystemEventThatWasNotCounted) {
  Script s;
  s.h.complete = true;
  s.h.log[2].system = true;
  s.Host().Runner(1).Handle(0, 1).Handle(3, 5).Durable(At(5)).Graceful();
  EXPECT_EQ(s.Broken(), Names{"I1"});
}

// --- I2: no overrun. ---

TEST(CheckerTest, FindsACheckpointCommittedBeforeItsEventWasApplied) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Deliver(1).Durable(At(1)).Apply(1).Report(1);
  EXPECT_EQ(s.Broken(), Names{"I2"});
}

TEST(CheckerTest, FindsACheckpointAskedForTooEarlyEvenIfItIsWrittenLater) {
  Script s;
  s.Host().Runner(1).Deliver(0).Ask(At(0)).Apply(0).Report(0).Durable(At(0));
  EXPECT_EQ(s.Broken(), Names{"I2"});
}

TEST(CheckerTest, FindsAnAnnouncementThatOvertookAnUnfinishedEvent) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Deliver(1).Ask({25, 0}).Apply(1);
  EXPECT_EQ(s.Broken(), Names{"I2"});
}

TEST(CheckerTest, FindsACheckpointAtTheEndOfTheLogThatSomeServersSend) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Ask(kEndOfLog);
  EXPECT_EQ(s.Broken(), Names{"I2"});
}

TEST(CheckerTest, FindsACheckpointBeyondAnEventThatWasNotReceivedYet) {
  Script s;
  s.Host().Runner(1).Handle(0, 1).Ask({31, 0});
  EXPECT_EQ(s.Broken(), Names{"I2"});
}

TEST(CheckerTest, FindsThatOnlyTheCommitHalfWasCompared) {
  Script s;
  s.h.log[1].position = {30, 15};
  s.h.log[2].position = {30, 20};
  s.Host().Runner(1).Handle(0, 1).Ask({30, 30});
  EXPECT_EQ(s.Broken(), Names{"I2"});
}

TEST(CheckerTest, FindsACheckpointBeyondTheEffectsOfARestoredStore) {
  Script s;
  s.h.position_mode = true;
  s.Host().Runner(1).Handle(0, 3).Restore(At(0)).Runner(2).Ask(At(3));
  EXPECT_EQ(s.Broken(), Names{"I2"});
}

// --- I4: order. ---

TEST(CheckerTest, FindsADeliveryThatJumps) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Deliver(2);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(CheckerTest, FindsADeliveryThatGoesBack) {
  Script s;
  s.Host().Runner(1).Handle(0, 1).Deliver(0);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(CheckerTest, FindsAnEventDeliveredTwiceInARow) {
  Script s;
  s.Host().Runner(1).Deliver(0).Deliver(0);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(CheckerTest, FindsAnEventThatIsNotWanted) {
  Script s;
  s.h.log[0].matches = false;
  s.Host().Runner(1).Deliver(0);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(CheckerTest, FindsAnEventFromBeforeTheStart) {
  Script s;
  s.h.start = At(0);
  s.Host().Runner(1).Deliver(0);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(CheckerTest, FindsAFirstRunnerThatDoesNotBeginAtTheBeginning) {
  Script s;
  s.Host().Runner(1).Deliver(1);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(CheckerTest, FindsAHostThatResumesTooFarOn) {
  Script s;
  s.Host().Runner(1).Handle(0, 1).Durable(At(1)).Kill();
  s.Host().Runner(2).Deliver(3);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(CheckerTest, FindsANewRunnerThatIsNotHandedWhatWasInFlight) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Deliver(1).Deliver(2).Death().Runner(2).Deliver(2);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(CheckerTest, FindsRevisionsOfAStreamAppliedInTheWrongOrder) {
  Script s;
  s.Host().Runner(1).Deliver(0).Deliver(1).Deliver(2).Apply(2).Apply(0);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(CheckerTest, FindsEventsOfTwoStreamsAppliedInTheWrongOrderByOneRunner) {
  Script s;
  s.Host().Runner(1).Deliver(0).Deliver(1).Apply(1).Apply(0);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

// --- I5: duplicates. ---

TEST(CheckerTest, FindsADuplicateAfterAGracefulStop) {
  Script s;
  s.Host().Runner(1).Handle(0, 1).Durable(At(0)).Graceful();
  EXPECT_EQ(s.Broken(), Names{"I5"});
}

TEST(CheckerTest, FindsAGracefulStopThatPersistedNothing) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Graceful();
  EXPECT_EQ(s.Broken(), Names{"I5"});
}

TEST(CheckerTest, FindsMoreDuplicatesAfterAKillThanBatchAndWindow) {
  Script s;
  s.Host().Runner(1).Handle(0, 5).Kill();
  EXPECT_EQ(s.Broken(), Names{"I5"});
}

TEST(CheckerTest, FindsMoreDuplicatesAfterARunnersDeathThanTheWindow) {
  Script s;
  s.h.window = 1;
  s.Host().Runner(1).Deliver(0).Apply(0).Deliver(1).Apply(1).Death();
  EXPECT_EQ(s.Broken(), (Names{"window", "I5"}));
}

TEST(CheckerTest, FindsADuplicateOfAnEventThatWasReportedBeforeTheRunnersDeath) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Death().Runner(2).Deliver(0).Apply(0);
  EXPECT_EQ(s.Broken(), Names{"I5"});
}

TEST(CheckerTest, FindsADuplicateBelowTheCheckpointAfterAKill) {
  Script s;
  s.Host().Runner(1).Handle(0, 1).Durable(At(0)).Kill();
  s.Host().Runner(2).Deliver(0).Apply(0);
  EXPECT_EQ(s.Broken(), Names{"I5"});
}

TEST(CheckerTest, FindsASecondDuplicateOfOneKill) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Kill();
  s.Host().Runner(2).Handle(0, 0).Durable(At(0)).Graceful();
  s.Host().Runner(3).Deliver(0).Apply(0);
  EXPECT_EQ(s.Broken(), Names{"I5"});
}

TEST(CheckerTest, CountsWhatAnEarlierKillHasLostForThatKillOnly) {
  Script s;
  s.Host().Runner(1).Handle(0, 4).Kill();
  s.Host().Runner(2).Handle(5, 5).Kill();
  EXPECT_EQ(s.Broken(), Names{});
}

// --- I9: monotone. ---

TEST(CheckerTest, FindsACheckpointThatGoesBack) {
  Script s;
  s.Host().Runner(1).Handle(0, 2).Durable(At(2)).Durable(At(1));
  EXPECT_EQ(s.Broken(), Names{"I9"});
}

TEST(CheckerTest, FindsACheckpointWrittenTwice) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Durable(At(0)).Durable(At(0));
  EXPECT_EQ(s.Broken(), Names{"I9"});
}

TEST(CheckerTest, FindsACheckpointThatGoesBackInItsPrepareHalf) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Durable({19, 5}).Durable({19, 0});
  EXPECT_EQ(s.Broken(), Names{"I9"});
}

TEST(CheckerTest, FindsASecondStepBackAfterOneRestoredStore) {
  Script s;
  s.h.position_mode = true;
  s.Host().Runner(1).Handle(0, 2).Durable(At(2)).Restore(At(0)).Runner(2).Handle(1, 1);
  s.Ask(At(1)).Durable(At(1)).Ask(At(0)).Durable(At(0));
  EXPECT_EQ(s.Broken(), Names{"I9"});
}

// --- I10: fenced. ---

TEST(CheckerTest, FindsAnEarlierRunnerThatAppliesAfterANewOneHasStarted) {
  Script s;
  s.h.position_mode = true;
  s.Host().Runner(1).Deliver(0).Death().Runner(2).As(1).Apply(0);
  EXPECT_EQ(s.Broken(), Names{"I10"});
}

TEST(CheckerTest, FindsARunnerThatStartsWithAnOldToken) {
  Script s;
  s.Host().Runner(2).Death().Runner(1);
  EXPECT_EQ(s.Broken(), Names{"I10"});
}

TEST(CheckerTest, FindsADeliveryToAnEarlierRunner) {
  Script s;
  s.Host().Runner(1).Deliver(0).Death().Runner(2).As(1).Deliver(1);
  EXPECT_EQ(s.Broken().front(), "I10");
}

TEST(CheckerTest, FindsACheckpointThatFollowsTheReportOfAnEarlierRunner) {
  Script s;
  s.Host().Runner(1).Deliver(0).Death().Runner(2).Deliver(0).As(1).Report(0).Ask(At(0));
  EXPECT_EQ(s.Broken(), Names{"I2"});
}

// --- Exactly once. ---

TEST(CheckerTest, FindsAnEffectThatIsThereTwice) {
  Script s;
  s.h.position_mode = true;
  s.Host().Runner(1).Deliver(0).Apply(0).Death().Runner(2).Deliver(0).Apply(0);
  EXPECT_EQ(s.Broken(), Names{"once"});
}

TEST(CheckerTest, FindsAnEffectTwiceThoughAKillWouldExcuseItWithoutAPosition) {
  Script s;
  s.h.position_mode = true;
  s.Host().Runner(1).Handle(0, 0).Kill().Host().Runner(2).Handle(0, 0);
  EXPECT_EQ(s.Broken(), Names{"once"});
}

TEST(CheckerTest, FindsAnEffectTwiceThatTheRestoredStoreStillHeld) {
  Script s;
  s.h.position_mode = true;
  s.Host().Runner(1).Handle(0, 1).Restore(At(0)).Runner(2).Deliver(0).Apply(0);
  EXPECT_EQ(s.Broken(), Names{"once"});
}

// --- Bounded. ---

TEST(CheckerTest, FindsMoreEventsHandedOutThanTheWindow) {
  Script s;
  s.Host().Runner(1).Deliver(0).Deliver(1).Deliver(2).Deliver(3);
  EXPECT_EQ(s.Broken(), Names{"window"});
}

TEST(CheckerTest, FindsMoreBytesHandedOutThanTheWindow) {
  Script s;
  s.h.window_bytes = 20;
  s.Host().Runner(1).Deliver(0).Deliver(1).Deliver(2);
  EXPECT_EQ(s.Broken(), Names{"window"});
}

// --- Caught up. ---

TEST(CheckerTest, AcceptsAGroupThatIsCaughtUp) {
  Script s;
  s.Host().Runner(1).Call().Handle(0, 3).Live(4).Ask(At(3)).Durable(At(3)).CaughtUp();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, FindsAGroupThatIsCaughtUpThoughTheServerNeverSaidSo) {
  Script s;
  s.Host().Runner(1).Call().Handle(0, 3).Durable(At(3)).CaughtUp();
  EXPECT_EQ(s.Broken(), Names{"live"});
}

TEST(CheckerTest, FindsAGroupThatIsCaughtUpByTheWordOfAnEarlierCall) {
  Script s;
  s.Host().Runner(1).Call().Handle(0, 3).Live(4).Durable(At(3)).Call().CaughtUp();
  EXPECT_EQ(s.Broken(), Names{"live"});
}

TEST(CheckerTest, FindsAGroupThatIsCaughtUpBeforeAnEventWasApplied) {
  Script s;
  s.Host().Runner(1).Call().Handle(0, 2).Live(4).Durable(At(2)).CaughtUp();
  EXPECT_EQ(s.Broken(), Names{"live"});
}

TEST(CheckerTest, FindsAGroupThatIsCaughtUpBeforeItsCheckpointIsDurable) {
  Script s;
  s.Host().Runner(1).Call().Handle(0, 3).Live(4).Durable(At(2)).CaughtUp();
  EXPECT_EQ(s.Broken(), Names{"live"});
}

TEST(CheckerTest, AcceptsACaughtUpBeforeARunnerHasReadTheRestoredStore) {
  Script s;
  s.h.position_mode = true;
  s.Host().Runner(1).Call().Handle(0, 3).Live(4).Durable(At(3)).Death().Restore({}).CaughtUp();
  s.Runner(2).Call().Handle(0, 3).Kill();
  EXPECT_EQ(s.Broken(), Names{});
}

// --- Stuck. ---

constexpr std::chrono::milliseconds kInterval{50};

TEST(CheckerTest, AcceptsACheckpointThatComesWithinTheInterval) {
  Script s;
  s.h.interval = kInterval;
  s.Host().Runner(1).Handle(0, 0).Wait(kInterval).Ask(At(0)).Durable(At(0));
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, FindsACheckpointThatNeverFollows) {
  Script s;
  s.h.interval = kInterval;
  s.Host().Runner(1).Handle(0, 0).Wait(kInterval * 2).Kill();
  EXPECT_EQ(s.Broken(), Names{"stuck"});
}

TEST(CheckerTest, FindsACheckpointThatStaysBeforeWhatTheFilterHides) {
  Script s;
  s.h.interval = kInterval;
  s.Host().Runner(1).Call().Handle(0, 0).Ask(At(0)).Durable(At(0));
  s.Announce({12, 0}).Announce({15, 0}).Wait(kInterval * 2).Kill();
  EXPECT_EQ(s.Broken(), Names{"stuck"});
}

TEST(CheckerTest, AcceptsThatTheLastAnnouncementStaysUnwritten) {
  Script s;
  s.h.interval = kInterval;
  s.Host().Runner(1).Call().Handle(0, 0).Ask(At(0)).Durable(At(0));
  s.Announce({12, 0}).Wait(kInterval * 2).Kill();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, FindsAWriteThatIsNotTriedAgainWithinSecondsOfAFullDisk) {
  Script s;
  s.h.interval = kInterval;
  s.Host().Runner(1).Handle(0, 0).Ask(At(0)).NoRoom().Wait(std::chrono::seconds(6)).Kill();
  EXPECT_EQ(s.Broken(), Names{"stuck"});
}

TEST(CheckerTest, AcceptsThatAFullDiskIsNotTriedAtOnce) {
  Script s;
  s.h.interval = kInterval;
  s.Host().Runner(1).Handle(0, 0).Ask(At(0)).NoRoom().Wait(std::chrono::seconds(4));
  s.Ask(At(0)).Durable(At(0)).Kill();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsThatNothingIsWrittenWhileAWriteIsUnderWayOrTheStoreIsGone) {
  Script s;
  s.h.interval = kInterval;
  s.Host().Runner(1).Handle(0, 0).Ask(At(0)).Handle(1, 1).Wait(kInterval * 9).Durable(At(0));
  s.Stall().Wait(kInterval * 9).Kill();
  EXPECT_EQ(s.Broken(), Names{});
}

// --- A server that announces twice what it has not sent. ---

TEST(CheckerTest, AcceptsThatWhatTheServerHidIsPassedUntilItComes) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Lie(1, {25, 0}).Ask({25, 0}).Durable({25, 0}).Handle(1, 2);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, AcceptsThatWhatWasOvertakenWhileTheServerHidItComesAfterAKill) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Ask(At(0)).Durable(At(0)).Lie(1, At(2));
  s.Call().Handle(3, 3).Kill().Host().Runner(2).Call().Handle(1, 3);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(CheckerTest, FindsThatOneWasOvertakenWhichTheServerDidNotHide) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Ask(At(0)).Durable(At(0)).Lie(1, At(1));
  s.Call().Handle(3, 3).Kill().Host().Runner(2).Call().Handle(1, 3);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(CheckerTest, FindsThatMoreWasPassedThanTheServerHid) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Lie(1, {25, 0}).Durable({35, 0});
  EXPECT_EQ(s.Broken(), (Names{"I2", "I1"}));
}

TEST(CheckerTest, FindsAnEventThatCameLateAndWasNotApplied) {
  Script s;
  s.Host().Runner(1).Handle(0, 0).Lie(1, {25, 0}).Deliver(1).Durable({25, 0});
  EXPECT_EQ(s.Broken(), (Names{"I2", "I1"}));
}

}  // namespace
}  // namespace catchup::sim
