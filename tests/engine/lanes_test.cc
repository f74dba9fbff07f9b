#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "catchup/plugin.h"
#include "tests/engine/driver.h"

// A group of several lanes.

namespace catchup {
namespace {

EngineOptions Lanes(std::uint32_t lanes) {
  EngineOptions options;
  options.lanes = lanes;
  options.checkpoint_batch_size = 1;
  return options;
}

// Three lanes, whose first runners are the spawns 1, 2 and 3.
class LanesTest : public testing::Test {
 protected:
  explicit LanesTest(const EngineOptions& options = Lanes(3)) : driver(options, &names) {
    const Commands started = driver.Start();
    EXPECT_EQ(Count(started, Kind::kSpawnRunner), options.lanes);
    for (SpawnNumber spawn = 1; spawn <= options.lanes; ++spawn) {
      driver.Ready(spawn);
    }
    driver.Checkpoint(kEndOfLog);
  }

  Commands Event(const std::string& stream, const std::string& type = "t") {
    ++last;
    names.names[last] = {stream, type};
    const auto& [name, kind] = names.names[last];
    return driver.Event(P(last * 10), 1, false, 1, {name, kind});
  }

  Commands Fails(Sequence sequence, SpawnNumber spawn, std::int32_t status = CATCHUP_FAILED,
                 const std::string& text = "oops") {
    return driver.Failed({sequence, status, "handle", text}, spawn);
  }

  static std::size_t Count(const Commands& commands, Kind kind) {
    std::size_t count = 0;
    for (const Command& command : commands) {
      count += command.kind == kind ? 1 : 0;
    }
    return count;
  }

  // The lane to which `sequence` was handed, if it was.
  static std::optional<LaneNumber> LaneOf(const Commands& commands, Sequence sequence) {
    for (const Command& command : commands) {
      if (command.kind == Kind::kDeliver && command.first <= sequence && sequence <= command.last) {
        return command.lane;
      }
    }
    return std::nullopt;
  }

