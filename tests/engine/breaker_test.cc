#include "host/engine/breaker.h"

#include <gtest/gtest.h>

#include <chrono>

namespace catchup {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kNoJitter = 250;

TEST(BreakerTest, OpensAtTheFifthFailureWithoutASuccess) {
  Breaker breaker({});
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(breaker.OnInfrastructure(0s, kNoJitter));
  }
  breaker.OnSuccess();
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(breaker.OnInfrastructure(0s, kNoJitter));
  }
  EXPECT_TRUE(breaker.OnInfrastructure(0s, kNoJitter));
  EXPECT_TRUE(breaker.open());
}

TEST(BreakerTest, OpensAfterThirtySecondsOfNothingElse) {
  Breaker breaker({});
  EXPECT_FALSE(breaker.OnInfrastructure(0s, kNoJitter));
  EXPECT_FALSE(breaker.OnInfrastructure(29s, kNoJitter));
  EXPECT_TRUE(breaker.OnInfrastructure(30s, kNoJitter));
}

TEST(BreakerTest, WaitsTwiceAsLongEachTimeUpToItsCap) {
  Breaker breaker({});
  breaker.Open(0s, kNoJitter);
  std::chrono::nanoseconds now{};
  for (const auto wait : {5s, 10s, 20s, 40s, 60s, 60s}) {
    EXPECT_EQ(breaker.open_until(), now + wait);
    EXPECT_FALSE(breaker.TryOut(now + wait - 1ns));
    now += wait;
    EXPECT_TRUE(breaker.TryOut(now));
    EXPECT_EQ(breaker.most_in_flight(), 1u);
    breaker.Reopen(now, kNoJitter);
  }
}

TEST(BreakerTest, ThreeSuccessesInARowCloseItAndCallsDoubleFromOne) {
  Breaker breaker({});
  breaker.Open(0s, kNoJitter);
  ASSERT_TRUE(breaker.TryOut(5s));
  EXPECT_FALSE(breaker.OnProbeSuccess());
  EXPECT_FALSE(breaker.OnProbeSuccess());
  EXPECT_TRUE(breaker.OnProbeSuccess());
  EXPECT_TRUE(breaker.closed());
  EXPECT_EQ(breaker.most_in_flight(), 1u);
  breaker.OnSuccess();
  EXPECT_EQ(breaker.most_in_flight(), 2u);
  breaker.OnSuccess(3);
  EXPECT_EQ(breaker.most_in_flight(), 16u);
  breaker.OnSuccess(100);
  EXPECT_TRUE(breaker.pristine());
}

TEST(BreakerTest, SuccessesBeforeAFailedProbeCloseNothing) {
  Breaker breaker({});
  breaker.Open(0s, kNoJitter);
  ASSERT_TRUE(breaker.TryOut(5s));
  breaker.OnProbeSuccess();
  breaker.OnProbeSuccess();
  breaker.Reopen(5s, kNoJitter);
  ASSERT_TRUE(breaker.TryOut(15s));
  EXPECT_FALSE(breaker.OnProbeSuccess());
}

TEST(BreakerTest, TellsOnceWhetherALetterWasWrittenMeanwhile) {
  Breaker breaker({});
  breaker.NoteLetter();
  EXPECT_FALSE(breaker.TakeWrote()) << "it was closed";
  breaker.Open(0s, kNoJitter);
  breaker.NoteLetter();
  EXPECT_TRUE(breaker.TakeWrote());
  EXPECT_FALSE(breaker.TakeWrote());
}

}  // namespace
}  // namespace catchup
