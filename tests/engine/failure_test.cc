#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "catchup/plugin.h"
#include "tests/engine/failure_fixture.h"

// What the engine does about calls that fail, by class.

namespace catchup {
namespace {

TEST_F(FailureTest, ARejectedEventIsADeadLetterAtOnceAndDeliveryGoesOn) {
  Event("a");
  Event("b");

  const Commands answer = Fails(1, CATCHUP_REJECT, "no such customer");

  ASSERT_NE(Parked(answer), nullptr);
  EXPECT_EQ(Parked(answer)->state, LetterState::kDead);
  EXPECT_EQ(Parked(answer)->failure, FailureClass::kDomain);
  EXPECT_TRUE(Contains(Parked(answer)->reason, "no such customer"));
  EXPECT_TRUE(Has(answer, Kind::kTakeBack));
  EXPECT_EQ(Delivered(answer), (std::pair<Sequence, Sequence>{2, 2}));
  EXPECT_TRUE(driver.engine.breaker().closed());
}

// The promise of all this: a letter first, the checkpoint behind it.
TEST_F(FailureTest, NoCheckpointPassesALetterThatIsNotDurable) {
  Event("a");
  Event("b");
  Fails(1, CATCHUP_REJECT);
  driver.Settled(2);
  EXPECT_EQ(driver.engine.watermark(), std::nullopt);

  driver.LetterDurable(1);

  EXPECT_EQ(driver.engine.watermark(), P(20));
  EXPECT_EQ(driver.engine.counts().handled, 1u) << "a letter was not handled";
  EXPECT_EQ(driver.engine.counts().parked, 1u);
}

TEST_F(FailureTest, LaterEventsOfAParkedStreamQueueBehindIt) {
  Event("a");
  Event("a");
  Event("b");

  const Commands answer = Fails(1, CATCHUP_REJECT);

  EXPECT_EQ(Delivered(answer), (std::pair<Sequence, Sequence>{3, 3}));
  EXPECT_EQ(driver.engine.letters().count(LetterState::kFollower), 1u);
  EXPECT_EQ(Delivered(Event("a")).first, 0u);
  EXPECT_EQ(driver.engine.letters().count(LetterState::kFollower), 2u);
}

TEST_F(FailureTest, ARetryWaitsInPlaceForAsLongAsItTakes) {
  Event("a");
  Event("b");
  std::chrono::nanoseconds waited{};
  for (int i = 0; i < 100; ++i) {
    const Commands answer = Fails(1, CATCHUP_RETRY, "database is down");
    EXPECT_FALSE(Has(answer, Kind::kPark)) << i;
    EXPECT_EQ(Delivered(answer).first, 0u) << "nothing overtakes it";
    EXPECT_EQ(driver.engine.state(), GroupState::kWaiting);
    EXPECT_TRUE(Contains(driver.engine.reason(), "database is down")) << driver.engine.reason();
    const auto delay = *driver.engine.retry_at() - driver.now;
    waited += delay;
    const Commands woken = driver.Wake(delay);
    ASSERT_EQ(Delivered(woken), (std::pair<Sequence, Sequence>{1, 1})) << i;
    EXPECT_EQ(Find(woken, Kind::kDeliver)->number, static_cast<std::uint64_t>(i + 2));
  }
  EXPECT_GT(waited, 1h) << "at the breaker's pace";

  const Commands settled = driver.Settled(1);

  EXPECT_EQ(Delivered(settled), (std::pair<Sequence, Sequence>{2, 2}));
}

TEST_F(FailureTest, AWaitGoesByTheRetryDelaysUntilTheBreakerOpens) {
  Event("a");
  for (const auto delay : {1s, 2s, 4s, 8s}) {
    Fails(1, CATCHUP_RETRY);
    EXPECT_EQ(*driver.engine.retry_at() - driver.now, delay);
    driver.Wake(delay);
  }
  Fails(1, CATCHUP_RETRY);
  EXPECT_TRUE(driver.engine.breaker().open());
  EXPECT_EQ(*driver.engine.retry_at() - driver.now, 5s);
}

TEST_F(FailureTest, ThreeSuccessesCloseTheBreakerAndTheStateSaysThatItGoesOn) {
  for (int i = 0; i < 5; ++i) {
    Event("s" + std::to_string(i));
  }
  for (int i = 0; i < 5; ++i) {
    Fails(1, CATCHUP_RETRY);
    driver.Wake(*driver.engine.retry_at() - driver.now);
  }
  ASSERT_TRUE(driver.engine.breaker().half_open());
  EXPECT_EQ(Delivered(driver.Settled(1)), (std::pair<Sequence, Sequence>{2, 2})) << "one at a time";
  driver.Settled(2);
  EXPECT_EQ(driver.engine.state(), GroupState::kWaiting);
  driver.Settled(3);
  EXPECT_TRUE(driver.engine.breaker().closed());
  EXPECT_EQ(driver.engine.state(), GroupState::kCatchingUp);
}

TEST_F(FailureTest, AQuietLogDoesNotWaitForABreakerThatHasNothingToTry) {
  Event("s0");
  for (int i = 0; i < 5; ++i) {
    Fails(1, CATCHUP_RETRY);
    driver.Wake(*driver.engine.retry_at() - driver.now);
  }
  driver.Settled(1);
  ASSERT_TRUE(driver.engine.breaker().half_open());
  EXPECT_EQ(driver.engine.state(), GroupState::kCatchingUp) << driver.engine.reason();
  // It is tried with what comes next all the same.
  Event("s1");
  EXPECT_TRUE(Has(Fails(2, CATCHUP_RETRY), Kind::kNotice));
  EXPECT_EQ(driver.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(driver.engine.breaker().open());
}

TEST_F(FailureTest, AnUnknownFailureHasFourCallsAndThenHeals) {
  Event("a");
  Event("b");
  for (const auto delay : {1s, 2s, 4s}) {
    EXPECT_FALSE(Has(Fails(1), Kind::kPark));
    EXPECT_EQ(Delivered(driver.Wake(delay - 1ms)).first, 0u);
    EXPECT_EQ(Delivered(driver.Wake(1ms)).first, 1u);
  }
  const Commands answer = Fails(1);
  ASSERT_NE(Parked(answer), nullptr);
  EXPECT_EQ(Parked(answer)->state, LetterState::kHealing);
  EXPECT_EQ(Parked(answer)->failure, FailureClass::kUnknown);
  EXPECT_EQ(Parked(answer)->attempts, 4u);
  EXPECT_EQ(Parked(answer)->due, driver.now + 5s);
  EXPECT_EQ(Delivered(answer), (std::pair<Sequence, Sequence>{2, 2}));
}

TEST_F(FailureTest, ADomainTextIsParkedInDoubtAfterOneCall) {
  Event("a");
  const Commands answer = Fails(1, CATCHUP_FAILED, "validation of x");
  ASSERT_NE(Parked(answer), nullptr);
  EXPECT_EQ(Parked(answer)->state, LetterState::kHealing);
  EXPECT_EQ(Parked(answer)->failure, FailureClass::kDomainText);
  EXPECT_EQ(Parked(answer)->due, driver.now + 10min);
}

// What is handed out comes back with the next failure: a row of them must not cost a window each. A
// REJECT counts as a success.
TEST_F(FailureTest, BehindAFailureFewEventsAreHandedOutAndMoreWithEachSuccess) {
  for (int i = 0; i < 200; ++i) {
    Event("s" + std::to_string(i));
  }
  EXPECT_EQ(Delivered(Fails(1, CATCHUP_REJECT)), (std::pair<Sequence, Sequence>{2, 33}));
  EXPECT_EQ(Delivered(Fails(2, CATCHUP_REJECT)), (std::pair<Sequence, Sequence>{3, 34}));
  EXPECT_EQ(Delivered(driver.Settled(3)).second, 3u + 64) << "one success more";
  EXPECT_EQ(Delivered(driver.Settled(7)).second, 200u) << "four more";
}

// Its event comes again, and a disk may be full for ever.
TEST_F(FailureTest, AGroupThatEndsDoesNotWaitForRoomForALetter) {
  Event("a");
  Event("b");
  Fails(1, CATCHUP_REJECT);
  driver.Settled(2);
  EXPECT_FALSE(Has(driver.LettersExhausted(), Kind::kFinished)) << "it waits as long as it runs";
  driver.Stop();
  EXPECT_FALSE(Has(driver.Exited(spawn, ExitClass::kClean), Kind::kFinished))
      << "there may be room by now";

  EXPECT_TRUE(Has(driver.LettersExhausted(), Kind::kFinished));

  EXPECT_EQ(driver.engine.state(), GroupState::kStopped);
  EXPECT_EQ(driver.engine.watermark(), std::nullopt);
}

TEST_F(FailureTest, ALetterThatFoundRoomAfterAllIsWaitedForAgain) {
  Event("a");
  Event("b");
  Fails(1, CATCHUP_REJECT);
  Fails(2, CATCHUP_REJECT);
  driver.Stop();
  driver.LettersExhausted();
  driver.LetterDurable(1);
  EXPECT_FALSE(Has(driver.Exited(spawn, ExitClass::kClean), Kind::kFinished));
  driver.LetterDurable(2);
  EXPECT_EQ(driver.engine.watermark(), P(20));
}

TEST_F(FailureTest, ALetterHealsAtItsTimeAndHandsOnWhatQueuedBehindIt) {
  Event("a");
  Event("a");
  Doubt(1);
  driver.LetterDurable(1);
  driver.LetterDurable(2);
  EXPECT_FALSE(Has(driver.Wake(4s), Kind::kCallLetter));

  Commands answer = driver.Wake(1s);
  ASSERT_TRUE(Has(answer, Kind::kCallLetter));
  EXPECT_EQ(Find(answer, Kind::kCallLetter)->from, P(10));
  answer = driver.Settled(kLetterCall);
  ASSERT_TRUE(Has(answer, Kind::kRemoveLetter));
  EXPECT_FALSE(Has(answer, Kind::kCallLetter)) << "not before its end is written";
  answer = driver.LetterStored();
  ASSERT_TRUE(Has(answer, Kind::kCallLetter));
  EXPECT_EQ(Find(answer, Kind::kCallLetter)->from, P(20));
  driver.Settled(kLetterCall);
  driver.LetterStored();

  EXPECT_TRUE(driver.engine.letters().empty());
  EXPECT_EQ(Delivered(Event("a")).first, 3u) << "the stream is free";
}

TEST_F(FailureTest, ALetterThatFailsAgainWaitsLongerEachTime) {
  Event("a");
  Doubt(1);
  driver.LetterDurable(1);
  driver.Wake(5s);
  for (const auto delay : {30s, 120s, 600s, 3600s, 3600s}) {
    const Commands answer = Fails(kLetterCall);
    ASSERT_TRUE(Has(answer, Kind::kUpdateLetter));
    EXPECT_EQ(Find(answer, Kind::kUpdateLetter)->letter->state, LetterState::kHealing);
    EXPECT_EQ(Find(answer, Kind::kUpdateLetter)->letter->due, driver.now + delay);
    driver.LetterStored();
    ASSERT_TRUE(Has(driver.Wake(delay), Kind::kCallLetter));
  }
}

TEST_F(FailureTest, OnlyACallThatFailsMakesALetterDeadNeverTimeAlone) {
  Event("a");
  Doubt(1);
  driver.LetterDurable(1);
  driver.Wake(5s);
  Fails(kLetterCall);
  driver.LetterStored();
  ASSERT_TRUE(Has(driver.Wake(200h), Kind::kCallLetter));
  EXPECT_EQ(driver.engine.letters().count(LetterState::kHealing), 1u);
  Fails(kLetterCall, CATCHUP_RETRY);  // An outage is no reason either.
  driver.LetterStored();
  EXPECT_EQ(driver.engine.letters().count(LetterState::kHealing), 1u);
  ASSERT_TRUE(Has(driver.Wake(2h), Kind::kCallLetter));
  Fails(kLetterCall);
  EXPECT_EQ(driver.engine.letters().count(LetterState::kDead), 1u);
}

TEST_F(FailureTest, TheThirdStreamInARowOfATypeOpensTheBreakerAndIsItsProbe) {
  for (int i = 0; i < 4; ++i) {
    Event("s" + std::to_string(i));
  }
  ASSERT_TRUE(Has(Doubt(1), Kind::kPark));
  ASSERT_TRUE(Has(Fails(2), Kind::kPark)) << "one call, since its type has a letter";
  const Commands third = Fails(3);
  EXPECT_FALSE(Has(third, Kind::kPark));
  ASSERT_TRUE(driver.engine.breaker().open());
  EXPECT_TRUE(Contains(driver.engine.reason(), "\"t\"")) << driver.engine.reason();
  EXPECT_TRUE(Contains(driver.engine.reason(), "oops")) << driver.engine.reason();

  ASSERT_EQ(Delivered(driver.Wake(5s)).first, 3u);
  EXPECT_TRUE(Has(Fails(3), Kind::kPark)) << "one letter a probe";
  EXPECT_TRUE(driver.engine.breaker().open());
  EXPECT_EQ(*driver.engine.breaker().open_until() - driver.now, 10s);
  EXPECT_EQ(Delivered(driver.Wake(10s)).first, 4u);
}

TEST_F(FailureTest, ASuccessOfTheTypeEndsItsStreakAndMakesItsLettersDue) {
  Event("a");
  Event("b");
  Doubt(1);
  driver.LetterDurable(1);
  EXPECT_FALSE(Has(driver.Wake(1s), Kind::kCallLetter));
  const Commands answer = driver.Settled(2);
  EXPECT_TRUE(Has(answer, Kind::kCallLetter));
}

TEST_F(FailureTest, BehindASuccessAStreakBeginsAnew) {
  for (const char* stream : {"a", "b", "c", "d"}) {
    Event(stream);
    Doubt(last);
    driver.LetterDurable(last);
    if (last == 2) {
      Event("e");
      driver.Settled(last);
      driver.Settled(kLetterCall);
      driver.LetterStored();
      driver.Settled(kLetterCall);
      driver.LetterStored();
    }
  }
  EXPECT_TRUE(driver.engine.breaker().closed()) << driver.engine.reason();
  EXPECT_EQ(driver.engine.letters().letters(), 2u);
}

TEST_F(FailureTest, TheBudgetOfTextRulesOpensTheBreaker) {
  for (int i = 0; i < 12; ++i) {
    Event("s" + std::to_string(i));
  }
  for (Sequence at = 1; at <= 10; ++at) {
    EXPECT_TRUE(Has(Fails(at, CATCHUP_FAILED, "invalid"), Kind::kPark)) << at;
  }
  EXPECT_FALSE(Has(Fails(11, CATCHUP_FAILED, "invalid"), Kind::kPark));
  EXPECT_TRUE(driver.engine.breaker().open());
}

TEST_F(FailureTest, RejectsHaveNoBudgetAndNoStreak) {
  for (int i = 0; i < 30; ++i) {
    Event("s" + std::to_string(i));
  }
  for (Sequence at = 1; at <= 30; ++at) {
    EXPECT_TRUE(Has(Fails(at, CATCHUP_REJECT), Kind::kPark)) << at;
  }
  EXPECT_TRUE(driver.engine.breaker().closed());
}

TEST_F(FailureTest, ACrashIsChargedToItsEventWhichIsThenCalledAlone) {
  Event("a");
  Event("b");
  const Commands answer = Crashes(1);
  EXPECT_EQ(Delivered(answer), (std::pair<Sequence, Sequence>{1, 1}));
  EXPECT_TRUE(Find(answer, Kind::kDeliver)->alone);
  EXPECT_EQ(Delivered(driver.Settled(1, spawn)), (std::pair<Sequence, Sequence>{2, 2}));
}

TEST_F(FailureTest, TheFirstDeathAndThreeAloneAreParkedInDoubt) {
  Event("a");
  Event("b");
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(Has(Crashes(1), Kind::kPark)) << i;
  }
  const Commands answer = Crashes(1);
  ASSERT_NE(Parked(answer), nullptr);
  EXPECT_EQ(Parked(answer)->failure, FailureClass::kCrash);
  EXPECT_TRUE(Contains(Parked(answer)->reason, "SIGSEGV"));
  EXPECT_EQ(Delivered(answer), (std::pair<Sequence, Sequence>{2, 2}));
}

// Deaths of events that became letters are not the plugin's inability to run.
// What is handed out ahead passes followers, which are letters then that a healed letter would have
// spared.
TEST_F(FailureTest, BehindADeathFewEventsAreHandedOut) {
  Event("a");
  for (int i = 0; i < 50; ++i) {
    Event("b");
    Event("a");
  }
  Commands last_answer;
  for (int i = 0; i < 4; ++i) {
    last_answer = Crashes(1);
  }
  ASSERT_NE(Parked(last_answer), nullptr);
  EXPECT_EQ(std::count_if(last_answer.begin(), last_answer.end(),
                          [](const Command& command) { return command.kind == Kind::kDeliver; }),
            16);
  EXPECT_LE(std::count_if(last_answer.begin(), last_answer.end(),
                          [](const Command& command) { return command.kind == Kind::kPark; }),
            1 + 16);
}

TEST_F(FailureTest, ARowOfPoisonEventsDoesNotMakeTheGroupGiveUp) {
  for (int i = 0; i < 40; ++i) {
    Event("s" + std::to_string(i), "t" + std::to_string(i));
  }
  for (Sequence at = 1; at <= 40; ++at) {
    for (int death = 0; death < 4; ++death) {
      Crashes(at);
      ASSERT_NE(driver.engine.state(), GroupState::kGivenUp) << at;
    }
  }
  EXPECT_EQ(driver.engine.counts().parked, 40u);
}

TEST_F(FailureTest, DeathsOfAnEventThatBecameALetterAreNotThePluginsWhenItDiesByItself) {
  Event("a");
  for (int death = 0; death < 4; ++death) {
    Crashes(1);
  }
  ASSERT_EQ(driver.engine.counts().parked, 1u);
  driver.LetterDurable(1);
  driver.Wake(1s);
  driver.Durable(P(10));
  for (int death = 1; death <= 10; ++death) {
    const Commands exited = driver.Exited(spawn, ExitClass::kMemory);
    ASSERT_NE(driver.engine.state(), GroupState::kGivenUp) << death;
    driver.Wake(driver.WakeIn(exited));
    ++spawn;
  }
  driver.Exited(spawn, ExitClass::kMemory);
  EXPECT_EQ(driver.engine.state(), GroupState::kGivenUp);
}

TEST_F(FailureTest, AHangIsAbortedAndCountsLikeADeath) {
  Event("a");
  const Commands answer = driver.Hung(1);
  EXPECT_TRUE(Has(answer, Kind::kAbortRunner));
  EXPECT_NE(driver.engine.state(), GroupState::kDraining);
  const Commands gone = driver.Exited(1, ExitClass::kHung, 1);
  EXPECT_TRUE(Has(gone, Kind::kSpawnRunner)) << "its limit has paced it";
  EXPECT_EQ(Delivered(driver.Ready(2)), (std::pair<Sequence, Sequence>{1, 1}));
}

TEST_F(FailureTest, AFatalAnswerStopsTheGroupAndWritesNoLetter) {
  Event("a");
  const Commands answer = Fails(1, CATCHUP_FATAL, "schema is gone");
  EXPECT_FALSE(Has(answer, Kind::kPark));
  EXPECT_TRUE(Has(answer, Kind::kDrainRunner));
  EXPECT_TRUE(Contains(driver.engine.reason(), "schema is gone"));
}

TEST_F(FailureTest, AStopCutsAWaitAtOnce) {
  Event("a");
  Fails(1, CATCHUP_RETRY);
  EXPECT_TRUE(Has(driver.Stop(), Kind::kDrainRunner));
  driver.Exited(1, ExitClass::kClean);
  EXPECT_EQ(driver.engine.state(), GroupState::kStopped);
}

// A call that was cut short says nothing about its letter.
TEST_F(FailureTest, AStopDuringAHealingCallLeavesTheLetterAsItWas) {
  Event("a");
  Doubt(1);
  driver.LetterDurable(1);
  driver.Wake(5s);
  driver.Stop();
  const Commands answer = driver.Exited(1, ExitClass::kHung, kLetterCall);
  EXPECT_FALSE(Has(answer, Kind::kUpdateLetter));
  EXPECT_EQ(driver.engine.letters().count(LetterState::kHealing), 1u);
}

TEST_F(FailureTest, ACrashInAHealingCallIsItsLettersAlone) {
  Event("a");
  Event("b");
  Doubt(1);
  driver.LetterDurable(1);
  driver.Settled(2);
  for (int i = 0; i < 30; ++i) {
    while (!driver.engine.letters().in_call()) {
      driver.Wake(1h);
    }
    EXPECT_TRUE(Has(driver.Exited(spawn, ExitClass::kCrash, kLetterCall), Kind::kSpawnRunner)) << i;
    driver.LetterStored();
    driver.Ready(++spawn);
  }
  EXPECT_TRUE(driver.engine.breaker().closed());
  EXPECT_EQ(driver.engine.letters().count(LetterState::kHealing), 1u);
}

TEST_F(FailureTest, ADeathThatLeavesNonsenseIsChargedToTheLetterThatWasCalled) {
  Event("a");
  Event("b");
  Doubt(1);
  driver.LetterDurable(1);
  driver.Settled(2);
  while (!driver.engine.letters().in_call()) {
    driver.Wake(1h);
  }
  EXPECT_EQ(driver.engine.ChargedTo(spawn, kUnknownCall), kLetterCall);
  const Commands answer = driver.Exited(spawn, ExitClass::kCrash, kUnknownCall);
  ASSERT_TRUE(Has(answer, Kind::kUpdateLetter));
  EXPECT_EQ(Find(answer, Kind::kUpdateLetter)->letter->failure, FailureClass::kCrash);
  EXPECT_TRUE(Has(answer, Kind::kSpawnRunner)) << "at once";
}

TEST_F(FailureTest, ADeathThatLeavesNonsenseMakesEachEventASuspect) {
  Event("a");
  Event("b");
  EXPECT_EQ(driver.engine.ChargedTo(spawn, kUnknownCall), 0u);
  EXPECT_EQ(Delivered(Crashes(kUnknownCall)), (std::pair<Sequence, Sequence>{1, 1})) << "alone";
  EXPECT_EQ(driver.engine.ChargedTo(spawn, kUnknownCall), 1u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(driver.engine.letters().Has("a", P(10))) << i;
    Crashes(kUnknownCall);
  }
  EXPECT_TRUE(driver.engine.letters().Has("a", P(10))) << "the first death alone and three more";
}

TEST_F(FailureTest, ABatchThatFailsIsCalledAgainOneByOne) {
  for (int i = 0; i < 3; ++i) {
    Event("a");
  }
  const Commands answer = driver.Failed({1, CATCHUP_FAILED, "handle_batch", "oops", 3});
  EXPECT_EQ(Delivered(answer), (std::pair<Sequence, Sequence>{1, 1}));
  EXPECT_TRUE(Find(answer, Kind::kDeliver)->alone);
  EXPECT_EQ(Find(answer, Kind::kDeliver)->number, 1u) << "no event has failed by that";
  const Commands second = driver.Settled(1);
  EXPECT_EQ(Delivered(second), (std::pair<Sequence, Sequence>{2, 2}));
  EXPECT_TRUE(Find(second, Kind::kDeliver)->alone);
}

// After a kill between the letter and the checkpoint.
TEST(FailureRestartTest, AnEventThatIsALetterAlreadyIsNotCalledAgain) {
  Names names;
  names.names[1] = {"a", "t"};
  names.names[2] = {"a", "t"};
  names.names[3] = {"b", "t"};
  Driver d({}, &names);
  d.engine.LoadLetter(StoredLetter(P(10), LetterState::kDead));
  d.Run();
  EXPECT_EQ(Delivered(d.Event(P(10), 1, false, 1, {"a", "t"})).first, 0u);
  EXPECT_EQ(d.engine.watermark(), P(10)) << "it is durable";
  EXPECT_TRUE(Has(d.Event(P(20), 1, false, 1, {"a", "t"}), Kind::kPark)) << "it queues behind it";
  EXPECT_EQ(Delivered(d.Event(P(30), 1, false, 1, {"b", "t"})).first, 3u);
}

TEST_F(FailureTest, AHeldTypeIsParkedWithoutACall) {
  Commands answer;
  EXPECT_EQ(driver.engine.ParkType("t", driver.tick(), &answer), "");
  ASSERT_TRUE(Has(answer, Kind::kHold));
  answer = Event("a");
  ASSERT_NE(Parked(answer), nullptr);
  EXPECT_EQ(Parked(answer)->failure, FailureClass::kHeld);
  EXPECT_EQ(Delivered(Event("b", "u")).first, 2u);
  driver.LetterDurable(1);
  EXPECT_FALSE(Has(driver.Wake(2h), Kind::kCallLetter)) << "held by hand: nobody wants it called";

  answer.clear();
  driver.Settled(2);
  EXPECT_EQ(driver.engine.UnparkType("t", driver.tick(), &answer), "");
  EXPECT_TRUE(Has(answer, Kind::kCallLetter));
  EXPECT_NE(driver.engine.UnparkType("t", driver.tick(), &answer), "");
}

TEST_F(FailureTest, ALetterWaitsForAnEarlierEventOfItsStream) {
  Event("a");
  Commands answer;
  ASSERT_EQ(driver.engine.ParkType("u", driver.tick(), &answer), "");
  ASSERT_TRUE(Has(Event("a", "u"), Kind::kPark)) << "though the first is not done";
  driver.LetterDurable(2);
  Fails(1, CATCHUP_RETRY);

  answer.clear();
  ASSERT_EQ(driver.engine.UnparkType("u", driver.tick(), &answer), "");
  EXPECT_FALSE(Has(answer, Kind::kCallLetter));
  EXPECT_EQ(Delivered(driver.Wake(2s)).first, 1u);
  const Commands after = driver.Settled(1);
  ASSERT_TRUE(Has(after, Kind::kCallLetter));
  EXPECT_EQ(Find(after, Kind::kCallLetter)->from, P(20));
}

TEST_F(FailureTest, BetweenTwoLettersAnEventHasItsTurn) {
  Event("a");
  Event("b");
  for (const Sequence doubted : {1U, 2U}) {
    Doubt(doubted);
    driver.LetterDurable(doubted);
  }
  Event("c");
  ASSERT_TRUE(Has(driver.Settled(3), Kind::kCallLetter)) << "the streak is over";
  Event("d");
  Commands dropped;  // Nothing is written of it that an event could be called beside.
  driver.engine.LetterDropped({"a", "t"}, P(10), "", driver.tick(), &dropped);
  EXPECT_EQ(Delivered(driver.Settled(kLetterCall)).first, 4u);
  EXPECT_TRUE(Has(driver.Settled(4), Kind::kCallLetter));
}

TEST_F(FailureTest, ALetterBehindAnEventHoldsUpNoOther) {
  Event("b", "u");
  Event("a");
  Commands answer;
  ASSERT_EQ(driver.engine.ParkType("u", driver.tick(), &answer), "");
  Event("a", "u");
  Event("c");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);
  driver.LetterDurable(3);
  Fails(2, CATCHUP_RETRY);

