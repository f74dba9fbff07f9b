#include "host/engine/doubt.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace catchup {
namespace {

using namespace std::chrono_literals;

TEST(DoubtTest, TheThirdStreamInARowIsTheBreakers) {
  Doubt doubt(10);
  EXPECT_FALSE(doubt.Opens("t"));
  doubt.OnParked("t", 0s);
  EXPECT_FALSE(doubt.Opens("t"));
  doubt.OnParked("t", 0s);
  EXPECT_TRUE(doubt.Opens("t"));
  EXPECT_FALSE(doubt.Opens("u")) << "each type has its own";
}

TEST(DoubtTest, ASuccessEndsTheStreakOfItsTypeAlone) {
  Doubt doubt(10);
  doubt.OnParked("t", 0s);
  const std::uint32_t number = doubt.OnParked("t", 0s);
  EXPECT_EQ(doubt.OnSuccess("u").streak, 0u);
  EXPECT_EQ(doubt.streak("t"), 2u);
  EXPECT_EQ(doubt.OnSuccess("t").streak, number);
  EXPECT_EQ(doubt.streak("t"), 0u);
  EXPECT_FALSE(doubt.watches()) << "nothing is remembered of a type that is well";
}

TEST(DoubtTest, HoldsATypeAtTheFifthProbeWhenOthersSucceed) {
  Doubt doubt(10);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(doubt.OnProbeFailed("t", 0s));
  }
  doubt.OnSuccesses(49);
  EXPECT_FALSE(doubt.OnProbeFailed("t", 0s));
  doubt.OnSuccesses(1);
  EXPECT_TRUE(doubt.OnProbeFailed("t", 0s));
}

TEST(DoubtTest, SuccessesBeforeTheFirstFailureDoNotCount) {
  Doubt doubt(10);
  doubt.OnSuccesses(1000);
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(doubt.OnProbeFailed("t", 0s));
  }
}

TEST(DoubtTest, ALetterByATextRuleIsTheFirstFailureAsWell) {
  Doubt doubt(10);
  doubt.OnTextLetter("t", 0s);
  doubt.OnSuccesses(50);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(doubt.OnProbeFailed("t", 0s));
  }
  EXPECT_TRUE(doubt.OnProbeFailed("t", 0s));
}

TEST(DoubtTest, ASuccessEndsAHoldThatCameByItselfOnly) {
  Doubt doubt(10);
  doubt.SetHold("t", Doubt::Hold::kByItself, 0s);
  doubt.SetHold("u", Doubt::Hold::kByHand, 0s);
  EXPECT_TRUE(doubt.OnSuccess("t").hold);
  EXPECT_FALSE(doubt.OnSuccess("u").hold);
  EXPECT_EQ(doubt.HoldOf("u"), Doubt::Hold::kByHand);
  EXPECT_EQ(doubt.holds(), 1u);
  EXPECT_TRUE(doubt.EndHold("u"));
  EXPECT_EQ(doubt.holds(), 0u);
}

TEST(DoubtTest, TheBudgetCountsTextLettersOfTheLastTwenty) {
  Doubt doubt(2);
  EXPECT_FALSE(doubt.OverBudget("t"));
  doubt.OnTextLetter("t", 0s);
  doubt.OnTextLetter("t", 0s);
  EXPECT_TRUE(doubt.OverBudget("t"));
  for (int i = 0; i < 17; ++i) {
    doubt.OnSuccess("t");
    EXPECT_TRUE(doubt.OverBudget("t")) << i;
  }
  doubt.OnSuccess("t");  // The first of the two is the twentieth before by now.
  EXPECT_FALSE(doubt.OverBudget("t"));
}

// It counts live events that ended, whichever way.
TEST(DoubtTest, LettersThatHealDoNotMakeRoomInTheBudgetAndLettersWithoutATextRuleDo) {
  Doubt doubt(2);
  doubt.OnTextLetter("t", 0s);
  doubt.OnTextLetter("t", 0s);
  for (int i = 0; i < 30; ++i) {
    doubt.OnSuccess("t", false);
  }
  EXPECT_TRUE(doubt.OverBudget("t"));
  for (int i = 0; i < 18; ++i) {
    EXPECT_TRUE(doubt.OverBudget("t")) << i;
    doubt.OnParked("t", 0s);
  }
  EXPECT_FALSE(doubt.OverBudget("t"));
}

TEST(DoubtTest, NoBudgetIsNeverOver) {
  Doubt doubt(0);
  for (int i = 0; i < 20; ++i) {
    doubt.OnTextLetter("t", 0s);
  }
  EXPECT_FALSE(doubt.OverBudget("t"));
}

TEST(DoubtTest, ForgetsTheLeastRecentlyFailedTypeButNoHold) {
  Doubt doubt(10);
  doubt.SetHold("held", Doubt::Hold::kByItself, 0s);
  for (std::size_t i = 0; i < 2 * Doubt::kMaxTypes; ++i) {
    doubt.OnParked("t" + std::to_string(i), std::chrono::seconds(i));
  }
  EXPECT_EQ(doubt.streak("t0"), 0u);
  EXPECT_EQ(doubt.streak("t" + std::to_string(2 * Doubt::kMaxTypes - 1)), 1u);
  EXPECT_EQ(doubt.HoldOf("held"), Doubt::Hold::kByItself);
}

}  // namespace
}  // namespace catchup
