#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "catchup/plugin.h"
#include "tests/engine/failure_fixture.h"

// When letters are called, what their store is told of that, and what a call of one may bring
// about beside the letter.

namespace catchup {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What the store is asked to make due; fails where it is asked for nothing.
std::vector<Position> MadeDue(const Commands& commands) {
  const Command* const command = Find(commands, Kind::kMakeDue);
  EXPECT_NE(command, nullptr) << "nothing is made due";
  return command == nullptr ? std::vector<Position>() : *command->letters;
}

class HealTest : public FailureTest {
 protected:
  using FailureTest::FailureTest;

  // A letter at P(10) of stream a, behind the checkpoint and called at its time.
  void CallALetter() {
    Event("a");
    Doubt(1);
    driver.LetterDurable(1);
    const Commands called = driver.Wake(5s);
    ASSERT_TRUE(Has(called, Kind::kCallLetter));
    ASSERT_EQ(Persisted(called), P(10));
    driver.Durable(P(10));
  }
  // The breaker is open for what `text` says of the event that came first, which is in place.
  void Outage(const std::string& text = "database is down") {
    Event("down");
    for (int i = 0; i < 5; ++i) {
      driver.Wake(i == 0 ? 0s : 30s);
      Fails(last, CATCHUP_RETRY, text);
    }
    ASSERT_TRUE(driver.engine.breaker().open());
  }
  // Lets the open time pass and the probe, which is the last event, fail again.
  Commands FailProbe() {
    Commands answer = driver.Wake(*driver.engine.breaker().open_until() - driver.now);
    for (const Command& command : Fails(last, CATCHUP_RETRY, "database is down")) {
      answer.push_back(command);
    }
    return answer;
  }
};

// --- A letter that has healed keeps its place until the store holds it no more. ---

TEST_F(HealTest, AnEventOfItsStreamIsCalledOnceALetterThatHealedIsGoneFromTheStore) {
  CallALetter();
  ASSERT_TRUE(Has(driver.Settled(kLetterCall), Kind::kRemoveLetter));
  EXPECT_FALSE(Has(Event("a"), Kind::kDeliver)) << "a kill would bring the letter behind it";
  EXPECT_EQ(Delivered(driver.LetterStored()).first, last);
}

TEST_F(HealTest, AnEventOfAnotherStreamIsCalledMeanwhile) {
  CallALetter();
  driver.Settled(kLetterCall);
  EXPECT_EQ(Delivered(Event("b")).first, last);
}

// --- What is due at once is so in the store as well: a restart forgets no due time. ---

TEST_F(HealTest, WhatABreakerThatClosesMakesDueIsStored) {
  for (const char* stream : {"a", "b", "c"}) {
    Event(stream, "t");
  }
  for (const char* stream : {"d", "e", "f"}) {
    Event(stream, "u");
  }
  Doubt(1);
  Fails(2);
  Fails(3);
  driver.Wake(5s);
  ASSERT_TRUE(Has(Fails(3), Kind::kPark)) << "the probe";
  driver.Wake(10s);
  driver.Settled(4);
  driver.Settled(5);

  const Commands closes = driver.Settled(6);

  ASSERT_TRUE(driver.engine.breaker().closed());
  EXPECT_THAT(MadeDue(closes), ElementsAre(P(10), P(20), P(30)));
  EXPECT_EQ(Find(closes, Kind::kMakeDue)->at, driver.now);
}

TEST_F(HealTest, WhatTheEndOfAStreakMakesDueIsStored) {
  Event("a");
  Event("b");
  Event("c", "u");
  Doubt(1);
  driver.LetterDurable(1);
  EXPECT_THAT(MadeDue(driver.Settled(2)), ElementsAre(P(10)));
  EXPECT_FALSE(Has(driver.Settled(3), Kind::kMakeDue)) << "another type";
}

TEST_F(HealTest, WhatTheEndOfAHoldMakesDueIsStored) {
  Commands answer;
  ASSERT_EQ(driver.engine.ParkType("t", driver.tick(), &answer), "");
  Event("a");
  Event("b");
  driver.LetterDurable(1);
  driver.LetterDurable(2);

  answer.clear();
  ASSERT_EQ(driver.engine.UnparkType("t", driver.tick(), &answer), "");

  EXPECT_THAT(MadeDue(answer), ElementsAre(P(10), P(20)));
}

TEST(HealRestartTest, WhatASuccessOfAHeldTypeMakesDueIsStored) {
  Driver d;
  LetterSummary letter = StoredLetter(P(10));
  d.engine.LoadLetter(letter);
  letter.position = P(20);
  letter.stream = "b";
  letter.step = 3;
  letter.due = d.now + 1h;
  d.engine.LoadLetter(letter);
  d.engine.LoadHold("t", false);
  d.Start();
  d.Ready();
  ASSERT_TRUE(Has(d.CaughtUp(P(30)), Kind::kCallLetter));

  const Commands freed = d.Settled(kLetterCall);

  EXPECT_TRUE(Has(freed, Kind::kEndHold));
  EXPECT_THAT(MadeDue(freed), ElementsAre(P(20)));
}

TEST(HealRestartTest, EventsOfAHeldTypeAreCalledWhereTheStoreIsHalfFull) {
  Names names;
  names.names[1] = {"a", "t"};
  names.names[2] = {"b", "t"};
  EngineOptions options;
  options.max_letters = 4;
  Driver d(options, &names);
  d.engine.LoadLetter(StoredLetter(P(5), LetterState::kDead));
  d.engine.LoadHold("t", false);
  d.Run();
  ASSERT_TRUE(Has(d.Event(P(10), 1, false, 1, {"a", "t"}), Kind::kPark));
  EXPECT_EQ(Delivered(d.Event(P(20), 1, false, 1, {"b", "t"})).first, 2u);
}

// The checkpoint names the file only then, so it is told even where no letter is concerned, behind
// what ends the holds.
TEST_F(HealTest, WhatANewPluginFileMakesDueIsStoredAndSaidToBeOfThat) {
  Event("a");
  Doubt(1);
  driver.LetterDurable(1);
  Commands answer;
  driver.engine.ParkType("u", driver.tick(), &answer);

  answer.clear();
  driver.engine.PluginChanged(driver.tick(), &answer);

  EXPECT_THAT(MadeDue(answer), ElementsAre(P(10)));
  EXPECT_TRUE(Find(answer, Kind::kMakeDue)->expected);
  EXPECT_LT(Find(answer, Kind::kEndHold), Find(answer, Kind::kMakeDue));

  answer.clear();
  driver.engine.PluginChanged(driver.tick(), &answer);
  EXPECT_THAT(MadeDue(answer), IsEmpty()) << "that is known already";
}

TEST_F(HealTest, ALetterThatIsAskedForAndHasToWaitIsDueInTheStore) {
  Event("a");
  Event("b");
  Doubt(1);
  Fails(2);
  driver.LetterDurable(1);
  driver.LetterDurable(2);
  Commands answer;
  ASSERT_EQ(driver.engine.RetryLetter("a", P(10), driver.tick(), &answer), "");
  ASSERT_TRUE(Has(answer, Kind::kCallLetter));
  EXPECT_FALSE(Has(answer, Kind::kMakeDue)) << "what comes of the call is written soon";

  answer.clear();
  ASSERT_EQ(driver.engine.RetryLetter("b", P(20), driver.tick(), &answer), "");
  EXPECT_THAT(MadeDue(answer), ElementsAre(P(20)));
}

// --- A call that ends the group. ---

TEST_F(HealTest, ABreachInALettersCallStoresItsNextCallFirstThoughTheRunnerIsNotBelieved) {
  CallALetter();
  Event("b");

  const Commands broken = driver.ContractBroken("settled event 99", spawn);

  const Command* const update = Find(broken, Kind::kUpdateLetter);
  ASSERT_NE(update, nullptr);
  EXPECT_TRUE(update->expected) << "it is written though";
  EXPECT_FALSE(driver.engine.may_persist());
  EXPECT_EQ(update->letter->position, P(10));
  EXPECT_EQ(update->letter->state, LetterState::kHealing);
  EXPECT_EQ(update->letter->due, driver.now + 30s);
  EXPECT_FALSE(update->letter->called) << "the runner has not said it";
  EXPECT_THAT(update->letter->reason, HasSubstr("settled event 99"));
  EXPECT_THAT(driver.engine.reason(), HasSubstr("dead letter 10:10"));

  EXPECT_FALSE(Has(driver.Exited(spawn, ExitClass::kKilled), Kind::kFinished));
  EXPECT_FALSE(Has(driver.LettersNotBegun(), Kind::kFinished)) << "that is of other letters";
  EXPECT_TRUE(Has(driver.LetterStored(), Kind::kFinished));
  EXPECT_EQ(driver.engine.state(), GroupState::kFailed);
}

TEST_F(HealTest, AFullDiskDoesNotKeepAGroupThatALettersCallEnds) {
  CallALetter();
  driver.ContractBroken("settled event 99", spawn);
  driver.Exited(spawn, ExitClass::kKilled);
  EXPECT_TRUE(Has(driver.LettersExhausted(), Kind::kFinished));
}

TEST_F(HealTest, ARunnerThatEndsForTheContractInALettersCallStoresItsNextCallFirst) {
  CallALetter();
  const Commands ended = driver.Exited(spawn, ExitClass::kContract, kLetterCall, "wrong thread");
  ASSERT_TRUE(Has(ended, Kind::kUpdateLetter));
  EXPECT_TRUE(Find(ended, Kind::kUpdateLetter)->expected);
  EXPECT_FALSE(Has(ended, Kind::kFinished));
  EXPECT_THAT(driver.engine.reason(), HasSubstr("dead letter 10:10"));
  EXPECT_TRUE(Has(driver.LetterStored(), Kind::kFinished));
}

class VerdictOnALetterTest : public HealTest, public testing::WithParamInterface<std::int32_t> {};

TEST_P(VerdictOnALetterTest, StoresItsNextCallFirstAndNamesTheLetter) {
  CallALetter();

  const Commands answer = Fails(kLetterCall, GetParam(), "schema is gone");

  ASSERT_TRUE(Has(answer, Kind::kUpdateLetter));
  EXPECT_EQ(Find(answer, Kind::kUpdateLetter)->letter->due, driver.now + 30s);
  EXPECT_EQ(Find(answer, Kind::kUpdateLetter)->letter->state, LetterState::kHealing);
  EXPECT_THAT(driver.engine.reason(), HasSubstr("schema is gone"));
  EXPECT_THAT(driver.engine.reason(), HasSubstr("dead letter 10:10"));
  EXPECT_FALSE(Has(driver.Exited(spawn, ExitClass::kClean), Kind::kFinished));
  driver.LetterStored();
  EXPECT_EQ(driver.engine.state(), GroupState::kFailed);
}

// The call ended the group, whoever wanted it to end before.
TEST_P(VerdictOnALetterTest, StoresItsNextCallAlsoWhereAStopWasAskedFor) {
  CallALetter();
  driver.Stop();
  ASSERT_TRUE(Has(Fails(kLetterCall, GetParam()), Kind::kUpdateLetter));
  driver.Exited(spawn, ExitClass::kClean);
  driver.LetterStored();
  EXPECT_EQ(driver.engine.state(), GroupState::kFailed);
}

constexpr std::int32_t kNoStatus = 17;
INSTANTIATE_TEST_SUITE_P(FatalAndNoStatus, VerdictOnALetterTest,
                         testing::Values(CATCHUP_FATAL, kNoStatus));

// --- What a call says whose end is heard while the group stops. ---

TEST_F(HealTest, AFailureHeardInAStopDecidesNothingAboutItsEvent) {
  for (const std::int32_t status : {CATCHUP_REJECT, CATCHUP_FAILED, CATCHUP_RETRY}) {
    SCOPED_TRACE(status);
    Driver one({}, &names);
    names.names[1] = {"a", "t"};
    one.Run();
    one.Event(P(10), 1, false, 1, {"a", "t"});
    one.Stop();
    const Commands answer = one.Failed({1, status, "handle", "validation"});
    EXPECT_FALSE(Has(answer, Kind::kPark)) << "its event comes again";
    one.Exited(1, ExitClass::kClean);
    EXPECT_EQ(one.engine.state(), GroupState::kStopped);
    EXPECT_EQ(one.engine.watermark(), std::nullopt);
  }
}

TEST_F(HealTest, AFailureHeardInAStopDecidesNothingAboutItsLetter) {
  CallALetter();
  const auto letter = [this] { return *driver.engine.letters().Get({0, P(10)}); };
  const LetterBook::Letter before = letter();
  driver.Stop();

  const Commands answer = Fails(kLetterCall, CATCHUP_REJECT);

  EXPECT_FALSE(Has(answer, Kind::kUpdateLetter));
  EXPECT_EQ(letter().state, before.state);
  EXPECT_EQ(letter().due, before.due);
  EXPECT_EQ(letter().attempts, before.attempts);
  EXPECT_TRUE(Has(driver.Exited(spawn, ExitClass::kClean), Kind::kFinished));
}

TEST_F(HealTest, ASuccessHeardInAStopRemovesItsLetter) {
  CallALetter();
  driver.Stop();
  EXPECT_TRUE(Has(driver.Settled(kLetterCall), Kind::kRemoveLetter));
  EXPECT_FALSE(Has(driver.Exited(spawn, ExitClass::kClean), Kind::kFinished)) << "not yet written";
  EXPECT_TRUE(Has(driver.LetterStored(), Kind::kFinished));
}

// --- Letters that heal in a row share commits. ---

std::optional<Position> Called(const Commands& commands) {
  const Command* const call = Find(commands, Kind::kCallLetter);
  return call == nullptr ? std::nullopt : call->from;
}

// Loads a healing letter of each, at P(1), P(2) …; those behind the first of a stream follow it.
void LoadLetters(const std::vector<std::string>& streams, Driver* driver) {
  std::set<std::string> seen;
  for (std::size_t n = 0; n < streams.size(); ++n) {
    const bool first = seen.insert(streams[n]).second;
    LetterSummary letter =
        StoredLetter(P(n + 1), first ? LetterState::kHealing : LetterState::kFollower);
    letter.stream = streams[n];
    driver->engine.LoadLetter(letter);
  }
}

// Returns what is called first.
Commands CatchUp(Driver* driver) {
  driver->Start();
  driver->Ready();
  return driver->CaughtUp(P(1000));
}

TEST(HealManyTest, TheNextLetterIsCalledWhileTheOneBeforeIsRemoved) {
  Driver driver;
  LoadLetters({"a", "b", "c"}, &driver);
  ASSERT_EQ(Called(CatchUp(&driver)), P(1));
  const Commands healed = driver.Settled(kLetterCall);
  EXPECT_TRUE(Has(healed, Kind::kRemoveLetter));
  EXPECT_EQ(Called(healed), P(2));
  EXPECT_EQ(Called(driver.Settled(kLetterCall)), P(3));
}

TEST(HealManyTest, AFollowerWaitsUntilTheLetterBeforeItIsGone) {
  Driver driver;
  LoadLetters({"a", "a"}, &driver);
  ASSERT_EQ(Called(CatchUp(&driver)), P(1));
  EXPECT_EQ(Called(driver.Settled(kLetterCall)), std::nullopt);
  EXPECT_EQ(Called(driver.LetterStored()), P(2));
}

TEST(HealManyTest, WritesThatNobodyHasToldOfEndTheCallsAtABound) {
  Driver driver;
  std::vector<std::string> streams;
  for (std::size_t n = 0; n < LetterWrites::kMost + 2; ++n) {
    streams.push_back(std::to_string(n));
  }
  LoadLetters(streams, &driver);
  Commands answer = CatchUp(&driver);
  for (std::uint64_t n = 1; n <= LetterWrites::kMost; ++n) {
    ASSERT_EQ(Called(answer), P(n));
    answer = driver.Settled(kLetterCall);
  }
  EXPECT_EQ(Called(answer), std::nullopt);
  EXPECT_EQ(Called(driver.LetterStored()), P(LetterWrites::kMost + 1));
}

TEST(HealManyTest, AStopWaitsForAllThatIsWritten) {
  Driver driver;
  LoadLetters({"a", "b"}, &driver);
  CatchUp(&driver);
  driver.Durable(P(1000));
  driver.Settled(kLetterCall);
  driver.Stop();
  driver.Settled(kLetterCall);
  driver.Exited(1, ExitClass::kClean);
  EXPECT_FALSE(Has(driver.LetterStored(), Kind::kFinished));
  EXPECT_TRUE(Has(driver.LetterStored(), Kind::kFinished));
}

// However many letters there are: an event waits for one call.
TEST(HealManyTest, LettersAndEventsTakeTurns) {
  Driver driver;
  LoadLetters({"a", "b", "c"}, &driver);
  CatchUp(&driver);
  driver.Event(P(2000));
  driver.Event(P(2010));
  Commands answer = driver.Settled(kLetterCall);
  EXPECT_EQ(Called(answer), std::nullopt);
  EXPECT_EQ(Delivered(answer), std::pair(Sequence{1}, Sequence{1}));
  answer = driver.Settled(1);
  EXPECT_EQ(Called(answer), P(2));
  EXPECT_EQ(Delivered(answer), std::pair(Sequence{0}, Sequence{0}));
}

// It is a letter of its own from then on, whatever it has waited behind.
TEST_F(HealTest, AFollowerThatFailsBeginsTheDelays) {
  Event("a");
  Doubt(1);
  driver.LetterDurable(1);
  Event("a");
  driver.LetterDurable(2);
  ASSERT_TRUE(Has(driver.Wake(5s), Kind::kCallLetter));
  driver.Settled(kLetterCall);
  ASSERT_TRUE(Has(driver.LetterStored(), Kind::kCallLetter));

  const Commands failed = Fails(kLetterCall);
  const Command* const update = Find(failed, Kind::kUpdateLetter);
  ASSERT_NE(update, nullptr);
  EXPECT_EQ(update->letter->state, LetterState::kHealing);
  EXPECT_EQ(update->letter->due, driver.now + 5s);
  driver.LetterStored();
  EXPECT_TRUE(Has(driver.Wake(5s), Kind::kCallLetter));
}

// --- Healing costs a tenth of the group's time. ---

// Two followers that stand first in their streams, as after a drop, and calls that hang.
TEST(HealRestartTest, FollowersThatNoSuccessHandsOnWaitForThePauseBehindAFailedCall) {
  Driver d;
  LetterSummary letter = StoredLetter(P(10), LetterState::kFollower);
  d.engine.LoadLetter(letter);
  letter.position = P(20);
  letter.stream = "b";
  d.engine.LoadLetter(letter);
  d.Start();
  d.Ready();
  ASSERT_TRUE(Has(d.CaughtUp(P(30)), Kind::kCallLetter));
  d.now += 30s;
  d.Exited(1, ExitClass::kHung, kLetterCall);
  d.LetterStored();

  EXPECT_FALSE(Has(d.Ready(2), Kind::kCallLetter));
  EXPECT_FALSE(Has(d.Wake(269s), Kind::kCallLetter));

  const Commands next = d.Wake(1s);
  ASSERT_TRUE(Has(next, Kind::kCallLetter));
  EXPECT_EQ(Find(next, Kind::kCallLetter)->from, P(20));
}

TEST_F(HealTest, WhatAnOperatorAsksForDoesNotWaitForThatPause) {
  CallALetter();
  driver.now += 30s;
  Fails(kLetterCall);
  driver.LetterStored();
  Commands answer;
  ASSERT_EQ(driver.engine.RetryLetter("a", P(10), driver.tick(), &answer), "");
  EXPECT_TRUE(Has(answer, Kind::kCallLetter));
}

// Who asks meanwhile hears of the call that has just failed, and wants no other.
TEST_F(HealTest, ALetterIsNotAskedForWhileWhatItsCallCameToIsWritten) {
  CallALetter();
  Fails(kLetterCall);
  EXPECT_TRUE(driver.engine.WritesLetter(P(10)));
  Commands answer;
  EXPECT_EQ(driver.engine.RetryLetter("a", P(10), driver.tick(), &answer),
            "it is being written or called");
  EXPECT_FALSE(Has(driver.LetterStored(), Kind::kCallLetter));
  EXPECT_FALSE(driver.engine.WritesLetter(P(10)));
}

class HealBeforeTheEndTest : public HealTest {
 protected:
  HealBeforeTheEndTest() : HealTest({.stop_on_caught_up = true}) {}
};

// Whoever waits for the end is to know that the group still gets there.
TEST_F(HealBeforeTheEndTest, APauseBehindACallIsNamedUntilTheNextOne) {
  for (const char* stream : {"a", "b"}) {
    Event(stream, stream);
  }
  Fails(1, CATCHUP_FAILED, "invalid");
  Fails(2, CATCHUP_FAILED, "invalid");
  driver.LetterDurable(1);
  driver.LetterDurable(2);
  EXPECT_EQ(driver.engine.heals_at(), std::nullopt) << "it has not caught up";
  Commands answer;
  driver.engine.PluginChanged(driver.tick(), &answer);
  driver.Durable(P(20));
  if (const auto position = Persisted(driver.CaughtUp())) {
    driver.Durable(*position);
  }
  EXPECT_EQ(driver.engine.heals_at(), std::nullopt) << "one is called";

  driver.now += 30s;
  Fails(kLetterCall);
  driver.LetterStored();

  EXPECT_EQ(driver.engine.counts().calls_before_end, 1u);
  EXPECT_EQ(driver.engine.heals_at(), driver.now + 270s);
  ASSERT_TRUE(Has(driver.Wake(270s), Kind::kCallLetter));
  Fails(kLetterCall);
  driver.LetterStored();
  EXPECT_EQ(driver.engine.heals_at(), std::nullopt);
  EXPECT_TRUE(Has(driver.Exited(spawn, ExitClass::kClean), Kind::kFinished));
}

// --- Full. ---

class OneLetterTest : public HealTest {
 protected:
  OneLetterTest() : HealTest({.max_letters = 1}) {}
};

// What is held has no letter yet, and after all needs none.
TEST_F(OneLetterTest, AnEventThatWaitsForRoomByHandIsCalledOnceItsTypeIsNotHeldAnyMore) {
  Event("a", "u");
  Event("b");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);
  Fails(2, CATCHUP_RETRY, "database is down");
  Commands answer;
  ASSERT_EQ(driver.engine.ParkType("t", driver.tick(), &answer), "");
  EXPECT_FALSE(Has(driver.Wake(30s), Kind::kDeliver));
  EXPECT_THAT(driver.engine.reason(), HasSubstr("dead letters full"));

