#include "host/daemon/threads/worker_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>

namespace catchup {
namespace {

constexpr std::chrono::seconds kPatience{10};

TEST(WorkerPoolTest, OfOneThreadRunsJobsInOrderAndAllOfThemBeforeItEnds) {
  std::string order;
  {
    WorkerPool pool;
    ASSERT_TRUE(pool.Start(1).ok());
    for (const char c : std::string("abcdef")) {
      pool.Post([&order, c] { order += c; });
    }
  }
  EXPECT_EQ(order, "abcdef");
}

TEST(WorkerPoolTest, KeepsWhatWasPostedBeforeItsThreads) {
  std::string order;
  {
    WorkerPool pool;
    pool.Post([&order] { order += 'a'; });
    ASSERT_TRUE(pool.Start(1).ok());
    pool.Post([&order] { order += 'b'; });
  }
  EXPECT_EQ(order, "ab");
}

// One disk that hangs must not hold up what another thread can do.
TEST(WorkerPoolTest, OfTwoThreadsRunsTwoJobsAtOnce) {
  std::promise<void> first;
  std::promise<bool> both;
  WorkerPool pool;
  ASSERT_TRUE(pool.Start(2).ok());
  pool.Post(
      [&] { both.set_value(first.get_future().wait_for(kPatience) == std::future_status::ready); });
  pool.Post([&] { first.set_value(); });

  EXPECT_TRUE(both.get_future().get());
}

}  // namespace
}  // namespace catchup
