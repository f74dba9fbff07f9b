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

// Rings in which events 1 to 3 were given out and event 1 is settled, and a runner that says with
// right check bits what cannot be: what it says is held against what it was given all the same.
class RingCorruptTest : public testing::Test {
 protected:
  RingCorruptTest() : pair_(RingPair::OverDescriptors()) { GiveThree(); }

  void StartAgain() {
    pair_ = RingPair::OverDescriptors();
    posted_ = 0;
    GiveThree();
  }

  void GiveThree() const {
    for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
      EXPECT_TRUE(pair_.host->WriteEvent(EventWithData("x"), 1));
    }
    pair_.host->Publish();
    pair_.runner->Consume(*pair_.runner->Peek());
    pair_.runner->Settle(1);
    EXPECT_EQ(pair_.host->PollSettled().value(), 1u);
  }

  void SaySettled(std::uint64_t sequence) const {
    pair_.outcomes().settled.store(pair_.seals.settled.Close(sequence));
  }
  void SayRead(std::uint64_t bytes) const {
    pair_.outcomes().event_read.store(pair_.seals.event_read.Close(bytes / kRecordAlign));
  }
  void SayPosted(std::uint64_t bytes) const {
    pair_.outcomes().outcome_published.store(
        pair_.seals.outcome_published.Close(bytes / kRecordAlign));
  }
  void SayInCall(std::uint64_t number, unsigned kind) const {
    pair_.outcomes().call.store(pair_.seals.call.Close((number << kCallKindBits) | kind));
  }

  Status::Code Settled() const { return pair_.host->PollSettled().status().code(); }

  // What the host makes of an outcome record with this header, behind those before.
  Status::Code AfterPosting(OutcomeHeader header) {
    header.check = 0;
    header.check = pair_.seals.outcome.Check(posted_, &header, sizeof header, {});
    std::memcpy(pair_.outcome_bytes() + posted_, &header, sizeof header);
    posted_ += sizeof header;
    SayPosted(posted_);
    return pair_.host->PollOutcome().status().code();
  }

  static OutcomeHeader Header(OutcomeKind kind) {
    OutcomeHeader header{};
    header.size = sizeof header;
    header.kind = kind;
    header.max_events = 1;
    return header;
  }

  static OutcomeHeader Failure(CallKind call, std::int32_t status, Ticket ticket) {
    OutcomeHeader header = Header(OutcomeKind::kFailure);
    header.call = call;
    header.status = status;
    header.ticket = ticket;
    header.call_first = ticket;
    header.call_last = ticket;
    return header;
  }

  RingPair pair_;
  std::uint64_t posted_ = 0;
};

TEST_F(RingCorruptTest, SettledMayNotGoBack) {
  SaySettled(0);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, SettledMayNotNameWhatWasNotPublished) {
  ASSERT_TRUE(pair_.host->WriteEvent(EventWithData("x"), 1));
  SaySettled(4);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, SettledMayNotPassAFailureThatWasReported) {
  ASSERT_EQ(AfterPosting(Failure(CallKind::kHandle, CATCHUP_RETRY, 2)), Status::Code::kOk);
  SaySettled(2);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, ReadIndexIsCheckedEvenIfNothingWasSettled) {
  const RecordView second = pair_.runner->Peek().value();
  SayRead(second.end);
  EXPECT_EQ(Settled(), Status::Code::kOk);
  SayRead(second.end - kRecordAlign);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, ReadIndexMayNotPassWhatWasPublished) {
  SayRead(3 * pair_.runner->Peek()->end);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
}

// One damaged word says that none of the others can be relied on.
TEST_F(RingCorruptTest, NothingIsBelievedAnyMoreOnceSomethingWasFound) {
  pair_.runner->Log(1, "a line");
  const std::uint64_t good = pair_.outcomes().settled.load();
  pair_.outcomes().settled.store(2);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
  pair_.outcomes().settled.store(good);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
  EXPECT_EQ(pair_.host->PollOutcome().status().code(), Status::Code::kCorrupt);
  EXPECT_FALSE(pair_.host->WakeWhenSettled(3));
}