  answer.clear();
  ASSERT_EQ(driver.engine.UnparkType("u", driver.tick(), &answer), "");
  ASSERT_FALSE(Has(answer, Kind::kCallLetter));
  ASSERT_EQ(driver.engine.RetryLetter("b", P(10), driver.tick(), &answer), "");
  ASSERT_TRUE(Has(answer, Kind::kCallLetter));
  EXPECT_EQ(Find(answer, Kind::kCallLetter)->from, P(10));
}

TEST_F(FailureTest, ADropThatCameTooLateIsToldAllTheSame) {
  Event("a");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);
  Commands answer;
  ASSERT_EQ(driver.engine.RetryLetter("a", P(10), driver.tick(), &answer), "");
  ASSERT_TRUE(Has(driver.Settled(kLetterCall), Kind::kRemoveLetter));

  answer.clear();
  driver.engine.LetterDropped({"a", "t"}, P(10), ": no use", driver.tick(), &answer);
  ASSERT_TRUE(Has(answer, Kind::kNotice));
  EXPECT_EQ(Find(answer, Kind::kNotice)->notice, Notice::kLetterDropped);
  EXPECT_EQ(Find(answer, Kind::kNotice)->text,
            "dead letter 10:10 dropped: no use; it had healed just before");
}

// The group went back behind a letter while it was being dropped, and its event has failed again:
// what was dropped is the letter before.
TEST_F(FailureTest, ADropOfTheLetterBeforeLeavesTheOneThatIsBeingWritten) {
  Event("a");
  Fails(1, CATCHUP_REJECT);
  Commands answer;
  driver.engine.LetterDropped({"a", "t"}, P(10), ": no use", driver.tick(), &answer);
  EXPECT_EQ(Find(answer, Kind::kNotice)->text,
            "dead letter 10:10 dropped: no use; its event has come again meanwhile, and becomes "
            "another letter");
  EXPECT_EQ(driver.engine.letters().letters(), 1u);
  EXPECT_EQ(Delivered(Event("a")).first, 0u) << "it queues behind it";
}

