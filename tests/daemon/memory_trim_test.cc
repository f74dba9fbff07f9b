#include "host/daemon/watch/memory_trim.h"

#include <gtest/gtest.h>

#include <vector>

namespace catchup {
namespace {

class MemoryTrimTest : public testing::Test {
 protected:
  bool LookAfter(std::chrono::milliseconds time) {
    now_ += time;
    return trim_.Look(groups_, now_);
  }
  void Set(std::size_t group, GroupState state) { groups_[group].state = state; }

  MemoryTrim trim_;
  MemoryTrim::TimePoint now_;
  std::vector<GroupStatus> groups_{3};
};

constexpr std::chrono::milliseconds kTick{500};

TEST_F(MemoryTrimTest, IsDueOnceAMomentAfterAGroupHasCaughtUp) {
  EXPECT_FALSE(LookAfter(kTick));
  Set(1, GroupState::kCaughtUp);
  EXPECT_FALSE(LookAfter(kTick));
  EXPECT_FALSE(LookAfter(kTick));
  EXPECT_TRUE(LookAfter(kTick));
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(LookAfter(kTick));
  }
}

TEST_F(MemoryTrimTest, IsNotDueWhileNoGroupCatchesUp) {
  Set(0, GroupState::kCatchingUp);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(LookAfter(kTick));
  }
}

TEST_F(MemoryTrimTest, ComesAgainWhenAGroupHadToCatchUpAgain) {
  Set(0, GroupState::kCaughtUp);
  EXPECT_FALSE(LookAfter(kTick));
  EXPECT_TRUE(LookAfter(MemoryTrim::kQuiet));
  Set(0, GroupState::kCatchingUp);
  EXPECT_FALSE(LookAfter(MemoryTrim::kQuiet));
  Set(0, GroupState::kCaughtUp);
  EXPECT_FALSE(LookAfter(kTick));
  EXPECT_TRUE(LookAfter(MemoryTrim::kQuiet));
}

TEST_F(MemoryTrimTest, GroupsThatCatchUpOneAfterTheOtherShareOneButAreNotWaitedForWithoutEnd) {
  int due = 0;
  const int looks = static_cast<int>(2 * MemoryTrim::kLongest / kTick);
  for (int i = 0; i < looks; ++i) {
    const auto group = static_cast<std::size_t>(i) % groups_.size();
    Set(group, GroupState::kCatchingUp);
    Set((group + 1) % groups_.size(), GroupState::kCaughtUp);
    due += LookAfter(kTick) ? 1 : 0;
  }
  EXPECT_EQ(due, 1);
}

}  // namespace
}  // namespace catchup
