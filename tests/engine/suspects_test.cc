#include "host/engine/suspects.h"

#include <gtest/gtest.h>

namespace catchup {
namespace {

constexpr Suspects::Had kOne{.events = 1, .first = 7};
constexpr Suspects::Had kThree{.events = 3, .first = 7};

TEST(SuspectsTest, ADeathIsChargedToTheCallThatTheRunnerNames) {
  EXPECT_EQ(Suspects::ChargedTo(kThree, 8), 8u);
  EXPECT_EQ(Suspects::ChargedTo(kThree, 0), 0u) << "it was calling nothing";
}

TEST(SuspectsTest, ADeathThatNamesNoCallIsChargedToTheOneThingThatTheRunnerHad) {
  EXPECT_EQ(Suspects::ChargedTo(kOne, kUnknownCall), 7u);
  EXPECT_EQ(Suspects::ChargedTo({.letter = true}, kUnknownCall), kLetterCall);
  EXPECT_EQ(Suspects::ChargedTo({}, kUnknownCall), 0u);
}

TEST(SuspectsTest, ADeathWithSeveralInHandIsNobodysYet) {
  EXPECT_EQ(Suspects::ChargedTo(kThree, kUnknownCall), 0u);
}

TEST(SuspectsTest, AHangIsChargedToTheCallThatHung) {
  EXPECT_EQ(Suspects::ChargedTo({.events = 3, .first = 7, .hung = 8}, kUnknownCall), 8u);
  EXPECT_EQ(Suspects::ChargedTo({.events = 1, .first = 7, .hung = 0}, kUnknownCall), 0u)
      << "a call without an event hung";
}

TEST(SuspectsTest, WithOneLaneAllUpToTheLastAreSuspectsUntilTheyAreSettled) {
  Suspects suspects;
  EXPECT_TRUE(suspects.none_beyond(0));
  suspects.AddThrough(9);
  suspects.AddThrough(5);
  EXPECT_TRUE(suspects.Has(9));
  EXPECT_FALSE(suspects.Has(10));
  EXPECT_FALSE(suspects.none_beyond(8));
  EXPECT_TRUE(suspects.none_beyond(9));
}

TEST(SuspectsTest, WithSeveralLanesOnlyThoseOfTheLaneAreSuspects) {
  Suspects suspects;
  suspects.Add(5);
  suspects.Add(9);
  EXPECT_TRUE(suspects.Has(5) && suspects.Has(9));
  EXPECT_FALSE(suspects.Has(6)) << "another lane has it";
  suspects.Release(5);
  EXPECT_FALSE(suspects.Has(5));
  EXPECT_FALSE(suspects.none_beyond(5));
  suspects.Release(9);
  EXPECT_TRUE(suspects.none_beyond(9));
}

}  // namespace
}  // namespace catchup
