#include <gtest/gtest.h>

#include "catchup/plugin.h"
#include "host/engine/engine_text.h"
#include "tests/engine/driver.h"

// What becomes of a runner that dies, fails, hangs or talks nonsense.

namespace catchup {
namespace {

TEST(RestartTest, ComesAtOnceWhenAnEventWasSettledSinceTheLastDeath) {
  Driver d;
  d.Run();
  d.Events(1, 2);
  d.Settled(1);
  const Commands exited = d.Exited(1, ExitClass::kCrash, 2, "SIGSEGV");
  ASSERT_TRUE(Has(exited, Kind::kSpawnRunner));
  EXPECT_EQ(Find(exited, Kind::kSpawnRunner)->number, 2u);
  EXPECT_FALSE(Has(exited, Kind::kCancelSubscription));
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(Contains(d.engine.reason(), "signal (event 2 of this run): SIGSEGV"))
      << d.engine.reason();
  EXPECT_EQ(d.engine.counts().restarts, 1u);
  EXPECT_EQ(Delivered(d.Ready(2)), (std::pair<Sequence, Sequence>{2, 2}));
  EXPECT_EQ(d.engine.state(), GroupState::kCatchingUp);
}

TEST(RestartTest, WaitsOneSecondDoublingWhenNothingWasEverSettled) {
  Driver d;
  d.Start();
  std::chrono::nanoseconds wanted = 1s;
  for (SpawnNumber spawn = 1; spawn <= 5; ++spawn) {
    const Commands exited = d.Exited(spawn, ExitClass::kExit);
    EXPECT_FALSE(Has(exited, Kind::kSpawnRunner));
    EXPECT_EQ(d.WakeIn(exited), wanted);
    EXPECT_TRUE(Has(d.Wake(wanted), Kind::kSpawnRunner));
    wanted *= 2;
  }
}

TEST(RestartTest, IsGivenUpAfterMoreThanTenDeathsWithoutASettledEvent) {
  Driver d;
  d.Start();
  for (SpawnNumber spawn = 1; spawn <= 10; ++spawn) {
    const auto delay = d.WakeIn(d.Exited(spawn, ExitClass::kMemory));
    ASSERT_GT(delay, 0ns) << spawn;
    d.Wake(delay);
  }
  const Commands last = d.Exited(11, ExitClass::kMemory);
  EXPECT_TRUE(Has(last, Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kGivenUp);
  EXPECT_TRUE(Contains(d.engine.reason(), "memory")) << d.engine.reason();
}

TEST(RestartTest, ASettledEventClearsTheCount) {
  Driver d;
  d.Run();
  for (SpawnNumber spawn = 1; spawn <= 30; ++spawn) {
    d.Event(P(spawn));
    d.Settled(spawn, spawn);
    EXPECT_TRUE(Has(d.Exited(spawn, ExitClass::kCrash), Kind::kSpawnRunner)) << spawn;
    d.Ready(spawn + 1);
  }
}

TEST(RestartTest, IgnoresWhatAnEarlierRunnerSays) {
  Driver d;
  d.Run();
  d.Events(1, 3);
  d.Settled(1);
  d.Exited(1, ExitClass::kCrash);
  EXPECT_TRUE(d.Settled(3, 1).empty());
  d.Ready(2);
  EXPECT_TRUE(d.Settled(3, 1).empty());
  EXPECT_TRUE(
      d.Failed({.sequence = 2, .status = CATCHUP_FAILED, .call = "handle", .text = ""}, 1).empty());
  EXPECT_TRUE(d.Hung(2, 1).empty());
  EXPECT_TRUE(d.Exited(1, ExitClass::kCrash).empty());
  EXPECT_TRUE(d.Ready(1).empty());
  EXPECT_EQ(d.engine.counts().handled, 1u);
}

// Caught up, with nothing in flight.
void RunUntilCaughtUp(Driver* d) {
  d->Run();
  d->Event(P(1));
  d->Settled(1);
  d->CaughtUp();
  d->Durable(P(1));
  ASSERT_EQ(d->engine.state(), GroupState::kCaughtUp);
}

TEST(ReplaceTest, AnIdleRunnerMakesRoomForAFreshOneAndNobodyDied) {
  Driver d;
  RunUntilCaughtUp(&d);
  const Commands replace = d.Replace();
  EXPECT_TRUE(Has(replace, Kind::kDrainRunner));
  ASSERT_TRUE(Has(replace, Kind::kNotice));
  EXPECT_TRUE(Find(replace, Kind::kNotice)->expected);
  EXPECT_TRUE(Contains(Find(replace, Kind::kNotice)->text, "it is fat"));
  EXPECT_TRUE(d.Replace().empty()) << "asked again";

  const Commands exited = d.Exited(1, ExitClass::kClean);
  EXPECT_EQ(Find(exited, Kind::kSpawnRunner)->number, 2u);
  EXPECT_FALSE(Has(exited, Kind::kNotice));
  EXPECT_EQ(d.engine.state(), GroupState::kCaughtUp);
  EXPECT_EQ(d.engine.counts().restarts, 0u);
  d.Ready(2);
  // It counts for no pacing either.
  EXPECT_TRUE(Has(d.Exited(2, ExitClass::kCrash), Kind::kSpawnRunner));
  EXPECT_EQ(d.engine.counts().restarts, 1u);
}

TEST(ReplaceTest, WhatComesMeanwhileWaitsForTheNewOne) {
  Driver d;
  RunUntilCaughtUp(&d);
  d.Replace();
  EXPECT_FALSE(Has(d.Event(P(2)), Kind::kDeliver));
  d.Exited(1, ExitClass::kClean);
  EXPECT_EQ(Delivered(d.Ready(2)), (std::pair<Sequence, Sequence>{2, 2}));
}

TEST(ReplaceTest, WaitsUntilNothingIsInFlight) {
  Driver d;
  d.Run();
  EXPECT_TRUE(d.Replace().empty()) << "not caught up";
  d.Event(P(1));
  d.CaughtUp();
  d.Settled(1);
  d.Durable(P(1));
  d.Event(P(2));
  EXPECT_TRUE(d.Replace().empty()) << "an event is with it";
  d.Settled(2);
  EXPECT_FALSE(d.Replace().empty());
}

// An event in the call, one behind it.
TEST(RetireTest, TheCallInProgressEndsAndTheNextRunnerGetsWhatHadNotBegun) {
  Driver d;
  d.Run();
  d.Events(1, 3);
  d.Settled(1);
  const Commands retire = d.Retire();
  EXPECT_TRUE(Has(retire, Kind::kDrainRunner));
  ASSERT_TRUE(Has(retire, Kind::kNotice));
  EXPECT_FALSE(Find(retire, Kind::kNotice)->expected);
  EXPECT_EQ(Find(retire, Kind::kNotice)->text, "it leaks");
  EXPECT_TRUE(d.Retire().empty()) << "asked again";
  EXPECT_FALSE(Has(d.Event(P(4)), Kind::kDeliver));
  d.Settled(2);
  const Commands exited = d.Exited(1, ExitClass::kClean);
  EXPECT_EQ(Find(exited, Kind::kSpawnRunner)->number, 2u);
  EXPECT_EQ(d.engine.counts().restarts, 0u);
  EXPECT_EQ(Delivered(d.Ready(2)), (std::pair<Sequence, Sequence>{3, 4}));
}

TEST(RetireTest, AgainAndAgainWithoutASettledEventIsPaced) {
  Driver d;
  d.Run();
  d.Events(1, 1);
  for (SpawnNumber spawn = 1; spawn <= 3; ++spawn) {
    d.Retire(spawn);
    const Commands exited = d.Exited(spawn, ExitClass::kClean);
    EXPECT_FALSE(Has(exited, Kind::kSpawnRunner));
    d.Wake(d.WakeIn(exited));
    d.Ready(spawn + 1);
  }
}

// A call has its own limit, whatever the runner is to do afterwards; only then the stop has its.
TEST(RetireTest, ACallThatHangsMeanwhileIsAHang) {
  Driver d({.drain_timeout = 5s, .handler_timeout = 30s});
  d.Run();
  d.Events(1, 1);
  d.Retire();
  EXPECT_TRUE(d.Hung(0).empty()) << "the stop has its own times";
  EXPECT_FALSE(Has(d.Wake(34s), Kind::kAbortRunner));
  EXPECT_TRUE(Has(d.Hung(1), Kind::kAbortRunner));
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kHung, 1), Kind::kSpawnRunner));
  EXPECT_TRUE(Contains(d.engine.reason(), "hung")) << d.engine.reason();
  d.Ready(2);
  d.Settled(1, 2);
  EXPECT_EQ(d.engine.counts().handled, 1u);
}

