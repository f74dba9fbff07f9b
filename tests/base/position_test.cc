#include "host/base/position.h"

#include <gtest/gtest.h>

#include <string>

namespace catchup {
namespace {

TEST(PositionTest, ComparesCommitFirst) {
  EXPECT_LT((Position{1, 9}), (Position{2, 0}));
  EXPECT_LT((Position{2, 0}), (Position{2, 1}));
  EXPECT_EQ((Position{2, 1}), (Position{2, 1}));
  EXPECT_LT((Position{~0ull - 1, 5}), kEndOfLog);
}

TEST(PositionTest, ReadsWhatItWrites) {
  for (const Position position : {Position{0, 0}, Position{12, 7}, kEndOfLog}) {
    const auto read = ParsePosition(FormatPosition(position));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, position);
  }
  EXPECT_EQ(FormatPosition({12, 7}), "12:7");
}

// Older stores kept one number; at worst one event comes again.
TEST(PositionTest, ReadsASingleNumberAsItsCommit) {
  EXPECT_EQ(*ParsePosition("42"), (Position{42, 0}));
  EXPECT_EQ(*ParsePosition("0"), (Position{0, 0}));
}

TEST(PositionTest, RefusesEverythingElse) {
  for (const std::string text : {"", ":", "1:", ":1", "a", "1:b", "1:2:3", "-1", "+1", "1:+1", " 1",
                                 "1 ", "0x1", "18446744073709551616", "1:18446744073709551616"}) {
    const auto read = ParsePosition(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.status().code(), Status::Code::kInvalid);
    EXPECT_EQ(read.status().message(),
              "position \"" + text + "\": wanted COMMIT:PREPARE, two decimal numbers");
  }
}

TEST(PositionTest, RefusesAPrepareAboveItsCommit) {
  EXPECT_EQ(ParsePosition("1:2").status().message(),
            "position \"1:2\": the prepare half is never above the commit half");
}

// Servers keep the halves in signed 64 bits; what lies beyond is refused by one with a text that
// says nothing, and taken for the end of the log by another.
TEST(PositionTest, RefusesWhatNoLogCanHold) {
  EXPECT_TRUE(ParsePosition("9223372036854775807:9223372036854775807").ok());
  for (const std::string text : {"9223372036854775808:0", "18446744073709551614",
                                 "18446744073709551615:18446744073709551614"}) {
    EXPECT_EQ(ParsePosition(text).status().message(),
              "position \"" + text + "\": wanted numbers below 2^63");
  }
}

TEST(PositionTest, IsAPlaceOnlyWhereARecordCanLie) {
  EXPECT_TRUE(IsPlace({0, 0}));
  EXPECT_TRUE(IsPlace({1ull << 62, 7}));
  EXPECT_FALSE(IsPlace({5, 6}));
  EXPECT_FALSE(IsPlace({1ull << 63, 0}));
  EXPECT_FALSE(IsPlace(kEndOfLog));
}

}  // namespace
}  // namespace catchup
