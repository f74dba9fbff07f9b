#include "host/ring/seal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/ring/ring_pair.h"

namespace catchup {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMost = (std::uint64_t{1} << WordSeal::kNumberBits) - 1;

WordSeal FreshSeal() { return WordSeal(MakeRingKey().value(), Sealed::kSettled); }

TEST(SealTest, AWordOpensToItsNumber) {
  const WordSeal seal = FreshSeal();
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4097}, kMost,
                                     kMost + 1, std::uint64_t{1} << 60}) {
    const std::uint64_t word = seal.Close(number);
    EXPECT_EQ(seal.Open(word, number, number), number);
    EXPECT_EQ(seal.Open(word, number < 1000 ? 0 : number - 1000, number + 1000), number);
  }
}

TEST(SealTest, ANumberOutsideItsBoundsDoesNotOpen) {
  const WordSeal seal = FreshSeal();
  EXPECT_FALSE(seal.Open(seal.Close(7), 8, 100).has_value());
  EXPECT_FALSE(seal.Open(seal.Close(101), 8, 100).has_value());
  EXPECT_FALSE(seal.Open(seal.Close(7), 8, 8 + kMost - 1).has_value());
}

// Whatever the key: such values are never words.
TEST(SealTest, NoSmallNegativeOrAddressLikeNumberOpens) {
  for (int keys = 0; keys < 200; ++keys) {
    const WordSeal seal = FreshSeal();
    for (std::uint64_t number = 0; number < 20'000; ++number) {
      ASSERT_FALSE(seal.Open(number, 0, kMost).has_value()) << number;
      ASSERT_FALSE(seal.Open(~number, 0, kMost).has_value()) << number;
      ASSERT_FALSE(seal.Open(0x7f0000000000 + 16 * number, 0, kMost).has_value()) << number;
    }
  }
}

TEST(SealTest, NoFlippedBitOpens) {
  const WordSeal seal = FreshSeal();
  for (std::uint64_t number = 0; number < 1000; ++number) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      ASSERT_FALSE(seal.Open(seal.Close(number) ^ (std::uint64_t{1} << bit), 0, kMost).has_value())
          << number << " bit " << bit;
    }
  }
}

// One in 2^26 does; of four million there are none but by a rare chance, and never several.
TEST(SealTest, AlmostNoRandomNumberAndNoOtherWordOpens) {
  const RingKey key = MakeRingKey().value();
  const WordSeal seal(key, Sealed::kSettled);
  const WordSeal beside(key, Sealed::kEventRead);
  const WordSeal other = FreshSeal();
  std::mt19937_64 random(1);
  int opened = 0;
  for (std::uint64_t number = 0; number < 4'000'000; ++number) {
    opened += seal.Open(random(), 0, kMost).has_value() ? 1 : 0;
    opened += seal.Open(beside.Close(number), 0, kMost).has_value() ? 1 : 0;
    opened += seal.Open(other.Close(number), 0, kMost).has_value() ? 1 : 0;
  }
  EXPECT_LE(opened, 6);
}

TEST(SealTest, ARecordIsGoodOnlyAsItIsAndWhereItIs) {
  const RecordSeal seal(MakeRingKey().value());
  std::string header(64, 'h');
  std::string text = "thirteen bytes";
  const std::uint64_t check = seal.Check(128, header.data(), header.size(), text);
  EXPECT_EQ(seal.Check(128, header.data(), header.size(), text), check);
  EXPECT_NE(seal.Check(192, header.data(), header.size(), text), check);
  for (std::string* part : {&header, &text}) {
    for (char& byte : *part) {
      byte ^= 1;
      EXPECT_NE(seal.Check(128, header.data(), header.size(), text), check);
      byte ^= 1;
    }
  }
  EXPECT_NE(RecordSeal(MakeRingKey().value()).Check(128, header.data(), header.size(), text),
            check);
}

// The runner's side of it.
class DamageTest : public testing::Test {
 protected:
  DamageTest() : pair_(RingPair::OverDescriptors()) {
    for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
      EXPECT_TRUE(pair_.host->WriteEvent(EventWithData("x"), 1));
    }
    pair_.host->Publish();
  }

  // The event ring as the host writes it.
  RecordHeader* RecordAt(std::uint64_t offset) const {
    return reinterpret_cast<RecordHeader*>(pair_.host->mappings().events + kRingHeaderBytes +
                                           offset);
  }

  RingPair pair_;
};

TEST_F(DamageTest, AWordThatIsNotWhatTheRunnerWroteStopsAllFurtherWords) {
  const RecordView first = pair_.runner->Peek().value();
  EXPECT_EQ(pair_.runner->damage(), nullptr);
  const std::uint64_t read = pair_.outcomes().event_read.load();
  // Even a right one: what it says is not what the runner said.
  pair_.outcomes().settled.store(pair_.seals.settled.Close(2));
  pair_.runner->Settle(1);
  ASSERT_NE(pair_.runner->damage(), nullptr);
  EXPECT_THAT(std::string(pair_.runner->damage()), HasSubstr("settled"));

  pair_.runner->Consume(first);
  pair_.runner->BeginCall(CallKind::kHandle, 2);
  EXPECT_EQ(pair_.outcomes().event_read.load(), read);
  EXPECT_FALSE(pair_.host->call().running());
  EXPECT_FALSE(pair_.runner->Peek().has_value());
  EXPECT_FALSE(pair_.runner->PeekBehind(first).has_value());
}