TEST(RetireTest, OneThatIsKilledForItsMemoryMeanwhileHasDiedOfTheEvent) {
  Driver d({.max_crashes = 0, .letter_order = LetterOrder::kHalt});
  d.Run();
  d.Events(1, 1);
  d.Retire();
  d.Exited(1, ExitClass::kMemory, 1, "limits.memory");
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(Contains(d.engine.reason(), "limits.memory")) << d.engine.reason();
}

TEST(DiscardTest, WhatIsInFlightComesAgainAndNobodyDied) {
  Driver d;
  d.Run();
  d.Events(1, 2);
  d.Settled(1);
  EXPECT_TRUE(Has(d.Discard(), Kind::kKillRunner));
  EXPECT_TRUE(d.Discard().empty()) << "asked again";
  // What it says of the ground that it lost is no answer.
  EXPECT_TRUE(
      d.Failed({.sequence = 2, .status = 3, .call = "handle", .text = "no such file"}).empty());
  const Commands exited = d.Exited(1, ExitClass::kKilled, 2, "killed by the host in handle");
  EXPECT_TRUE(Has(exited, Kind::kSpawnRunner));
  ASSERT_NE(Find(exited, Kind::kNotice), nullptr);
  EXPECT_TRUE(Find(exited, Kind::kNotice)->expected);
  EXPECT_TRUE(
      Contains(Find(exited, Kind::kNotice)->text, "in handle: no ground; restarting at once"))
      << Find(exited, Kind::kNotice)->text;
  EXPECT_EQ(d.engine.counts().restarts, 0u);
  EXPECT_EQ(Delivered(d.Ready(2)), (std::pair<Sequence, Sequence>{2, 2}));
}

