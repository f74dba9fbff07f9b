#include "host/engine/letter_calls.h"

#include <gtest/gtest.h>

#include "tests/engine/driver.h"

namespace catchup {
namespace {

const LetterBook::Id kLetter{1, P(7)};
const LetterBook::Id kOther{2, P(8)};

TEST(LetterCallsTest, OneLetterIsCalledOnOneLaneUntilItsCallEnds) {
  LetterCalls calls;
  EXPECT_EQ(calls.called(), std::nullopt);
  calls.Begin(kLetter, 2, "a", 1h);
  EXPECT_EQ(calls.called(), kLetter);
  EXPECT_TRUE(calls.On(2));
  EXPECT_FALSE(calls.On(1));
  EXPECT_TRUE(calls.Of("a"));
  EXPECT_FALSE(calls.Of("b"));
  EXPECT_EQ(calls.End(), kLetter);
  EXPECT_FALSE(calls.On(2) || calls.Of("a"));
}

TEST(LetterCallsTest, AFailedCallLeavesOthersNineTimesItsDuration) {
  LetterCalls calls;
  calls.Begin(kLetter, 0, "a", 1h);
  calls.Rest(1h + 2s);
  EXPECT_EQ(calls.free_at(), 1h + 20s);
}

TEST(LetterCallsTest, IsLostWithItsOwnLetterAloneAndNotForTheNextCall) {
  LetterCalls calls;
  calls.Begin(kLetter, 0, "a", 1h);
  calls.Lose(kOther);
  EXPECT_FALSE(calls.lost());
  calls.Lose(kLetter);
  calls.Lose(kOther);
  EXPECT_TRUE(calls.lost());
  (void)calls.End();
  calls.Begin(kOther, 0, "b", 2h);
  EXPECT_FALSE(calls.lost());
}

TEST(LetterCallsTest, LettersAndEventsTakeTurns) {
  LetterCalls calls;
  EXPECT_FALSE(calls.was_last());
  calls.Begin(kLetter, 0, "a", 1h);
  (void)calls.End();
  EXPECT_TRUE(calls.was_last());
  calls.OnEvent();
  EXPECT_FALSE(calls.was_last());
}

}  // namespace
}  // namespace catchup
