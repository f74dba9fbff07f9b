#include "host/base/time_text.h"

#include <gtest/gtest.h>

namespace catchup {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(FormatTicksTest, AlwaysHasSevenDigits) {
  EXPECT_EQ(FormatTicks(0), "1970-01-01T00:00:00.0000000Z");
  EXPECT_EQ(FormatTicks(1), "1970-01-01T00:00:00.0000001Z");
  EXPECT_EQ(FormatTicks(17'955'583'175'720'000), "2026-11-24T22:11:57.5720000Z");
}

TEST(FormatTicksTest, CountsBackwardsBefore1970) {
  EXPECT_EQ(FormatTicks(-1), "1969-12-31T23:59:59.9999999Z");
  EXPECT_EQ(FormatTicks(-10'000'000), "1969-12-31T23:59:59.0000000Z");
}

TEST(NowTicksTest, LiesInThisCentury) { EXPECT_EQ(FormatTicks(NowTicks()).substr(0, 2), "20"); }

TEST(FormatDurationTest, ReadsWell) {
  EXPECT_EQ(FormatDuration(milliseconds(350)), "350ms");
  EXPECT_EQ(FormatDuration(milliseconds(1500)), "1.5s");
  EXPECT_EQ(FormatDuration(seconds(130)), "2m10s");
  EXPECT_EQ(FormatDuration(hours(3) + minutes(5)), "3h05m");
}

// A value just under a limit is rounded, not shown as a sixtieth second.
TEST(FormatDurationTest, RoundsAcrossUnits) {
  EXPECT_EQ(FormatDuration(milliseconds(59'990)), "1m00s");
  EXPECT_EQ(FormatDuration(std::chrono::microseconds(999'900)), "1.0s");
}

TEST(FormatCountTest, GroupsByThousands) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(~0ull), "18,446,744,073,709,551,615");
}

}  // namespace
}  // namespace catchup
