#include "host/engine/letter_writes.h"

#include <gtest/gtest.h>

#include "tests/engine/driver.h"

namespace catchup {
namespace {

TEST(LetterWritesTest, WhatIsWrittenHoldsTheLettersOfItsStream) {
  LetterWrites writes(LetterOrder::kStream);
  writes.Begin("a", P(10), false, {});
  EXPECT_TRUE(writes.Holds("a", P(20)));
  EXPECT_FALSE(writes.Holds("b", P(30)));
  EXPECT_TRUE(writes.End(P(10)));
  EXPECT_FALSE(writes.Holds("a", P(20)));
}

TEST(LetterWritesTest, WhereOnlyTheEventIsParkedItHoldsThatLetterAlone) {
  LetterWrites writes(LetterOrder::kEvent);
  writes.Begin("a", P(10), false, {});
  EXPECT_TRUE(writes.Holds("a", P(10)));
  EXPECT_FALSE(writes.Holds("a", P(20)));
}

TEST(LetterWritesTest, OnlyAFewAreUnderWay) {
  LetterWrites writes(LetterOrder::kStream);
  for (std::uint64_t n = 1; n <= LetterWrites::kMost; ++n) {
    EXPECT_FALSE(writes.full());
    writes.Begin("a", P(n), false, {});
  }
  EXPECT_TRUE(writes.full());
  writes.End(P(1));
  EXPECT_FALSE(writes.full());
}

TEST(LetterWritesTest, WhatNoRunnerReportedIsToldApart) {
  LetterWrites writes(LetterOrder::kStream);
  writes.Begin("a", P(10), true, {});
  EXPECT_TRUE(writes.has_ours());
  EXPECT_FALSE(writes.has_reported());
  writes.Begin("b", P(20), false, {});
  EXPECT_TRUE(writes.has_reported());
  EXPECT_TRUE(writes.End(P(10)));
  EXPECT_FALSE(writes.has_ours());
}

TEST(LetterWritesTest, TheEndOfWhatIsNotUnderWayIsNone) {
  LetterWrites writes(LetterOrder::kStream);
  EXPECT_FALSE(writes.End(P(10)));
  EXPECT_TRUE(writes.empty());
}

}  // namespace
}  // namespace catchup