TEST_F(FailureTest, EventsWaitForTheCallOfALetterThatIsDroppedMeanwhile) {
  Event("a");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);
  Commands answer;
  ASSERT_EQ(driver.engine.RetryLetter("a", P(10), driver.tick(), &answer), "");
  ASSERT_TRUE(Has(answer, Kind::kCallLetter));

  answer.clear();
  driver.engine.LetterDropped({"a", "t"}, P(10), "", driver.tick(), &answer);
  EXPECT_EQ(Delivered(Event("b")).first, 0u);
  EXPECT_EQ(Delivered(driver.Settled(kLetterCall)).first, 2u);
}

// After a kill between the letter and the checkpoint: what comes before it in its stream comes
// first, for the first time perhaps.
TEST(FailureRestartTest, ALetterWaitsForWhatComesAgainBeforeIt) {
  Names names;
  names.names[1] = {"a", "t"};
  names.names[2] = {"a", "t"};
  Driver d({}, &names);
  d.engine.LoadLetter(StoredLetter(P(20), LetterState::kFollower));
  d.Start();
  EXPECT_FALSE(Has(d.Ready(), Kind::kCallLetter));
  EXPECT_EQ(Delivered(d.Event(P(10), 1, false, 1, {"a", "t"})).first, 1u);
  d.Event(P(20), 1, false, 1, {"a", "t"});
  EXPECT_TRUE(Has(d.Settled(1), Kind::kCallLetter));
  EXPECT_EQ(d.engine.watermark(), P(20));
}