  answer.clear();
  ASSERT_EQ(driver.engine.UnparkType("t", driver.tick(), &answer), "");

  EXPECT_EQ(Delivered(answer).first, 2u);
  driver.Settled(2);
  EXPECT_EQ(driver.engine.letters().letters(), 1u);
  EXPECT_EQ(driver.engine.state(), GroupState::kCatchingUp) << driver.engine.reason();
}

TEST_F(OneLetterTest, ARejectedEventThatWaitsForRoomIsDeadWhateverIsHeldMeanwhile) {
  Event("a", "u");
  Event("b");
  Fails(1, CATCHUP_REJECT);
  driver.LetterDurable(1);
  Fails(2, CATCHUP_REJECT);
  Commands answer;
  ASSERT_EQ(driver.engine.ParkType("t", driver.tick(), &answer), "");

  answer.clear();
  driver.engine.LetterDropped({"a", "t"}, P(10), "", driver.tick(), &answer);

  ASSERT_NE(Parked(answer), nullptr);
  EXPECT_EQ(Parked(answer)->state, LetterState::kDead);
  EXPECT_EQ(Parked(answer)->failure, FailureClass::kDomain);
}

// --- What the group says while it waits. ---

TEST_F(HealTest, TheStateNamesTypeAndStreakAlsoBehindProbesThatFailed) {
  for (int i = 0; i < 5; ++i) {
    Event("s" + std::to_string(i));
  }
  Doubt(1);
  Fails(2);
  Fails(3);
  EXPECT_THAT(driver.engine.reason(), HasSubstr("the 3. stream in a row that fails on type \"t\""));
  driver.Wake(5s);
  Fails(3);
  driver.Wake(10s);

  Fails(4, CATCHUP_FAILED, "still no");

  EXPECT_THAT(driver.engine.reason(), HasSubstr("the 4. stream in a row that fails on type \"t\""));
  EXPECT_THAT(driver.engine.reason(), HasSubstr("still no"));
}

