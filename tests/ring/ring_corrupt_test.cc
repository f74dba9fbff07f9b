#include <catchup/plugin.h>
#include <fcntl.h>

#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "tests/ring/ring_pair.h"

namespace catchup {
namespace {

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

// Rings in which events 1 to 3 were given out and event 1 is settled.
class RingCorruptTest : public testing::Test {
 protected:
  RingCorruptTest() : pair_(RingPair::OverDescriptors()) {
    for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
      EXPECT_TRUE(pair_.host->WriteEvent(sequence, EventWithData("x"), 1));
    }
    pair_.host->Publish();
    pair_.runner->Consume(pair_.runner->Peek(0)->end);
    pair_.runner->Settle(1);
    EXPECT_EQ(pair_.host->PollSettled().value(), 1u);
  }

  Status::Code Settled() const { return pair_.host->PollSettled().status().code(); }

  // What the host makes of an outcome record with this header.
  Status::Code AfterPosting(OutcomeHeader header) const {
    const std::uint64_t at = pair_.outcomes().outcome_published.load();
    std::memcpy(pair_.outcome_bytes() + at, &header, sizeof header);
    pair_.outcomes().outcome_published.store(at + sizeof header);
    return pair_.host->PollOutcome().status().code();
  }

  static OutcomeHeader Header(OutcomeKind kind) {
    OutcomeHeader header{};
    header.size = sizeof header;
    header.kind = kind;
    header.max_events = 1;
    return header;
  }

  static OutcomeHeader Failure(CallKind call, std::int32_t status, std::uint64_t sequence) {
    OutcomeHeader header = Header(OutcomeKind::kFailure);
    header.call = call;
    header.status = status;
    header.sequence = sequence;
    return header;
  }

