#include "host/daemon/threads/reactor.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace catchup {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kPatience{10};

class ReactorTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = Reactor::Create();
    ASSERT_TRUE(made.ok()) << made.status().message();
    reactor_ = std::move(*made);
  }

  // Waits until everything posted before has run.
  void Settle() {
    std::promise<void> reached;
    reactor_->Post([&] { reached.set_value(); });
    ASSERT_EQ(reached.get_future().wait_for(kPatience), std::future_status::ready);
  }

  std::unique_ptr<Reactor> reactor_;
};

TEST_F(ReactorTest, RunsTasksInTheOrderTheyWerePosted) {
  std::string order;
  for (const char c : std::string("abc")) {
    reactor_->Post([&order, c] { order += c; });
  }
  Settle();
  EXPECT_EQ(order, "abc");
}

TEST_F(ReactorTest, RunsTimersInTheOrderOfTheirTimes) {
  std::string order;
  std::promise<void> last;
  reactor_->After(milliseconds(40), [&] {
    order += 'b';
    last.set_value();
  });
  reactor_->After(milliseconds(1), [&] { order += 'a'; });
  ASSERT_EQ(last.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(order, "ab");
}

TEST_F(ReactorTest, DoesNotRunACancelledTimer) {
  bool cancelled_ran = false;
  std::promise<void> later;
  reactor_->Post([&] {
    const Reactor::TimerId id = reactor_->After(milliseconds(1), [&] { cancelled_ran = true; });
    reactor_->After(milliseconds(30), [&] { later.set_value(); });
    reactor_->Cancel(id);
  });
  ASSERT_EQ(later.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_FALSE(cancelled_ran);
}

TEST_F(ReactorTest, WatchesADescriptorUntilToldNotTo) {
  const UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  int times = 0;
  std::promise<void> seen;
  ASSERT_TRUE(reactor_
                  ->Watch(fd.get(),
                          [&] {
                            ++times;
                            reactor_->Unwatch(fd.get());
                            seen.set_value();
                          })
                  .ok());
  const std::uint64_t one = 1;
  ASSERT_EQ(write(fd.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  ASSERT_EQ(seen.get_future().wait_for(kPatience), std::future_status::ready);
  // Still readable, and nobody reads it: a watch that went on would fire again and again.
  Settle();
  Settle();
  EXPECT_EQ(times, 1);
}

TEST_F(ReactorTest, CancelsOneOfManyTimersAndNoneThatHasFired) {
  std::vector<Reactor::TimerId> fired;
  std::promise<void> last;
  for (int i = 0; i < 9; ++i) {
    fired.push_back(reactor_->After(milliseconds(0), [] {}));
  }
  reactor_->After(milliseconds(1), [&] { last.set_value(); });
  EXPECT_EQ(last.get_future().wait_for(kPatience), std::future_status::ready);

  int ran = 0;
  std::promise<void> end;
  std::vector<Reactor::TimerId> waiting;
  reactor_->Post([&] {
    for (int i = 0; i < 9; ++i) {
      waiting.push_back(reactor_->After(milliseconds(1), [&] { ++ran; }));
    }
    reactor_->Cancel(waiting[4]);
    for (const Reactor::TimerId id : fired) {
      reactor_->Cancel(id);
    }
    reactor_->After(milliseconds(2), [&] { end.set_value(); });
  });
  EXPECT_EQ(end.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(ran, 8);
}

// It sleeps for the one of an hour by then.
TEST_F(ReactorTest, RunsATimerInItsTimeThatIsDueBeforeWhatItSleepsFor) {
  reactor_->After(std::chrono::hours(1), [] {});
  Settle();
  std::promise<void> early;
  reactor_->After(milliseconds(1), [&] { early.set_value(); });
  EXPECT_EQ(early.get_future().wait_for(kPatience), std::future_status::ready);
}

// Whoever finds it asleep wakes it, whether or not another one just did.
TEST_F(ReactorTest, LosesNoTaskOfSeveralThatPostWhileItFallsAsleep) {
  constexpr int kTasks = 2'000;
  const auto post = [this](bool* all) {
    for (int i = 0; i < kTasks && *all; ++i) {
      std::promise<void> ran;
      reactor_->Post([&] { ran.set_value(); });
      // On a loss the promise must outlive the task that comes late.
      *all = ran.get_future().wait_for(kPatience) == std::future_status::ready;
      if (!*all) {
        reactor_->Stop();
      }
    }
  };
  bool here = true;
  bool there = true;
  std::thread other(post, &there);
  post(&here);
  other.join();
  EXPECT_TRUE(here && there);
}

TEST_F(ReactorTest, CanBeDestroyedWithTimersPending) {
  auto guard = std::make_shared<int>(1);
  reactor_->After(std::chrono::hours(1), [guard] {});
  reactor_.reset();
  EXPECT_EQ(guard.use_count(), 1);
}

}  // namespace
}  // namespace catchup