TEST_F(HealTest, TheStateSaysWhyTheBreakerOpenedAlsoBehindProbesThatFailed) {
  Outage();
  FailProbe();
  EXPECT_THAT(driver.engine.reason(), HasSubstr("nothing but failures of its infrastructure"));
  EXPECT_THAT(driver.engine.reason(), HasSubstr("database is down"));
}

// --- The alarm. ---

class AlarmTest : public HealTest {
 protected:
  // The alarms until the breaker has been open for `until`, by how long it had been then, while
  // each probe fails.
  std::vector<std::chrono::nanoseconds> AlarmsUntil(std::chrono::nanoseconds until) {
    std::vector<std::chrono::nanoseconds> alarms;
    const auto opened = driver.engine.breaker().opened_at();
    while (driver.now < opened + until) {
      Commands answer = driver.Wake(1s);
      if (Delivered(answer).first != 0) {
        Fails(last, CATCHUP_RETRY, "database is down");
      }
      for (const Command& command : answer) {
        if (command.kind == Kind::kNotice && command.notice == Notice::kBreakerStaysOpen) {
          EXPECT_THAT(command.text, HasSubstr("database is down"));
          EXPECT_EQ(command.delay, driver.now - opened);
          alarms.push_back(command.delay);
        }
      }
    }
    return alarms;
  }
};

