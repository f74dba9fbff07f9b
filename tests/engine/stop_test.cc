#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// The ways to end, in every state.

namespace catchup {
namespace {

TEST(StopTest, DrainsThenPersistsThenFinishes) {
  Driver d;
  d.Run();
  d.Events(1, 3);
  d.Settled(1);
  const Commands stop = d.Stop();
  EXPECT_TRUE(Has(stop, Kind::kCancelSubscription));
  EXPECT_TRUE(Has(stop, Kind::kDrainRunner));
  EXPECT_EQ(Persisted(stop), P(1));
  EXPECT_EQ(d.engine.state(), GroupState::kDraining);

  d.Settled(2);
  EXPECT_FALSE(Has(d.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_EQ(Persisted(d.Durable(P(1))), P(2));
  const Commands last = d.Durable(P(2));
  ASSERT_FALSE(last.empty());
  EXPECT_EQ(last.back().kind, Kind::kFinished);
  EXPECT_EQ(d.engine.state(), GroupState::kStopped);
}

TEST(StopTest, ClimbsTheLadderWhenACallDoesNotEnd) {
  Driver d({.drain_timeout = 7s});
  d.Run();
  d.Event(P(1));
  EXPECT_EQ(d.WakeIn(d.Stop()), 7s);
  const Commands drained = d.Wake(7s);
  EXPECT_TRUE(Has(drained, Kind::kAbortRunner));
  EXPECT_EQ(d.WakeIn(drained), 3s);
  EXPECT_TRUE(Has(d.Wake(3s), Kind::kKillRunner));
  const Commands exited = d.Exited(1, ExitClass::kHung, 1);
  ASSERT_TRUE(Has(exited, Kind::kNotice));
  EXPECT_TRUE(Contains(Find(exited, Kind::kNotice)->text, "comes again"));
  EXPECT_TRUE(Has(exited, Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kStopped);
}

// A crash in stop or destroy takes no event with it.
TEST(StopTest, SaysNothingOfEventsThatACrashWhileStoppingDidNotConcern) {
  Driver d;
  d.Run();
  (void)d.Stop();
  const Commands exited = d.Exited(1, ExitClass::kCrash, 0);
  ASSERT_TRUE(Has(exited, Kind::kNotice));
  EXPECT_TRUE(Contains(Find(exited, Kind::kNotice)->text, "while stopping"));
  EXPECT_FALSE(Contains(Find(exited, Kind::kNotice)->text, "comes again"));
}

// Why a runner was killed is said by the setting that it outlasted, or by who asked.
TEST(StopTest, SaysWhyARunnerWasKilled) {
  Driver d;
  d.Run();
  d.Stop();
  d.Wake(5s);
  const Commands late = d.Exited(1, ExitClass::kKilled, 0, "killed by the host in destroy");
  ASSERT_TRUE(Has(late, Kind::kNotice));
  EXPECT_EQ(Find(late, Kind::kNotice)->text,
            "while stopping, the runner ended: killed by the host in destroy: it had not stopped "
            "when drain_timeout = 5s was over");
  Driver forced;
  forced.Run();
  forced.Stop();
  forced.Stop();
  const Commands second = forced.Exited(1, ExitClass::kKilled, 0, "killed by the host in destroy");
  ASSERT_TRUE(Has(second, Kind::kNotice));
  EXPECT_TRUE(
      Contains(Find(second, Kind::kNotice)->text, "in destroy: a second stop was asked for"))
      << Find(second, Kind::kNotice)->text;
}

TEST(StopTest, ASecondOneKillsAtOnce) {
  Driver d;
  d.Run();
  d.Event(P(1));
  d.Stop();
  const Commands second = d.Stop();
  EXPECT_TRUE(Has(second, Kind::kKillRunner));
  EXPECT_FALSE(Has(d.Stop(), Kind::kKillRunner));
}

TEST(StopTest, IsANoOpOnceFinished) {
  Driver d;
  d.Run();
  d.Stop();
  d.Exited(1, ExitClass::kClean);
  EXPECT_TRUE(d.Stop().empty());
  EXPECT_TRUE(d.Wake(1h).empty());
  EXPECT_TRUE(d.Event(P(1)).empty());
  EXPECT_TRUE(d.StoreFailed().empty());
}

TEST(StopTest, WorksBeforeStart) {
  Driver d;
  EXPECT_TRUE(Has(d.Stop(), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kStopped);
  EXPECT_TRUE(d.Start().empty());
}

TEST(StopTest, WorksWhileTheFirstRunnerIsBeingSetUp) {
  Driver d;
  d.Start();
  EXPECT_TRUE(Has(d.Stop(), Kind::kDrainRunner));
  EXPECT_TRUE(d.Ready().empty());
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kStopped);
}

TEST(StopTest, WorksWhileARunnerIsToBeRestarted) {
  Driver d;
  d.Run();
  d.Event(P(1));
  d.Settled(1);
  d.Exited(1, ExitClass::kCrash);
  d.Exited(2, ExitClass::kCrash);  // Nothing settled since: it waits.
  const Commands stop = d.Stop();
  EXPECT_EQ(Persisted(stop), P(1));
  EXPECT_FALSE(Has(d.Wake(1s), Kind::kSpawnRunner));
  EXPECT_TRUE(Has(d.Durable(P(1)), Kind::kFinished));
}

TEST(StopTest, WorksWhileReconnecting) {
  Driver d;
  d.Run();
  d.Ended();
  const Commands stop = d.Stop();
  EXPECT_FALSE(Has(stop, Kind::kCancelSubscription));
  EXPECT_FALSE(Has(d.Wake(1s), Kind::kConnect));
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kClean), Kind::kFinished));
}

TEST(StopTest, AFailureWhileStoppingIsNotHidden) {
  Driver d;
  d.Run();
  d.Event(P(1));
  d.Stop();
  d.Failed({.sequence = 1, .status = 4, .call = "handle", .text = "no"});
  d.Exited(1, ExitClass::kClean);
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
}

TEST(StopTest, DuringAFailureKeepsTheLadderAndASecondOneForces) {
  Driver d;
  d.Run();
  d.Event(P(1));
  d.Failed({.sequence = 1, .status = 4, .call = "handle", .text = "no"});
  EXPECT_FALSE(Has(d.Stop(), Kind::kKillRunner));
  EXPECT_TRUE(Has(d.Stop(), Kind::kKillRunner));
  d.Exited(1, ExitClass::kKilled);
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
}

TEST(StoreFailedTest, IsFinalAndAsksForNoFurtherWrite) {
  Driver d({.checkpoint_batch_size = 1});
  d.Run();
  d.Events(1, 3);
  EXPECT_EQ(Persisted(d.Settled(1)), P(1));
  const Commands failed = d.StoreFailed();
  EXPECT_TRUE(Has(failed, Kind::kDrainRunner));
  EXPECT_EQ(Persisted(d.Settled(3)), std::nullopt);
  const Commands exited = d.Exited(1, ExitClass::kClean);
  EXPECT_FALSE(Has(exited, Kind::kPersist));
  EXPECT_TRUE(Has(exited, Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(Contains(d.engine.reason(), "no space")) << d.engine.reason();
}

TEST(StoreFailedTest, EndsAStopThatWaitsForTheStore) {
  Driver d;
  d.Run();
  d.Event(P(1));
  d.Settled(1);
  d.Stop();
  EXPECT_FALSE(Has(d.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_TRUE(Has(d.StoreFailed(), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
}

}  // namespace
}  // namespace catchup
