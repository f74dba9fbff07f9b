#include "tests/sim/letter_checker.h"

#include <gtest/gtest.h>

#include "tests/sim/script.h"

// What the checker says of letters: good histories that it must let pass, and one for each way to
// break a rule.

namespace catchup::sim {
namespace {

using std::chrono::milliseconds;
using enum FailureClass;
constexpr LetterState kHealing = LetterState::kHealing;
constexpr LetterState kDead = LetterState::kDead;
constexpr LetterState kFollower = LetterState::kFollower;

class LetterScript : public Script {
 public:
  explicit LetterScript(LetterOrder order = LetterOrder::kStream) {
    h.order = order;
    h.open = milliseconds(200);
  }
};

// --- Good histories. ---

TEST(LetterCheckerTest, AcceptsALetterThatHealsAndHandsOn) {
  LetterScript s;
  s.h.complete = true;
  s.Host().Runner(1).Handle(0, 1).Doubt(2).Handle(3, 3);
  s.Park(4, kFollower, kUnknown).Letter(4).Handle(5, 5).Ask(At(5)).Durable(At(5));
  s.Heal(2).Heal(4).Graceful();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsAnEventOfAnotherStreamWhileALetterIsNotDurable) {
  LetterScript s;
  s.Host().Runner(1).Deliver(0).Fail(0, kDomain).Park(0, kDead, kDomain);
  s.Handle(1, 1).Letter(0).Ask(At(1)).Durable(At(1));
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsADeadLetterThatIsLeftWithWhatQueuesBehindIt) {
  LetterScript s;
  s.h.complete = true;
  s.Host().Runner(1).Deliver(0).Fail(0, kDomain).Park(0, kDead, kDomain).Letter(0).Handle(1, 1);
  s.Park(2, kFollower, kUnknown).Letter(2).Handle(3, 3);
  s.Park(4, kFollower, kUnknown).Letter(4).Handle(5, 5).Ask(At(5)).Durable(At(5)).Graceful();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsALetterAppliedTwiceWhereAKillLostItsRemoval) {
  LetterScript s;
  s.Host().Runner(1).Handle(0, 1).Doubt(2).Durable(At(2));
  s.CallLetter(2).ApplyLetter(2).LetterOk(2).Kill();
  s.Host().Found(2).Runner(2).Heal(2);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsTheThirdInARowAfterABreaker) {
  LetterScript s(LetterOrder::kEvent);
  s.Host().Runner(1).Doubt(0).Doubt(1).Wait(milliseconds(150)).Doubt(2);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsARowThatASuccessEnded) {
  LetterScript s(LetterOrder::kEvent);
  s.Host().Runner(1).Doubt(0).Doubt(1).Handle(2, 2).Doubt(3).Doubt(4);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsABreakerThatThreeSuccessesClose) {
  LetterScript s(LetterOrder::kEvent);
  s.Host().Runner(1).Doubt(0).Doubt(1).Deliver(2).Fail(2, kUnknown).Opens().TakeBack();
  s.Wait(milliseconds(150)).Deliver(2).Fail(2, kUnknown).Opens().TakeBack();
  s.Park(2, kHealing, kUnknown).Letter(2).Wait(milliseconds(300)).Handle(3, 5).Closes();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsAnotherFileThatIsTriedAtOnce) {
  LetterScript s;
  s.Host().Runner(1);
  for (int i = 0; i < 5; ++i) {
    s.Deliver(0).Fail(0, kInfrastructure).TakeBack();
  }
  s.Opens().OtherPlugin().Handle(0, 0);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsWhatComesAgainAfterAReset) {
  LetterScript s;
  s.Host().Runner(1).Handle(0, 3).Ask(At(3)).Durable(At(3)).Graceful();
  s.Reset(At(1)).Host().Runner(2).Handle(2, 5);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsADroppedEventThatComesAfterAReset) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).Handle(1, 1).Park(2, kFollower, kUnknown).Letter(2);
  s.Gone(0, true).Ask(At(2)).Durable(At(2)).Heal(2).Graceful();
  s.Reset({5, 5}).Host().Runner(2).Handle(0, 2);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsAnEventThatComesAgainSinceAKillLostItsLetter) {
  LetterScript s(LetterOrder::kEvent);
  s.Host().Runner(1).Handle(0, 1).Deliver(2).Fail(2, kUnknown).TakeBack();
  s.Park(2, kHealing, kUnknown).Handle(3, 4).Kill();
  s.Host().Runner(2).Handle(0, 4);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsThatAFullStoreWaitsForNoEvent) {
  LetterScript s;
  s.h.max_letters = 1;
  s.Host().Runner(1).Deliver(0).AskPark(2).Park(2, kDead, kByHand).Letter(2).AskRetry(2);
  s.Heal(2).Apply(0);
  EXPECT_EQ(s.Broken(), Names{});
}

