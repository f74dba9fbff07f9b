// What the log recognises as a repetition, and what it does when its disk fails.
#include "host/source/embedded/log/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "host/base/sqlite.h"
#include "tests/source/embedded/disk_fault.h"
#include "tests/test_files.h"

namespace catchup::embedded {
namespace {

using testing::StartsWith;

using test::DiskFault;
using Kind = WriteOutcome::Kind;

// So few that every test outgrows it.
constexpr std::size_t kInMemory = 8;
constexpr int kEvents = 100;

std::vector<NewEvent> Events(std::vector<int> numbers) {
  std::vector<NewEvent> events;
  for (const int number : numbers) {
    NewEvent event;
    event.id = Uuid::FromHalves(1, static_cast<std::uint64_t>(number));
    event.type = "t";
    events.push_back(std::move(event));
  }
  return events;
}

bool operator==(const WriteOutcome& a, const WriteOutcome& b) {
  return a.kind == b.kind && a.revision == b.revision && a.position == b.position;
}

class EventLogTest : public testing::Test {
 protected:
  void SetUp() override {
    DiskFault::Install();
    log_ = Open("log");
  }
  void TearDown() override { DiskFault::Disarm(); }

  std::unique_ptr<EventLog> Open(const std::string& name, std::size_t in_memory = kInMemory) {
    auto log = EventLog::Open(folder_ / name, in_memory);
    EXPECT_TRUE(log.ok()) << log.status().message();
    return log.ok() ? *std::move(log) : nullptr;
  }
  void Reopen() {
    log_.reset();
    log_ = Open("log");
  }

  // One append in a transaction of its own, as the writer makes it.
  static Result<WriteOutcome> TryAppend(EventLog* log, const std::string& stream,
                                        std::vector<int> numbers) {
    Status status = log->Begin();
    Result<WriteOutcome> outcome = WriteOutcome{};
    if (status.ok()) {
      outcome = log->Append(stream, ExpectedRevision{}, Events(std::move(numbers)));
      status = outcome.ok() ? log->Commit() : outcome.status();
    }
    if (!status.ok()) {
      log->Rollback();
      return status;
    }
    (void)log->TakeWritten();
    return outcome;
  }
  WriteOutcome Append(const std::string& stream, std::vector<int> numbers) {
    Result<WriteOutcome> outcome = TryAppend(log_.get(), stream, std::move(numbers));
    EXPECT_TRUE(outcome.ok()) << outcome.status().message();
    return outcome.ok() ? *outcome : WriteOutcome{};
  }

  void Fill() {
    for (int i = 0; i < kEvents; ++i) {
      written_.push_back(Append("orders", {i}));
      ASSERT_EQ(written_.back().kind, Kind::kWritten);
    }
  }
  void ExpectAllRepeated() {
    const std::uint64_t end = log_->tail().end;
    for (std::size_t i = 0; i < written_.size(); ++i) {
      const WriteOutcome outcome = Append("orders", {static_cast<int>(i)});
      EXPECT_EQ(outcome.kind, Kind::kRepeated) << i;
      EXPECT_EQ(outcome.revision, written_[i].revision);
      EXPECT_EQ(outcome.position, written_[i].position);
    }
    EXPECT_EQ(log_->tail().end, end);
  }

  std::int64_t Sql(const char* sql) {
    auto connection = Connection::Open(folder_ / "log", Connection::Mode::kCreate, "event log");
    EXPECT_TRUE(connection.ok());
    auto value = connection->QueryInt(sql);
    EXPECT_TRUE(value.ok()) << value.status().message();
    return value.ok() ? *value : -1;
  }

  TemporaryFolder folder_;
  std::unique_ptr<EventLog> log_;
  std::vector<WriteOutcome> written_;
};

TEST_F(EventLogTest, RecognisesARepetitionHoweverMuchWasWrittenSince) {
  Fill();
  ExpectAllRepeated();
  Reopen();
  ExpectAllRepeated();
}

TEST_F(EventLogTest, RecognisesARepetitionInOneTransactionThatOutgrowsTheMemory) {
  ASSERT_TRUE(log_->Begin().ok());
  std::vector<int> numbers;
  for (int i = 0; i < kEvents; ++i) {
    numbers.push_back(i);
    auto outcome = log_->Append("orders", ExpectedRevision{}, Events({i}));
    ASSERT_TRUE(outcome.ok());
    written_.push_back(*outcome);
  }
  auto again = log_->Append("orders", ExpectedRevision{}, Events(numbers));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->kind, Kind::kRepeated);
  EXPECT_EQ(again->position, written_.back().position);
  ASSERT_TRUE(log_->Commit().ok());

