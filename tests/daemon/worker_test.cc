#include "host/daemon/worker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <optional>
#include <string>

namespace catchup {
namespace {

constexpr std::chrono::seconds kPatience{10};

TEST(WorkerTest, RunsJobsInOrderAndAllOfThemBeforeItEnds) {
  std::string order;
  {
    Worker worker;
    ASSERT_TRUE(worker.Start().ok());
    for (const char c : std::string("abcdef")) {
      worker.Post([&order, c] { order += c; });
    }
  }
  EXPECT_EQ(order, "abcdef");
}

TEST(WorkerTest, PauseEndsInTimeAndSaysThatWorkGoesOn) {
  Worker worker;
  ASSERT_TRUE(worker.Start().ok());
  std::promise<bool> goes_on;
  worker.Post([&] { goes_on.set_value(worker.Pause(std::chrono::milliseconds(1))); });
  auto answer = goes_on.get_future();
  ASSERT_EQ(answer.wait_for(kPatience), std::future_status::ready);
  EXPECT_TRUE(answer.get());
}

TEST(WorkerTest, WhatWasPostedBeforeTheThreadWaitsForIt) {
  std::string order;
  {
    Worker worker;
    worker.Post([&order] { order += 'a'; });
    ASSERT_TRUE(worker.Start().ok());
    worker.Post([&order] { order += 'b'; });
  }
  EXPECT_EQ(order, "ab");
}

// A job that waits for the disk must not hold up the end of the host.
TEST(WorkerTest, PauseIsCutShortByTheEnd) {
  std::promise<void> pausing;
  std::optional<bool> goes_on;
  {
    Worker worker;
    ASSERT_TRUE(worker.Start().ok());
    worker.Post([&] {
      pausing.set_value();
      goes_on = worker.Pause(std::chrono::hours(1));
    });
    ASSERT_EQ(pausing.get_future().wait_for(kPatience), std::future_status::ready);
  }
  EXPECT_EQ(goes_on, false);
}

}  // namespace
}  // namespace catchup