// Else an event before it that needs room and the letter would wait for each other.
TEST(FailureRestartTest, AFullStoreCallsItsLettersThoughEventsBeforeThemMayCome) {
  Driver d({.max_letters = 1});
  d.engine.LoadLetter(StoredLetter(P(20)));
  d.Start();
  EXPECT_TRUE(Has(d.Ready(), Kind::kCallLetter));
}

TEST(FailureRestartTest, ALetterOfWhatTheFilterHidesNowIsCalledOnceAllIsReceived) {
  Names names;
  Driver d({}, &names);
  d.engine.LoadLetter(StoredLetter(P(20), LetterState::kFollower));
  d.Start();
  EXPECT_FALSE(Has(d.Ready(), Kind::kCallLetter));
  EXPECT_TRUE(Has(d.CaughtUp(P(30)), Kind::kCallLetter));
}

TEST_F(FailureTest, AnOperatorParksTheEventThatIsInPlace) {
  Event("a");
  Fails(1, CATCHUP_RETRY);
  Commands answer;
  EXPECT_EQ(driver.engine.ParkEvent(P(10), driver.tick(), &answer), "");
  ASSERT_NE(Parked(answer), nullptr);
  EXPECT_EQ(Parked(answer)->state, LetterState::kDead);
  EXPECT_EQ(Parked(answer)->failure, FailureClass::kByHand);
}