// Event 1 has no room, so it comes again and what lies behind it too.
TEST(LetterCheckerTest, AcceptsThatAGroupThatEndsDoesNotWaitForRoom) {
  LetterScript s;
  s.Host().Runner(1).Handle(0, 0).Deliver(1).Fail(1, kUnknown).TakeBack();
  s.Park(1, kHealing, kUnknown).Handle(2, 2).Ask(At(0)).Durable(At(0)).GiveUpLetters().Graceful();
  s.Host().Runner(2).Handle(1, 5);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsThatALetterThatHealedAsTheGroupEndedIsThereStill) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).Handle(1, 1).Ask(At(1)).Durable(At(1));
  s.CallLetter(0).ApplyLetter(0).LetterOk(0).GiveUpLetters().Graceful();
  s.Host().Found(0).Runner(2).Heal(0);
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsAnEventParkedByHandWhereTheGroupWouldHalt) {
  LetterScript s(LetterOrder::kHalt);
  s.Host().Runner(1).Handle(0, 1).AskPark(2).Park(2, kDead, kByHand).Letter(2);
  s.Handle(3, 5).Ask(At(5)).Durable(At(5)).AskRetry(2).Heal(2).Graceful();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, AcceptsATypeParkedByHandWhereTheGroupWouldHalt) {
  LetterScript s(LetterOrder::kHalt);
  s.Host().Runner(1).Hold(0, true).Park(0, kHealing, kHeld).Letter(0).Kill();
  EXPECT_EQ(s.Broken(), Names{});
}

TEST(LetterCheckerTest, FindsATypeHeldByItselfWhereTheGroupWouldHalt) {
  LetterScript s(LetterOrder::kHalt);
  s.Host().Runner(1).Hold(0, false).Park(0, kHealing, kHeld);
  EXPECT_EQ(s.Broken(), (Names{"hold", "cause"}));
}

TEST(LetterCheckerTest, AcceptsThatWhatWasDroppedComesAfterAKill) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).Handle(1, 1).Park(2, kFollower, kUnknown).Letter(2);
  s.Gone(0, true).Heal(2).Kill();
  s.Host().Runner(2).Handle(0, 2);
  EXPECT_EQ(s.Broken(), Names{});
}

// --- Bad ones. ---

// As the test above, but nobody said that there is no room.
TEST(LetterCheckerTest, FindsAnEndBeforeALetterIsDurable) {
  LetterScript s;
  s.Host().Runner(1).Handle(0, 0).Deliver(1).Fail(1, kUnknown).TakeBack();
  s.Park(1, kHealing, kUnknown).Handle(2, 2).Ask(At(0)).Durable(At(0)).Graceful();
  EXPECT_EQ(s.Broken(), Names{"I5"});
}

TEST(LetterCheckerTest, FindsAnEventThatComesAgainBeforeTheLetterWithoutRoom) {
  LetterScript s;
  s.Host().Runner(1).Handle(0, 0).Deliver(1).Fail(1, kUnknown).TakeBack();
  s.Park(1, kHealing, kUnknown).GiveUpLetters().Graceful();
  EXPECT_EQ(s.Broken(), Names{"I5"});
}

TEST(LetterCheckerTest, FindsACheckpointThatPassesALetterThatIsNotDurable) {
  LetterScript s;
  s.Host().Runner(1).Deliver(0).Fail(0, kDomain).Park(0, kDead, kDomain);
  s.Handle(1, 1).Ask(At(1)).Letter(0);
  EXPECT_EQ(s.Broken(), Names{"I3"});
}