TEST(DiscardTest, OneThatIsStillStartingIsNotBelievedThatItHasStarted) {
  Driver d;
  d.Start();
  d.Discard();
  EXPECT_FALSE(Has(d.Ready(1), Kind::kConnect));
  EXPECT_EQ(d.WakeIn(d.Exited(1, ExitClass::kKilled)), 1s);
}

TEST(DiscardTest, AgainAndAgainWithoutASettledEventIsGivenUp) {
  Driver d;
  d.Start();
  for (SpawnNumber spawn = 1; spawn <= 11; ++spawn) {
    d.Discard(spawn);
    const Commands exited = d.Exited(spawn, ExitClass::kKilled);
    if (spawn <= 10) {
      d.Wake(d.WakeIn(exited));
    }
  }
  EXPECT_EQ(d.engine.state(), GroupState::kGivenUp);
  EXPECT_TRUE(Contains(d.engine.reason(), "no ground")) << d.engine.reason();
}

TEST(DiscardTest, OneThatDiesByItselfMeanwhileHasDied) {
  Driver d;
  d.Run();
  d.Events(1, 1);
  d.Discard();
  const Commands exited = d.Exited(1, ExitClass::kCrash, 1);
  d.Wake(d.WakeIn(exited));
  EXPECT_EQ(d.engine.counts().restarts, 1u);
}

TEST(DiscardTest, InAStopEndsTheRunnerAtOnce) {
  Driver d;
  d.Run();
  d.Events(1, 1);
  d.Stop();
  EXPECT_TRUE(Has(d.Discard(), Kind::kKillRunner));
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kKilled, 1), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kStopped);
}

TEST(ReplaceTest, ARunnerThatDiesInItsStopHasDied) {
  Driver d;
  RunUntilCaughtUp(&d);
  d.Replace();
  const Commands exited = d.Exited(1, ExitClass::kCrash, 0, "SIGSEGV");
  EXPECT_TRUE(Has(exited, Kind::kNotice));
  EXPECT_EQ(d.engine.counts().restarts, 1u);
}