TEST_F(FailureTest, WhatIsParkedByHandDoesNotWaitForTheBreaker) {
  Event("a");
  Event("b");
  Event("c");
  for (int i = 0; i < 5; ++i) {
    driver.Wake(60s);
    Fails(1, CATCHUP_RETRY);
  }
  ASSERT_TRUE(driver.engine.breaker().open());
  Commands answer;
  EXPECT_EQ(driver.engine.ParkEvent(P(20), driver.tick(), &answer), "");
  EXPECT_FALSE(Has(answer, Kind::kPark)) << "it is not its turn";
  EXPECT_EQ(driver.engine.ParkWaitsFor(P(20)), "events before it, from 10:10 on");

  answer.clear();
  EXPECT_EQ(driver.engine.ParkEvent(P(10), driver.tick(), &answer), "");
  EXPECT_EQ(driver.engine.letters().count(LetterState::kDead), 2u) << "the second behind it";
  EXPECT_EQ(driver.engine.ParkWaitsFor(P(10)), "");
  EXPECT_EQ(driver.engine.ParkWaitsFor(P(20)), "");
  EXPECT_TRUE(driver.engine.breaker().open());
  EXPECT_EQ(Delivered(driver.Wake(75s)).first, 3u) << "the next probe";
}

TEST_F(FailureTest, WhatIsParkedByHandDoesNotWaitForARunner) {
  Event("a");
  driver.Exited(1, ExitClass::kCrash, 1);
  ASSERT_EQ(driver.engine.lanes_running(), 0u);
  Commands answer;
  EXPECT_EQ(driver.engine.ParkEvent(P(10), driver.tick(), &answer), "");
  ASSERT_NE(Parked(answer), nullptr);
  EXPECT_EQ(Parked(answer)->failure, FailureClass::kByHand);
}

// What it died on may be in the plugin's store all the same.
TEST(FailureOfOwnPositionTest, OnlyTheNextRunnerLetsAnEventBeParkedByHand) {
  Names names;
  names.names[1] = {"a", "t"};
  Driver d({}, &names);
  d.Start();
  d.ReadyAt(1, std::nullopt);
  d.Checkpoint(kEndOfLog);
  d.Event(P(10), 1, false, 1, {"a", "t"});
  d.Exited(1, ExitClass::kCrash, 1);
  Commands answer;
  ASSERT_EQ(d.engine.ParkEvent(P(10), d.tick(), &answer), "");
  EXPECT_FALSE(Has(answer, Kind::kPark));
  EXPECT_TRUE(Contains(d.engine.ParkWaitsFor(P(10)), "whether the plugin holds it"));
  ASSERT_TRUE(Has(d.Wake(60s), Kind::kSpawnRunner));
  EXPECT_TRUE(Has(d.ReadyAt(2, std::nullopt), Kind::kPark));
}

TEST_F(FailureTest, AnOperatorParksOnlyWhatHasComeAndIsNotDoneWith) {
  Event("a");
  Event("b");
  driver.Settled(1);
  Commands answer;
  const std::string settled = driver.engine.ParkEvent(P(10), driver.tick(), &answer);
  EXPECT_TRUE(Contains(settled, "what lies at 10:10 is settled")) << settled;
  const std::string none = driver.engine.ParkEvent(P(15), driver.tick(), &answer);
  EXPECT_TRUE(Contains(none, "no event of the group that has come lies at 15:15")) << none;
  const std::string later = driver.engine.ParkEvent(P(30), driver.tick(), &answer);
  EXPECT_TRUE(Contains(later, "no event of the group that has come lies at 30:30")) << later;
  EXPECT_EQ(driver.engine.ParkEvent(P(20), driver.tick(), &answer), "");
  EXPECT_EQ(driver.engine.ParkWaitsFor(P(20)),
            "it is being called, and stays an event if that succeeds");
}

TEST_F(FailureTest, NoLetterIsCalledByHandWhileTheBreakerIsOpenAndTheRefusalSaysSo) {
  Event("a");
  Event("b");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);
  for (int i = 0; i < 5; ++i) {
    driver.Wake(60s);
    Fails(2, CATCHUP_RETRY);
  }
  ASSERT_TRUE(driver.engine.breaker().open());
  Commands answer;
  const std::string refused = driver.engine.RetryLetter("a", P(10), driver.tick(), &answer);
  EXPECT_TRUE(Contains(refused, "while the breaker is open")) << refused;
}