TEST(LetterCheckerTest, FindsALetterThatOvertakesAnEventOfItsStream) {
  LetterScript s;
  s.Host().Runner(1).Deliver(0).AskPark(2).Park(2, kDead, kByHand).Letter(2).AskRetry(2);
  s.Heal(2).Apply(0);
  EXPECT_EQ(s.Broken(), Names{"I4"});
}

TEST(LetterCheckerTest, FindsALostLetter) {
  LetterScript s;
  s.h.complete = true;
  s.Host().Runner(1).Deliver(0).Fail(0, kUnknown).Park(0, kHealing, kUnknown).Letter(0);
  s.Handle(1, 1).Durable(At(1)).Gone(0).Kill();
  s.Host().Runner(2).Handle(2, 5).Ask(At(5)).Durable(At(5)).Graceful();
  EXPECT_EQ(s.Broken(), (Names{"I4", "I2", "I1", "gone"}));
}

TEST(LetterCheckerTest, FindsALetterThatAnotherHostDoesNotFind) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).Handle(1, 1).Durable(At(1)).Kill();
  s.Host().Runner(2).Deliver(3);
  EXPECT_EQ(s.Broken(), (Names{"I4", "gone"}));
}

TEST(LetterCheckerTest, FindsALetterOfInfrastructure) {
  LetterScript s;
  s.Host().Runner(1).Deliver(0).Fail(0, kInfrastructure).Park(0, kHealing, kInfrastructure);
  EXPECT_EQ(s.Broken(), Names{"cause"});
}

TEST(LetterCheckerTest, FindsALetterOfAnotherClassThanItsFailure) {
  LetterScript s;
  s.Host().Runner(1).Deliver(0).Fail(0, kInfrastructure).Park(0, kHealing, kUnknown);
  EXPECT_EQ(s.Broken(), Names{"cause"});
}

TEST(LetterCheckerTest, FindsALetterOfAnEventThatNeverFailed) {
  LetterScript s;
  s.Host().Runner(1).Park(0, kHealing, kUnknown);
  EXPECT_EQ(s.Broken(), Names{"cause"});
}

TEST(LetterCheckerTest, FindsAFollowerOfNothing) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).Park(1, kFollower, kUnknown);
  EXPECT_EQ(s.Broken(), Names{"cause"});
}

TEST(LetterCheckerTest, FindsALetterByHandThatNobodyAskedFor) {
  LetterScript s;
  s.Host().Runner(1).AskPark(1).Park(0, kDead, kByHand);
  EXPECT_EQ(s.Broken(), Names{"cause"});
}

TEST(LetterCheckerTest, FindsAHeldLetterOfATypeThatIsNotHeld) {
  LetterScript s;
  s.Host().Runner(1).Hold(1, true).Park(0, kHealing, kHeld);
  EXPECT_EQ(s.Broken(), Names{"cause"});
}

TEST(LetterCheckerTest, FindsATypeHeldThatHardlyFailed) {
  LetterScript s(LetterOrder::kEvent);
  s.Host().Runner(1).Doubt(0).Doubt(1).Wait(milliseconds(200)).Doubt(2).Hold(0, false);
  EXPECT_EQ(s.Broken(), Names{"hold"});
}

TEST(LetterCheckerTest, FindsAHeldTypeThatFillsMoreThanHalfTheStore) {
  LetterScript s(LetterOrder::kEvent);
  s.h.max_letters = 4;
  s.Host().Runner(1).Doubt(0).Doubt(1).Kill();
  s.Host().Found(0).Found(1).Hold(0, false).Runner(2).Park(2, kHealing, kHeld);
  EXPECT_EQ(s.Broken(), Names{"hold"});
}

TEST(LetterCheckerTest, FindsADoubtGuessedWhereThePluginKeepsItsPosition) {
  LetterScript s;
  s.h.position_mode = true;
  s.Host().Runner(1).Doubt(0);
  EXPECT_EQ(s.Broken(), Names{"cause"});
}

TEST(LetterCheckerTest, FindsALetterThoughTheOrderIsHalt) {
  LetterScript s(LetterOrder::kHalt);
  s.Host().Runner(1).Deliver(0).Fail(0, kDomain).Park(0, kDead, kDomain);
  EXPECT_EQ(s.Broken(), Names{"cause"});
}

