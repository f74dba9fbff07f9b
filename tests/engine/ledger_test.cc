#include "host/engine/ledger.h"

#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// The events that are not under the watermark, by themselves.

namespace catchup {
namespace {

class LedgerTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(ledger.CheckInvariants(), ""); }

  // On a lane, as everything that waits.
  Sequence Event(std::uint64_t n, std::uint64_t bytes = 0) {
    const Sequence sequence = ledger.AddEvent(P(n), bytes);
    ledger.HandOut();
    return sequence;
  }
  Ledger::Popped SettleThrough(Sequence sequence) {
    ledger.SettleThrough(sequence);
    return ledger.Pop();
  }

  Ledger ledger;
};

TEST_F(LedgerTest, TheWatermarkIsTheLastPositionOfTheDonePrefix) {
  EXPECT_EQ(Event(10, 5), 1u);
  EXPECT_EQ(Event(20, 6), 2u);
  ledger.AddPassed(P(25));
  EXPECT_EQ(ledger.watermark(), std::nullopt);
  EXPECT_EQ(ledger.bytes(), 11u);
  EXPECT_EQ(SettleThrough(1).events, 1u);
  EXPECT_EQ(ledger.watermark(), P(10));
  EXPECT_EQ(ledger.popped(), 1u);
  EXPECT_EQ(SettleThrough(2).places, 2u);
  EXPECT_EQ(ledger.watermark(), P(25));
  EXPECT_EQ(ledger.stored(), P(20));
  EXPECT_TRUE(ledger.idle());
  EXPECT_EQ(ledger.bytes(), 0u);
}

TEST_F(LedgerTest, EventsMayBeDoneInAnyOrder) {
  for (std::uint64_t n = 1; n <= 5; ++n) {
    Event(n * 10);
    ledger.AddPassed(P(n * 10 + 5));
  }
  for (const Sequence sequence : {3u, 5u, 2u}) {
    ledger.Settle(sequence);
    EXPECT_EQ(ledger.Pop().places, 0u) << sequence;
  }
  EXPECT_EQ(ledger.events(), 5u) << "what is done still fills the window";
  ledger.Settle(1);
  EXPECT_EQ(ledger.Pop().events, 3u);
  EXPECT_EQ(ledger.watermark(), P(35));
  ledger.Settle(4);
  EXPECT_EQ(ledger.Pop().events, 2u);
  EXPECT_EQ(ledger.watermark(), P(55));
}

TEST_F(LedgerTest, HandsOutWhatWaitsAndTakesBackWhatWasNotDone) {
  for (std::uint64_t n = 1; n <= 5; ++n) {
    ledger.AddEvent(P(n), 0);
  }
  EXPECT_TRUE(ledger.waits());
  const Ledger::Range all = ledger.HandOut();
  EXPECT_EQ(all.first, 1u);
  EXPECT_EQ(all.last, 5u);
  EXPECT_FALSE(ledger.waits());
  ledger.SettleThrough(1);
  ledger.Settle(3);
  ledger.Pop();
  ledger.TakeBack();
  EXPECT_EQ(ledger.handed_out(), 1u);
  // What was done stays done, so what waits lies on both sides of it.
  EXPECT_EQ(ledger.HandOut().last, 2u);
  const Ledger::Range rest = ledger.HandOut();
  EXPECT_EQ(rest.first, 4u);
  EXPECT_EQ(rest.last, 5u);
}

TEST_F(LedgerTest, HandsOutNothingWhereAllThatIsLeftIsDone) {
  Event(1);
  Event(2);
  ledger.Settle(2);
  ledger.TakeBack();
  EXPECT_EQ(ledger.HandOut().last, 1u);
  EXPECT_EQ(ledger.HandOut().first, 0u);
  EXPECT_FALSE(ledger.waits());
}

TEST_F(LedgerTest, SequencesGoOnAfterAReset) {
  Event(1);
  Event(2);
  ledger.Reset(P(1), false);
  EXPECT_EQ(ledger.popped(), 2u);
  EXPECT_EQ(ledger.events(), 0u);
  EXPECT_EQ(Event(2), 3u);
}

// It never goes back by itself.
TEST_F(LedgerTest, AnEventThatLiesBeforeTheWatermarkLeavesItWhereItIs) {
  ledger.AddPassed(P(30));
  ledger.Pop();
  Event(20);
  SettleThrough(1);
  EXPECT_EQ(ledger.watermark(), P(30));
  EXPECT_EQ(ledger.stored(), P(20));
}