// Otherwise the host would write over events that the runner was never given.
TEST_F(RingCorruptTest, FalseReadIndexFreesNothing) {
  for (const std::uint64_t bad : {kEventRingBytes, kHuge, std::uint64_t{0}, std::uint64_t{4097}}) {
    const RingPair pair = RingPair::OverDescriptors();
    std::uint64_t sequence = 0;
    const std::string data(10'000, 'd');
    while (pair.host->WriteEvent(EventWithData(data), 1)) {
      ++sequence;
    }
    pair.host->Publish();
    pair.outcomes().event_read.store(bad);
    EXPECT_FALSE(pair.host->WriteEvent(EventWithData(data), 1)) << bad;
    EXPECT_EQ(pair.host->PollSettled().status().code(), Status::Code::kCorrupt) << bad;
  }
}

TEST_F(RingCorruptTest, OutcomeIndexMayNotGoBack) {
  pair_.runner->Log(1, "a line");
  ASSERT_TRUE(pair_.host->PollOutcome().ok());
  SayPosted(8);
  EXPECT_EQ(pair_.host->PollOutcome().status().code(), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, OutcomeIndexMayNotNameAPartOfARecord) {
  SayPosted(8);
  EXPECT_EQ(pair_.host->PollOutcome().status().code(), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, OutcomeIndexMayNotRunAway) {
  SayPosted(kOutcomeRingBytes + 8);
  EXPECT_EQ(pair_.host->PollOutcome().status().code(), Status::Code::kCorrupt);
}

// The one that the first few bytes name may not be as long as that.
TEST(RingCorruptRecordTest, SizesOfAnOutcomeMustAgree) {
  for (const std::uint32_t size : {0u, 8u, 63u, 72u, 1u << 30, ~0u, ~0u & ~7u}) {
    for (const bool of_text : {false, true}) {
      const RingPair pair = RingPair::OverDescriptors();
      OutcomeHeader wrong{};
      wrong.size = of_text ? sizeof wrong : size;
      wrong.text_size = of_text ? size : 0;
      wrong.kind = OutcomeKind::kLog;
      if (wrong.size == sizeof wrong && wrong.text_size == 0) {
        continue;
      }
      wrong.check = pair.seals.outcome.Check(0, &wrong, sizeof wrong, {});
      std::memcpy(pair.outcome_bytes(), &wrong, sizeof wrong);
      pair.outcomes().outcome_published.store(
          pair.seals.outcome_published.Close(sizeof wrong / kRecordAlign));
      EXPECT_EQ(pair.host->PollOutcome().status().code(), Status::Code::kCorrupt) << size;
    }
  }
}

TEST_F(RingCorruptTest, UnknownKindOfOutcome) {
  for (const unsigned kind : {0u, 5u, 0xffffu}) {
    StartAgain();
    EXPECT_EQ(AfterPosting(Header(static_cast<OutcomeKind>(kind))), Status::Code::kCorrupt);
  }
}

TEST_F(RingCorruptTest, UnknownStatusOrCallOfAFailure) {
  for (const std::int32_t status : {CATCHUP_OK, -1, 5, 7, -1003, 1 << 30}) {
    StartAgain();
    EXPECT_EQ(AfterPosting(Failure(CallKind::kHandle, status, 2)), Status::Code::kCorrupt);
  }
  StartAgain();
  EXPECT_EQ(AfterPosting(Failure(static_cast<CallKind>(10), CATCHUP_RETRY, 2)),
            Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, FailureOfAnEventThatIsNotTheRunners) {
  for (const std::uint64_t sequence :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4}, kHuge}) {
    StartAgain();
    EXPECT_EQ(AfterPosting(Failure(CallKind::kHandle, CATCHUP_RETRY, sequence)),
              Status::Code::kCorrupt)
        << sequence;
  }
  StartAgain();
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
  SayInCall(1, 12);
  EXPECT_FALSE(pair_.host->call().running());
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
}

TEST_F(RingCorruptTest, TheCallInProgressMayNotGoBack) {
  SayInCall(3, 5);
  EXPECT_TRUE(pair_.host->call().running());
  SayInCall(2, 5);
  EXPECT_EQ(Settled(), Status::Code::kCorrupt);
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

// Random bytes over the whole region, and records that are nearly right, with right check bits.
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
    const RingSeals& seals = pair_.seals;
    header.settled.store(seals.settled.Close(random_() % 4));
    header.event_read.store(seals.event_read.Close(NearlyRight(0) / kRecordAlign));
    header.outcome_published.store(
        seals.outcome_published.Close(NearlyRight(Read()) / kRecordAlign));
    header.sleep.store(seals.sleep.Close(random_() % 100));
    header.call.store(seals.call.Close(random_() % 1000));
  }

  void Record() {
    const std::uint64_t read = Read();
    OutcomeHeader record{};
    record.kind = static_cast<OutcomeKind>(random_() % 6);
    record.level = static_cast<std::uint16_t>(random_() % 5);
    record.status = static_cast<std::int32_t>(random_() % 7);
    record.call = static_cast<CallKind>(random_() % 11);
    record.ticket = random_() % 4;
    record.call_first = record.ticket - random_() % 8 / 7;
    record.call_last = record.ticket + random_() % 8 / 7;
    record.text_size = static_cast<std::uint32_t>(random_() % 4 == 0 ? NearlyRight(kMaxErrorText)
                                                                     : random_() % 3000);
    record.size =
        static_cast<std::uint32_t>(NearlyRight(AlignRecord(sizeof record + record.text_size)));
    record.max_events = static_cast<std::uint32_t>(random_() % 3);
    record.check = pair_.seals.outcome.Check(read, &record, sizeof record,
                                             std::string(record.text_size % (1u << 17), 't'));
    for (std::uint64_t i = 0; i < sizeof record; ++i) {
      pair_.outcome_bytes()[(read + i) % kOutcomeRingBytes] =
          reinterpret_cast<const std::byte*>(&record)[i];
    }
    for (std::uint64_t i = 0; i < record.text_size % (1u << 17); ++i) {
      pair_.outcome_bytes()[(read + sizeof record + i) % kOutcomeRingBytes] = std::byte{'t'};
    }
    pair_.outcomes().outcome_published.store(
        pair_.seals.outcome_published.Close(NearlyRight(read + record.size) / kRecordAlign));
  }

  std::uint64_t Read() const {
    return reinterpret_cast<const EventRingHeader*>(pair_.host->mappings().events)
        ->outcome_read.load();
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
  constexpr std::uint64_t kRings = 600;
  constexpr int kRoundsOfOne = 20;
  std::uint64_t corrupt = 0;
  std::uint64_t taken = 0;
  for (std::uint64_t seed = 1; seed <= kRings; ++seed) {
    SCOPED_TRACE(seed);
    const RingPair pair = RingPair::OverDescriptors();
    Scribbler scribbler(pair, seed);
    std::uint64_t sequence = 0;
    const std::string data(seed * 97 % 5000, 'd');
    bool broken = false;
    for (int round = 0; round < kRoundsOfOne; ++round) {
      sequence += pair.host->WriteEvent(EventWithData(data), 1) ? 1 : 0;
      pair.host->Publish();
      scribbler.Scribble();
      const auto settled = pair.host->PollSettled();
      ASSERT_NO_FATAL_FAILURE(ExpectOkOrCorrupt(settled.status()));
      if (settled.ok()) {
        ASSERT_LE(settled.value(), sequence);
      }
      const auto outcome = pair.host->PollOutcome();
      ASSERT_NO_FATAL_FAILURE(ExpectOkOrCorrupt(outcome.status()));
      ASSERT_FALSE(broken && (settled.ok() || outcome.ok()));
      corrupt += !broken && !(settled.ok() && outcome.ok()) ? 1 : 0;
      broken = broken || !settled.ok() || !outcome.ok();
      if (outcome.ok() && outcome.value().has_value()) {
        ++taken;
        ASSERT_LE(outcome.value()->text.size(), kMaxErrorText);
        ASSERT_LE(outcome.value()->ticket, sequence);
      }
      (void)pair.host->WakeWhenSettled(sequence);
      pair.host->DrainWake();
      ASSERT_TRUE(IsKnown(pair.host->call().kind));
      (void)pair.host->idle();
      (void)pair.host->log_lines_dropped();
    }
  }
  // Neither all refused at the door nor all let in.
  EXPECT_GT(corrupt, kRings / 2);
  EXPECT_GT(taken, kRings / 20);
}

}  // namespace
}  // namespace catchup