// A quiet log may bring nothing to try it with for hours, and a dead letter is never tried by
// itself.
TEST_F(FailureTest, ALetterThatAnOperatorAsksForIsTheProbeWhereNoEventWaits) {
  Event("a");
  Event("b");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);
  for (int i = 0; i < 5; ++i) {
    Fails(2, CATCHUP_RETRY);
    driver.Wake(60s);
  }
  driver.Settled(2);
  ASSERT_TRUE(driver.engine.breaker().half_open());

  for (int i = 0; i < 2; ++i) {
    Commands answer;
    EXPECT_EQ(driver.engine.RetryLetter("a", P(10), driver.tick(), &answer), "");
    ASSERT_TRUE(Has(answer, Kind::kCallLetter));
    Fails(kLetterCall, CATCHUP_RETRY);
    driver.LetterStored();
    EXPECT_TRUE(driver.engine.breaker().open());
    driver.Wake(120s);
    ASSERT_TRUE(driver.engine.breaker().half_open());
  }
}

// A letter counts what its store says that it takes, from the moment it is written.
TEST_F(FailureTest, ALetterCountsWhatItsStoreSays) {
  Event("a");
  Fails(1, CATCHUP_REJECT);
  driver.engine.LetterSized("a", P(10), 777);
  EXPECT_EQ(driver.engine.letters().bytes(), 777u);
  driver.LetterDurable(1);
  driver.engine.LetterSized("a", P(10), 778);
  EXPECT_EQ(driver.engine.letters().bytes(), 778u);
  driver.engine.LetterSized("a", P(20), 1);
  EXPECT_EQ(driver.engine.letters().bytes(), 778u) << "there is no such letter";
}

class NeverHealTest : public FailureTest {
 protected:
  NeverHealTest() : FailureTest({.heal_for = 0ns}) {}
};

TEST_F(NeverHealTest, DoubtIsDeadAtOnceAndSoIsAFollowerThatFails) {
  Event("a");
  Event("a");
  Doubt(1);
  driver.LetterDurable(1);
  driver.LetterDurable(2);
  EXPECT_EQ(driver.engine.letters().count(LetterState::kDead), 1u);
  EXPECT_FALSE(Has(driver.Wake(24h), Kind::kCallLetter)) << "never called by the host itself";

  Commands answer;
  driver.engine.LetterDropped({"a", "t"}, P(10), "", driver.tick(), &answer);
  ASSERT_TRUE(Has(answer, Kind::kCallLetter)) << "the follower is first now";
  Fails(kLetterCall);
  driver.LetterStored();
  EXPECT_EQ(driver.engine.letters().count(LetterState::kDead), 1u);
  EXPECT_EQ(driver.engine.letters().count(LetterState::kHealing), 0u);
}

TEST_F(FailureTest, ADeadLetterIsCalledWhenAnOperatorAsks) {
  Event("a");
  Event("a");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);
  driver.LetterDurable(2);
  Commands answer;
  EXPECT_NE(driver.engine.RetryLetter("a", P(20), driver.tick(), &answer), "") << "not the first";
  EXPECT_NE(driver.engine.RetryLetter("a", P(30), driver.tick(), &answer), "");
  EXPECT_EQ(driver.engine.RetryLetter("a", P(10), driver.tick(), &answer), "");
  ASSERT_TRUE(Has(answer, Kind::kCallLetter));
  Fails(kLetterCall);
  EXPECT_EQ(driver.engine.letters().count(LetterState::kDead), 1u) << "it stays dead";
}

TEST_F(FailureTest, ANewPluginFileMakesLettersDueAndEndsHolds) {
  Event("a");
  Doubt(1);
  driver.LetterDurable(1);
  Commands answer;
  driver.engine.ParkType("u", driver.tick(), &answer);
  answer.clear();
  driver.engine.PluginChanged(driver.tick(), &answer);
  EXPECT_TRUE(Has(answer, Kind::kCallLetter));
  EXPECT_TRUE(Has(answer, Kind::kEndHold));
}

TEST_F(FailureTest, ANewPluginFileIsTriedAtOnceThoughTheBreakerIsOpen) {
  Event("a");
  for (int i = 0; i < 5; ++i) {
    Fails(1, CATCHUP_RETRY);
    driver.Wake(i < 4 ? 30s : 0s);
  }
  ASSERT_TRUE(driver.engine.breaker().open());
  Commands answer;
  driver.engine.PluginChanged(driver.tick(), &answer);
  EXPECT_EQ(Delivered(answer).first, 1u);
}

TEST_F(FailureTest, AGroupThatEndsWaitsForItsLetters) {
  Event("a");
  Fails(1, CATCHUP_REJECT);
  driver.Stop();
  EXPECT_FALSE(Has(driver.Exited(1, ExitClass::kClean), Kind::kFinished));
  Commands answer = driver.LetterDurable(1);
  ASSERT_EQ(Persisted(answer), P(10));
  EXPECT_TRUE(Has(driver.Durable(P(10)), Kind::kFinished));
}

TEST_F(FailureTest, APluginThatCannotBeginForItsInfrastructureIsTriedAgain) {
  driver.Exited(1, ExitClass::kCrash);
  driver.Wake(1s);
  for (SpawnNumber next = 2; next < 30; ++next) {
    EXPECT_TRUE(
        Has(driver.Failed({0, CATCHUP_RETRY, "start", "no route"}, next), Kind::kDrainRunner));
    driver.Exited(next, ExitClass::kClean);
    EXPECT_EQ(driver.engine.state(), GroupState::kWaiting);
    EXPECT_TRUE(Contains(driver.engine.reason(), "no route"));
    EXPECT_TRUE(Has(driver.Wake(75s), Kind::kSpawnRunner)) << next;
  }
}

class UntilCaughtUpTest : public FailureTest {
 protected:
  UntilCaughtUpTest() : FailureTest({.stop_on_caught_up = true}) {}

  // Two letters of streams of their own, with followers, and a group that has caught up but for
  // them.
  void Prepare() {
    for (const char* stream : {"a", "b"}) {
      Event(stream, stream);
      Event(stream, stream);
    }
    Fails(1, CATCHUP_FAILED, "invalid");
    Fails(3, CATCHUP_FAILED, "invalid");
    for (Sequence sequence = 1; sequence <= 4; ++sequence) {
      driver.LetterDurable(sequence);
    }
  }
  // Says that all came, and that the checkpoint is durable.
  Commands CatchUp() {
    Commands answer = driver.CaughtUp();
    if (const auto position = Persisted(answer)) {
      answer = driver.Durable(*position);
    }
    return answer;
  }
  bool ends() const { return driver.engine.state() == GroupState::kStopped; }
};