TEST_F(DamageTest, TheFailureIsReportedAllTheSame) {
  pair_.outcomes().outcome_published.store(0);
  pair_.runner->Log(1, "a line");
  ASSERT_NE(pair_.runner->damage(), nullptr);
  pair_.runner->PostFailure(CallKind::kNone, kRunnerContract, {}, pair_.runner->damage());
  const Outcome failure = pair_.host->PollOutcome().value().value();
  EXPECT_EQ(failure.kind, OutcomeKind::kFailure);
  EXPECT_EQ(failure.status, kRunnerContract);
}

TEST_F(DamageTest, AReadPositionThatDoesNotFitItsWordIsFound) {
  pair_.outcomes().event_read.store(pair_.seals.event_read.Close(11));
  EXPECT_FALSE(pair_.runner->Peek().has_value());
  EXPECT_NE(pair_.runner->damage(), nullptr);
}

TEST_F(DamageTest, AnEventThatIsNotTheNextIsNotGiven) {
  pair_.runner->Consume(*pair_.runner->Peek());
  const RecordView second = pair_.runner->Peek().value();
  EXPECT_EQ(second.ticket, 2u);
  RecordAt(second.end - RecordAt(0)->size)->ticket = 3;
  EXPECT_FALSE(pair_.runner->Peek().has_value());
  EXPECT_NE(pair_.runner->damage(), nullptr);
}

TEST_F(DamageTest, ARecordWhoseSizesDoNotAgreeIsNotGiven) {
  RecordAt(0)->size += kRecordAlign;
  EXPECT_FALSE(pair_.runner->Peek().has_value());
  EXPECT_NE(pair_.runner->damage(), nullptr);
}

// The view lay on a stack that the plugin's call reached.
TEST_F(DamageTest, AViewThatIsNotWhatLiesThereFreesNothing) {
  const RecordView first = pair_.runner->Peek().value();
  const RecordView second = pair_.runner->PeekBehind(first).value();
  for (const auto& spoil : std::vector<std::function<void(RecordView*)>>{
           [](RecordView* view) { view->end += kRecordAlign; },
           [&](RecordView* view) { view->end = second.end; },
           [&](RecordView* view) { view->begin = second.begin; },
           [](RecordView* view) { view->begin = view->end = 0; },
           [](RecordView* view) { view->ticket = 3; }}) {
    const RingPair pair = RingPair::OverDescriptors();
    for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
      ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
    }
    pair.host->Publish();
    RecordView view = pair.runner->Peek().value();
    spoil(&view);
    pair.runner->Consume(view);
    EXPECT_NE(pair.runner->damage(), nullptr);
    EXPECT_FALSE(pair.host->idle());
    EXPECT_EQ(pair.host->PollSettled().value(), 0u);
  }
}

TEST_F(DamageTest, WhatWasNotGivenOrWasSettledBeforeIsNotSettled) {
  for (const std::uint64_t wrong : {std::uint64_t{0}, std::uint64_t{3}}) {
    const RingPair pair = RingPair::OverDescriptors();
    for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
      ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
    }
    pair.host->Publish();
    pair.runner->Consume(*pair.runner->Peek());
    pair.runner->Settle(1);
    pair.runner->Settle(wrong);
    EXPECT_NE(pair.runner->damage(), nullptr) << wrong;
    EXPECT_EQ(pair.host->PollSettled().value(), 1u);
  }
}

// Woken although the host had no reason to: it looks, and finds what would have kept it asleep.
TEST_F(DamageTest, ARunnerThatIsNudgedLooksAtItsWords) {
  pair_.outcomes().call.store(pair_.seals.call.Close(0) ^ 1);
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
    pair_.runner->Consume(*pair_.runner->Peek());
  }
  EXPECT_FALSE(pair_.host->idle());
  pair_.host->Nudge();
  while (pair_.runner->damage() == nullptr) {
    pair_.runner->WaitForWork();
  }
}

TEST_F(DamageTest, TheRunnersStateLiesBetweenGuardPages) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto* state = reinterpret_cast<volatile char*>(pair_.runner.get());
  EXPECT_DEATH(state[-1] = 1, "");
  EXPECT_DEATH(state[sysconf(_SC_PAGESIZE)] = 1, "");
}

TEST_F(DamageTest, TheKeyIsGoneOnceTheSetupWasTaken) {
  const RingPair pair = RingPair::OverDescriptors();
  const auto* header = reinterpret_cast<const EventRingHeader*>(pair.host->mappings().events);
  EXPECT_NE(header->key.words[0] | header->key.words[1], 0u);
  ASSERT_TRUE(pair.host->WriteSetup({}).ok());
  pair.host->Publish();
  ASSERT_TRUE(pair.runner->ReadSetup().ok());
  EXPECT_EQ(pair.host->PollSettled().value(), 0u);
  EXPECT_EQ(header->key.words[0] | header->key.words[1], 0u);
}

}  // namespace
}  // namespace catchup
