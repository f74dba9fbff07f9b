#include "host/engine/route.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/engine/driver.h"

// What becomes of an event that waits for its first call.

namespace catchup {
namespace {

EngineOptions InOrder(LetterOrder order) {
  EngineOptions options;
  options.letter_order = order;
  return options;
}

class FateTest : public testing::Test {
 protected:
  explicit FateTest(LetterOrder order = LetterOrder::kStream) : parts(InOrder(order), &names) {}

  // Of stream a, at P(20): behind the letter that the store has of it at P(10), if any.
  Fate OfAnEvent() {
    const Sequence sequence = parts.ledger.AddEvent(P(20), 1);
    names.names[sequence] = {"a", "t"};
    return FateOf(parts, sequence);
  }
  void LetterAt(Position position) { parts.book.Add(StoredLetter(position), 0, true); }
  void HealsAt(Position position) { parts.letter_writes.Begin("a", position, false, {}); }

  Names names;
  EngineParts parts;
};

class FateOfEventsByThemselvesTest : public FateTest {
 protected:
  FateOfEventsByThemselvesTest() : FateTest(LetterOrder::kEvent) {}
};

TEST_F(FateTest, AnEventThatNothingIsKnownOfIsCalled) {
  EXPECT_EQ(OfAnEvent().kind, Fate::Kind::kCall);
}

TEST_F(FateTest, OneThatTheStoreHoldsIsALetter) {
  LetterAt(P(20));
  EXPECT_EQ(OfAnEvent().kind, Fate::Kind::kIsLetter);
}

TEST_F(FateTest, OneBehindALetterOfItsStreamFollows) {
  LetterAt(P(10));
  const Fate fate = OfAnEvent();
  EXPECT_EQ(fate.kind, Fate::Kind::kPark);
  EXPECT_EQ(fate.as.state, LetterState::kFollower);
}

TEST_F(FateTest, OneBehindALetterThatHasHealedWaitsUntilTheStoreHoldsItNoMore) {
  HealsAt(P(10));
  EXPECT_EQ(OfAnEvent().kind, Fate::Kind::kWait);
  parts.letter_writes.End(P(10));
  EXPECT_EQ(FateOf(parts, parts.ledger.last()).kind, Fate::Kind::kCall);
}

TEST_F(FateTest, WhatBecomesALetterWithoutACallDoesNotWaitForOneThatHasHealed) {
  HealsAt(P(10));
  LetterAt(P(15));
  EXPECT_EQ(OfAnEvent().kind, Fate::Kind::kPark) << "another letter of its stream is there";
  parts.book.Remove(*parts.book.Find("a", P(15)));
  parts.park_asked.insert(P(20));
  EXPECT_EQ(FateOf(parts, parts.ledger.last()).as.failure, FailureClass::kByHand);
}

TEST_F(FateOfEventsByThemselvesTest, NoLetterOfItsStreamIsInTheWayOfAnEvent) {
  HealsAt(P(5));
  LetterAt(P(10));
  EXPECT_EQ(OfAnEvent().kind, Fate::Kind::kCall);
}

}  // namespace
}  // namespace catchup
