#include "host/daemon/threads/serial_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <string>

#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

class SerialQueueTest : public testing::Test {
 protected:
  SerialQueueTest() {
    pool_ = std::make_unique<WorkerPool>();
    EXPECT_TRUE(pool_->Start(2).ok());
  }
  ~SerialQueueTest() override { pool_.reset(); }

  void Write(char c) {
    const std::lock_guard<std::mutex> lock(mutex_);
    order_ += c;
  }
  std::shared_ptr<SerialQueue> Queue() { return SerialQueue::Create(pool_.get()); }
  // What was posted to `queue` so far is done.
  static bool Drain(SerialQueue* queue) {
    const auto done = std::make_shared<std::promise<void>>();
    queue->Post([done] { done->set_value(); });
    return done->get_future().wait_for(kPatience) == std::future_status::ready;
  }

  std::unique_ptr<WorkerPool> pool_;
  std::mutex mutex_;
  std::string order_;
};

TEST_F(SerialQueueTest, RunsItsJobsOneAtATimeAndInOrderThoughThePoolHasMoreThreads) {
  const auto queue = Queue();
  std::atomic<int> running = 0;
  for (const char c : std::string("abcdefghij")) {
    queue->Post([&, c] {
      EXPECT_EQ(++running, 1);
      Write(c);
      --running;
    });
  }
  ASSERT_TRUE(Drain(queue.get()));
  EXPECT_EQ(order_, "abcdefghij");
}

TEST_F(SerialQueueTest, TakesTurnsWithOthersAfterEachJob) {
  pool_ = std::make_unique<WorkerPool>();  // One thread, which waits until everything is posted.
  const auto busy = Queue();
  const auto other = Queue();
  for (int i = 0; i < 3; ++i) {
    busy->Post([&] { Write('b'); });
  }
  other->Post([&] { Write('o'); });
  ASSERT_TRUE(pool_->Start(1).ok());
  ASSERT_TRUE(Drain(busy.get()));
  EXPECT_EQ(order_, "bobb");
}

// As the last word of a group that ends: what was asked for is done.
TEST_F(SerialQueueTest, OnceClosedRunsWhatItHasAndTakesNothingMore) {
  const auto queue = Queue();
  std::promise<void> running;
  std::promise<void> closed;
  queue->Post([&] {
    Write('a');
    running.set_value();
    closed.get_future().wait();
  });
  queue->Post([&] { Write('b'); });
  running.get_future().wait();
  queue->Close();
  closed.set_value();
  queue->Post([&] { Write('c'); });

  pool_.reset();  // Runs what there is.
  EXPECT_EQ(order_, "ab");
}

}  // namespace
}  // namespace catchup
