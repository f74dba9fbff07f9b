#include <catchup/plugin.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "tests/ring/ring_pair.h"

namespace catchup {
namespace {

bool Readable(int fd, int milliseconds) {
  pollfd wait{fd, POLLIN, 0};
  return poll(&wait, 1, milliseconds) == 1;
}

// A runner that waits for work in a thread of its own until it has some.
class WaitingRunner {
 public:
  explicit WaitingRunner(RingPair* pair)
      : pair_(pair), thread_([this] {
          while (!pair_->runner->Peek().has_value() && !pair_->runner->stop_requested()) {
            pair_->runner->WaitForWork();
          }
          done_ = true;
        }) {}
  ~WaitingRunner() { thread_.join(); }

  bool done() const { return done_; }
  bool Sleeps() const {
    return Eventually([this] { return pair_->host->asleep(); });
  }

 private:
  RingPair* pair_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

TEST(RingWakeTest, SleepingRunnerIsWokenByAnEvent) {
  RingPair pair = RingPair::OverMappings();
  for (std::uint64_t sequence = 1; sequence <= 20; ++sequence) {
    const WaitingRunner waiting(&pair);
    ASSERT_TRUE(waiting.Sleeps());

    ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
    pair.host->Publish();

    ASSERT_TRUE(Eventually([&] { return waiting.done(); }));
    pair.runner->Consume(*pair.runner->Peek());
  }
}

TEST(RingWakeTest, SleepingRunnerIsWokenByAStop) {
  RingPair pair = RingPair::OverMappings();
  const WaitingRunner waiting(&pair);
  ASSERT_TRUE(waiting.Sleeps());

  pair.host->RequestStop();

  EXPECT_TRUE(Eventually([&] { return waiting.done(); }));
}

TEST(RingWakeTest, RunnerThatOnlyWaitsForAStopLetsEventsLie) {
  RingPair pair = RingPair::OverMappings();
  ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
  pair.host->Publish();
  std::thread runner([&] { pair.runner->WaitForStop(); });
  EXPECT_TRUE(Eventually([&] { return pair.host->asleep(); }));

  pair.host->RequestStop();

  runner.join();
  EXPECT_FALSE(pair.host->idle());
}

TEST(RingWakeTest, RunnerThatSleepsTellsWhatTheHostHasNotSeen) {
  RingPair pair = RingPair::OverMappings();
  ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
  pair.host->Publish();
  pair.runner->Consume(*pair.runner->Peek());
  pair.runner->Settle(1);
  EXPECT_FALSE(Readable(pair.host->descriptors().host_wake, 0));
  {
    const WaitingRunner waiting(&pair);
    EXPECT_TRUE(Readable(pair.host->descriptors().host_wake, 60'000));
    pair.host->RequestStop();
  }
  EXPECT_EQ(pair.host->PollSettled().value(), 1u);
}

TEST(RingWakeTest, RunnerThatSleepsSaysNothingIfTheHostKnowsIt) {
  RingPair pair = RingPair::OverMappings();
  ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
  pair.host->Publish();
  pair.runner->Consume(*pair.runner->Peek());
  pair.runner->Settle(1);
  ASSERT_EQ(pair.host->PollSettled().value(), 1u);

  const WaitingRunner waiting(&pair);
  EXPECT_TRUE(waiting.Sleeps());
  EXPECT_FALSE(Readable(pair.host->descriptors().host_wake, 0));
  pair.host->RequestStop();
}

TEST(RingWakeTest, HostIsWokenOnceAtTheSequenceItAskedFor) {
  RingPair pair = RingPair::OverMappings();
  for (std::uint64_t sequence = 1; sequence <= 4; ++sequence) {
    ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
  }
  pair.host->Publish();
  const int wake = pair.host->descriptors().host_wake;
  for (int i = 0; i < 4; ++i) {
    pair.runner->Consume(*pair.runner->Peek());
  }

  EXPECT_TRUE(pair.host->WakeWhenSettled(2));
  pair.runner->Settle(1);
  EXPECT_FALSE(Readable(wake, 0));
  // Batches may jump over it.
  pair.runner->Settle(3);
  EXPECT_TRUE(Readable(wake, 0));
  pair.host->DrainWake();
  EXPECT_FALSE(Readable(wake, 0));
  pair.runner->Settle(4);
  EXPECT_FALSE(Readable(wake, 0));
}

TEST(RingWakeTest, HostIsToldAtOnceThatTheSequenceIsSettled) {
  RingPair pair = RingPair::OverMappings();
  ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
  pair.host->Publish();
  pair.runner->Consume(*pair.runner->Peek());
  pair.runner->Settle(1);

  EXPECT_FALSE(pair.host->WakeWhenSettled(1));
}

TEST(RingWakeTest, EveryOutcomeWakesTheHost) {
  RingPair pair = RingPair::OverMappings();
  pair.runner->Log(1, "a line");
  EXPECT_TRUE(Readable(pair.host->descriptors().host_wake, 0));
}

// Whether the runner, which has work, would have been woken for it; in a nap it is not.
bool WouldBeWoken(const RingPair& pair) {
  const std::uint64_t before = pair.outcomes().sleep.load();
  pair.runner->WaitForWork();
  return pair.outcomes().sleep.load() != before;
}

// Events have kept coming, so the runner naps.
class NappingRunnerTest : public testing::Test {
 protected:
  NappingRunnerTest() : pair_(RingPair::OverMappings()) { Give(CallFor::kSeveral); }
  void SetUp() override {
    ASSERT_TRUE(Eventually([this] { return !WouldBeWoken(pair_); }));
  }

  void Give(CallFor call_for) const {
    EXPECT_NE(pair_.host->WriteEvent(EventWithData("x"), 1, call_for), 0u);
    pair_.host->Publish();
  }
  void Take() const { pair_.runner->Consume(*pair_.runner->Peek()); }

  const RingPair pair_;
};

TEST_F(NappingRunnerTest, GoesOnNappingWhileEventsAreHandled) {
  Take();
  Give(CallFor::kSeveral);
  EXPECT_FALSE(WouldBeWoken(pair_));
}

TEST_F(NappingRunnerTest, IsWokenForWhatComesBehindAFailure) {
  const Ticket failed = pair_.runner->Peek()->ticket;
  pair_.runner->PostFailure(CallKind::kHandle, CATCHUP_REJECT, {failed, failed, failed}, "no");
  ASSERT_TRUE(pair_.host->PollOutcome().value().has_value());
  ASSERT_TRUE(pair_.host->BeginEpoch().ok());
  Give(CallFor::kSeveral);
  ASSERT_TRUE(pair_.runner->AwaitEpoch());
  EXPECT_TRUE(WouldBeWoken(pair_));
}

TEST_F(NappingRunnerTest, IsWokenForWhatComesBehindAnEventThatWasCalledAlone) {
  Take();
  Give(CallFor::kOne);
  Take();
  Give(CallFor::kOne);
  EXPECT_TRUE(WouldBeWoken(pair_));
}

// The race of the two sides, many times: the host publishes just as the runner goes to sleep, the
// runner settles just as the host asks to be told. A lost wake-up ends in the poll's limit.
TEST(RingWakeTest, NoWakeUpIsLost) {
  constexpr std::uint64_t kEvents = 5'000;
  RingPair pair = RingPair::OverMappings();
  std::thread runner([&] {
    while (!pair.runner->stop_requested()) {
      const auto record = pair.runner->Peek();
      if (!record.has_value()) {
        pair.runner->WaitForWork();
        continue;
      }
      pair.runner->Consume(*record);
      pair.runner->Settle(record->ticket);
    }
  });
  const int wake = pair.host->descriptors().host_wake;
  bool woken = true;
  for (std::uint64_t sequence = 1; sequence <= kEvents && woken; ++sequence) {
    EXPECT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
    pair.host->Publish();
    while (woken && pair.host->PollSettled().value() < sequence) {
      if (pair.host->WakeWhenSettled(sequence)) {
        woken = Readable(wake, 60'000);
        pair.host->DrainWake();
      }
    }
    if (sequence % 100 == 0) {
      // Long enough without events for the runner to be on its way to sleep.
      EXPECT_TRUE(Eventually([&] { return pair.host->asleep(); }));
    }
  }
  EXPECT_TRUE(woken);
  pair.host->RequestStop();
  runner.join();
}

}  // namespace
}  // namespace catchup
