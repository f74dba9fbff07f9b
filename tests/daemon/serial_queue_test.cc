#include "host/daemon/serial_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

constexpr std::chrono::milliseconds kSoon{1};

class SerialQueueTest : public testing::Test {
 protected:
  SerialQueueTest() {
    reactor_ = *Reactor::Create();
    pool_ = std::make_unique<WorkerPool>();
    EXPECT_TRUE(pool_->Start(2).ok());
  }
  ~SerialQueueTest() override { pool_.reset(); }

  void Write(char c) {
    const std::lock_guard<std::mutex> lock(mutex_);
    order_ += c;
  }
  std::shared_ptr<SerialQueue> Queue() { return SerialQueue::Create(pool_.get(), reactor_.get()); }
  // What was posted to `queue` so far is done.
  static bool Drain(SerialQueue* queue) {
    const auto done = std::make_shared<std::promise<void>>();
    queue->Post([done]() -> std::optional<std::chrono::nanoseconds> {
      done->set_value();
      return std::nullopt;
    });
    return done->get_future().wait_for(kPatience) == std::future_status::ready;
  }

  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<WorkerPool> pool_;
  std::mutex mutex_;
  std::string order_;
};

TEST_F(SerialQueueTest, RunsItsJobsOneAtATimeAndInOrderThoughThePoolHasMoreThreads) {
  const auto queue = Queue();
  std::atomic<int> running = 0;
  for (const char c : std::string("abcdefghij")) {
    queue->Post([&, c]() -> std::optional<std::chrono::nanoseconds> {
      EXPECT_EQ(++running, 1);
      Write(c);
      --running;
      return std::nullopt;
    });
  }
  ASSERT_TRUE(Drain(queue.get()));
  EXPECT_EQ(order_, "abcdefghij");
}

TEST_F(SerialQueueTest, RunsAJobThatWaitsAgainBeforeThoseBehindIt) {
  const auto queue = Queue();
  int tries = 0;
  queue->Post([&]() -> std::optional<std::chrono::nanoseconds> {
    Write('a');
    return ++tries < 3 ? std::optional<std::chrono::nanoseconds>(kSoon) : std::nullopt;
  });
  queue->Post([&]() -> std::optional<std::chrono::nanoseconds> {
    Write('b');
    return std::nullopt;
  });
  ASSERT_TRUE(Drain(queue.get()));
  EXPECT_EQ(order_, "aaab");
}

// However many wait: a full disk of many groups must not stop the one that has room.
TEST_F(SerialQueueTest, LeavesThePoolToOthersWhileItsJobWaits) {
  std::vector<std::shared_ptr<SerialQueue>> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.push_back(Queue());
    waiting.back()->Post(
        []() -> std::optional<std::chrono::nanoseconds> { return kPatience * 10; });
  }
  const auto other = Queue();

  EXPECT_TRUE(Drain(other.get()));
}

TEST_F(SerialQueueTest, TakesTurnsWithOthersAfterEachJob) {
  pool_ = std::make_unique<WorkerPool>();  // One thread, which waits until everything is posted.
  const auto busy = Queue();
  const auto other = Queue();
  for (int i = 0; i < 3; ++i) {
    busy->Post([&]() -> std::optional<std::chrono::nanoseconds> {
      Write('b');
      return std::nullopt;
    });
  }
  other->Post([&]() -> std::optional<std::chrono::nanoseconds> {
    Write('o');
    return std::nullopt;
  });
  ASSERT_TRUE(pool_->Start(1).ok());
  ASSERT_TRUE(Drain(busy.get()));
  EXPECT_EQ(order_, "bobb");
}

// As the last word of a group that ends: what was asked for is done, what had to wait is not.
TEST_F(SerialQueueTest, OnceClosedRunsWhatItHasButNothingAgain) {
  const auto queue = Queue();
  std::promise<void> running;
  std::promise<void> closed;
  queue->Post([&]() -> std::optional<std::chrono::nanoseconds> {
    Write('a');
    running.set_value();
    closed.get_future().wait();
    return kSoon;
  });
  queue->Post([&]() -> std::optional<std::chrono::nanoseconds> {
    Write('b');
    return std::nullopt;
  });
  running.get_future().wait();
  queue->Close();
  closed.set_value();
  queue->Post([&]() -> std::optional<std::chrono::nanoseconds> {
    Write('c');
    return std::nullopt;
  });

  pool_.reset();  // Runs what there is.
  EXPECT_EQ(order_, "ab");
}

TEST_F(SerialQueueTest, OnceClosedLetsAJobThatWaitsGoAndRunsThoseBehindIt) {
  const auto queue = Queue();
  Told<bool> waits;
  queue->Post([&]() -> std::optional<std::chrono::nanoseconds> {
    Write('a');
    waits.Tell(true);
    return std::chrono::hours(1);
  });
  queue->Post([&]() -> std::optional<std::chrono::nanoseconds> {
    Write('b');
    return std::nullopt;
  });
  ASSERT_TRUE(waits.Await().has_value());

  queue->Close();

  pool_.reset();
  EXPECT_EQ(order_, "ab");
}

}  // namespace
}  // namespace catchup