TEST_F(UntilCaughtUpTest, LettersThatAreNotDueAreNotWaitedFor) {
  Prepare();
  driver.Durable(P(10));
  CatchUp();
  driver.Durable(P(40));
  EXPECT_TRUE(Has(driver.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_EQ(driver.engine.letters().count(LetterState::kHealing), 2u);
}

TEST_F(UntilCaughtUpTest, EachDueLetterIsCalledOnceAndWhatItHandsOnToo) {
  Prepare();
  Commands answer;
  driver.engine.PluginChanged(driver.tick(), &answer);
  ASSERT_TRUE(Has(answer, Kind::kCallLetter));
  driver.Durable(P(10));
  CatchUp();
  driver.Durable(P(40));
  ASSERT_FALSE(ends());

  answer = Fails(kLetterCall);
  ASSERT_TRUE(Has(answer, Kind::kUpdateLetter));
  ASSERT_TRUE(Has(answer, Kind::kCallLetter)) << "the other one, which is due as well";
  driver.LetterStored();
  driver.Settled(kLetterCall);
  answer = driver.LetterStored();
  ASSERT_TRUE(Has(answer, Kind::kCallLetter)) << "its follower";
  driver.Settled(kLetterCall);
  driver.LetterStored();
  EXPECT_TRUE(Has(driver.Exited(1, ExitClass::kClean), Kind::kFinished));
  EXPECT_EQ(driver.engine.letters().count(LetterState::kHealing), 1u);
  EXPECT_EQ(driver.engine.letters().count(LetterState::kFollower), 1u);
}

// What it had said is not written as a letter any more, so nobody waits for that.
TEST_F(FailureTest, AGroupEndsAfterABreachWithoutTheLettersThatWereNotBegun) {
  Event("a");
  Fails(1, CATCHUP_REJECT);
  driver.ContractBroken("settled event 99", spawn);
  EXPECT_FALSE(driver.engine.may_persist());
  EXPECT_FALSE(Has(driver.Exited(spawn, ExitClass::kKilled), Kind::kFinished));

  EXPECT_TRUE(Has(driver.LettersNotBegun(), Kind::kFinished));
}

// Of each line about a letter: whose event it is, which class it has, which call of it this was,
// and when the next is. None comes before the store has what it says, or a kill would make it a
// lie.
TEST_F(FailureTest, ALineAboutALetterSaysItsEventItsClassAndItsCall) {
  std::string stream = "a";
  const auto told = [&stream](const Commands& before, const Commands& commands, Notice notice) {
    const auto is_it = [notice](const Command& command) {
      return command.kind == Kind::kNotice && command.notice == notice;
    };
    EXPECT_TRUE(std::none_of(before.begin(), before.end(), is_it)) << "not stored yet";
    for (const Command& command : commands) {
      if (is_it(command)) {
        EXPECT_TRUE(command.name && command.name->stream == stream && command.name->type == "t");
        return command;
      }
    }
    ADD_FAILURE() << "nothing was told";
    return Command();
  };
  Event("a");
  const Commands doubt = Doubt(1);
  const Command written = told(doubt, driver.LetterDurable(1), Notice::kLetterWritten);
  EXPECT_EQ(written.failure, FailureClass::kUnknown);
  EXPECT_EQ(written.number, 4u);
  EXPECT_GT(written.delay, 0s);
  driver.Wake(5s);
  const Commands rejected = Fails(kLetterCall, CATCHUP_REJECT);
  const Command dead = told(rejected, driver.LetterStored(), Notice::kLetterDead);
  EXPECT_EQ(dead.failure, FailureClass::kDomain);
  EXPECT_EQ(dead.number, 5u);
  EXPECT_EQ(dead.delay, 0s);

  Commands dropped;
  driver.engine.LetterDropped({"a", "t"}, P(10), " by hand", driver.tick(), &dropped);
  EXPECT_EQ(told({}, dropped, Notice::kLetterDropped).failure, FailureClass::kDomain);
  EXPECT_EQ(told({}, dropped, Notice::kLetterDropped).number, 5u);

  stream = "b";
  Event("b");
  Doubt(2);
  driver.LetterDurable(2);
  driver.Wake(5s);
  const Commands settled = driver.Settled(kLetterCall);
  const Command healed = told(settled, driver.LetterStored(), Notice::kLetterHealed);
  EXPECT_EQ(healed.failure, FailureClass::kUnknown);
  EXPECT_EQ(healed.number, 5u) << "the one that succeeded";
  EXPECT_EQ(healed.from, P(20));
}

TEST_F(FailureTest, ARejectedEventHasNoNextCall) {
  Event("a");
  Fails(1, CATCHUP_REJECT);
  const Commands written = driver.LetterDurable(1);
  ASSERT_TRUE(Has(written, Kind::kNotice));
  EXPECT_EQ(Find(written, Kind::kNotice)->notice, Notice::kLetterWritten);
  EXPECT_EQ(Find(written, Kind::kNotice)->delay, 0s);
}

TEST_F(FailureTest, ALineAboutALetterNamesItsEventOnce) {
  const auto names_once = [](const Commands& commands, const std::string& event) {
    const std::string& text = Find(commands, Kind::kNotice)->text;
    const std::size_t at = text.find(event);
    return at != std::string::npos && text.find(event, at + 1) == std::string::npos;
  };
  Event("a");
  Fails(1, CATCHUP_REJECT);
  EXPECT_TRUE(names_once(driver.LetterDurable(1), " (event 1 of this run)"));
  Commands answer;
  driver.engine.ParkType("u", driver.tick(), &answer);
  Event("b", "u");
  EXPECT_TRUE(names_once(driver.LetterDurable(2), " (event 2 of this run)"))
      << "no call has told of it";
}

// It is in the store, whoever still waited for it.
TEST_F(FailureTest, ALetterThatIsWrittenAsTheGroupEndsIsToldAllTheSame) {
  Event("a");
  Fails(1, CATCHUP_REJECT);
  driver.Stop();
  driver.Exited(spawn, ExitClass::kClean);
  ASSERT_TRUE(Has(driver.LettersExhausted(), Kind::kFinished)) << "another one found no room";

  const Commands written = driver.LetterDurable(1);

  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(written.front().notice, Notice::kLetterWritten);
}

// What an operator could decide, while nobody can tell a poison event from an outage.
TEST_F(FailureTest, WhatWaitsInDoubtCanBeNamed) {
  Event("a", "t");
  Fails(1);
  ASSERT_TRUE(driver.engine.in_doubt());
  EXPECT_EQ(driver.engine.in_doubt()->event, P(10));
  EXPECT_EQ(driver.engine.in_doubt()->type, "t");
  driver.Wake(30s);
  Fails(1, CATCHUP_RETRY, "database is down");
  EXPECT_FALSE(driver.engine.in_doubt()) << "that waits for its infrastructure";
  driver.Wake(30s);
  Fails(1);
  EXPECT_TRUE(driver.engine.in_doubt());
  driver.Wake(30s);
  driver.Settled(1);
  EXPECT_FALSE(driver.engine.in_doubt());
}

TEST_F(FailureTest, AProbeThatBecameALetterLeavesItsTypeInDoubt) {
  for (const char* stream : {"a", "b", "c"}) {
    Event(stream, "t");
  }
  Doubt(1);
  Doubt(2);
  Fails(3);
  ASSERT_TRUE(driver.engine.breaker().open());
  EXPECT_EQ(driver.engine.in_doubt()->event, P(30));
  driver.Wake(5s);
  EXPECT_TRUE(Has(Fails(3), Kind::kPark));
  ASSERT_TRUE(driver.engine.in_doubt());
  EXPECT_EQ(driver.engine.in_doubt()->event, std::nullopt);
  EXPECT_EQ(driver.engine.in_doubt()->type, "t");
}

TEST_F(FailureTest, WhatKillsItsRunnerIsInDoubtWhileThatIsStartedAgain) {
  Event("a", "t");
  driver.Exited(spawn, ExitClass::kCrash, 1, "SIGSEGV");
  driver.Ready(++spawn);
  driver.Exited(spawn, ExitClass::kCrash, 1, "SIGSEGV");
  ASSERT_EQ(driver.engine.state(), GroupState::kWaiting);
  ASSERT_TRUE(driver.engine.in_doubt());
  EXPECT_EQ(driver.engine.in_doubt()->event, P(10));
}

class EventOrderTest : public FailureTest {
 protected:
  EventOrderTest() : FailureTest({.letter_order = LetterOrder::kEvent}) {}
};

TEST_F(EventOrderTest, OnlyTheEventIsParked) {
  Event("a");
  Event("a");
  EXPECT_EQ(Delivered(Fails(1, CATCHUP_REJECT)), (std::pair<Sequence, Sequence>{2, 2}));
}

class HaltOrderTest : public FailureTest {
 protected:
  HaltOrderTest() : FailureTest({.letter_order = LetterOrder::kHalt}) {}
};

TEST_F(HaltOrderTest, TheGroupStopsWhereALetterWouldBeWritten) {
  Event("a");
  const Commands answer = Fails(1, CATCHUP_REJECT, "no");
  EXPECT_FALSE(Has(answer, Kind::kPark));
  EXPECT_TRUE(Has(answer, Kind::kDrainRunner));
  EXPECT_EQ(driver.engine.halted_before(), P(10));
}

TEST_F(HaltOrderTest, AnEventParkedByHandIsStillALetter) {
  driver.engine.LoadPark(P(10));
  EXPECT_TRUE(Has(Event("a"), Kind::kPark));
}

TEST_F(HaltOrderTest, EventsOfATypeParkedByHandAreStillLetters) {
  Event("a");
  Fails(1, CATCHUP_FAILED, "odd");
  ASSERT_EQ(driver.engine.state(), GroupState::kWaiting);

  Commands answer;
  ASSERT_EQ(driver.engine.ParkType("t", driver.tick(), &answer), "");

  EXPECT_TRUE(Has(answer, Kind::kPark)) << "the one that the group waits for";
  EXPECT_TRUE(Has(Event("b"), Kind::kPark)) << "and each that comes";
  EXPECT_EQ(driver.engine.state(), GroupState::kCatchingUp) << driver.engine.reason();
}

TEST_F(HaltOrderTest, ATypeThatWasHeldByItselfUnderAnotherOrderIsCalled) {
  driver.engine.LoadHold("t", false);
  EXPECT_EQ(Delivered(Event("a")).first, 1u);
}

// The runner's two words are two places in memory, so the later one may be read first.
TEST_F(FailureTest, WhatWasSettledBeforeAFailureMayBeReadAfterItWithALetterBetween) {
  for (const bool is_durable : {false, true}) {
    SCOPED_TRACE(is_durable);
    const std::string number = std::to_string(last);
    Event("a" + number);
    const Sequence letter = last;
    Fails(letter, CATCHUP_REJECT);
    Event("b" + number);
    const Sequence settled = last;
    ASSERT_TRUE(Has(Event("a" + number), Kind::kPark)) << "a follower";
    const Sequence follower = last;
    Event("c" + number);
    const Sequence failed = last;
    driver.LetterDurable(letter);
    if (is_durable) {
      driver.LetterDurable(follower);
    }

    ASSERT_TRUE(Has(Fails(failed, CATCHUP_REJECT), Kind::kPark));
    driver.Settled(settled);
    EXPECT_EQ(driver.engine.state(), GroupState::kCatchingUp) << driver.engine.reason();

    driver.LetterDurable(follower);
    driver.LetterDurable(failed);
    EXPECT_EQ(driver.engine.watermark(), P(failed * 10));
  }
}

class SmallStoreTest : public FailureTest {
 protected:
  SmallStoreTest() : FailureTest({.max_letters = 1}) {}
};

TEST_F(SmallStoreTest, FullMeansWaitingAndGoesOnWhenThereIsRoom) {
  Event("a");
  Event("b");
  Event("c");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);
  const Commands full = Fails(2, CATCHUP_REJECT);
  EXPECT_FALSE(Has(full, Kind::kPark));
  EXPECT_EQ(Delivered(full).first, 0u);
  EXPECT_EQ(driver.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(Contains(driver.engine.reason(), "dead letters full")) << driver.engine.reason();
  EXPECT_TRUE(driver.engine.waits_for_room());

  Commands answer;
  driver.engine.LetterDropped({"a", "t"}, P(10), ": no use", driver.tick(), &answer);

  EXPECT_FALSE(driver.engine.waits_for_room());
  EXPECT_TRUE(Has(answer, Kind::kPark)) << "without another call";
  EXPECT_EQ(Delivered(answer).first, 3u);
}

// It could not be parked either, so that is no advice.
TEST_F(SmallStoreTest, AnEventInDoubtWaitsForRoomOnlyWhereThereIsNone) {
  Event("a");
  Fails(1, CATCHUP_FAILED, "odd");
  EXPECT_EQ(driver.engine.state(), GroupState::kWaiting);
  EXPECT_FALSE(driver.engine.waits_for_room()) << "it is tried again, and there is room for it";
  driver.Wake(30s);
  driver.Settled(1);
  Event("b");
  Fails(2, CATCHUP_REJECT);
  driver.LetterDurable(2);

  Event("c");
  Fails(3, CATCHUP_FAILED, "odd");

  EXPECT_EQ(driver.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(driver.engine.waits_for_room());
}

// The room is wanted no more once what wanted it is a letter, runner or not.
TEST_F(SmallStoreTest, WhatIsParkedByHandOnceThereIsRoomEndsTheWaitWithoutARunner) {
  Event("a");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);
  Event("a");
  ASSERT_TRUE(Contains(driver.engine.reason(), "dead letters full")) << driver.engine.reason();
  Commands answer;
  ASSERT_EQ(driver.engine.ParkEvent(P(20), driver.tick(), &answer), "");
  driver.Exited(1, ExitClass::kCrash);

  answer.clear();
  driver.engine.LetterDropped({"a", "t"}, P(10), "", driver.tick(), &answer);

  ASSERT_NE(Parked(answer), nullptr);
  EXPECT_TRUE(std::any_of(answer.begin(), answer.end(), [](const Command& command) {
    return command.kind == Kind::kNotice && command.notice == Notice::kCallsGoOn;
  }));
  answer.clear();
  driver.engine.PlanAgain(driver.tick(), &answer);
  EXPECT_TRUE(answer.empty());
}

TEST_F(SmallStoreTest, AReasonOfSeveralLinesIsOneLineOfTheLog) {
  Event("a");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);

  Commands answer;
  driver.engine.LetterDropped({"a", "t"}, P(10), " by hand: of no\nuse\r\n", driver.tick(),
                              &answer);

  ASSERT_EQ(answer.front().kind, Kind::kNotice);
  EXPECT_EQ(answer.front().text, "dead letter 10:10 dropped by hand: of no use  ");
}

TEST_F(SmallStoreTest, DoubtWithoutRoomOpensTheBreakerAndLettersAreProbesByTurns) {
  Event("a");
  Event("b", "u");
  Doubt(1);
  driver.LetterDurable(1);
  for (int i = 0; i < 3; ++i) {
    Fails(2);
    driver.Wake(4s);
    if (driver.engine.letters().in_call()) {
      Fails(kLetterCall, CATCHUP_RETRY);
      driver.LetterStored();
      driver.Wake(1s);
    }
  }
  EXPECT_FALSE(Has(Fails(2), Kind::kPark));
  ASSERT_TRUE(driver.engine.breaker().open());
  EXPECT_TRUE(Has(driver.Wake(5s), Kind::kCallLetter));
  Fails(kLetterCall);
  driver.LetterStored();
  EXPECT_EQ(Delivered(driver.Wake(10s)).first, 2u);
}

}  // namespace
}  // namespace catchup
