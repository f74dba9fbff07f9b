#include "host/daemon/runner/memory_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace catchup {
namespace {

using std::chrono_literals::operator""ms;
using testing::HasSubstr;
using Verdict = MemoryWatch::Verdict;

constexpr std::uint64_t kMiB = 1u << 20;

MemoryUse Use(std::uint64_t mib, std::uint32_t processes = 1) {
  return {mib * kMiB, processes, std::nullopt};
}

TEST(MemoryWatchTest, ReplacesAtFourFifthsAndKillsAtTheLimit) {
  MemoryWatch watch(100 * kMiB);
  EXPECT_EQ(watch.Judge(Use(10), true), Verdict::kFine);
  EXPECT_EQ(watch.Judge(Use(79), true), Verdict::kFine);
  EXPECT_EQ(watch.Judge(Use(80), true), Verdict::kRetire);
  EXPECT_THAT(watch.Describe(),
              HasSubstr("it has 80 MiB of memory, 80 % of limits.memory = 100MiB is 80 MiB"));
  EXPECT_EQ(watch.Judge(Use(99), true), Verdict::kRetire);
  EXPECT_EQ(watch.Judge(Use(103, 3), true), Verdict::kKill);
  EXPECT_THAT(watch.Describe(),
              HasSubstr("it has 103 MiB of memory in 3 processes, limits.memory = 100MiB"));
}

// Before its plugin is set up another one would not get any further.
TEST(MemoryWatchTest, InItsSetUpARunnerIsOnlyKilled) {
  MemoryWatch watch(100 * kMiB);
  EXPECT_EQ(watch.Judge(Use(90), false), Verdict::kFine);
  EXPECT_EQ(watch.Judge(Use(100), false), Verdict::kKill);
}

TEST(MemoryWatchTest, OneThatBeginsFullIsReplacedHalfWayToTheLimit) {
  MemoryWatch watch(100 * kMiB);
  EXPECT_EQ(watch.Judge(Use(84), true), Verdict::kFine);
  EXPECT_TRUE(watch.starts_full());
  EXPECT_EQ(watch.Judge(Use(91), true), Verdict::kFine);
  EXPECT_EQ(watch.Judge(Use(92), true), Verdict::kRetire);
  EXPECT_THAT(watch.Describe(), HasSubstr("began with much"));
}

TEST(MemoryWatchTest, OneThatGrowsLaterDoesNotBeginFull) {
  MemoryWatch watch(100 * kMiB);
  watch.Judge(Use(10), true);
  EXPECT_EQ(watch.Judge(Use(85), true), Verdict::kRetire);
  EXPECT_FALSE(watch.starts_full());
}

// What has not run has filled nothing.
TEST(MemoryWatchTest, DoesNotLookAtOneThatHasNotRunSince) {
  MemoryWatch watch(100 * kMiB);
  EXPECT_TRUE(watch.WantsLook(5ms)) << "it was never looked at";
  watch.Judge({10 * kMiB, 1, 5ms}, true);
  EXPECT_FALSE(watch.WantsLook(5ms));
  EXPECT_TRUE(watch.WantsLook(6ms));
  EXPECT_TRUE(watch.WantsLook(std::nullopt));
}

TEST(MemoryWatchTest, LooksAtOneThatHasNotRunWhereThatDoesNotTellAll) {
  MemoryWatch watch(100 * kMiB);
  watch.Judge({10 * kMiB, 1, 5ms}, false);
  EXPECT_TRUE(watch.WantsLook(5ms)) << "what it has at its start is not known yet";
  watch.Judge({10 * kMiB, 2, 5ms}, true);
  EXPECT_TRUE(watch.WantsLook(5ms)) << "a process below it may have run";
  watch.Judge({10 * kMiB, 1, std::nullopt}, true);
  EXPECT_TRUE(watch.WantsLook(std::nullopt)) << "nobody knows whether it has run";
  for (const std::uint64_t mib : {80u, 100u}) {
    watch.Judge({mib * kMiB, 1, 5ms}, true);
    EXPECT_TRUE(watch.WantsLook(5ms)) << "what is to become of it may not be done";
  }
}

TEST(MemoryWatchTest, LooksNowAndThenAtOneThatHasNotRunAtAll) {
  MemoryWatch watch(100 * kMiB);
  for (int round = 0; round < 2; ++round) {
    watch.Judge({10 * kMiB, 1, 5ms}, true);
    int left_out = 0;
    while (!watch.WantsLook(5ms) && left_out < 100) {
      ++left_out;
    }
    EXPECT_EQ(left_out, 15);
  }
}

// What grows by 100 MiB/s is seen between the two bounds; an idle runner is hardly looked at.
TEST(MemoryWatchTest, LooksTheMoreOftenTheCloserTheNextBoundIs) {
  MemoryWatch watch(512 * kMiB);
  watch.Judge(Use(2), true);
  EXPECT_GE(watch.pause(), 1000ms);
  for (std::uint64_t mib = 2; mib < 512;) {
    if (watch.Judge(Use(mib), true) == Verdict::kRetire) {
      EXPECT_LT(mib, 430u);
      return;
    }
    mib += static_cast<std::uint64_t>(watch.pause().count()) / 10 + 1;
  }
  FAIL() << "it was at the limit before anybody looked";
}

}  // namespace
}  // namespace catchup
