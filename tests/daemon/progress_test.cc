#include "host/daemon/progress.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace catchup {
namespace {

const std::chrono::steady_clock::time_point kStart{std::chrono::hours(1)};

constexpr std::size_t kWide = 200;

GroupStatus Glance(std::uint64_t processed, std::uint64_t commit, std::uint64_t head) {
  GroupStatus status;
  status.name = "orders";
  status.state = GroupState::kCatchingUp;
  status.processed = processed;
  status.rate = 1234;
  status.position = Position{commit, commit};
  status.head = Position{head, head};
  return status;
}

TEST(ProgressLineTest, TellsEventsRateAndPlaceInTheLog) {
  ProgressLine line;
  EXPECT_EQ(line.Format(Glance(1'000'000, 500, 2000), kStart, kWide),
            "orders  catching up  1,000,000 events  1,234/s  25.0 %  at 500 of 2,000");
}

TEST(ProgressLineTest, EstimatesTheTimeLeftFromWhatItSawBefore) {
  ProgressLine line;
  line.Format(Glance(10, 500, 2000), kStart, kWide);
  EXPECT_EQ(line.Format(Glance(20, 1000, 2000), kStart + std::chrono::seconds(1), kWide),
            "orders  catching up  20 events  1,234/s  50.0 %  ETA 2.0s  at 1,000 of 2,000");
}

// What matters most must be on a terminal of 80 columns, also for a long log.
TEST(ProgressLineTest, ShowsTheTimeLeftWithinEightyColumns) {
  ProgressLine line;
  line.Format(Glance(123'456'789, 50'000'000'000, 200'000'000'000), kStart, kWide);
  const std::string text = line.Format(Glance(123'456'999, 50'001'000'000, 200'000'000'000),
                                       kStart + std::chrono::seconds(1), kWide);
  EXPECT_NE(text.substr(0, 80).find("  ETA 41h39m"), std::string::npos) << text;
}

// "at 26,049,298 of 7" would be wrong, "at 26,049,298 of 73,621,004" does not fit.
TEST(ProgressLineTest, LeavesOutWhatDoesNotFit) {
  ProgressLine line;
  EXPECT_EQ(line.Format(Glance(1'000'000, 500'000'000, 2'000'000'000), kStart, 60),
            "orders  catching up  1,000,000 events  1,234/s  25.0 %");
  EXPECT_EQ(line.Format(Glance(1'000'000, 500'000'000, 2'000'000'000), kStart, 40),
            "orders  catching up  1,000,000 events");
}

TEST(ProgressLineTest, GivesNoTimeLeftAtTheHead) {
  ProgressLine line;
  line.Format(Glance(10, 500, 2000), kStart, kWide);
  EXPECT_EQ(line.Format(Glance(20, 2000, 2000), kStart + std::chrono::seconds(1), kWide),
            "orders  catching up  20 events  1,234/s  100.0 %  at 2,000 of 2,000");
}

TEST(ProgressLineTest, SaysWhyAGroupWaits) {
  ProgressLine line;
  GroupStatus status;
  status.name = "orders";
  status.state = GroupState::kWaiting;
  status.reason = "server unreachable";
  EXPECT_EQ(line.Format(status, kStart, kWide),
            "orders  waiting  0 events  0/s  server unreachable");
}

}  // namespace
}  // namespace catchup
