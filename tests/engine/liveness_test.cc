#include "host/engine/liveness.h"

#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// A call that stays open and says nothing.

namespace catchup {
namespace {

class LivenessTest : public testing::Test {
 protected:
  // Told of everything up to 100:100, caught up, and with nothing left to do.
  LivenessTest() {
    d.Run();
    d.Event(P(100));
    d.Settled(1);
    d.Wake(1s);
    d.Durable(P(100));
    d.CaughtUp(P(100));
  }
  // The head has moved to 300:300, and for 30 s no frame has come.
  Commands FallSilent() {
    d.HeadSeen(P(300));
    return d.Wake(30s);
  }

  Driver d;
};

TEST_F(LivenessTest, IsLookedIntoAfter30SecondsWithoutAFrameOnceTheHeadHasMoved) {
  EXPECT_EQ(d.WakeIn(d.HeadSeen(P(300))), 30s);
  EXPECT_FALSE(Has(d.Wake(30s - 1ns), Kind::kReadNext));
  const Commands commands = d.Wake(1ns);
  ASSERT_TRUE(Has(commands, Kind::kReadNext));
  EXPECT_EQ(Find(commands, Kind::kReadNext)->from, P(100));
  EXPECT_EQ(Find(commands, Kind::kReadNext)->number, 1u);
}

TEST_F(LivenessTest, IsNobodysBusinessWhileTheHeadIsWhereTheCallHasGot) {
  EXPECT_EQ(d.WakeIn(d.HeadSeen(P(100))), -1ns);
  EXPECT_FALSE(Has(d.Wake(1h), Kind::kReadNext));
  d.HeadSeen(std::nullopt);
  EXPECT_FALSE(Has(d.Wake(1h), Kind::kReadNext));
}

TEST_F(LivenessTest, IsLookedIntoAtOnceWhereTheHeadMovesAfterALongSilence) {
  d.Wake(1h);
  EXPECT_TRUE(Has(d.HeadSeen(P(300)), Kind::kReadNext));
}

TEST_F(LivenessTest, CountsFromTheLastFrameOfAnyKind) {
  d.HeadSeen(P(300));
  d.Wake(20s);
  d.Checkpoint({200, 0});
  EXPECT_FALSE(Has(d.Wake(30s - 1ns), Kind::kReadNext));
  const Commands commands = d.Wake(1ns);
  ASSERT_TRUE(Has(commands, Kind::kReadNext));
  EXPECT_EQ(Find(commands, Kind::kReadNext)->from, (Position{200, 0}));
}

TEST_F(LivenessTest, MeansNothingWhereTheLogHasNoEventForTheGroup) {
  ASSERT_TRUE(Has(FallSilent(), Kind::kReadNext));
  EXPECT_TRUE(d.NextKnown(std::nullopt).empty());
  EXPECT_FALSE(Has(d.Wake(1h), Kind::kReadNext)) << "the head has not moved since";
  EXPECT_TRUE(Has(d.HeadSeen(P(400)), Kind::kReadNext));
  EXPECT_TRUE(d.NextKnown(std::nullopt).empty());
  EXPECT_EQ(d.engine.state(), GroupState::kCaughtUp);
}

TEST_F(LivenessTest, EndsTheCallThatHasNotBroughtAnEventOfTheLogTenSecondsLater) {
  FallSilent();
  EXPECT_EQ(d.WakeIn(d.NextKnown(P(250))), 10s);
  EXPECT_FALSE(Has(d.Wake(10s - 1ns), Kind::kCancelSubscription));
  const Commands commands = d.Wake(1ns);

  EXPECT_EQ(Find(commands, Kind::kCancelSubscription)->number, 1u);
  EXPECT_TRUE(Find(commands, Kind::kCancelSubscription)->silent) << "its server is to be avoided";
  EXPECT_TRUE(Has(commands, Kind::kMissSource));
  EXPECT_EQ(d.WakeIn(commands), 200ms) << "as after any other drop";
  EXPECT_EQ(Find(commands, Kind::kNotice)->notice, Notice::kSubscriptionDropped);
  EXPECT_TRUE(Contains(Find(commands, Kind::kNotice)->text,
                       "silent for 40.0s: the log has an event for this group at 250:250, and the "
                       "call has told of nothing behind 100:100; wanted that event within 10.0s"))
      << Find(commands, Kind::kNotice)->text;
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(Has(d.Wake(200ms), Kind::kConnect));
  EXPECT_FALSE(Has(d.Wake(30s - 1ns), Kind::kReadNext)) << "a new call, a new silence";
  EXPECT_TRUE(Has(d.Wake(1ns), Kind::kReadNext));
}

TEST_F(LivenessTest, IsOverWithAFrameHoweverLate) {
  FallSilent();
  d.NextKnown(P(250));
  d.Wake(9s);
  d.Event(P(250));
  d.Settled(2);
  EXPECT_FALSE(Has(d.Wake(1h), Kind::kCancelSubscription));
}

TEST_F(LivenessTest, IsOverWithAFrameThatOvertakesTheLook) {
  FallSilent();
  d.Event(P(250));
  d.Settled(2);
  EXPECT_EQ(d.WakeIn(d.NextKnown(P(250))), -1ns);
  EXPECT_FALSE(Has(d.Wake(15s), Kind::kCancelSubscription));
}

TEST(LivenessOfAFullGroupTest, IsNotLookedInto) {
  EngineOptions options;
  options.window_events = 1;
  Driver full(options);
  full.Run();
  full.Event(P(100));
  full.HeadSeen(P(300));
  EXPECT_FALSE(Has(full.Wake(1h), Kind::kReadNext));
  EXPECT_FALSE(Has(full.Settled(1), Kind::kReadNext)) << "only now a frame is asked for";
  EXPECT_FALSE(Has(full.Wake(30s - 1ns), Kind::kReadNext));
  EXPECT_TRUE(Has(full.Wake(1ns), Kind::kReadNext));
}

TEST_F(LivenessTest, IsToldAndLookedIntoAgainWhereTheLookFails) {
  FallSilent();
  const Commands commands = d.NextUnknown("read of\nthe log: gone");
  ASSERT_TRUE(Has(commands, Kind::kNotice));
  EXPECT_EQ(
      Find(commands, Kind::kNotice)->text,
      "no frame for 30.0s, and the log does not tell whether an event is missing (read of the "
      "log: gone); looking again in 30.0s");
  EXPECT_FALSE(Has(d.Wake(30s - 1ns), Kind::kReadNext));
  EXPECT_TRUE(Has(d.Wake(1ns), Kind::kReadNext));
}

TEST_F(LivenessTest, OfAnEarlierCallDoesNotMatter) {
  FallSilent();
  d.Ended();
  d.Wake(200ms);
  d.CaughtUp(P(100), 2);
  EXPECT_TRUE(d.NextKnown(P(250), 1).empty());
  EXPECT_FALSE(Has(d.Wake(29s), Kind::kCancelSubscription));
}

}  // namespace
}  // namespace catchup
