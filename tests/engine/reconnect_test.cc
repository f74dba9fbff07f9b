#include <gtest/gtest.h>

#include <map>

#include "host/engine/prober.h"
#include "host/engine/reconnect_pace.h"

// When a call is opened again, by the parts that decide it.

namespace catchup {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMiddle = 250;  // No deviation in a back-off.

class ReconnectPaceTest : public testing::Test {
 protected:
  ReconnectPace::Next Ended(EndClass kind, bool heard = false) {
    return pace.OnEnded({.kind = kind, .text = "end"}, true, heard, kMiddle);
  }
  ReconnectPace::Next Unanswered(bool heard = false) {
    return pace.OnEnded({.text = "refused"}, false, heard, kMiddle);
  }
  ReconnectPace pace;
};

TEST_F(ReconnectPaceTest, DoublesFrom200MillisecondsTo30SecondsForCallsThatWereAnswered) {
  for (const auto expected : {200ms, 400ms, 800ms, 1600ms}) {
    EXPECT_EQ(Ended(EndClass::kDropped).delay, expected);
  }
  std::chrono::nanoseconds delay{};
  for (int i = 0; i < 100; ++i) {
    delay = Ended(EndClass::kNotReady).delay;
  }
  EXPECT_EQ(delay, 30s);
  pace.OnFrame();
  EXPECT_EQ(Ended(EndClass::kDropped).delay, 200ms);
}

TEST_F(ReconnectPaceTest, DoesNotCountWhatNobodyAnswered) {
  for (int i = 0; i < 100; ++i) {
    const ReconnectPace::Next next = Unanswered();
    EXPECT_EQ(next.delay, 10s);
    EXPECT_EQ(next.earliest, 0s) << "whoever looks may find it any moment";
  }
  EXPECT_EQ(Ended(EndClass::kDropped).delay, 200ms);
}

// A node that starts says for 5 to 20 s that it is not ready, and is to be back at once then.
TEST_F(ReconnectPaceTest, FollowsWhoeverIsAnsweredHoweverOftenItWasToldToWait) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Ended(EndClass::kNotReady).earliest, 0s);
  }
}

TEST_F(ReconnectPaceTest, KeepsItsPaceOnceItHasFollowedForNothing) {
  EXPECT_EQ(Unanswered(true).earliest, 200ms);
  EXPECT_EQ(Ended(EndClass::kDropped, true).earliest, 400ms);
  EXPECT_EQ(Ended(EndClass::kDropped).earliest, 0s);
}

TEST_F(ReconnectPaceTest, IsSlowWithRightsAndCredentials) {
  for (const EndClass kind : {EndClass::kCredentials, EndClass::kRights}) {
    pace.OnFrame();
    for (const auto expected : {10s, 20s, 40s, 60s, 60s}) {
      const ReconnectPace::Next next = Ended(kind, true);
      EXPECT_EQ(next.delay, expected);
      EXPECT_EQ(next.earliest, expected);
    }
    const EndOfCall end{.kind = kind, .text = "end"};
    EXPECT_GE(ReconnectPace().OnEnded(end, true, false, 0).delay, 10s);
  }
}

TEST_F(ReconnectPaceTest, IsSlowWithWhatNoRetryMends) {
  const std::map<EndClass, std::chrono::seconds> flat = {
      {EndClass::kTooLarge, 30s}, {EndClass::kUnsupported, 60s}, {EndClass::kBadRequest, 60s}};
  for (const auto& [kind, expected] : flat) {
    for (int i = 0; i < 3; ++i) {
      const ReconnectPace::Next next = Ended(kind);
      EXPECT_EQ(next.delay, expected);
      EXPECT_EQ(next.earliest, expected);
    }
  }
}

TEST_F(ReconnectPaceTest, LeavesAServerAloneForAsLongAsItAsksUpToAMinute) {
  const auto after = [this](std::chrono::nanoseconds wait) {
    return pace.OnEnded({.retry_after = wait, .text = "end"}, true, false, kMiddle);
  };
  EXPECT_EQ(after(5s).delay, 5s);
  EXPECT_EQ(after(5s).earliest, 5s);
  EXPECT_EQ(after(1h).earliest, 60s);
  EXPECT_EQ(after(0s).earliest, 0s);
}