TEST(LetterCheckerTest, FindsTheThirdInARowWithoutABreaker) {
  LetterScript s(LetterOrder::kEvent);
  s.Host().Runner(1).Doubt(0).Doubt(1).Wait(milliseconds(100)).Doubt(2);
  EXPECT_EQ(s.Broken(), Names{"pace"});
}

TEST(LetterCheckerTest, FindsTextLettersBeyondTheBudget) {
  LetterScript s(LetterOrder::kEvent);
  s.h.budget = 2;
  s.Host().Runner(1).Doubt(0, kDomainText).Doubt(1, kDomainText).Doubt(2, kDomainText);
  EXPECT_EQ(s.Broken(), Names{"pace"});
}

TEST(LetterCheckerTest, FindsACallRightAfterFiveFailuresOfTheInfrastructure) {
  LetterScript s;
  s.Host().Runner(1);
  for (int i = 0; i < 5; ++i) {
    s.Deliver(0).Fail(0, kInfrastructure).TakeBack();
  }
  s.Deliver(0);
  EXPECT_EQ(s.Broken(), Names{"pace"});
}

TEST(LetterCheckerTest, FindsAnEventCalledBeforeTheLetterOfItsStream) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).Deliver(1).Deliver(2);
  EXPECT_EQ(s.Broken(), Names{"order"});
}

TEST(LetterCheckerTest, FindsAFollowerCalledBeforeItsTurn) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).Handle(1, 1).Park(2, kFollower, kUnknown).Letter(2).CallLetter(2);
  EXPECT_EQ(s.Broken(), Names{"order"});
}

TEST(LetterCheckerTest, FindsAnEventCalledThatIsALetter) {
  LetterScript s(LetterOrder::kEvent);
  s.Host().Runner(1).Doubt(0).TakeBack().Deliver(0);
  EXPECT_EQ(s.Broken(), Names{"call"});
}

TEST(LetterCheckerTest, FindsALetterCalledThatIsNotDurable) {
  LetterScript s;
  s.Host().Runner(1).Deliver(0).Fail(0, kUnknown).Park(0, kHealing, kUnknown).CallLetter(0);
  EXPECT_EQ(s.Broken(), Names{"call"});
}

TEST(LetterCheckerTest, FindsACallOfATypeThatIsHeldByHand) {
  LetterScript s;
  s.Host().Runner(1).Hold(0, true).Deliver(0);
  EXPECT_EQ(s.Broken(), Names{"call"});
}

TEST(LetterCheckerTest, FindsADeadLetterCalledByItself) {
  LetterScript s;
  s.Host().Runner(1).Deliver(0).Fail(0, kDomain).Park(0, kDead, kDomain).Letter(0).CallLetter(0);
  EXPECT_EQ(s.Broken(), Names{"dead"});
}

TEST(LetterCheckerTest, FindsARejectThatHeals) {
  LetterScript s;
  s.Host().Runner(1).Deliver(0).Fail(0, kDomain).Park(0, kHealing, kDomain);
  EXPECT_EQ(s.Broken(), Names{"dead"});
}

TEST(LetterCheckerTest, FindsALetterThatDiesOfInfrastructure) {
  LetterScript s;
  s.h.heal_for = milliseconds(10);
  s.Host().Runner(1).Doubt(0).Wait(milliseconds(20));
  s.CallLetter(0).Fail(0, kInfrastructure, true).Change(0, kDead, kUnknown);
  EXPECT_EQ(s.Broken(), Names{"dead"});
}

TEST(LetterCheckerTest, FindsALetterThatDiesTooYoung) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).CallLetter(0).Fail(0, kUnknown, true).Change(0, kDead, kUnknown);
  EXPECT_EQ(s.Broken(), Names{"dead"});
}

TEST(LetterCheckerTest, FindsALetterThatARejectDidNotKill) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).CallLetter(0).Fail(0, kDomain, true).Change(0, kHealing, kDomain);
  EXPECT_EQ(s.Broken(), Names{"dead"});
}

TEST(LetterCheckerTest, FindsMoreLettersThanThereIsRoomFor) {
  LetterScript s;
  s.h.max_letters = 1;
  s.Host().Runner(1).Doubt(0).Doubt(1);
  EXPECT_EQ(s.Broken(), Names{"full"});
}