TEST(ReplaceTest, ARunnerThatDoesNotStopIsMadeTo) {
  Driver d;
  RunUntilCaughtUp(&d);
  d.Replace();
  EXPECT_TRUE(d.Hung(0).empty()) << "the stop has its own times";
  EXPECT_TRUE(Has(d.Wake(5s), Kind::kAbortRunner));
  EXPECT_TRUE(Has(d.Wake(3s), Kind::kKillRunner));
}

TEST(ReplaceTest, AStopMeanwhileEndsTheGroup) {
  Driver d;
  RunUntilCaughtUp(&d);
  d.Replace();
  d.Stop();
  const Commands exited = d.Exited(1, ExitClass::kClean);
  EXPECT_FALSE(Has(exited, Kind::kSpawnRunner));
  EXPECT_EQ(d.engine.state(), GroupState::kStopped);
}

TEST(RestartTest, ARunnerThatEndsUnaskedHasDied) {
  Driver d;
  RunUntilCaughtUp(&d);
  const Commands exited = d.Exited(1, ExitClass::kClean);
  ASSERT_TRUE(Has(exited, Kind::kNotice));
  EXPECT_TRUE(Contains(Find(exited, Kind::kNotice)->text, "without being asked to"));
  EXPECT_EQ(d.engine.counts().restarts, 1u);
}

class VerdictTest : public testing::TestWithParam<ExitClass> {};