  Names names;
  Driver driver;
  Sequence last = 0;
};

TEST_F(LanesTest, ALaneThatHasNothingTakesTheNextEventOfAStreamThatNoOtherHas) {
  EXPECT_EQ(LaneOf(Event("a"), 1), 0u);
  EXPECT_EQ(LaneOf(Event("a"), 2), std::nullopt) << "its stream is on lane 0";
  EXPECT_EQ(LaneOf(Event("b"), 3), 1u);
  EXPECT_EQ(LaneOf(Event("c"), 4), 2u);
  EXPECT_EQ(LaneOf(Event("d"), 5), std::nullopt) << "no lane is free";
  EXPECT_EQ(LaneOf(driver.Settled(3, 2), 5), 1u) << "2 is older, but its stream is not free";
  EXPECT_EQ(LaneOf(driver.Settled(1, 1), 2), 0u);
}

TEST_F(LanesTest, NoCheckpointPassesAnEventThatASlowLaneHas) {
  Event("a");
  Event("b");
  Event("c");
  EXPECT_EQ(Persisted(driver.Settled(3, 3)), std::nullopt);
  EXPECT_EQ(Persisted(driver.Settled(2, 2)), std::nullopt);
  EXPECT_EQ(Persisted(driver.Settled(1, 1)), P(30));
}

TEST_F(LanesTest, AnEventThatWaitsForItsRetryHoldsItsOwnLaneAndStreamOnly) {
  Event("a");
  Event("a");
  Event("b");
  Fails(1, 1);
  EXPECT_EQ(LaneOf(Event("c"), 4), 2u);
  EXPECT_EQ(LaneOf(driver.Settled(3, 2), 4), std::nullopt);
  EXPECT_EQ(LaneOf(Event("d"), 5), 1u);
  EXPECT_EQ(LaneOf(Event("e"), 6), std::nullopt) << "lane 0 has an event in place";
  const Commands retried = driver.Wake(2s);
  EXPECT_EQ(LaneOf(retried, 1), 0u);
  EXPECT_TRUE(Find(retried, Kind::kDeliver)->alone);
  EXPECT_EQ(Find(retried, Kind::kDeliver)->number, 2u);
  EXPECT_EQ(LaneOf(driver.Settled(1, 1), 2), 0u);
}

TEST_F(LanesTest, ARunnersDeathCostsTheOtherLanesNothing) {
  Event("a");
  Event("b");
  Event("c");
  const Commands died = driver.Exited(2, ExitClass::kCrash, 2, "SIGSEGV");
  EXPECT_FALSE(Has(died, Kind::kTakeBack));
  EXPECT_FALSE(Has(died, Kind::kKillRunner));
  Commands spawned = died;
  if (!Has(spawned, Kind::kSpawnRunner)) {
    spawned = driver.Wake(60s);
  }
  ASSERT_TRUE(Has(spawned, Kind::kSpawnRunner));
  EXPECT_EQ(Find(spawned, Kind::kSpawnRunner)->lane, 1u);
  EXPECT_EQ(Find(spawned, Kind::kSpawnRunner)->number, 4u) << "numbers are the group's";
  EXPECT_EQ(LaneOf(driver.Settled(1, 1), 2), std::nullopt) << "the suspect waits for its own lane";
  const Commands again = driver.Ready(4);
  EXPECT_EQ(LaneOf(again, 2), 1u);
  EXPECT_TRUE(Find(again, Kind::kDeliver)->alone);
}

// Nobody's fault, so whoever is free takes it.
TEST_F(LanesTest, WhatADeadLaneHadGoesToAnyOther) {
  Event("a");
  Event("b");
  EXPECT_EQ(LaneOf(driver.Exited(1, ExitClass::kKilled, 1, "killed"), 1), 2u);
  driver.Settled(2, 2);
  driver.Settled(1, 3);
  EXPECT_EQ(driver.engine.watermark(), P(20));
}

TEST_F(LanesTest, WhatAnEarlierRunnerOfALaneSaysIsIgnored) {
  Event("a");
  Event("b");
  driver.Exited(1, ExitClass::kCrash, 1, "SIGSEGV");
  driver.Wake(60s);
  driver.Ready(4);
  driver.Settled(1, 1);
  EXPECT_EQ(driver.engine.counts().handled, 0u);
  driver.Settled(1, 2);
  EXPECT_EQ(driver.engine.state(), GroupState::kDraining) << "runner 2 was never given event 1";
  EXPECT_TRUE(Contains(driver.engine.reason(), "contract broken")) << driver.engine.reason();
}

EngineOptions WithoutRetries() {
  EngineOptions options = Lanes(3);
  options.max_retries = 0;
  return options;
}

class LanesWithoutRetriesTest : public LanesTest {
 protected:
  LanesWithoutRetriesTest() : LanesTest(WithoutRetries()) {}
};

TEST_F(LanesWithoutRetriesTest, TheBreakerCountsOverAllLanesAndTriesTheOldestEventInPlaceAlone) {
  for (const char* stream : {"a", "b", "c", "d"}) {
    Event(stream);
  }
  Fails(2, 2, CATCHUP_RETRY, "down");
  Fails(3, 3, CATCHUP_RETRY, "down");
  driver.Wake(2s);
  Fails(2, 2, CATCHUP_RETRY, "down");
  Fails(3, 3, CATCHUP_RETRY, "down");
  driver.Wake(3s);
  Fails(2, 2, CATCHUP_RETRY, "down");
  EXPECT_TRUE(driver.engine.breaker().open()) << "five on two lanes";
  EXPECT_FALSE(Has(driver.Wake(60s), Kind::kDeliver)) << "lanes 0 and 2 are still in a call";
  EXPECT_TRUE(driver.engine.breaker().open());
  Fails(3, 3);
  EXPECT_EQ(driver.engine.letters().letters(), 0u) << "it was no probe, so it stays in place";
  const Commands probe = Fails(1, 1);
  EXPECT_EQ(Count(probe, Kind::kDeliver), 1u);
  EXPECT_EQ(LaneOf(probe, 1), 0u) << "the oldest of the three in place";
  EXPECT_FALSE(Has(driver.Wake(60s), Kind::kDeliver)) << "one call at a time";
}

TEST_F(LanesWithoutRetriesTest, WhatIsParkedByHandDoesNotWaitForTheBreaker) {
  Event("a");
  for (int i = 0; i < 5; ++i) {
    driver.Wake(60s);
    Fails(1, 1, CATCHUP_RETRY);
  }
  ASSERT_TRUE(driver.engine.breaker().open());
  Commands answer;
  EXPECT_EQ(driver.engine.ParkEvent(P(10), driver.tick(), &answer), "");
  EXPECT_TRUE(driver.engine.letters().Has("a", P(10)));
}

TEST_F(LanesWithoutRetriesTest, AQuietLogDoesNotWaitForABreakerThatHasNothingToTry) {
  Event("a");
  for (int i = 0; i < 5; ++i) {
    Fails(1, 1, CATCHUP_RETRY);
    driver.Wake(120s);
  }
  driver.Settled(1);
  ASSERT_TRUE(driver.engine.breaker().half_open());
  EXPECT_EQ(driver.engine.state(), GroupState::kCatchingUp) << driver.engine.reason();
}

TEST_F(LanesTest, ALetterIsCalledOnAnIdleLaneWhileNoOtherHasItsStream) {
  Event("a");
  Event("b");
  const Commands parked = Fails(1, 1, CATCHUP_FAILED, "validation");
  ASSERT_TRUE(Has(parked, Kind::kPark));
  driver.LetterDurable(1);
  const Commands called = driver.Wake(15min);
  ASSERT_TRUE(Has(called, Kind::kCallLetter));
  const LaneNumber lane = Find(called, Kind::kCallLetter)->lane;
  EXPECT_NE(lane, 1u) << "that one is in a call";
  EXPECT_FALSE(Has(Event("a"), Kind::kDeliver)) << "its stream waits behind it";
  const Commands healed = driver.Settled(kLetterCall, lane + 1);
  EXPECT_TRUE(Has(healed, Kind::kRemoveLetter));
  EXPECT_FALSE(Has(Event("a"), Kind::kDeliver)) << "a kill would bring the letter behind it";
}

TEST_F(LanesTest, AnEventThatWaitsForAHealedLetterHoldsUpNoOtherStream) {
  Event("a");
  Fails(1, 1, CATCHUP_FAILED, "validation");
  driver.LetterDurable(1);
  const Commands called = driver.Wake(15min);
  ASSERT_TRUE(Has(called, Kind::kCallLetter));
  driver.Settled(kLetterCall, Find(called, Kind::kCallLetter)->lane + 1);
  EXPECT_EQ(LaneOf(Event("a"), 2), std::nullopt) << "a kill would bring the letter behind it";
  EXPECT_NE(LaneOf(Event("b"), 3), std::nullopt);
  EXPECT_NE(LaneOf(driver.LetterStored(), 2), std::nullopt);
}

TEST_F(LanesTest, AStopDrainsEveryLaneAndEndsWithTheLast) {
  Event("a");
  EXPECT_EQ(Count(driver.Stop(), Kind::kDrainRunner), 3u);
  driver.Exited(2, ExitClass::kClean);
  driver.Exited(3, ExitClass::kClean);
  EXPECT_EQ(driver.engine.state(), GroupState::kDraining);
  driver.Settled(1, 1);
  driver.Exited(1, ExitClass::kClean);
  driver.Durable(P(10));
  EXPECT_EQ(driver.engine.state(), GroupState::kStopped);
}

TEST_F(LanesTest, WhatEndsTheGroupEndsEveryLane) {
  Event("a");
  Event("b");
  EXPECT_EQ(Count(driver.Exited(1, ExitClass::kSetup, 0, "no entry"), Kind::kDrainRunner), 2u);
  driver.Exited(2, ExitClass::kClean);
  driver.Exited(3, ExitClass::kClean);
  EXPECT_EQ(driver.engine.state(), GroupState::kFailed);
}

TEST_F(LanesTest, TheLadderOfAStopIsClimbedByEachLane) {
  Event("a");
  Event("b");
  driver.Stop();
  driver.Exited(3, ExitClass::kClean);
  EXPECT_EQ(Count(driver.Wake(5s), Kind::kAbortRunner), 2u);
}

TEST_F(LanesTest, OneLaneThatCannotStartIsNotTheGroupsEndWhileOthersWork) {
  Event("a");
  driver.Settled(1, 1);
  SpawnNumber spawn = 2;
  for (int death = 0; death < 15; ++death) {
    driver.Exited(spawn, ExitClass::kCrash, 0, "SIGSEGV");
    const Commands spawned = driver.Wake(60s);
    const Command* next = Find(spawned, Kind::kSpawnRunner);
    spawn = next != nullptr ? next->number : 4 + static_cast<SpawnNumber>(death);
    driver.Settled(1, 1);
    Event("a");
    driver.Settled(last, 1);
  }
  EXPECT_NE(driver.engine.state(), GroupState::kGivenUp);
}

TEST(LanesOfAPluginTest, AGroupWhosePluginKeepsItsPositionHasOneLane) {
  Driver driver(Lanes(2));
  driver.Start();
  driver.ReadyAt(1, P(10));
  EXPECT_EQ(driver.engine.state(), GroupState::kDraining);
  EXPECT_TRUE(Contains(driver.engine.reason(), "wanted lanes = 1")) << driver.engine.reason();
}

// Two lanes whose plugin takes three events in one call. Lane 0 has had 1, and has 3, 4 and 5 in
// one call; lane 1 has 2.
class LanesOfABatchPluginTest : public testing::Test {
 protected:
  LanesOfABatchPluginTest() : driver(Lanes(2), &names) {
    driver.Start();
    Commands commands;
    for (const SpawnNumber spawn : {1u, 2u}) {
      driver.engine.RunnerReady(spawn, {.max_events = 3}, driver.tick(), &commands);
    }
    for (std::size_t i = 0; i < commands.size(); ++i) {
      if (commands[i].kind == Kind::kConnect) {
        driver.engine.ServerKnown(commands[i].number, driver.server, driver.tick(), &commands);
      } else if (commands[i].kind == Kind::kReadEnd) {
        driver.engine.EndKnown(commands[i].number, driver.log_end, driver.tick(), &commands);
      }
    }
    driver.Checkpoint(kEndOfLog);
    const std::vector<std::string> streams = {"a", "b", "a", "c", "a", "d"};
    for (Sequence at = 1; at <= streams.size(); ++at) {
      names.names[at] = {streams[at - 1], "t"};
      driver.Event(P(at * 10), 1, false, 1, {names.names[at].first, names.names[at].second});
    }
    given = Delivered(driver.Settled(1, 1));
  }