TEST_F(LedgerTest, TakesBackWhatWasPassedBeyondTheLastEvent) {
  Event(10);
  ledger.AddPassed(P(20));
  ledger.Withdraw(P(10));
  Event(15);
  SettleThrough(1);
  EXPECT_EQ(ledger.watermark(), P(10));
  SettleThrough(2);
  EXPECT_EQ(ledger.watermark(), P(15));
  ledger.AddPassed(P(30));
  ledger.Pop();
  ASSERT_EQ(ledger.watermark(), P(30));
  ledger.Withdraw(P(15));
  EXPECT_EQ(ledger.watermark(), P(15));
}

TEST_F(LedgerTest, KeepsAnEventThatWasSkippedWhenItTakesBackAnAnnouncement) {
  Event(10);
  ledger.AddPassed(P(12), true);
  ledger.AddPassed(P(20));
  ledger.Withdraw(P(12));
  SettleThrough(1);
  EXPECT_EQ(ledger.watermark(), P(12));
  EXPECT_EQ(ledger.last_event(), P(12));
}

// The plugin stores it: nobody can take it from there.
// One behind what was taken back is a letter already, and both are durable.
TEST_F(LedgerTest, GoesOnBehindLettersThatAreGone) {
  const Sequence failed = Event(10);
  const Sequence letter = ledger.AddEvent(P(20), 0);
  ledger.Park(letter);
  ledger.TakeBack();
  ledger.Park(failed);
  ledger.SettleParked(letter);
  ledger.SettleParked(failed);
  EXPECT_EQ(ledger.Pop().events, 2u);
  EXPECT_EQ(ledger.NextWaiting(), 0u);
  const Sequence next = ledger.AddEvent(P(30), 0);
  EXPECT_EQ(ledger.NextWaiting(), next);
  EXPECT_EQ(SettleThrough(ledger.HandOut().last).events, 1u);
}

TEST_F(LedgerTest, DoesNotTakeBackAnAdvance) {
  ledger.Reset({}, true);
  ledger.AddPassed(P(20));
  ledger.MakeAdvance();
  ledger.HandOut();
  ledger.Withdraw(std::nullopt);
  SettleThrough(1);
  EXPECT_EQ(ledger.watermark(), P(20));
  ledger.Withdraw(std::nullopt);
  EXPECT_EQ(ledger.watermark(), P(20));
}

TEST_F(LedgerTest, AnAdvanceCarriesTheEventThatWasSkippedInIt) {
  ledger.Reset({}, true);
  ledger.AddPassed(P(10), true);
  ledger.AddPassed(P(20));
  EXPECT_EQ(ledger.Passable(), P(20));
  ledger.MakeAdvance();
  EXPECT_EQ(ledger.AdvanceAt(1), P(20));
  EXPECT_EQ(ledger.Passable(), std::nullopt);
  ledger.HandOut();
  SettleThrough(1);
  EXPECT_EQ(ledger.last_event(), P(10));
  EXPECT_EQ(ledger.AdvanceAt(1), std::nullopt);
}

TEST_F(LedgerTest, SettlesWhatThePluginHoldsAndAllBeforeIt) {
  ledger.Reset({}, true);
  for (const std::uint64_t n : {10u, 20u, 30u}) {
    ledger.AddEvent(P(n), 0);
  }
  EXPECT_FALSE(ledger.SettleAt(P(15)));
  ASSERT_TRUE(ledger.SettleAt(P(20)));
  EXPECT_EQ(ledger.Pop().events, 2u);
  const Ledger::Range rest = ledger.HandOut();
  EXPECT_EQ(rest.first, 3u);
  EXPECT_EQ(rest.last, 3u);
}

TEST_F(LedgerTest, StaysBoundedHoweverManyPositionsPass) {
  for (const bool hold_passed : {false, true}) {
    ledger = Ledger();
    ledger.Reset({}, hold_passed);
    Event(1);
    for (std::uint64_t n = 2; n < 10'000; ++n) {
      ledger.AddPassed(P(n));
    }
    EXPECT_EQ(ledger.size(), 2u);
    SettleThrough(1);
    EXPECT_EQ(ledger.watermark(), hold_passed ? P(1) : P(9'999));
  }
}

}  // namespace
}  // namespace catchup
