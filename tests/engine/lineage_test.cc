#include "host/engine/lineage.h"

#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// Whether a log is the one that was read, as its witnesses say (protocol notes 3.6, 3.8).

namespace catchup {
namespace {

using Question = Lineage::Question;
using Revision = StreamRevision::Kind;

Uuid Id(std::uint8_t n) { return Uuid{{n}}; }

// The event n:n with the id n, at revision n of stream "s".
Witness At(std::uint8_t n) {
  return {.position = P(n), .event_id = Id(n), .revision = n, .stream = "s"};
}

std::vector<KnownWitness> Known(const std::vector<std::uint8_t>& places) {
  Witnesses witnesses;
  std::vector<Witness> stored;
  for (const std::uint8_t n : places) {
    stored.push_back(At(n));
  }
  witnesses.Load(stored);
  return witnesses.UpTo(P(255));
}

std::vector<std::uint64_t> PlacesOf(const std::vector<KnownWitness>& known) {
  std::vector<std::uint64_t> places;
  for (const KnownWitness& one : known) {
    places.push_back(one->position.commit);
  }
  return places;
}

class LineageTest : public testing::Test {
 protected:
  void Begin(const std::vector<std::uint8_t>& places, bool foreign = false) {
    lineage.Begin(Known(places), foreign);
  }
  // What a read from the witness on shows first: the event with this id at n:n.
  void Shows(std::uint8_t n, std::uint8_t id) { lineage.OnRecord(FirstRecord{P(n), Id(id)}); }
  void Asks(Question question, std::uint64_t place) {
    ASSERT_EQ(lineage.question(), question);
    EXPECT_EQ(lineage.witness()->position, P(place));
  }
  void Proved(std::uint64_t place) {
    ASSERT_EQ(lineage.question(), Question::kNone);
    ASSERT_NE(lineage.proved(), nullptr);
    EXPECT_EQ(lineage.proved()->position, P(place));
  }
  void NothingProved() {
    EXPECT_EQ(lineage.question(), Question::kNone);
    EXPECT_EQ(lineage.proved(), nullptr);
  }

