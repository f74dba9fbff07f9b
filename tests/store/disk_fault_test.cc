#include <gtest/gtest.h>
#include <sqlite3.h>

#include <string>

#include "host/store/checkpoint_store.h"
#include "tests/store/failing_vfs.h"
#include "tests/test_files.h"

// The disk fails at the n-th call, n = 1, 2, 3 … until a run completes without a fault.

namespace catchup {
namespace {

using Fault = FailingVfs::Fault;

const EventFilter kFilter{EventFilter::Match::kEventType, {"order-"}};
constexpr int kMaxCalls = 1000;  // Far above what one step takes; ends a loop that would not.

class DiskFaultTest : public ::testing::Test {
 protected:
  void SetUp() override { FailingVfs::Install(); }
  void TearDown() override { FailingVfs::Disarm(); }

  static Result<std::unique_ptr<CheckpointStore>> Open(const TemporaryFolder& folder) {
    return CheckpointStore::Open(folder.path(), "g", kFilter);
  }

  static Status Save(CheckpointStore* store, std::uint64_t n) {
    CheckpointRecord record = store->record();
    record.checkpoint = Position{n, n};
    return store->Save(record);
  }
};

TEST_F(DiskFaultTest, WaitsOutAFullDisk) {
  int n = 1;
  for (; n < kMaxCalls; ++n) {
    const TemporaryFolder folder;
    auto store = Open(folder);
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE(Save(store->get(), 10).ok());
    FailingVfs::Arm(Fault::kFull, n, true);
    const Status status = Save(store->get(), 20);
    const int fired = FailingVfs::fired();
    if (fired > 0) {
      EXPECT_EQ(status.code(), Status::Code::kExhausted) << status.message();
      EXPECT_EQ((*store)->record().checkpoint, (Position{10, 10}));
      EXPECT_EQ(Save(store->get(), 20).code(), Status::Code::kExhausted);
    }
    FailingVfs::Disarm();
    EXPECT_TRUE(Save(store->get(), 20).ok()) << n;
    EXPECT_TRUE(Save(store->get(), 30).ok()) << n;
    store->reset();
    EXPECT_EQ((*Open(folder))->record().checkpoint, (Position{30, 30}));
    if (fired == 0) {
      break;
    }
  }
  EXPECT_GT(n, 2);
  EXPECT_LT(n, kMaxCalls);
}

TEST_F(DiskFaultTest, StopsForGoodAfterAFailedSyncOrAnIoError) {
  for (const Fault fault : {Fault::kSyncError, Fault::kSyncFull, Fault::kIoError}) {
    for (const bool lasting : {false, true}) {
      int n = 1;
      for (; n < kMaxCalls; ++n) {
        const TemporaryFolder folder;
        auto store = Open(folder);
        ASSERT_TRUE(store.ok());
        ASSERT_TRUE(Save(store->get(), 10).ok());
        FailingVfs::Arm(fault, n, lasting);
        const Status status = Save(store->get(), 20);
        const int fired = FailingVfs::fired();
        FailingVfs::Disarm();
        if (!status.ok()) {
          EXPECT_NE(status.code(), Status::Code::kExhausted) << status.message();
          EXPECT_EQ((*store)->record().checkpoint, (Position{10, 10}));
          const Status later = Save(store->get(), 30);
          EXPECT_EQ(later.message(), "store closed after a failure: " + status.message());
          EXPECT_FALSE((*store)->RaiseToken().ok());
          EXPECT_FALSE((*store)->SetDesired(DesiredState::kPaused).ok());
        }
        store->reset();
        auto again = Open(folder);
        ASSERT_TRUE(again.ok()) << again.status().message();
        const auto checkpoint = (*again)->record().checkpoint;
        if (status.ok()) {
          EXPECT_EQ(checkpoint, (Position{20, 20}));
        } else {
          EXPECT_TRUE(checkpoint == (Position{10, 10}) || checkpoint == (Position{20, 20}));
        }
        EXPECT_TRUE(Save(again->get(), 40).ok());
        if (fired == 0) {
          break;
        }
        EXPECT_FALSE(status.ok()) << n;
      }
      EXPECT_GT(n, 1);
      EXPECT_LT(n, kMaxCalls);
    }
  }
}

// SQLite keeps the system's answer to an earlier call, so a failed sync can come with that of a
// full disk.
TEST_F(DiskFaultTest, StopsForGoodAfterASyncThatFailsOnAFullDisk) {
  const TemporaryFolder folder;
  auto store = Open(folder);
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(Save(store->get(), 10).ok());
  FailingVfs::Arm(Fault::kQuota, 1, true);
  ASSERT_EQ(Save(store->get(), 20).code(), Status::Code::kExhausted);
  FailingVfs::Arm(Fault::kSyncFull, 1, true);
  const Status failed = Save(store->get(), 20);
  FailingVfs::Disarm();
  EXPECT_FALSE(failed.ok());
  EXPECT_NE(failed.code(), Status::Code::kExhausted) << failed.message();
  EXPECT_FALSE(Save(store->get(), 30).ok());
}

TEST_F(DiskFaultTest, LosesNothingWhenOpeningFails) {
  for (const Fault fault : {Fault::kSyncError, Fault::kIoError, Fault::kFull}) {
    int n = 1;
    for (; n < kMaxCalls; ++n) {
      const TemporaryFolder folder;
      {
        auto store = Open(folder);
        ASSERT_TRUE(store.ok());
        ASSERT_TRUE(Save(store->get(), 10).ok());
      }
      FailingVfs::Arm(fault, n, true);
      {
        const auto failed = Open(folder);
        EXPECT_EQ(failed.ok(), FailingVfs::fired() == 0);
        if (!failed.ok() && fault == Fault::kFull) {
          EXPECT_EQ(failed.status().code(), Status::Code::kExhausted);
        }
      }
      const int fired = FailingVfs::fired();
      FailingVfs::Disarm();
      auto store = Open(folder);
      ASSERT_TRUE(store.ok()) << store.status().message();
      EXPECT_EQ((*store)->record().checkpoint, (Position{10, 10}));
      if (fired == 0) {
        break;
      }
    }
    EXPECT_GT(n, 1);
    EXPECT_LT(n, kMaxCalls);
  }
}

TEST_F(DiskFaultTest, LeavesNoHalfGroupWhenCreatingFails) {
  for (const Fault fault : {Fault::kSyncError, Fault::kIoError, Fault::kFull}) {
    for (int n = 1; n < kMaxCalls; ++n) {
      const TemporaryFolder folder;
      FailingVfs::Arm(fault, n, true);
      const bool created = Open(folder).ok();
      const int fired = FailingVfs::fired();
      FailingVfs::Disarm();
      EXPECT_EQ(created, fired == 0);
      const auto store = Open(folder);
      ASSERT_TRUE(store.ok()) << store.status().message();
      EXPECT_FALSE((*store)->record().checkpoint.has_value());
      if (fired == 0) {
        break;
      }
    }
  }
}

}  // namespace
}  // namespace catchup
