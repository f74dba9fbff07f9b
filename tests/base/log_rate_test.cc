#include "host/base/log_rate.h"

#include <gtest/gtest.h>

#include <string>

namespace catchup {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const LogRate::Time kStart = LogRate::Time() + std::chrono::hours(1);
constexpr LogRate::Key kKey{"m", "g", LogLevel::kInfo};

int Admitted(LogRate* rate, const LogRate::Key& key, std::uint32_t burst, int lines,
             LogRate::Time now) {
  int admitted = 0;
  for (int i = 0; i < lines; ++i) {
    admitted += rate->Admit(key, burst, now) ? 1 : 0;
  }
  return admitted;
}

TEST(LogRateTest, AdmitsSoManyASecondAndCountsTheRest) {
  LogRate rate(10);
  EXPECT_EQ(Admitted(&rate, kKey, 10, 25, kStart), 10);
  EXPECT_TRUE(rate.TakeLeftOut(kStart + milliseconds(500), false).empty());
  const auto told = rate.TakeLeftOut(kStart + milliseconds(1200), false);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].msg, "m");
  EXPECT_EQ(told[0].group, "g");
  EXPECT_EQ(told[0].level, LogLevel::kInfo);
  EXPECT_EQ(told[0].count, 15u);
  EXPECT_TRUE(rate.TakeLeftOut(kStart + seconds(5), false).empty());
  EXPECT_TRUE(rate.Admit(kKey, 10, kStart + seconds(5)));
}

TEST(LogRateTest, LetsABurstPassAndFillsItUpAgainSlowly) {
  LogRate rate(10);
  EXPECT_EQ(Admitted(&rate, kKey, 100, 1000, kStart), 100);
  EXPECT_EQ(Admitted(&rate, kKey, 100, 1000, kStart + seconds(2)), 20);
  EXPECT_EQ(Admitted(&rate, kKey, 100, 1000, kStart + seconds(100)), 100);
}

TEST(LogRateTest, CountsMessagesGroupsAndLevelsApart) {
  LogRate rate(1);
  EXPECT_TRUE(rate.Admit(kKey, 1, kStart));
  EXPECT_TRUE(rate.Admit({"m", "h", LogLevel::kInfo}, 1, kStart));
  EXPECT_TRUE(rate.Admit({"n", "g", LogLevel::kInfo}, 1, kStart));
  EXPECT_TRUE(rate.Admit({"m", "g", LogLevel::kError}, 1, kStart));
  EXPECT_FALSE(rate.Admit(kKey, 1, kStart));
  EXPECT_FALSE(rate.Admit({"m", "g", LogLevel::kError}, 1, kStart));

  const auto told = rate.TakeLeftOut(kStart + seconds(1), false);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_NE(told[0].level, told[1].level);
}

TEST(LogRateTest, AdmitsAgainInTheNextSecond) {
  LogRate rate(1);
  EXPECT_TRUE(rate.Admit(kKey, 1, kStart));
  EXPECT_TRUE(rate.Admit(kKey, 1, kStart + seconds(1)));
}

TEST(LogRateTest, AddsWhatWasLeftOutBefore) {
  LogRate rate(1);
  rate.AddLeftOut(kKey, 40, 1, kStart);
  EXPECT_TRUE(rate.Admit(kKey, 1, kStart));
  EXPECT_FALSE(rate.Admit(kKey, 1, kStart));
  const auto told = rate.TakeLeftOut(kStart + seconds(1), false);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].count, 41u);
}

// By which an operator finds what the lines would have said.
TEST(LogRateTest, TellsBetweenWhichPlacesOfTheLogItLeftLinesOut) {
  LogRate rate(1);
  EXPECT_TRUE(rate.Admit(kKey, 1, kStart, "10:10"));
  EXPECT_FALSE(rate.Admit(kKey, 1, kStart, "20:20"));
  EXPECT_FALSE(rate.Admit(kKey, 1, kStart, "30:30"));
  EXPECT_FALSE(rate.Admit(kKey, 1, kStart)) << "about no place";

  const auto first = rate.TakeLeftOut(kStart + seconds(1), false);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].count, 3u);
  EXPECT_EQ(first[0].first_position, "20:20");
  EXPECT_EQ(first[0].last_position, "30:30");

  EXPECT_TRUE(rate.Admit(kKey, 1, kStart + seconds(1), "40:40"));
  EXPECT_FALSE(rate.Admit(kKey, 1, kStart + seconds(1)));
  const auto second = rate.TakeLeftOut(kStart + seconds(2), false);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].first_position, "") << "those of the first burst are told";
  EXPECT_EQ(second[0].last_position, "");
}

TEST(LogRateTest, TellsEverythingAtTheEnd) {
  LogRate rate(1);
  EXPECT_TRUE(rate.Admit(kKey, 1, kStart));
  EXPECT_FALSE(rate.Admit(kKey, 1, kStart));
  EXPECT_EQ(rate.TakeLeftOut(kStart, true).size(), 1u);
  EXPECT_TRUE(rate.TakeLeftOut(kStart, true).empty());
}

// However many texts there are, memory stays bounded and the lines over the bound share one budget.
TEST(LogRateTest, IsBounded) {
  LogRate rate(1);
  int admitted = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string msg = "m" + std::to_string(i);
    admitted += rate.Admit({msg, "g", LogLevel::kInfo}, 1, kStart) ? 1 : 0;
  }
  EXPECT_EQ(admitted, 4096 + 1);
}

}  // namespace
}  // namespace catchup