  RingPair pair_;
};

TEST_F(RingCorruptTest, SettledMayNotGoBack) {
  pair_.outcomes().settled.store(0);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, SettledMayNotNameWhatWasNotPublished) {
  ASSERT_TRUE(pair_.host->WriteEvent(4, EventWithData("x"), 1));
  pair_.outcomes().settled.store(4);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
  pair_.outcomes().settled.store(kHuge);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, SettledMayNotPassAFailureThatWasReported) {
  ASSERT_EQ(AfterPosting(Failure(CallKind::kHandle, CATCHUP_RETRY, 2)), Status::Code::kOk);
  pair_.outcomes().settled.store(2);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, ReadIndexIsCheckedEvenIfNothingWasSettled) {
  const std::uint64_t good = pair_.outcomes().event_read.load();
  for (const std::uint64_t bad : {std::uint64_t{0}, good - 8, good + 1, kEventRingBytes, kHuge}) {
    pair_.outcomes().event_read.store(bad);
    EXPECT_EQ(Settled(), Status::Code::kCorrupt) << bad;
  }
  pair_.outcomes().event_read.store(good);
  EXPECT_EQ(Settled(), Status::Code::kOk);
}

// Otherwise the host would write over events that the runner was never given.
TEST_F(RingCorruptTest, FalseReadIndexFreesNothing) {
  std::uint64_t sequence = 3;
  const std::string data(10'000, 'd');
  while (pair_.host->WriteEvent(sequence + 1, EventWithData(data), 1)) {
    ++sequence;
  }
  for (const std::uint64_t bad : {kEventRingBytes, kHuge, std::uint64_t{0}}) {
    pair_.outcomes().event_read.store(bad);
    EXPECT_FALSE(pair_.host->WriteEvent(sequence + 1, EventWithData(data), 1)) << bad;
  }
}

TEST_F(RingCorruptTest, OutcomeIndexMayNotGoBackNorRunAway) {
  pair_.runner->Log(1, "a line");
  ASSERT_TRUE(pair_.host->PollOutcome().ok());
  const std::uint64_t good = pair_.outcomes().outcome_published.load();
  for (const std::uint64_t bad :
       {good - 8, std::uint64_t{0}, good + 8, good + kOutcomeRingBytes + 8, kHuge}) {
    pair_.outcomes().outcome_published.store(bad);
    EXPECT_EQ(pair_.host->PollOutcome().status().code(), Status::Code::kCorrupt) << bad;
  }
}

TEST_F(RingCorruptTest, SizesOfAnOutcomeMustAgree) {
  const OutcomeHeader log = Header(OutcomeKind::kLog);
  for (const std::uint32_t size : {0u, 8u, 63u, 72u, 1u << 30, ~0u, ~0u & ~7u}) {
    OutcomeHeader wrong = log;
    wrong.size = size;
    EXPECT_EQ(AfterPosting(wrong), Status::Code::kCorrupt) << size;
  }
  for (const std::uint32_t size : {1u, 8u, 1u << 20, ~0u}) {
    OutcomeHeader wrong = log;
    wrong.text_size = size;
    EXPECT_EQ(AfterPosting(wrong), Status::Code::kCorrupt) << size;
  }
}

TEST_F(RingCorruptTest, UnknownKindOfOutcome) {
  for (const unsigned kind : {0u, 5u, 0xffffu}) {
    EXPECT_EQ(AfterPosting(Header(static_cast<OutcomeKind>(kind))), Status::Code::kCorrupt);
  }
}

TEST_F(RingCorruptTest, UnknownStatusOrCallOfAFailure) {
  for (const std::int32_t status : {CATCHUP_OK, -1, 5, 7, -1003, 1 << 30}) {
    EXPECT_EQ(AfterPosting(Failure(CallKind::kHandle, status, 2)), Status::Code::kCorrupt);
  }
  EXPECT_EQ(AfterPosting(Failure(static_cast<CallKind>(10), CATCHUP_RETRY, 2)),
            Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, FailureOfAnEventThatIsNotTheRunners) {
  for (const std::uint64_t sequence :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4}, kHuge}) {
    EXPECT_EQ(AfterPosting(Failure(CallKind::kHandle, CATCHUP_RETRY, sequence)),
              Status::Code::kCorrupt)
        << sequence;
  }
  EXPECT_EQ(AfterPosting(Failure(CallKind::kStart, CATCHUP_RETRY, 2)), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, SecondFailure) {
  ASSERT_EQ(AfterPosting(Failure(CallKind::kHandle, CATCHUP_RETRY, 2)), Status::Code::kOk);
  EXPECT_EQ(AfterPosting(Failure(CallKind::kHandle, CATCHUP_RETRY, 2)), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, ReadyTwiceOrAfterAFailure) {
  ASSERT_EQ(AfterPosting(Header(OutcomeKind::kReady)), Status::Code::kOk);
  EXPECT_EQ(AfterPosting(Header(OutcomeKind::kReady)), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, ReadyWithImpossibleTables) {
  OutcomeHeader none = Header(OutcomeKind::kReady);
  none.max_events = 0;
  EXPECT_EQ(AfterPosting(none), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, ReadyWithAPositionButNoPositionMode) {
  OutcomeHeader loaded = Header(OutcomeKind::kReady);
  loaded.loaded = 1;
  EXPECT_EQ(AfterPosting(loaded), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, StoppedTwice) {
  ASSERT_EQ(AfterPosting(Header(OutcomeKind::kStopped)), Status::Code::kOk);
  EXPECT_EQ(AfterPosting(Header(OutcomeKind::kStopped)), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, LogLineOfUnknownLevel) {
  OutcomeHeader log = Header(OutcomeKind::kLog);
  log.level = 4;
  EXPECT_EQ(AfterPosting(log), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, UnknownCallInProgressIsNone) {
  pair_.outcomes().call_kind.store(77);
  pair_.outcomes().call_number.store(1);
  EXPECT_TRUE(pair_.host->call().running());
  EXPECT_EQ(pair_.host->call().kind, CallKind::kNone);
}

// The descriptors are the runner's too, and so are their flags.
TEST_F(RingCorruptTest, WakeUpsThatTheRunnerMadeBlockingDoNotBlockTheHost) {
  const HostEnd::Descriptors fds = pair_.host->descriptors();
  for (const int fd : {fds.host_wake, fds.runner_wake}) {
    ASSERT_EQ(fcntl(fd, F_SETFL, 0), 0);
  }

  pair_.host->DrainWake();
  // More than the pipe holds.
  for (int i = 0; i < 100'000; ++i) {
    pair_.host->RequestStop();
  }
}

// Random bytes over the whole region, and records that are nearly right.
class Scribbler {
 public:
  Scribbler(const RingPair& pair, std::uint64_t seed) : pair_(pair), random_(seed) {}

  void Scribble() {
    switch (random_() % 6) {
      case 0:
        return Fill(0, kRingHeaderBytes + kOutcomeRingBytes);
      case 1:
        return Fill(0, sizeof(OutcomeRingHeader));
      case 2:
        return Fill(random_() % kOutcomeRingBytes, kRingHeaderBytes);
      case 3:
        return Index();
      default:
        return Record();
    }
  }

 private:
  void Fill(std::uint64_t from, std::uint64_t size) {
    std::byte* at = pair_.host->mappings().outcomes + from;
    for (std::uint64_t i = 0; i < size; i += 8) {
      const std::uint64_t word = random_();
      std::memcpy(at + i, &word, sizeof word);
    }
  }

  std::uint64_t NearlyRight(std::uint64_t right) {
    switch (random_() % 12) {
      case 0:
        return right + 8 * (random_() % 5);
      case 1:
        return right - 8;
      case 2:
        return right + kOutcomeRingBytes - 8 * (random_() % 3);
      case 3:
        return random_();
      default:
        return right;
    }
  }

  void Index() {
    OutcomeRingHeader& header = pair_.outcomes();
    header.settled.store(NearlyRight(header.settled.load()));
    header.event_read.store(NearlyRight(header.event_read.load()));
    header.outcome_published.store(NearlyRight(header.outcome_published.load()));
    header.sleep_number.store(static_cast<std::uint32_t>(random_()));
    header.call_number.store(random_());
    header.call_kind.store(static_cast<std::uint32_t>(random_() % 12));
  }

  void Record() {
    OutcomeRingHeader& header = pair_.outcomes();
    const auto* events = reinterpret_cast<const EventRingHeader*>(pair_.host->mappings().events);
    const std::uint64_t read = events->outcome_read.load();
    OutcomeHeader record{};
    record.kind = static_cast<OutcomeKind>(random_() % 6);
    record.level = static_cast<std::uint16_t>(random_() % 5);
    record.status = static_cast<std::int32_t>(random_() % 7);
    record.call = static_cast<CallKind>(random_() % 11);
    record.sequence = random_() % 4;
    record.text_size = static_cast<std::uint32_t>(random_() % 4 == 0 ? NearlyRight(kMaxErrorText)
                                                                     : random_() % 3000);
    record.size =
        static_cast<std::uint32_t>(NearlyRight(AlignRecord(sizeof record + record.text_size)));
    record.max_events = static_cast<std::uint32_t>(random_() % 3);
    for (std::uint64_t i = 0; i < sizeof record; ++i) {
      pair_.outcome_bytes()[(read + i) % kOutcomeRingBytes] =
          reinterpret_cast<const std::byte*>(&record)[i];
    }
    header.outcome_published.store(NearlyRight(read + record.size));
  }

  const RingPair& pair_;
  std::mt19937_64 random_;
};

void ExpectOkOrCorrupt(const Status& status) {
  if (!status.ok()) {
    ASSERT_EQ(status.code(), Status::Code::kCorrupt) << status.message();
    ASSERT_LT(status.message().size(), 500u);
  }
}

// Whatever the runner writes, the host reads only what it may and reports the rest.
TEST(RingFuzzTest, ScribblingRunnerIsReportedAndHarmless) {
  constexpr std::uint64_t kRings = 400;
  constexpr int kRoundsOfOne = 60;
  std::uint64_t corrupt = 0;
  std::uint64_t taken = 0;
  for (std::uint64_t seed = 1; seed <= kRings; ++seed) {
    SCOPED_TRACE(seed);
    const RingPair pair = RingPair::OverDescriptors();
    Scribbler scribbler(pair, seed);
    std::uint64_t sequence = 0;
    const std::string data(seed * 97 % 5000, 'd');
    for (int round = 0; round < kRoundsOfOne; ++round) {
      sequence += pair.host->WriteEvent(sequence + 1, EventWithData(data), 1) ? 1 : 0;
      pair.host->Publish();
      scribbler.Scribble();
      const auto settled = pair.host->PollSettled();
      ASSERT_NO_FATAL_FAILURE(ExpectOkOrCorrupt(settled.status()));
      if (settled.ok()) {
        ASSERT_LE(settled.value(), sequence);
      }
      const auto outcome = pair.host->PollOutcome();
      ASSERT_NO_FATAL_FAILURE(ExpectOkOrCorrupt(outcome.status()));
      corrupt += outcome.ok() ? 0 : 1;
      if (outcome.ok() && outcome.value().has_value()) {
        ++taken;
        ASSERT_LE(outcome.value()->text.size(), kMaxErrorText);
        ASSERT_LE(outcome.value()->sequence, sequence);
      }
      (void)pair.host->WakeWhenSettled(sequence);
      pair.host->DrainWake();
      ASSERT_TRUE(IsKnown(pair.host->call().kind));
      (void)pair.host->idle();
      (void)pair.host->log_lines_dropped();
    }
  }
  // Neither all refused at the door nor all let in.
  EXPECT_GT(corrupt, kRings);
  EXPECT_GT(taken, kRings);
}

}  // namespace
}  // namespace catchup