  ExpectAllRepeated();
}

TEST_F(EventLogTest, KeepsTheRuleForOldIds) {
  Fill();
  EXPECT_EQ(Append("orders", {0, 1, 2}).kind, Kind::kRepeated);
  EXPECT_EQ(Append("orders", {0, kEvents}).kind, Kind::kConflict);
  EXPECT_EQ(Append("orders", {kEvents, 0}).kind, Kind::kWritten);
  EXPECT_EQ(Append("others", {1}).kind, Kind::kWritten);
}

// Another version of this program writes events and knows nothing of the tables.
TEST_F(EventLogTest, LearnsTheIdsOfAFileThatAnotherVersionWrote) {
  Fill();
  log_.reset();
  auto connection = Connection::Open(folder_ / "log", Connection::Mode::kCreate, "event log");
  ASSERT_TRUE(connection.ok());
  ASSERT_TRUE(connection->Execute("DROP TABLE old_ids; DROP TABLE old_ids_end").ok());

  log_ = Open("log");

  ExpectAllRepeated();
  Reopen();
  ExpectAllRepeated();
}

// An id is known by its newest event, which is in memory when an older one no longer is.
TEST_F(EventLogTest, KnowsAnIdByItsNewestEvent) {
  Append("first", {0});
  for (int i = 1; i < 6; ++i) {
    Append("orders", {i});
  }
  const WriteOutcome newest = Append("second", {0});
  for (int i = 6; i < kEvents; ++i) {
    Append("orders", {i});
    const WriteOutcome again = Append("second", {0});
    ASSERT_EQ(again.kind, Kind::kRepeated) << i;
    ASSERT_EQ(again.position, newest.position);
  }
  EXPECT_EQ(Append("first", {0}).kind, Kind::kWritten);
}

// The ids could not be moved when it was opened: the first append that finds room does it.
TEST_F(EventLogTest, OpensOnAFullDiskAndLearnsTheIdsWhenThereIsRoom) {
  Fill();
  log_.reset();
  auto connection = Connection::Open(folder_ / "log", Connection::Mode::kCreate, "event log");
  ASSERT_TRUE(connection.ok());
  ASSERT_TRUE(connection->Execute("DROP TABLE old_ids; DROP TABLE old_ids_end").ok());
  DiskFault::Arm(DiskFault::Kind::kFull);
  log_ = Open("log");
  ASSERT_NE(log_, nullptr);
  auto state = log_->reader().Stream("orders");
  ASSERT_TRUE(state.ok()) << state.status().message();
  EXPECT_EQ(state->last_revision, kEvents - 1);
  EXPECT_EQ(TryAppend(log_.get(), "orders", {0}).status().code(), Status::Code::kExhausted);
  EXPECT_GT(DiskFault::Disarm(), 1);

  ExpectAllRepeated();
}

TEST_F(EventLogTest, AddsNothingToTheFileOfASmallLog) {
  for (int i = 0; i < static_cast<int>(kInMemory); ++i) {
    Append("orders", {i});
  }
  log_.reset();
  EXPECT_EQ(Sql("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'old_ids%'"), 0);
  EXPECT_EQ(Sql("PRAGMA user_version"), 1);
}

// Random appends, rollbacks and reopenings decide as a log does that holds every id in memory and
// never saw what was rolled back.
TEST_F(EventLogTest, DecidesAsIfEveryIdWereInMemory) {
  std::mt19937 random(20261124);
  const auto pick = [&](unsigned bound) { return static_cast<int>(random() % bound); };
  auto model = Open("model", 1 << 20);
  int repeated = 0;
  for (int step = 0; step < 1000; ++step) {
    const std::string stream = "s" + std::to_string(pick(3));
    std::vector<int> numbers;
    const int first = pick(200);
    for (int i = 0; i <= pick(4); ++i) {
      numbers.push_back(first + i);
    }
    if (pick(5) == 0) {
      ASSERT_TRUE(log_->Begin().ok());
      ASSERT_TRUE(log_->Append(stream, ExpectedRevision{}, Events(numbers)).ok());
      log_->Rollback();
      continue;
    }
    const Result<WriteOutcome> want = TryAppend(model.get(), stream, numbers);
    ASSERT_TRUE(want.ok());
    ASSERT_TRUE(Append(stream, numbers) == *want) << "step " << step;
    repeated += want->kind == Kind::kRepeated ? 1 : 0;
    if (pick(50) == 0) {
      Reopen();
    }
  }
  EXPECT_GT(repeated, 30);
}

// The disk is full from the n-th write on, n = 1, 2, 3 … until the append needs no more.
TEST_F(EventLogTest, KnowsEveryIdAfterAFullDisk) {
  Fill();
  int next = kEvents;
  int nth = 1;
  for (int fired = 1; fired > 0; ++nth) {
    const std::vector<int> numbers{next, next + 1, next + 2, next + 3, next + 4};
    DiskFault::Arm(DiskFault::Kind::kFull, nth);
    const Result<WriteOutcome> failed = TryAppend(log_.get(), "orders", numbers);
    fired = DiskFault::Disarm();
    if (fired > 0 && !failed.ok()) {
      EXPECT_EQ(failed.status().code(), Status::Code::kExhausted) << failed.status().message();
      EXPECT_EQ(Append("orders", numbers).kind, Kind::kWritten);
    }
    EXPECT_EQ(Append("orders", numbers).kind, Kind::kRepeated);
    ExpectAllRepeated();
    next += static_cast<int>(numbers.size());
  }
  EXPECT_GT(nth, 3);
}

TEST_F(EventLogTest, StopsWritingAfterAFailedSyncUntilItIsOpenedAgain) {
  Fill();
  const std::uint64_t end = log_->tail().end;
  DiskFault::Arm(DiskFault::Kind::kSync);
  EXPECT_EQ(TryAppend(log_.get(), "orders", {kEvents}).status().code(), Status::Code::kUnavailable);
  EXPECT_GT(DiskFault::Disarm(), 0);

  const Status refused = TryAppend(log_.get(), "orders", {kEvents + 1}).status();
  EXPECT_EQ(refused.code(), Status::Code::kUnavailable);
  EXPECT_THAT(refused.message(),
              StartsWith("event log: nothing is written until it is opened again, "
                         "because a commit failed: COMMIT: disk I/O error"));
  EXPECT_EQ(log_->tail().end, end);
  auto state = log_->reader().Stream("orders");
  ASSERT_TRUE(state.ok()) << state.status().message();
  EXPECT_EQ(state->last_revision, kEvents - 1);

  Reopen();
  ExpectAllRepeated();
  EXPECT_EQ(Append("orders", {kEvents + 1}).kind, Kind::kWritten);
}

}  // namespace
}  // namespace catchup::embedded
