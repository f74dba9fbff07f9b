#include "host/base/log_rate.h"

#include <gtest/gtest.h>

#include <string>

namespace catchup {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const LogRate::Time kStart = LogRate::Time() + std::chrono::hours(1);

TEST(LogRateTest, AdmitsSoManyASecondAndCountsTheRest) {
  LogRate rate(10);
  int admitted = 0;
  for (int i = 0; i < 25; ++i) {
    admitted += rate.Admit("m", "g", kStart + milliseconds(i));
  }
  EXPECT_EQ(admitted, 10);
  EXPECT_TRUE(rate.TakeLeftOut(kStart + milliseconds(500), false).empty());
  const auto told = rate.TakeLeftOut(kStart + milliseconds(1200), false);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].msg, "m");
  EXPECT_EQ(told[0].group, "g");
  EXPECT_EQ(told[0].count, 15u);
  EXPECT_TRUE(rate.TakeLeftOut(kStart + seconds(5), false).empty());
  EXPECT_TRUE(rate.Admit("m", "g", kStart + seconds(5)));
}

TEST(LogRateTest, CountsMessagesAndGroupsApart) {
  LogRate rate(1);
  EXPECT_TRUE(rate.Admit("m", "g", kStart));
  EXPECT_TRUE(rate.Admit("m", "h", kStart));
  EXPECT_TRUE(rate.Admit("n", "g", kStart));
  EXPECT_FALSE(rate.Admit("m", "g", kStart));
}

TEST(LogRateTest, AdmitsAgainInTheNextSecond) {
  LogRate rate(1);
  EXPECT_TRUE(rate.Admit("m", "g", kStart));
  EXPECT_TRUE(rate.Admit("m", "g", kStart + seconds(1)));
}

TEST(LogRateTest, TellsEverythingAtTheEnd) {
  LogRate rate(1);
  EXPECT_TRUE(rate.Admit("m", "g", kStart));
  EXPECT_FALSE(rate.Admit("m", "g", kStart));
  EXPECT_EQ(rate.TakeLeftOut(kStart, true).size(), 1u);
  EXPECT_TRUE(rate.TakeLeftOut(kStart, true).empty());
}

// However many texts there are, memory stays bounded and the lines over the bound share one window.
TEST(LogRateTest, IsBounded) {
  LogRate rate(1);
  int admitted = 0;
  for (int i = 0; i < 10'000; ++i) {
    admitted += rate.Admit("m" + std::to_string(i), "g", kStart);
  }
  EXPECT_EQ(admitted, 4096 + 1);
}

}  // namespace
}  // namespace catchup
