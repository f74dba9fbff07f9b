#include "host/engine/trouble.h"

#include <gtest/gtest.h>

namespace catchup {
namespace {

using namespace std::chrono_literals;

TEST(TroubleTest, OnlyTheFirstWordOfAWaitIsNews) {
  Trouble trouble;
  EXPECT_FALSE(trouble.waits());
  EXPECT_TRUE(trouble.Wait("no answer"));
  EXPECT_FALSE(trouble.Wait("still none"));
  EXPECT_EQ(trouble.text(), "still none");
  trouble.End();
  EXPECT_FALSE(trouble.waits());
  EXPECT_TRUE(trouble.Wait("no answer"));
}

TEST(TroubleTest, NamesTheTypeOfWhatFailedLastInDoubt) {
  Trouble trouble;
  trouble.OnFailure(FailureClass::kUnknown, "order");
  EXPECT_EQ(trouble.doubted_type(), "order");
  trouble.OnFailure(FailureClass::kDomain, "invoice");
  EXPECT_EQ(trouble.doubted_type(), "order") << "a REJECT says nothing about the other type";
  trouble.OnFailure(FailureClass::kInfrastructure, "invoice");
  EXPECT_EQ(trouble.doubted_type(), std::nullopt) << "nobody could park an outage";
}

TEST(TroubleTest, NamesNoTypeForAPlaceWithoutAnEventAndNoneOnceItIsOver) {
  Trouble trouble;
  trouble.OnFailure(FailureClass::kCrash, "order");
  trouble.OnFailure(FailureClass::kUnknown, std::nullopt);
  EXPECT_EQ(trouble.doubted_type(), std::nullopt);
  trouble.OnFailure(FailureClass::kHang, "order");
  trouble.End();
  EXPECT_EQ(trouble.doubted_type(), std::nullopt);
}

TEST(TroubleTest, KeepsWhyTheBreakerOpenedWhenAWaitIsOver) {
  Trouble trouble;
  trouble.SetOpened("three in a row");
  trouble.Wait("breaker open, three in a row");
  trouble.End();
  EXPECT_EQ(trouble.opened(), "three in a row");
}

TEST(TroubleTest, AlarmsAfterFiveMinutesAndThenEachMinuteWhileEventsWait) {
  Trouble trouble;
  EXPECT_EQ(trouble.AlarmAt(1h), std::nullopt) << "nothing waits";
  trouble.Wait("no answer");
  EXPECT_EQ(trouble.AlarmAt(1h), 1h + 5min);
  trouble.OnAlarm(1h + 5min + 1s);
  EXPECT_EQ(trouble.AlarmAt(1h), 1h + 6min + 1s);
  trouble.End();
  EXPECT_EQ(trouble.AlarmAt(1h), std::nullopt);
}

}  // namespace
}  // namespace catchup