TEST_P(VerdictTest, FailsTheGroupWithoutARestart) {
  Driver d;
  d.Run();
  d.Events(1, 2);
  d.Settled(1);
  const Commands exited = d.Exited(1, GetParam(), 2, "it says why");
  EXPECT_FALSE(Has(exited, Kind::kSpawnRunner));
  EXPECT_EQ(Persisted(exited), P(1));
  EXPECT_TRUE(Has(d.Durable(P(1)), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(Contains(d.engine.reason(), "it says why")) << d.engine.reason();
}

INSTANTIATE_TEST_SUITE_P(Classes, VerdictTest,
                         testing::Values(ExitClass::kSetup, ExitClass::kFatal));

TEST(FailedTest, StopsTheGroupAndLeavesTheCheckpointBeforeTheEvent) {
  Driver d({.letter_order = LetterOrder::kHalt});
  d.Run();
  d.Events(1, 3);
  d.Settled(1);
  const Commands failed =
      d.Failed({.sequence = 2, .status = CATCHUP_REJECT, .call = "handle", .text = "bad\namount"});
  EXPECT_TRUE(Has(failed, Kind::kCancelSubscription));
  EXPECT_TRUE(Has(failed, Kind::kDrainRunner));
  EXPECT_EQ(Persisted(failed), P(1));
  EXPECT_FALSE(Has(d.Durable(P(1)), Kind::kFinished));
  EXPECT_FALSE(Has(d.Wake(4s), Kind::kAbortRunner));
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(
      Contains(d.engine.reason(), "handle returned REJECT (event 2 of this run): bad amount"))
      << d.engine.reason();
  EXPECT_EQ(d.engine.durable(), P(1));
}

// The word that says how far the runner has got and the failure lie in two places of shared memory:
// whoever reads one after the other may see the failure first.
TEST(FailedTest, SettlesWhatCameBeforeTheEvent) {
  Driver d;
  d.Run();
  d.Events(1, 4);
  d.Settled(1);
  const Commands failed =
      d.Failed({.sequence = 4, .status = CATCHUP_FATAL, .call = "handle", .text = ""});
  EXPECT_EQ(d.engine.counts().handled, 3u);
  ASSERT_TRUE(Has(failed, Kind::kRelease));
  EXPECT_EQ(Find(failed, Kind::kRelease)->last, 3u);
  EXPECT_EQ(Persisted(failed), P(3));
  EXPECT_TRUE(d.Settled(3).empty()) << "the word comes late and says nothing new";
  EXPECT_TRUE(Contains(d.engine.reason(), "(event 4 of this run)")) << d.engine.reason();
}

TEST(FailedTest, NamesACallThatHandledNoEvent) {
  Driver d;
  d.Start();
  d.Failed({.sequence = 0, .status = CATCHUP_FATAL, .call = "create", .text = ""});
  EXPECT_TRUE(Contains(d.engine.reason(), "create returned FATAL and said nothing"))
      << d.engine.reason();
  d.Exited(1, ExitClass::kClean);
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
}

// A database that is down is told by every driver in words of its own, and heals.
TEST(FailedTest, ASetUpThatDoesNotSayWhyIsTriedAgainAndThenGivenUp) {
  for (const char* text : {"no route to the warehouse", "invalid answer"}) {
    Driver d;
    d.Start();
    for (SpawnNumber spawn = 1; spawn <= 11; ++spawn) {
      const Commands failed =
          d.Failed({.sequence = 0, .status = CATCHUP_FAILED, .call = "start", .text = text}, spawn);
      EXPECT_TRUE(Has(failed, Kind::kDrainRunner));
      const Commands exited = d.Exited(spawn, ExitClass::kClean);
      EXPECT_TRUE(Contains(d.engine.reason(), text)) << d.engine.reason();
      if (spawn <= 10) {
        ASSERT_EQ(d.engine.state(), GroupState::kWaiting);
        ASSERT_TRUE(Has(exited, Kind::kNotice));
        EXPECT_EQ(Find(exited, Kind::kNotice)->failure, FailureClass::kUnknown);
        EXPECT_TRUE(Has(d.Wake(Find(exited, Kind::kNotice)->delay), Kind::kSpawnRunner));
      }
    }
    EXPECT_EQ(d.engine.state(), GroupState::kGivenUp);
    EXPECT_TRUE(Contains(d.engine.reason(), "died or could not begin more than 10 times"))
        << d.engine.reason();
  }
}

TEST(FailedTest, ASetUpThatSucceedsInTheEndGoesOn) {
  Driver d;
  d.Start();
  d.Failed({.sequence = 0, .status = CATCHUP_FAILED, .call = "start", .text = "oops"});
  d.Exited(1, ExitClass::kClean);
  d.Wake(1s);
  d.Ready(2);
  EXPECT_NE(d.engine.state(), GroupState::kWaiting);
  EXPECT_EQ(d.engine.counts().restarts, 1u);
}

TEST(FailedTest, KnowsTheNamesOfTheInterfacesStatuses) {
  EXPECT_EQ(PluginStatusName(CATCHUP_OK), "OK");
  EXPECT_EQ(PluginStatusName(CATCHUP_RETRY), "RETRY");
  EXPECT_EQ(PluginStatusName(CATCHUP_REJECT), "REJECT");
  EXPECT_EQ(PluginStatusName(CATCHUP_FAILED), "FAILED");
  EXPECT_EQ(PluginStatusName(CATCHUP_FATAL), "FATAL");
  EXPECT_EQ(PluginStatusName(17), "status 17 (unknown)");
}

TEST(FailedTest, BoundsWhatAPluginMaySay) {
  Driver d;
  d.Start();
  d.Failed({.sequence = 0,
            .status = CATCHUP_FATAL,
            .call = "create",
            .text = std::string(10 << 20, 'x')});
  EXPECT_LT(d.engine.reason().size(), 2000u);
}

TEST(HungTest, IsAbortedAndKilledFiveSecondsLater) {
  Driver d({.max_crashes = 0, .letter_order = LetterOrder::kHalt});
  d.Run();
  d.Events(1, 2);
  d.Settled(1);
  const Commands hung = d.Hung(2);
  EXPECT_TRUE(Has(hung, Kind::kAbortRunner));
  EXPECT_FALSE(Has(hung, Kind::kDrainRunner));
  EXPECT_FALSE(Has(d.Wake(4s), Kind::kKillRunner));
  EXPECT_TRUE(Has(d.Wake(1s), Kind::kKillRunner));
  d.Durable(P(1));
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kHung, 2), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(Contains(d.engine.reason(), "handle hung (event 2 of this run)"))
      << d.engine.reason();
  EXPECT_EQ(d.engine.durable(), P(1));
}

// In a set-up call there is no event to charge it to, and another try may go better.
TEST(HungTest, InASetUpIsADeathOfThePluginThatIsTriedAgainAndThenGivenUp) {
  Driver d;
  d.Start();
  for (SpawnNumber spawn = 1; spawn <= 11; ++spawn) {
    EXPECT_TRUE(Has(d.Hung(0, spawn), Kind::kAbortRunner)) << spawn;
    EXPECT_TRUE(Has(d.Wake(5s), Kind::kKillRunner)) << spawn;
    d.now += 30s;
    const Commands exited = d.Exited(spawn, ExitClass::kHung);
    EXPECT_TRUE(
        Contains(d.engine.reason(), "handle hung: it took longer than handler_timeout = 30s"))
        << d.engine.reason();
    if (spawn <= 10) {
      ASSERT_EQ(d.engine.state(), GroupState::kWaiting);
      d.Wake(d.WakeIn(exited));
    }
  }
  EXPECT_EQ(d.engine.state(), GroupState::kGivenUp);
}

TEST(GivenUpTest, OnProbationOneDeathGivesUpAtOnce) {
  Driver d({.on_probation = true});
  d.Start();
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kCrash, 0, "SIGSEGV"), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kGivenUp);
  EXPECT_TRUE(Contains(d.engine.reason(), "tried again")) << d.engine.reason();
  EXPECT_TRUE(Contains(d.engine.reason(), "SIGSEGV")) << d.engine.reason();
}

