#include <catchup/plugin.h>
#include <poll.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/ring/ring_pair.h"

namespace catchup {
namespace {

// Rings in which tickets 1 to 5 were given, 1 and 2 are settled, and 3 has failed in a call for 3
// and 4. The failure is posted and not taken yet.
class RingEpochTest : public testing::Test {
 protected:
  RingEpochTest() : pair_(RingPair::OverDescriptors()) {
    Give(5);
    TakeOne();
    TakeOne();
    Fail({3, 3, 4});
  }

  void Give(int count) const {
    for (int i = 0; i < count; ++i) {
      EXPECT_NE(pair_.host->WriteEvent(EventWithData("x"), 1), 0u);
    }
    pair_.host->Publish();
  }
  Ticket TakeOne() const {
    const RecordView record = pair_.runner->Peek().value();
    pair_.runner->BeginCall(CallKind::kHandle, record.ticket);
    pair_.runner->EndCall();
    pair_.runner->Consume(record);
    pair_.runner->Settle(record.ticket);
    return record.ticket;
  }
  void Fail(const FailedEvents& events) const {
    pair_.runner->BeginCall(CallKind::kHandle, events.call_first);
    pair_.runner->EndCall();
    pair_.runner->PostFailure(CallKind::kHandle, CATCHUP_FAILED, events, "no");
  }
  // To epoch 2, whose first ticket is 6, with `count` events in it.
  void BeginSecond(int count) const {
    ASSERT_EQ(pair_.host->PollOutcome().value()->ticket, 3u);
    ASSERT_TRUE(pair_.host->BeginEpoch().ok());
    Give(count);
    ASSERT_TRUE(pair_.runner->AwaitEpoch());
  }

  Status::Code Settled() const { return pair_.host->PollSettled().status().code(); }
  Status::Code Taken() const { return pair_.host->PollOutcome().status().code(); }
  const EventRingHeader& events() const {
    return *reinterpret_cast<const EventRingHeader*>(pair_.host->mappings().events);
  }