TEST_F(AlarmTest, ABreakerThatStaysOpenIsToldAfterFiveMinutesAndEachMinuteFromThenOn) {
  Outage();
  EXPECT_THAT(AlarmsUntil(299s), IsEmpty());
  EXPECT_THAT(AlarmsUntil(7min), ElementsAre(5min, 6min, 7min));
}

TEST_F(AlarmTest, AskedToBeWokenForIt) {
  Outage();
  std::chrono::nanoseconds until = 0s;
  bool told = false;
  for (int i = 0; i < 100 && !told; ++i) {
    // As the adapter does: at the time last asked for, and never else.
    Commands answer = driver.Wake(until);
    if (Delivered(answer).first != 0) {
      for (const Command& command : Fails(last, CATCHUP_RETRY)) {
        answer.push_back(command);
      }
    }
    for (const Command& command : answer) {
      told = told || (command.kind == Kind::kNotice && command.notice == Notice::kBreakerStaysOpen);
      until = command.kind == Kind::kWakeAt ? command.at - driver.now : until;
    }
  }
  EXPECT_TRUE(told);
  EXPECT_EQ(driver.now - driver.engine.breaker().opened_at(), 5min);
}

TEST_F(AlarmTest, OnlyItsClosingBeginsTheTimeAnew) {
  Outage();
  AlarmsUntil(5min);
  for (int i = 0; i < 3; ++i) {
    driver.Wake(75s);
    driver.Settled(last);
    Event("s" + std::to_string(i));
  }
  ASSERT_TRUE(driver.engine.breaker().closed());
  driver.Settled(last);
  Outage();
  EXPECT_THAT(AlarmsUntil(6min), ElementsAre(5min, 6min));
}

// Nothing waits for it, so nobody needs to come.
TEST_F(AlarmTest, AQuietLogHasNoneThoughTheBreakerWasNeverTriedToTheEnd) {
  Outage();
  driver.Wake(75s);
  driver.Settled(last);
  ASSERT_TRUE(driver.engine.breaker().half_open());
  for (int minutes = 0; minutes < 30; ++minutes) {
    EXPECT_FALSE(Has(driver.Wake(1min), Kind::kNotice)) << minutes;
  }
}

}  // namespace
}  // namespace catchup
