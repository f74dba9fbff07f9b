#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// Before a group goes on it has its log prove, by events that it has handled, that it is the one
// that was read. Another one is not subscribed to (protocol notes 3.6).

namespace catchup {
namespace {

Uuid Id(std::uint8_t n) { return Uuid{{n}}; }

// The event n:n with the id n, at revision n of stream "s".
Witness Handled(std::uint8_t n) {
  return {.position = P(n), .event_id = Id(n), .revision = n, .stream = "s"};
}

// What a read shows at n:n.
std::optional<FirstRecord> Shown(std::uint8_t n, std::uint8_t id) {
  return FirstRecord{P(n), Id(id)};
}

StreamRevision Gone() { return {StreamRevision::Kind::kGone, {}}; }

StartPoint Behind(std::uint64_t checkpoint, const std::vector<std::uint8_t>& witnesses) {
  StartPoint start{.recorded_start = {}, .checkpoint = P(checkpoint)};
  for (const std::uint8_t n : witnesses) {
    start.witnesses.push_back(Handled(n));
  }
  return start;
}

// The place of the witness that is asked for; null when none is.
std::optional<Position> Asked(const Commands& commands, Kind kind = Kind::kReadWitness) {
  const Command* command = Find(commands, kind);
  return command == nullptr ? std::nullopt : std::optional(command->witness->position);
}

// The group has ended because of its log, without a call.
void ExpectHalted(Driver* d, LineageFault fault, std::optional<Position> last_good) {
  d->Exited(1, ExitClass::kClean);
  EXPECT_EQ(d->engine.state(), GroupState::kFailed);
  ASSERT_TRUE(d->engine.foreign_log().has_value()) << d->engine.reason();
  EXPECT_EQ(d->engine.foreign_log()->fault, fault);
  EXPECT_EQ(d->engine.foreign_log()->last_good, last_good);
  EXPECT_EQ(d->engine.counts().handled, 0u);
}

TEST(ForeignLogTest, TheNewestHandledEventIsAskedForBeforeAnythingIsSubscribedTo) {
  Driver d;
  d.Start(Behind(77, {70, 50}));
  const Commands ready = d.Ready();
  EXPECT_EQ(Asked(ready), P(70));
  EXPECT_FALSE(Has(ready, Kind::kSubscribe));
  EXPECT_EQ(Find(d.WitnessRead(Shown(70, 70)), Kind::kSubscribe)->from, P(77));
  EXPECT_FALSE(d.engine.foreign_log().has_value());
}

// Its event may be none of this log's.
TEST(ForeignLogTest, NoLetterIsCalledBeforeTheLogIsKnown) {
  Driver d;
  d.engine.LoadLetter(StoredLetter(P(50)));
  d.Start(Behind(77, {70}));
  EXPECT_FALSE(Has(d.Ready(), Kind::kCallLetter));
  EXPECT_FALSE(Has(d.Wake(1h), Kind::kCallLetter));
  EXPECT_TRUE(Has(d.WitnessRead(Shown(70, 70)), Kind::kCallLetter));
}

TEST(ForeignLogTest, NoLetterIsCalledWhileTheLogEndsTooEarly) {
  Driver d;
  d.log_end = P(60);
  d.engine.LoadLetter(StoredLetter(P(50)));
  d.Start(Behind(77, {70}));
  EXPECT_FALSE(Has(d.Ready(), Kind::kCallLetter));
  EXPECT_FALSE(Has(d.Wake(1s), Kind::kCallLetter));
}

TEST(ForeignLogTest, LettersAreCalledWhileTheSourceIsAway) {
  Driver d;
  LetterSummary letter = StoredLetter(P(50));
  letter.due = 2h;
  d.engine.LoadLetter(letter);
  d.Start(Behind(77, {70}));
  d.Ready();
  ASSERT_TRUE(Has(d.WitnessRead(Shown(70, 70)), Kind::kSubscribe));
  d.Ended();
  EXPECT_TRUE(Has(d.Wake(1h), Kind::kCallLetter));
}

TEST(ForeignLogTest, NobodyIsAskedWhereNothingWasHandled) {
  Driver d;
  d.Start(Behind(77, {}));
  EXPECT_TRUE(Has(d.Ready(), Kind::kSubscribe));
}

TEST(ForeignLogTest, AnotherEventInItsPlaceHaltsTheGroupAndTheNewestThatIsThereIsNamed) {
  Driver d;
  d.Start(Behind(77, {70, 50, 30}));
  d.Ready();
  EXPECT_EQ(Asked(d.WitnessRead(Shown(70, 7))), P(50));
  EXPECT_EQ(Asked(d.WitnessRead(Shown(50, 5))), P(30));
  const Commands known = d.WitnessRead(Shown(30, 30));
  EXPECT_FALSE(Has(known, Kind::kSubscribe));
  EXPECT_TRUE(Has(known, Kind::kDrainRunner));
  ExpectHalted(&d, LineageFault::kDiverged, P(30));
  EXPECT_TRUE(Contains(d.engine.reason(), "lineage diverged: event 46")) << d.engine.reason();
  EXPECT_TRUE(Contains(d.engine.reason(), "lay at 70:70, and in this log event 07"))
      << d.engine.reason();
  EXPECT_TRUE(Contains(d.engine.reason(), "77:77, where the group's checkpoint stands"))
      << d.engine.reason();
  EXPECT_EQ(d.engine.durable(), P(77)) << "it must not move";
}

TEST(ForeignLogTest, WhatNoReadShowsItsStreamMayStillHave) {
  Driver d;
  d.Start(Behind(77, {70}));
  d.Ready();
  EXPECT_EQ(Asked(d.WitnessRead(Shown(75, 7)), Kind::kReadWitnessStream), P(70));
  EXPECT_TRUE(Has(d.WitnessStreamRead({StreamRevision::Kind::kEvent, Id(70)}), Kind::kSubscribe));
}

TEST(ForeignLogTest, AStreamThatEndsBelowAHandledEventHaltsTheGroup) {
  Driver d;
  d.Start(Behind(77, {70}));
  d.Ready();
  d.WitnessRead(Shown(75, 7));
  EXPECT_FALSE(Has(d.WitnessStreamRead({StreamRevision::Kind::kEndsBelow, {}}), Kind::kSubscribe));
  ExpectHalted(&d, LineageFault::kDiverged, std::nullopt);
}

TEST(ForeignLogTest, APlaceThatTheServerCallsInvalidHaltsTheGroupAndTheQuestionsGoOn) {
  Driver d;
  d.Start(Behind(77, {70, 50}));
  d.Ready();
  EXPECT_EQ(Asked(d.Ended(EndClass::kInvalidPosition)), P(50));
  EXPECT_FALSE(Has(d.WitnessRead(Shown(50, 50)), Kind::kSubscribe));
  ExpectHalted(&d, LineageFault::kDiverged, P(50));
}

TEST(ForeignLogTest, AnInvalidPositionOfTheSubscriptionNamesWhatWasProved) {
  Driver d;
  d.Start(Behind(77, {70}));
  d.Ready();
  d.WitnessRead(Shown(70, 70));
  d.Ended(EndClass::kInvalidPosition);
  ExpectHalted(&d, LineageFault::kDiverged, P(70));
}

TEST(ForeignLogTest, ScavengedEventsAreWarnedOfOnceAndTheGroupGoesOn) {
  Driver d;
  d.Start(Behind(77, {70, 50}));
  d.Ready();
  d.WitnessRead(std::nullopt);
  EXPECT_EQ(Asked(d.WitnessStreamRead(Gone())), P(50));
  const Commands known = d.WitnessRead(Shown(50, 50));
  EXPECT_TRUE(Has(known, Kind::kSubscribe));
  ASSERT_TRUE(Has(known, Kind::kNotice));
  EXPECT_EQ(Find(known, Kind::kNotice)->notice, Notice::kWitnessesGone);
  EXPECT_FALSE(Find(known, Kind::kNotice)->expected);
  EXPECT_TRUE(Contains(Find(known, Kind::kNotice)->text, "the one at 50:50 is: going on"));

  d.Ended();
  d.Wake(200ms);
  d.WitnessRead(std::nullopt, 2);
  d.WitnessStreamRead(Gone(), 2);
  const Commands again = d.WitnessRead(Shown(50, 50), 2);
  EXPECT_TRUE(Has(again, Kind::kSubscribe));
  EXPECT_FALSE(Has(again, Kind::kNotice)) << "it was told";
}

TEST(ForeignLogTest, WhereAllAreScavengedItGoesOnWithoutAProof) {
  Driver d;
  d.Start(Behind(77, {70}));
  d.Ready();
  d.WitnessRead(std::nullopt);
  const Commands known = d.WitnessStreamRead(Gone());
  EXPECT_EQ(Find(known, Kind::kSubscribe)->from, P(77));
  EXPECT_TRUE(Contains(Find(known, Kind::kNotice)->text, "without a proof"));
}

// It lies where it lay, but nothing behind it is known to.
TEST(ForeignLogTest, ALogThatEndsTooEarlyIsAskedForTheNewestEventThatItHas) {
  Driver d;
  d.log_end = P(60);
  d.Start(Behind(77, {70, 50}));
  Commands looked = d.Ready();
  for (CallNumber call = 2; call <= 7; ++call) {
    EXPECT_FALSE(Has(looked, Kind::kReadWitness)) << "it may have been asked too early";
    looked = d.Wake(500ms);
  }
  EXPECT_EQ(Asked(looked), P(50)) << "the other one lies behind its end";
  EXPECT_FALSE(Has(d.WitnessRead(Shown(50, 50), 7), Kind::kSubscribe));
  ExpectHalted(&d, LineageFault::kRegressed, P(50));
  EXPECT_TRUE(Contains(d.engine.reason(), "lineage regressed: the log ends at 60:60, before 77:77"))
      << d.engine.reason();
}

// The end had been told too early, or this is another log that has grown meanwhile.
TEST(ForeignLogTest, AHandledEventBeyondAnEndThatWasToldProvesThatItWasToldTooEarly) {
  Driver d;
  d.log_end = P(60);
  d.Start(Behind(77, {70, 50}));
  d.Ready();
  d.log_end = P(90);
  EXPECT_EQ(Asked(d.Wake(500ms)), P(70));
  EXPECT_EQ(Find(d.WitnessRead(Shown(70, 70), 2), Kind::kSubscribe)->from, P(77));
}

TEST(ForeignLogTest, OneBeforeThatEndProvesNothingOfWhatLiesBehind) {
  Driver d;
  d.log_end = P(60);
  StartPoint start = Behind(77, {50});
  start.last_event = P(70);
  d.Start(start);
  d.Ready();
  d.log_end = P(90);
  d.Wake(500ms);
  const Commands known = d.WitnessRead(Shown(50, 50), 2);
  EXPECT_EQ(Find(known, Kind::kProbe)->from, P(70));
  d.Probed(P(80), 2);
  ExpectHalted(&d, LineageFault::kDiverged, P(50));
}

TEST(ForeignLogTest, WhatWasHandledSinceIsAskedForAtTheNextConnect) {
  Driver d({.checkpoint_batch_size = 1});
  d.Run();
  d.Event(P(5));
  ASSERT_EQ(Persisted(d.Settled(1)), P(5));
  d.Durable(P(5), Handled(5));
  d.Ended();
  EXPECT_EQ(Asked(d.Wake(200ms)), P(5));
  EXPECT_FALSE(Has(d.WitnessRead(Shown(5, 9), 2), Kind::kSubscribe));
}

TEST(ForeignLogTest, WhatWasOnlyReceivedIsAskedForByNobody) {
  Driver d;
  d.Run();
  d.Event(P(5));
  d.Ended();
  const Commands again = d.Wake(200ms);
  EXPECT_FALSE(Has(again, Kind::kReadWitness));
  EXPECT_TRUE(Has(again, Kind::kSubscribe));
}

// What lies behind the plugin's place may be of a log that is gone.
TEST(ForeignLogTest, NothingBehindThePlaceThatThePluginHoldsIsAskedFor) {
  Driver d;
  d.Start(Behind(77, {70, 50}));
  EXPECT_EQ(Asked(d.ReadyAt(1, P(60))), P(50));
}

TEST(ForeignLogTest, WhereThePluginWasPutBackNothingBehindCounts) {
  Driver d({.checkpoint_batch_size = 1});
  d.Start();
  d.ReadyAt(1, {});
  d.Event(P(5));
  d.Settled(1);
  d.Durable(P(5), Handled(5));
  d.Event(P(9));
  d.Settled(2);
  ASSERT_EQ(Persisted(d.Wake(1s)), P(9));
  d.Exited(1, ExitClass::kCrash);
  d.ReadyAt(2, P(3));
  d.Durable(P(9), Handled(9));  // The write was under way.
  d.Event(P(20), 1, false, 2);
  d.Ended(EndClass::kDropped, 2);
  EXPECT_FALSE(Has(d.Wake(200ms), Kind::kReadWitness));
}

TEST(ForeignLogTest, AStopWhileItIsProvedEndsTheCall) {
  Driver d;
  d.Start(Behind(77, {70}));
  d.Ready();
  EXPECT_TRUE(Has(d.Stop(), Kind::kCancelSubscription));
  EXPECT_TRUE(d.WitnessRead(Shown(70, 7)).empty());
  EXPECT_FALSE(d.engine.foreign_log().has_value());
}

TEST(ForeignLogTest, ACallThatEndsMeanwhileIsOneLikeAnyOther) {
  Driver d;
  d.Start(Behind(77, {70}));
  d.Ready();
  d.Ended();
  EXPECT_EQ(d.engine.state(), GroupState::kWaiting);
  EXPECT_TRUE(d.WitnessRead(Shown(70, 7)).empty()) << "late";
  EXPECT_EQ(Asked(d.Wake(200ms)), P(70));
}

}  // namespace
}  // namespace catchup