  Names names;
  Driver driver;
  std::pair<Sequence, Sequence> given;  // To lane 0, the first and the last.
};

TEST_F(LanesOfABatchPluginTest, ALaneTakesAsManyEventsAsItsPluginTakesInOneCall) {
  EXPECT_EQ(given, (std::pair<Sequence, Sequence>{3, 5}));
  driver.Failed({4, CATCHUP_FAILED, "handle_batch", "oops", 5}, 1);
  EXPECT_EQ(driver.engine.CheckInvariants(), "");
  EXPECT_EQ(driver.engine.letters().letters(), 0u) << "a batch says nothing of one of its events";
}

TEST_F(LanesOfABatchPluginTest, ADeathBehindEventsThatWereNotReportedHasEachCalledAlone) {
  ASSERT_EQ(given, (std::pair<Sequence, Sequence>{3, 5}));
  driver.Exited(1, ExitClass::kCrash, 4, "SIGSEGV");
  const Commands next = driver.Settled(2, 2);
  EXPECT_EQ(Delivered(next), (std::pair<Sequence, Sequence>{3, 3}));
  EXPECT_TRUE(Find(next, Kind::kDeliver)->alone);
  EXPECT_EQ(driver.engine.letters().letters(), 0u);
}

}  // namespace
}  // namespace catchup
