#include "host/engine/store_wait.h"

#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// What the disk has no room for: the engine waits, says so, and tries again.

namespace catchup {
namespace {

EngineOptions EachEvent() {
  EngineOptions options;
  options.checkpoint_batch_size = 1;
  options.window_events = 4;
  return options;
}

// Event 1 is handled, and its checkpoint asked for.
class CheckpointWaitTest : public testing::Test {
 protected:
  void SetUp() override {
    d.Run();
    d.Event(P(1));
    ASSERT_EQ(Persisted(d.Settled(1)), P(1));
  }

  Driver d{EachEvent()};
};

TEST_F(CheckpointWaitTest, IsShownAtOnceWithTheTimeOfTheNextTry) {
  const Commands answer = d.NoRoom();

  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_EQ(d.engine.reason(), "checkpoint not written: no space; next try in 1.0s");
  EXPECT_EQ(d.engine.retry_at(), d.now + 1s);
  EXPECT_EQ(d.WakeIn(answer), 1s);
  EXPECT_EQ(Persisted(answer), std::nullopt) << "not at once";
  ASSERT_TRUE(Has(answer, Kind::kNotice));
  EXPECT_EQ(Find(answer, Kind::kNotice)->notice, Notice::kCheckpointWaits);
  EXPECT_EQ(Find(answer, Kind::kNotice)->number, 1u);
  EXPECT_EQ(Find(answer, Kind::kNotice)->delay, 1s);
}

TEST_F(CheckpointWaitTest, EndsWithTheTryThatFindsRoom) {
  d.NoRoom();
  ASSERT_EQ(Persisted(d.Wake(1s)), P(1));
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting) << "nobody knows yet";

  const Commands answer = d.Durable(P(1));

  EXPECT_EQ(d.engine.state(), GroupState::kCatchingUp);
  EXPECT_EQ(d.engine.retry_at(), std::nullopt);
  ASSERT_TRUE(Has(answer, Kind::kNotice));
  EXPECT_EQ(Find(answer, Kind::kNotice)->notice, Notice::kWaitOver);
  EXPECT_EQ(Find(answer, Kind::kNotice)->text, "checkpoint not written: no space");
}

// Within five seconds of room, and with what was handled meanwhile.
TEST_F(CheckpointWaitTest, GrowsToFourSecondsAndWritesTheNewestPlace) {
  for (const auto delay : {1s, 2s, 4s, 4s}) {
    EXPECT_EQ(d.WakeIn(d.NoRoom()), delay);
    if (delay == 2s) {
      d.Event(P(2));
      EXPECT_EQ(Persisted(d.Settled(2)), std::nullopt);
    }
    ASSERT_TRUE(Persisted(d.Wake(delay)));
  }
  d.NoRoom();
  EXPECT_EQ(Persisted(d.Wake(4s)), P(2));
}

TEST_F(CheckpointWaitTest, IsSaidOnceForEachReason) {
  EXPECT_TRUE(Has(d.NoRoom("no space"), Kind::kNotice));
  d.Wake(1s);
  EXPECT_FALSE(Has(d.NoRoom("no space"), Kind::kNotice));
  d.Wake(2s);
  EXPECT_TRUE(Has(d.NoRoom("quota exceeded"), Kind::kNotice));
}

TEST_F(CheckpointWaitTest, StopsDeliveryAtTheDuplicateBound) {
  d.NoRoom();
  for (std::uint64_t n = 2; n <= 5; ++n) {
    EXPECT_TRUE(d.engine.wants_frames()) << n;
    d.Event(P(n));
    d.Settled(n);
  }
  EXPECT_FALSE(d.engine.wants_frames());
}

// The next try would come later than whoever stops the group may wait.
TEST_F(CheckpointWaitTest, IsCutShortOnceByAStopAndThenPacedAgain) {
  d.NoRoom();

  EXPECT_EQ(Persisted(d.Stop()), P(1));
  EXPECT_EQ(Persisted(d.NoRoom()), std::nullopt);
  EXPECT_EQ(d.engine.state(), GroupState::kDraining);
  EXPECT_EQ(d.engine.reason(), "stopped; checkpoint not written: no space; next try in 2.0s");
  EXPECT_EQ(Persisted(d.Exited(1, ExitClass::kClean)), std::nullopt);
  EXPECT_EQ(Persisted(d.Wake(1s)), std::nullopt) << "the second pause is longer";
  ASSERT_EQ(Persisted(d.Wake(1s)), P(1));
  d.Durable(P(1));
  EXPECT_EQ(d.engine.state(), GroupState::kStopped);
  EXPECT_EQ(d.engine.reason(), "stopped");
}

TEST_F(CheckpointWaitTest, IsOverWhereTheRunnerIsNotBelievedAnyMore) {
  d.NoRoom();
  d.ContractBroken("nonsense");
  EXPECT_FALSE(Contains(d.engine.reason(), "no space")) << d.engine.reason();
  EXPECT_EQ(Persisted(d.Wake(1h)), std::nullopt);
}

TEST_F(CheckpointWaitTest, AnAnswerToNoWriteMeansNothing) {
  d.Durable(P(1));
  EXPECT_TRUE(d.NoRoom().empty());
}

TEST(SpawnWaitTest, IsNoDeathAndIsTriedAgainUnderAnotherNumber) {
  Driver d;
  d.Start();

  const Commands answer = d.NoToken(1);

  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_EQ(d.engine.reason(), "fencing token not written: no space; next try in 1.0s");
  EXPECT_EQ(d.engine.retry_at(), d.now + 1s);
  EXPECT_EQ(d.WakeIn(answer), 1s);
  EXPECT_FALSE(Has(answer, Kind::kSpawnRunner));
  const Commands again = d.Wake(1s);
  ASSERT_TRUE(Has(again, Kind::kSpawnRunner));
  EXPECT_EQ(Find(again, Kind::kSpawnRunner)->number, 2u);
  EXPECT_EQ(d.engine.retry_at(), std::nullopt) << "it is under way";
  d.Ready(2);
  EXPECT_EQ(d.engine.state(), GroupState::kStarting);
  EXPECT_EQ(d.engine.counts().restarts, 0u);
}

// However long: a full disk is not the plugin's fault.
TEST(SpawnWaitTest, NeverGivesUp) {
  Driver d;
  d.Start();
  for (SpawnNumber spawn = 1; spawn < 1'000; ++spawn) {
    d.NoToken(spawn);
    ASSERT_TRUE(Has(d.Wake(4s), Kind::kSpawnRunner)) << spawn;
  }
}

TEST(SpawnWaitTest, EndsAtOnceWithTheGroup) {
  Driver d;
  d.Start();
  d.NoToken(1);
  EXPECT_TRUE(Has(d.Stop(), Kind::kFinished));
}

TEST(SpawnWaitTest, OfASpawnThatAStopHasOvertakenEndsTheGroup) {
  Driver d;
  d.Start();
  d.Stop();
  EXPECT_TRUE(Has(d.NoToken(1), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kStopped);
}

TEST(SpawnWaitTest, CountsARestartOnceHoweverOftenItIsTried) {
  Driver d;
  d.Run();
  d.Event(P(1));
  d.Settled(1);
  ASSERT_TRUE(Has(d.Exited(1, ExitClass::kCrash), Kind::kSpawnRunner));
  EXPECT_EQ(d.engine.counts().restarts, 1u);
  d.NoToken(2);
  EXPECT_EQ(d.engine.counts().restarts, 1u);
  d.Wake(1s);
  d.Ready(3);
  EXPECT_EQ(d.engine.counts().restarts, 1u);
}

}  // namespace
}  // namespace catchup