TEST(ContractTest, AReportBeyondWhatWasDeliveredKillsTheRunnerAndFailsTheGroup) {
  Driver d;
  d.Run();
  d.Events(1, 2);
  EXPECT_TRUE(Has(d.Settled(3), Kind::kKillRunner));
  d.Exited(1, ExitClass::kKilled);
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_EQ(d.engine.counts().handled, 0u);
  EXPECT_TRUE(Contains(d.engine.reason(), "event 3, wanted event 1 to 2")) << d.engine.reason();
}

TEST(ContractTest, AReportThatGoesBackFailsTheGroup) {
  Driver d;
  d.Run();
  d.Events(1, 2);
  d.Settled(2);
  EXPECT_TRUE(Has(d.Settled(1), Kind::kKillRunner));
}

TEST(ContractTest, ANewRunnerMayOnlyReportWhatItWasHanded) {
  Driver d;
  d.Run();
  d.Events(1, 2);
  d.Settled(1);
  d.Exited(1, ExitClass::kCrash);
  EXPECT_TRUE(Has(d.Settled(2, 2), Kind::kKillRunner));
}

TEST(ContractTest, AFailureOfAnEventThatIsNotInFlightOrThatIsNoneFailsTheGroup) {
  Driver d;
  d.Run();
  d.Events(1, 2);
  d.Settled(1);
  EXPECT_TRUE(Has(d.Failed({.sequence = 1, .status = CATCHUP_FAILED, .call = "handle", .text = ""}),
                  Kind::kKillRunner));

  Driver other;
  other.Run();
  other.Event(P(1));
  EXPECT_TRUE(Has(other.Failed({.sequence = 1, .status = CATCHUP_OK, .call = "handle", .text = ""}),
                  Kind::kKillRunner));
}

// Events 1 to 3 were given out, 1 is durable, and the write of 2 waits for its turn.
struct Breach : Driver {
  explicit Breach(EngineOptions options = Slow()) : Driver(options) {
    Run();
    Events(1, 3);
    Settled(1);
    Wake(1s);
    Durable(P(1));
    Settled(2);
  }
  static EngineOptions Slow() {
    EngineOptions options;
    options.checkpoint_interval = 1s;
    return options;
  }
};

