#include "host/daemon/watch/stall_detector.h"

#include <gtest/gtest.h>

#include <vector>

namespace catchup {
namespace {

using std::chrono::seconds;

class StallDetectorTest : public testing::Test {
 protected:
  bool Look(seconds at) { return detector_.Look(groups_, begin_ + at); }

  const StallDetector::TimePoint begin_{};
  StallDetector detector_{begin_};
  std::vector<GroupStatus> groups_{2};
};

TEST_F(StallDetectorTest, FindsAStallAfterAMinuteWithoutProgress) {
  EXPECT_FALSE(Look(seconds(0)));
  EXPECT_FALSE(Look(seconds(59)));
  EXPECT_TRUE(Look(seconds(60)));
}

TEST_F(StallDetectorTest, CountsAnyGroupsEventPositionOrEndAsProgress) {
  groups_[0].processed = 1;
  EXPECT_FALSE(Look(seconds(50)));
  groups_[1].position = Position{700, 700};
  EXPECT_FALSE(Look(seconds(100)));
  groups_[0].skipped = 1;
  EXPECT_FALSE(Look(seconds(150)));
  groups_[1].finished = true;
  EXPECT_FALSE(Look(seconds(200)));
  EXPECT_FALSE(Look(seconds(259)));
  EXPECT_TRUE(Look(seconds(260)));
}

TEST_F(StallDetectorTest, CountsALetterThatIsWrittenOrHealedAsProgress) {
  groups_[0].letters.all = 3;
  EXPECT_FALSE(Look(seconds(50)));
  groups_[0].letters.all = 2;
  EXPECT_FALSE(Look(seconds(100)));
  groups_[0].letters.followers = 1;
  EXPECT_FALSE(Look(seconds(150)));
  EXPECT_FALSE(Look(seconds(209)));
  EXPECT_TRUE(Look(seconds(210)));
}

TEST_F(StallDetectorTest, CountsLettersThatAreCalledBeforeTheEndAndThePausesBetweenAsProgress) {
  EXPECT_FALSE(Look(seconds(0)));
  groups_[0].heals_at = begin_ + seconds(270);
  EXPECT_FALSE(Look(seconds(269)));
  EXPECT_FALSE(Look(seconds(328)));
  groups_[0].calls_before_end = 1;
  EXPECT_FALSE(Look(seconds(330)));
  EXPECT_FALSE(Look(seconds(389)));
  groups_[0].heals_at = begin_ + seconds(900);
  groups_[0].finished = true;
  EXPECT_FALSE(Look(seconds(390)));
  EXPECT_TRUE(Look(seconds(450)));
}

TEST_F(StallDetectorTest, WaitsLongerWhereABreakerIsOpenInAGroupThatRuns) {
  EXPECT_FALSE(Look(seconds(0)));
  groups_[0].breaker_open = true;
  EXPECT_FALSE(Look(seconds(89)));
  EXPECT_TRUE(Look(seconds(90)));
  groups_[0].finished = true;
  EXPECT_FALSE(Look(seconds(91)));
  EXPECT_TRUE(Look(seconds(151)));
}

// A group that goes from one wait to another does not come nearer to the end.
TEST_F(StallDetectorTest, CountsAnotherStateAsNone) {
  groups_[0].state = GroupState::kWaiting;
  EXPECT_FALSE(Look(seconds(30)));
  groups_[0].reason = "another reason";
  EXPECT_TRUE(Look(seconds(60)));
}

}  // namespace
}  // namespace catchup
