#include <poll.h>
#include <sys/wait.h>

#include <functional>
#include <thread>

#include "tests/ring/ring_pair.h"
#include "tests/ring/spawn.h"
#include "tests/ring/stress_events.h"

namespace catchup {
namespace {

constexpr std::uint64_t kLinesEvery = 1000;

// The host's side: gives `count` events as fast as they are taken, reads every outcome, and ends
// when all is settled. `alive` says whether going on makes sense.
class StressHost {
 public:
  StressHost(HostEnd* host, const StressEvents& events, std::function<bool()> alive)
      : host_(host), events_(events), alive_(std::move(alive)) {}

  void Give(std::uint64_t count) {
    std::uint64_t next = 1;
    while (settled_ < count) {
      const std::uint64_t before = next;
      while (next <= count && host_->WriteEvent(events_.Make(next), 1)) {
        ++next;
        if (next % 64 == 0) {
          host_->Publish();
        }
      }
      host_->Publish();
      ASSERT_NO_FATAL_FAILURE(Poll());
      if (next == before && settled_ < count) {
        ASSERT_NO_FATAL_FAILURE(WaitFor(settled_ + 1 + (next - settled_) / 2));
      }
    }
    EXPECT_EQ(settled_, count);
    EXPECT_TRUE(host_->used_large_region());
    host_->RequestStop();
  }

  std::uint64_t lines() const { return lines_; }
  bool stopped() const { return stopped_; }

  void Poll() {
    const auto settled = host_->PollSettled();
    ASSERT_TRUE(settled.ok()) << settled.status().message();
    settled_ = settled.value();
    while (true) {
      const auto outcome = host_->PollOutcome();
      ASSERT_TRUE(outcome.ok()) << outcome.status().message();
      if (!outcome.value().has_value()) {
        return;
      }
      stopped_ |= outcome.value()->kind == OutcomeKind::kStopped;
      if (outcome.value()->kind == OutcomeKind::kLog) {
        ++lines_;
        ASSERT_EQ(outcome.value()->text, "event " + std::to_string(lines_ * kLinesEvery));
      }
    }
  }

 private:
  void WaitFor(std::uint64_t sequence) {
    if (!host_->WakeWhenSettled(std::min(sequence, settled_ + 1000))) {
      return;
    }
    pollfd wait{host_->descriptors().host_wake, POLLIN, 0};
    constexpr int kLongestMilliseconds = 20'000;
    ASSERT_EQ(poll(&wait, 1, kLongestMilliseconds), 1) << "no wake-up at " << settled_;
    ASSERT_TRUE(alive_());
    host_->DrainWake();
  }

  HostEnd* host_;
  const StressEvents& events_;
  std::function<bool()> alive_;
  std::uint64_t settled_ = 0;
  std::uint64_t lines_ = 0;
  bool stopped_ = false;
};

TEST(RingStressTest, EveryByteCrossesBetweenTwoProcesses) {
  constexpr std::uint64_t kEvents = 1'000'000;
  const StressEvents events;
  const auto host = std::move(HostEnd::Create("stress")).value();
  RingChild child(RING_STRESS_RUNNER, {std::to_string(kLinesEvery)}, host->descriptors());
  StressHost side(host.get(), events, [&] { return !child.HasEnded(); });

  ASSERT_NO_FATAL_FAILURE(side.Give(kEvents));

  const int status = child.Wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  side.Poll();
  EXPECT_TRUE(side.stopped());
  EXPECT_EQ(side.lines() + host->log_lines_dropped()[1], kEvents / kLinesEvery);
}

// Both sides over one mapping, where a thread sanitizer can see an access that is not ordered.
TEST(RingStressTest, EveryByteCrossesBetweenTwoThreads) {
  constexpr std::uint64_t kEvents = 200'000;
  const StressEvents events;
  const RingPair pair = RingPair::OverMappings();
  std::string wrong;
  std::thread runner([&] { wrong = TakeStressEvents(pair.runner.get(), events, kLinesEvery); });
  StressHost side(pair.host.get(), events, [] { return true; });

  side.Give(kEvents);

  pair.host->RequestStop();
  runner.join();
  EXPECT_EQ(wrong, "");
}

// The watchdog's view of the call in progress is never a mix of two calls.
TEST(RingStressTest, CallInProgressIsAlwaysOfOneCall) {
  constexpr std::uint64_t kCalls = 200'000;
  const RingPair pair = RingPair::OverMappings();
  std::thread runner([&] {
    for (std::uint64_t call = 1; call <= kCalls;) {
      const auto record = pair.runner->Peek();
      if (!record.has_value()) {
        pair.runner->WaitForWork();
        continue;
      }
      pair.runner->BeginCall(call % 2 == 0 ? CallKind::kHandle : CallKind::kHandleAt, call);
      pair.runner->EndCall();
      pair.runner->Consume(*record);
      ++call;
    }
    pair.runner->BeginCall(CallKind::kStop, 0);
  });
  std::uint64_t written = 0;
  while (true) {
    while (written < kCalls && pair.host->WriteEvent(EventWithData("x"), 1)) {
      ++written;
    }
    pair.host->Publish();
    const CallInProgress call = pair.host->call();
    if (call.kind == CallKind::kStop) {
      break;
    }
    // Tries are bounded, so that a mixed view is possible, but never one that looks stuck: its
    // number has gone on by then.
    if (call.running() && call.ticket != (call.number + 1) / 2) {
      EXPECT_NE(pair.host->call().number, call.number);
    }
  }
  runner.join();
}

}  // namespace
}  // namespace catchup