TEST(BreachTest, BeginsNoWriteOfWhatTheRunnerHadReportedAndTakesNothingMoreFromIt) {
  Breach d;
  EXPECT_TRUE(d.engine.may_persist());
  const Commands broken = d.ContractBroken("event 3 is settled\nsays the ring");
  EXPECT_TRUE(Has(broken, Kind::kKillRunner));
  EXPECT_EQ(Persisted(broken), std::nullopt);
  EXPECT_FALSE(d.engine.may_persist());

  EXPECT_TRUE(d.Settled(3).empty());
  EXPECT_TRUE(
      d.Failed({.sequence = 3, .status = CATCHUP_FAILED, .call = "handle", .text = ""}).empty());
  EXPECT_EQ(Persisted(d.Wake(1h)), std::nullopt);
  EXPECT_EQ(Persisted(d.Stop()), std::nullopt);
  const Commands exited = d.Exited(1, ExitClass::kContract);

  EXPECT_EQ(Persisted(exited), std::nullopt);
  EXPECT_TRUE(Has(exited, Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_TRUE(Contains(d.engine.reason(), "event 3 is settled says the ring")) << d.engine.reason();
  EXPECT_EQ(d.engine.durable(), P(1));
  EXPECT_FALSE(d.engine.settled_is_durable());
  EXPECT_EQ(d.engine.counts().handled, 2u);
}

TEST(BreachTest, AnExitThatSaysItIsAsGood) {
  Breach d;
  const Commands exited = d.Exited(1, ExitClass::kContract, 0, "nonsense in the ring");
  EXPECT_FALSE(Has(exited, Kind::kSpawnRunner));
  EXPECT_TRUE(Contains(d.engine.reason(), "nonsense in the ring")) << d.engine.reason();
  EXPECT_EQ(Persisted(exited), std::nullopt);
  EXPECT_TRUE(Has(exited, Kind::kFinished));
  EXPECT_EQ(d.engine.durable(), P(1));
}

TEST(BreachTest, AnImpossibleReportIsOneToo) {
  Breach d;
  EXPECT_TRUE(Has(d.Settled(4), Kind::kKillRunner));
  EXPECT_FALSE(d.engine.may_persist());
  EXPECT_TRUE(d.Settled(3).empty());
  EXPECT_EQ(Persisted(d.Exited(1, ExitClass::kKilled)), std::nullopt);
  EXPECT_EQ(d.engine.durable(), P(1));
}

TEST(BreachTest, AWriteThatHasBegunMayEnd) {
  Breach d;
  ASSERT_EQ(Persisted(d.Wake(1s)), P(2));
  d.ContractBroken("nonsense");
  EXPECT_FALSE(Has(d.Exited(1, ExitClass::kContract), Kind::kFinished));
  const Commands durable = d.Durable(P(2));
  EXPECT_EQ(Persisted(durable), std::nullopt);
  EXPECT_TRUE(Has(durable, Kind::kFinished));
  EXPECT_EQ(d.engine.durable(), P(2));
}

TEST(BreachTest, AWriteThatHadNotBegunIsLeftOut) {
  Breach d;
  ASSERT_EQ(Persisted(d.Wake(1s)), P(2));
  d.ContractBroken("nonsense");
  d.Exited(1, ExitClass::kContract);
  const Commands dropped = d.NotBegun();
  EXPECT_EQ(Persisted(dropped), std::nullopt);
  EXPECT_TRUE(Has(dropped, Kind::kFinished));
  EXPECT_EQ(d.engine.durable(), P(1));
}

TEST(BreachTest, OneFoundWhileTheGroupStopsTurnsTheStopIntoAFailure) {
  Breach d;
  EXPECT_EQ(Persisted(d.Stop()), P(2));
  d.ContractBroken("nonsense");
  d.NotBegun();
  EXPECT_TRUE(Has(d.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_EQ(d.engine.state(), GroupState::kFailed);
  EXPECT_EQ(d.engine.durable(), P(1));
}

TEST(BreachTest, OfAnEarlierSpawnIsNoneOfThisOne) {
  Breach d;
  d.Exited(1, ExitClass::kCrash, 3);
  d.Ready(2);
  EXPECT_TRUE(d.ContractBroken("nonsense", 1).empty());
  EXPECT_TRUE(d.engine.may_persist());
  EXPECT_EQ(d.engine.state(), GroupState::kCatchingUp);
}

}  // namespace
}  // namespace catchup