TEST(LetterCheckerTest, FindsALetterThatDidNotHeal) {
  LetterScript s;
  s.h.complete = true;
  s.Host().Runner(1).Doubt(0).Handle(1, 1).Heal(0).Handle(2, 2).Doubt(3).Handle(4, 4);
  s.Park(5, kFollower, kUnknown).Letter(5).Ask(At(5)).Durable(At(5)).Graceful();
  EXPECT_EQ(s.Broken(), Names{"heal"});
}

TEST(LetterCheckerTest, FindsALetterRemovedThatWasNotApplied) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).CallLetter(0).LetterOk(0).Gone(0);
  EXPECT_EQ(s.Broken(), Names{"gone"});
}

TEST(LetterCheckerTest, FindsALetterAppliedTwiceWithoutAReason) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).Handle(1, 1).Durable(At(1));
  s.CallLetter(0).ApplyLetter(0).CallLetter(0).ApplyLetter(0);
  EXPECT_EQ(s.Broken(), Names{"I5"});
}

TEST(LetterCheckerTest, FindsAHealedLetterThatAGracefulEndLeaves) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).Handle(1, 1).Durable(At(1));
  s.CallLetter(0).ApplyLetter(0).LetterOk(0).Graceful();
  EXPECT_EQ(s.Broken(), Names{"I5"});
}

TEST(LetterCheckerTest, FindsALetterCalledInAnEarlierRunner) {
  LetterScript s;
  s.Host().Runner(1).Doubt(0).Runner(2).As(1).CallLetter(0);
  EXPECT_EQ(s.Broken(), Names{"I10"});
}

// --- The breaker. ---

// Opened for the third in a row.
class OpenScript : public LetterScript {
 public:
  OpenScript() : LetterScript(LetterOrder::kEvent) {
    h.budget = 0;
    Host().Runner(1).Doubt(0).Doubt(1).Deliver(2).Fail(2, kUnknown).Opens().TakeBack();
  }
};

TEST(LetterCheckerTest, FindsABreakerThatOpensForOneEventInDoubt) {
  LetterScript s;
  s.Host().Runner(1).Deliver(0).Fail(0, kUnknown).Opens();
  EXPECT_EQ(s.Broken(), Names{"breaker"});
}

TEST(LetterCheckerTest, FindsABreakerThatOpensForAReject) {
  LetterScript s;
  s.h.max_letters = 0;
  s.Host().Runner(1).Deliver(0).Fail(0, kDomain).Opens();
  EXPECT_EQ(s.Broken(), Names{"breaker"});
}

TEST(LetterCheckerTest, FindsABreakerThatOpensForWhatASuccessEnded) {
  LetterScript s(LetterOrder::kEvent);
  s.Host().Runner(1).Doubt(0).Doubt(1).Handle(2, 2).Deliver(3).Fail(3, kUnknown).Opens();
  EXPECT_EQ(s.Broken(), Names{"breaker"});
}

TEST(LetterCheckerTest, FindsACallWhileTheBreakerIsOpen) {
  OpenScript s;
  s.Wait(milliseconds(149)).Deliver(2);
  EXPECT_EQ(s.Broken(), Names{"breaker"});
}

TEST(LetterCheckerTest, FindsABreakerThatWaitsNoLongerAfterAProbeThatFailed) {
  OpenScript s;
  s.Wait(milliseconds(200)).Deliver(2).Fail(2, kUnknown).Opens().TakeBack();
  s.Wait(milliseconds(200)).Deliver(2);
  EXPECT_EQ(s.Broken(), Names{"breaker"});
}

TEST(LetterCheckerTest, FindsASecondCallBesideTheProbe) {
  OpenScript s;
  s.Wait(milliseconds(200)).Deliver(2).Deliver(3);
  EXPECT_EQ(s.Broken(), Names{"breaker"});
}

TEST(LetterCheckerTest, FindsABreakerThatClosesTooEarly) {
  OpenScript s;
  s.Wait(milliseconds(200)).Handle(2, 3).Closes();
  EXPECT_EQ(s.Broken(), Names{"breaker"});
}

TEST(LetterCheckerTest, FindsACallOfWhatAnOperatorWantsParked) {
  LetterScript s;
  s.Host().Runner(1).AskPark(0).Deliver(0);
  EXPECT_EQ(s.Broken(), Names{"call"});
}

}  // namespace
}  // namespace catchup::sim