  Lineage lineage;
};

TEST_F(LineageTest, WithoutWitnessesNothingIsAsked) {
  Begin({});
  NothingProved();
  EXPECT_EQ(lineage.refuted(), "");
  EXPECT_EQ(lineage.silent(), 0u);
}

TEST_F(LineageTest, TheNewestEventAtItsPlaceProvesTheLog) {
  Begin({9, 5});
  Asks(Question::kPlace, 9);
  Shows(9, 9);
  Proved(9);
  EXPECT_EQ(lineage.refuted(), "");
}

TEST_F(LineageTest, AnotherEventThereIsAnotherLogAndTheNewestOfBothIsSought) {
  Begin({9, 7, 5});
  Shows(9, 1);
  Asks(Question::kPlace, 7);
  Shows(7, 2);
  Shows(5, 5);
  Proved(5);
  EXPECT_TRUE(Contains(lineage.refuted(), "lay at 9:9, and in this log event 01"))
      << lineage.refuted();
}

TEST_F(LineageTest, WhatNoReadShowsIsAskedOfItsStream) {
  for (const bool later : {true, false}) {
    Begin({9});
    lineage.OnRecord(later ? std::optional(FirstRecord{P(12), Id(1)}) : std::nullopt);
    Asks(Question::kStream, 9);
    lineage.OnRevision({Revision::kEvent, Id(9)});
    Proved(9);
  }
}

TEST_F(LineageTest, AnotherEventAtItsRevisionIsAnotherLog) {
  Begin({9});
  Shows(12, 1);
  lineage.OnRevision({Revision::kEvent, Id(3)});
  NothingProved();
  EXPECT_TRUE(Contains(lineage.refuted(), "revision 9 of stream \"s\" is event 03"))
      << lineage.refuted();
}

TEST_F(LineageTest, AStreamThatEndsBelowItIsAnotherLog) {
  Begin({9});
  lineage.OnRecord(std::nullopt);
  lineage.OnRevision({Revision::kEndsBelow, {}});
  NothingProved();
  EXPECT_TRUE(Contains(lineage.refuted(), "there is no revision 9 of stream \"s\""))
      << lineage.refuted();
}

TEST_F(LineageTest, OfWhatIsScavengedAnOlderWitnessIsAsked) {
  Begin({9, 5});
  Shows(12, 1);
  lineage.OnRevision({Revision::kGone, {}});
  Asks(Question::kPlace, 5);
  EXPECT_EQ(lineage.silent(), 1u);
  Shows(5, 5);
  Proved(5);
  EXPECT_EQ(lineage.refuted(), "");
}

TEST_F(LineageTest, WhereAllAreScavengedNobodyKnows) {
  Begin({9, 5});
  for (int i = 0; i < 2; ++i) {
    lineage.OnRecord(std::nullopt);
    lineage.OnRevision({Revision::kGone, {}});
  }
  NothingProved();
  EXPECT_EQ(lineage.refuted(), "");
  EXPECT_EQ(lineage.silent(), 2u);
}

TEST_F(LineageTest, AWitnessOfAnUnknownStreamIsUndecidedWhereItIsGone) {
  Witness nameless = At(9);
  nameless.stream.clear();
  lineage.Begin({std::make_shared<const Witness>(nameless)}, false);
  Shows(12, 1);
  NothingProved();
  EXPECT_EQ(lineage.silent(), 1u);
}

TEST_F(LineageTest, APlaceThatTheServerCallsInvalidIsAnotherLog) {
  Begin({9, 5});
  lineage.OnInvalidPlace("InvalidPosition");
  Asks(Question::kPlace, 5);
  Shows(5, 5);
  Proved(5);
  EXPECT_TRUE(Contains(lineage.refuted(), "no event can lie there (InvalidPosition)"))
      << lineage.refuted();
}

TEST_F(LineageTest, InAnotherLogOnlyTheNewestThatItSharesIsSought) {
  Begin({9, 5}, true);
  lineage.OnRecord(std::nullopt);
  lineage.OnRevision({Revision::kGone, {}});
  EXPECT_EQ(lineage.silent(), 0u) << "nothing that anybody is to be warned of";
  Shows(5, 5);
  Proved(5);
}

TEST_F(LineageTest, AnAnswerToAnotherQuestionChangesNothing) {
  Begin({9});
  lineage.OnRevision({Revision::kEndsBelow, {}});
  Asks(Question::kPlace, 9);
  Shows(12, 1);
  lineage.OnInvalidPlace("late");
  Shows(9, 9);
  Asks(Question::kStream, 9);
}

TEST(WitnessesTest, AreThoseUpToThePlaceNewestFirst) {
  Witnesses witnesses;
  witnesses.Load({At(9), At(5), At(2)});
  EXPECT_EQ(PlacesOf(witnesses.UpTo(P(9))), (std::vector<std::uint64_t>{9, 5, 2}));
  EXPECT_EQ(PlacesOf(witnesses.UpTo(P(6))), (std::vector<std::uint64_t>{5, 2}));
  EXPECT_TRUE(witnesses.UpTo(std::nullopt).empty());
}

TEST(WitnessesTest, OfWhatIsHandledSinceTheNewestIsKept) {
  Witnesses witnesses;
  witnesses.Load({At(5)});
  witnesses.Add(At(7));
  witnesses.Add(At(9));
  witnesses.Add(At(8));
  EXPECT_EQ(PlacesOf(witnesses.UpTo(P(99))), (std::vector<std::uint64_t>{9, 5}));
}

TEST(WitnessesTest, WhereTheGroupGoesBackWhatLiesBehindIsForgotten) {
  Witnesses witnesses;
  witnesses.Load({At(5), At(3)});
  witnesses.Add(At(9));
  witnesses.DropBeyond(P(5));
  EXPECT_EQ(PlacesOf(witnesses.UpTo(P(99))), (std::vector<std::uint64_t>{5, 3}));
  witnesses.Add(At(7));
  EXPECT_EQ(PlacesOf(witnesses.UpTo(P(99))), (std::vector<std::uint64_t>{7, 5, 3}));
  witnesses.DropBeyond(std::nullopt);
  EXPECT_TRUE(witnesses.UpTo(P(99)).empty());
}

}  // namespace
}  // namespace catchup