  RingPair pair_;
};

TEST_F(RingEpochTest, WhatLiesInTheRingIsDiscardedAndItsTicketsAreNeverUsedAgain) {
  ASSERT_NE(pair_.host->WriteEvent(EventWithData("never published"), 1), 0u);
  ASSERT_EQ(pair_.host->PollOutcome().value()->ticket, 3u);
  ASSERT_TRUE(pair_.host->BeginEpoch().ok());
  EXPECT_EQ(pair_.host->WriteEvent(EventWithData("again"), 2), 7u);
  pair_.host->Publish();

  ASSERT_TRUE(pair_.runner->AwaitEpoch());
  const RecordView record = pair_.runner->Peek().value();

  EXPECT_EQ(record.ticket, 7u);
  EXPECT_EQ(DataOf(record), "again");
  EXPECT_EQ(record.body->attempt, 2u);
  EXPECT_FALSE(pair_.runner->PeekBehind(record).has_value());
  EXPECT_EQ(TakeOne(), 7u);
  EXPECT_EQ(pair_.host->PollSettled().value(), 7u);
  EXPECT_TRUE(pair_.host->idle());
}

// Nothing depends on the order in which the two are read.
TEST_F(RingEpochTest, AFailureSettlesWhatCameBeforeIt) {
  EXPECT_TRUE(pair_.host->WakeWhenSettled(3));
  ASSERT_EQ(pair_.host->PollOutcome().value()->ticket, 3u);
  EXPECT_FALSE(pair_.host->WakeWhenSettled(2));
  EXPECT_EQ(pair_.host->PollSettled().value(), 2u);
}

TEST_F(RingEpochTest, NothingOfANewEpochIsSettledAtFirst) {
  BeginSecond(2);
  EXPECT_EQ(pair_.host->PollSettled().value(), 2u);
  EXPECT_FALSE(pair_.host->idle());
  Fail({6, 6, 7});
  ASSERT_EQ(pair_.host->PollOutcome().value()->ticket, 6u);
  EXPECT_EQ(pair_.host->PollSettled().value(), 2u);
}

TEST_F(RingEpochTest, ARunnerInAnEpochWithoutEventsIsIdleOnceItIsThere) {
  ASSERT_EQ(pair_.host->PollOutcome().value()->ticket, 3u);
  EXPECT_TRUE(pair_.host->idle());
  ASSERT_TRUE(pair_.host->BeginEpoch().ok());
  EXPECT_FALSE(pair_.host->idle());
  ASSERT_TRUE(pair_.runner->AwaitEpoch());
  EXPECT_TRUE(pair_.host->idle());
  EXPECT_FALSE(pair_.runner->Peek().has_value());
}

TEST_F(RingEpochTest, AFullRingAndTheLargeRegionAreFreeAtOnce) {
  const std::string inline_data(100'000, 'i');
  const std::string large(1 << 20, 'l');
  ASSERT_NE(pair_.host->WriteEvent(EventWithData(large), 1), 0u);
  while (pair_.host->WriteEvent(EventWithData(inline_data), 1) != 0) {
  }
  ASSERT_EQ(pair_.host->PollOutcome().value()->ticket, 3u);
  ASSERT_TRUE(pair_.host->BeginEpoch().ok());

  EXPECT_NE(pair_.host->WriteEvent(EventWithData(large), 1), 0u);
  int fitted = 0;
  while (pair_.host->WriteEvent(EventWithData(inline_data), 1) != 0) {
    ++fitted;
  }
  EXPECT_GE(fitted, 9);
  pair_.host->Publish();
  ASSERT_TRUE(pair_.runner->AwaitEpoch());
  EXPECT_EQ(DataOf(*pair_.runner->Peek()), large);
}

TEST_F(RingEpochTest, EveryEpochHasRoomForAFailureOfTheLongestText) {
  ASSERT_TRUE(pair_.host->PollOutcome().ok());
  const std::string line(kMaxLogText, 'l');
  const std::string text(kMaxErrorText, 'e');
  for (int epoch = 0; epoch < 30; ++epoch) {
    ASSERT_TRUE(pair_.host->BeginEpoch().ok());
    Give(1);
    ASSERT_TRUE(pair_.runner->AwaitEpoch());
    const Ticket ticket = pair_.runner->Peek()->ticket;
    for (int i = 0; i < 40; ++i) {
      pair_.runner->Log(static_cast<std::uint16_t>(i % 4), line);
    }
    pair_.runner->PostFailure(CallKind::kHandle, CATCHUP_RETRY, {ticket, ticket, ticket}, text);
    std::optional<Outcome> outcome = pair_.host->PollOutcome().value();
    while (outcome.has_value() && outcome->kind == OutcomeKind::kLog) {
      outcome = pair_.host->PollOutcome().value();
    }
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->ticket, ticket);
    EXPECT_EQ(outcome->text.size(), kMaxErrorText);
  }
}

TEST_F(RingEpochTest, AStopEndsTheWaitForAnEpoch) {
  pair_.host->RequestStop();
  EXPECT_FALSE(pair_.runner->AwaitEpoch());
  EXPECT_EQ(pair_.runner->damage(), nullptr);
}

// The host begins the epoch just as the runner goes to sleep, many times; a lost wake-up ends in
// the poll's limit.
TEST(RingEpochWakeTest, NoEpochIsMissed) {
  constexpr Ticket kEvents = 3'000;
  constexpr int kLongestMilliseconds = 60'000;
  RingPair pair = RingPair::OverMappings();
  std::thread runner([&] {
    while (!pair.runner->stop_requested()) {
      const auto record = pair.runner->Peek();
      if (!record.has_value()) {
        pair.runner->WaitForWork();
        continue;
      }
      const FailedEvents failed = {record->ticket, record->ticket, record->ticket};
      pair.runner->PostFailure(CallKind::kHandle, CATCHUP_FAILED, failed, "");
      (void)pair.runner->AwaitEpoch();
    }
  });
  bool woken = true;
  for (Ticket ticket = 1; ticket <= kEvents && woken; ++ticket) {
    EXPECT_EQ(pair.host->WriteEvent(EventWithData("x"), 1), ticket);
    pair.host->Publish();
    auto outcome = pair.host->PollOutcome();
    while (woken && !outcome.value().has_value()) {
      pollfd wait{pair.host->descriptors().host_wake, POLLIN, 0};
      woken = poll(&wait, 1, kLongestMilliseconds) == 1;
      pair.host->DrainWake();
      outcome = pair.host->PollOutcome();
    }
    if (ticket % 50 == 0) {
      EXPECT_TRUE(Eventually([&] { return pair.host->asleep(); }));
    }
    EXPECT_EQ(outcome.value().has_value() ? outcome.value()->ticket : 0, ticket);
    EXPECT_TRUE(pair.host->BeginEpoch().ok());
  }
  EXPECT_TRUE(woken);
  pair.host->RequestStop();
  runner.join();
}

// --- What a runner cannot have meant, with the right check bits. ---

TEST_F(RingEpochTest, ASecondFailureInAnEpochIsFound) {
  Fail({4, 4, 4});
  ASSERT_EQ(Taken(), Status::Code::kOk);
  EXPECT_EQ(Taken(), Status::Code::kCorrupt);
}

TEST_F(RingEpochTest, AFailureThatWasSettledOrNeverGivenOrOfAnImpossibleCallIsFound) {
  for (const FailedEvents& lie :
       std::vector<FailedEvents>{{5, 5, 5},  // Of the epoch before.
                                 {6, 6, 6},  // Settled.
                                 {7, 5, 7},  // Its call reaches back into the epoch before,
                                 {7, 8, 8},  // begins behind it,
                                 {7, 6, 6},  // ends before it,
                                 {7, 7, 9},  // or goes on to what was not given.
                                 {9, 9, 9},  // Never given.
                                 {0, 0, 0},
                                 {7, 7, ~Ticket{0}}}) {
    SCOPED_TRACE(lie.ticket);
    const RingEpochTest_AFailureThatWasSettledOrNeverGivenOrOfAnImpossibleCallIsFound_Test fresh;
    fresh.BeginSecond(3);
    fresh.TakeOne();
    ASSERT_EQ(fresh.pair_.host->PollSettled().value(), 6u);
    fresh.pair_.runner->PostFailure(CallKind::kHandle, CATCHUP_FAILED, lie, "");
    EXPECT_EQ(fresh.Taken(), Status::Code::kCorrupt);
  }
}

TEST_F(RingEpochTest, ADeadTicketIsNotSettledInANewEpoch) {
  for (const Ticket dead : {Ticket{1}, Ticket{3}, Ticket{5}}) {
    const RingEpochTest_ADeadTicketIsNotSettledInANewEpoch_Test fresh;
    fresh.BeginSecond(2);
    EXPECT_EQ(fresh.Settled(), Status::Code::kOk);
    fresh.pair_.outcomes().settled.store(fresh.pair_.seals.settled.Close(dead));
    EXPECT_EQ(fresh.Settled(), Status::Code::kCorrupt) << dead;
  }
}

// Even a right number of the new epoch, while the runner has not said that it is there.
TEST_F(RingEpochTest, NothingOfAnEpochIsBelievedOfARunnerThatIsInAnother) {
  const auto lie = [](const RingPair& pair, int word) {
    switch (word) {
      case 0:
        return pair.outcomes().settled.store(pair.seals.settled.Close(6));
      case 1:
        return pair.outcomes().call_ticket.store(pair.seals.call_ticket.Close(6));
      default:
        const auto& header = *reinterpret_cast<EventRingHeader*>(pair.host->mappings().events);
        return pair.outcomes().event_read.store(
            pair.seals.event_read.Close(header.epoch_begin.load() / kRecordAlign));
    }
  };
  for (int word = 0; word < 3; ++word) {
    const RingEpochTest_NothingOfAnEpochIsBelievedOfARunnerThatIsInAnother_Test fresh;
    ASSERT_TRUE(fresh.pair_.host->PollOutcome().ok());
    ASSERT_TRUE(fresh.pair_.host->BeginEpoch().ok());
    fresh.Give(2);
    EXPECT_EQ(fresh.Settled(), Status::Code::kOk);
    lie(fresh.pair_, word);
    EXPECT_EQ(fresh.Settled(), Status::Code::kCorrupt) << word;
  }
}

TEST_F(RingEpochTest, TheReadIndexMayNotLieInWhatWasDiscarded) {
  const std::uint64_t third = pair_.runner->Peek()->end;
  ASSERT_TRUE(pair_.host->PollOutcome().ok());
  ASSERT_TRUE(pair_.host->BeginEpoch().ok());
  EXPECT_EQ(Settled(), Status::Code::kOk);
  pair_.outcomes().event_read.store(pair_.seals.event_read.Close(third / kRecordAlign));
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
}

TEST_F(RingEpochTest, AnEpochThatWasNotBegunOrIsOverIsFound) {
  for (const std::uint64_t lie : {0u, 1u, 3u}) {
    const RingEpochTest_AnEpochThatWasNotBegunOrIsOverIsFound_Test fresh;
    fresh.BeginSecond(2);
    EXPECT_EQ(fresh.Settled(), Status::Code::kOk);
    fresh.pair_.outcomes().epoch.store(fresh.pair_.seals.epoch.Close(lie));
    EXPECT_EQ(fresh.Settled(), Status::Code::kCorrupt) << lie;
  }
}

TEST_F(RingEpochTest, AWordThatWasWrongAtTheFailureIsFoundWhenTheEpochBegins) {
  ASSERT_TRUE(pair_.host->PollOutcome().ok());
  pair_.outcomes().settled.store(pair_.seals.settled.Close(4));
  EXPECT_EQ(pair_.host->BeginEpoch().code(), Status::Code::kCorrupt);
  EXPECT_EQ(events().epoch.load(), kFirstEpoch);
}

// The runner's side: it enters no epoch while it cannot be sure which one it is in.
TEST_F(RingEpochTest, ARunnerWhoseEpochWasWrittenOverTakesNothingMore) {
  ASSERT_TRUE(pair_.host->PollOutcome().ok());
  ASSERT_TRUE(pair_.host->BeginEpoch().ok());
  Give(2);
  pair_.outcomes().epoch.store(pair_.seals.epoch.Close(2));
  EXPECT_FALSE(pair_.runner->AwaitEpoch());
  ASSERT_NE(pair_.runner->damage(), nullptr);
  EXPECT_FALSE(pair_.runner->Peek().has_value());
}

}  // namespace
}  // namespace catchup