class ProberTest : public testing::Test {
 protected:
  void Fail() {
    prober.OnTryBegun(now);
    EXPECT_TRUE(prober.OnTryEnded(false, now, kMiddle).empty());
  }
  std::chrono::nanoseconds now = 1h;
  Prober prober;
};

TEST_F(ProberTest, TriesEvery500MillisecondsWhileAGroupMissesTheSource) {
  EXPECT_EQ(prober.next_try(), std::nullopt);
  prober.OnLost(1, now, kMiddle);
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(prober.next_try(), now + 500ms);
    now += 500ms;
    Fail();
  }
  prober.Leave(1);
  EXPECT_EQ(prober.next_try(), std::nullopt);
}

TEST_F(ProberTest, TriesEverySecondOnceThatHasTakenAMinute) {
  prober.OnLost(1, now, kMiddle);
  now += 1min;
  Fail();
  EXPECT_EQ(prober.next_try(), now + 1s);
}

TEST_F(ProberTest, TriesAtThePaceThatItIsGivenAndSlowlyAfterSoManyTries) {
  Prober::Pace pace;
  pace.quick = {100ms, 200ms};
  pace.slow = {5s, 10s};
  pace.quick_for = std::chrono::nanoseconds::max();
  pace.quick_tries = 3;
  prober = Prober(pace);
  for (int time = 0; time < 2; ++time) {
    prober.OnLost(1, now, kMiddle);
    for (const auto next : {100ms, 100ms, 100ms, 5000ms, 5000ms}) {
      ASSERT_EQ(prober.next_try(), now + next);
      now += next;
      Fail();
    }
    prober.OnFound(1, now, kMiddle);
  }
}

TEST_F(ProberTest, HasOneTryUnderWay) {
  prober.OnLost(1, now, kMiddle);
  now += 500ms;
  prober.OnTryBegun(now);
  EXPECT_EQ(prober.next_try(), std::nullopt);
  prober.OnLost(2, now, kMiddle);
  EXPECT_EQ(prober.next_try(), std::nullopt);
  now += 5s;
  prober.OnTryEnded(false, now, kMiddle);
  EXPECT_LE(prober.next_try().value(), now) << "it took longer than the pace";
}

TEST_F(ProberTest, WakesAllThatMissItWithin200Milliseconds) {
  for (Prober::Member member = 1; member <= 5; ++member) {
    prober.OnLost(member, now, kMiddle);
  }
  now += 500ms;
  prober.OnTryBegun(now);
  for (const std::uint64_t random : {0U, 500U, 999U}) {
    Prober copy = prober;
    Prober::Wakes wakes = copy.OnTryEnded(true, now, random);
    ASSERT_EQ(wakes.size(), 5u);
    for (std::size_t i = 0; i < wakes.size(); ++i) {
      EXPECT_EQ(wakes[i].member, i + 1);
      EXPECT_GE(wakes[i].at, i == 0 ? now : wakes[i - 1].at + 30ms);
      EXPECT_LE(wakes[i].at, now + 200ms);
    }
    EXPECT_EQ(copy.next_try(), std::nullopt) << "each knows, and says so if it was for nothing";
  }
}

TEST_F(ProberTest, AGroupThatHasAFrameWakesTheOthers) {
  prober.OnLost(1, now, kMiddle);
  prober.OnLost(2, now, kMiddle);
  const Prober::Wakes wakes = prober.OnFound(2, now, kMiddle);
  ASSERT_EQ(wakes.size(), 1u);
  EXPECT_EQ(wakes[0].member, 1u);
  EXPECT_TRUE(prober.OnFound(1, now, kMiddle).empty());
  EXPECT_EQ(prober.next_try(), std::nullopt);
}

TEST_F(ProberTest, AGroupThatWasWokenForNothingIsLookedAfterAgain) {
  prober.OnLost(1, now, kMiddle);
  prober.OnTryBegun(now);
  ASSERT_EQ(prober.OnTryEnded(true, now, kMiddle).size(), 1u);
  prober.OnLost(1, now, kMiddle);
  EXPECT_EQ(prober.next_try(), now + 500ms);
  prober.OnLost(1, now + 100ms, kMiddle);
  EXPECT_EQ(prober.next_try(), now + 500ms) << "it missed it already";
}

}  // namespace
}  // namespace catchup
