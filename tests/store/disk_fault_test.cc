#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "host/store/checkpoint_store.h"
#include "tests/store/failing_disk.h"
#include "tests/test_files.h"

// The disk fails at the n-th call, n = 1, 2, 3 … until a run completes without a fault.

namespace catchup {
namespace {

using Disk = FailingDisk;

const EventFilter kFilter{EventFilter::Match::kEventType, {"order-"}};
constexpr int kMaxCalls = 1000;  // Far above what one step takes; ends a loop that would not.

// What passes when somebody makes room, gives a right, or waits.
constexpr int kShortages[] = {ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM,
                              EAGAIN, ENOLCK, EROFS, EACCES, EPERM};

bool MayPass(const Status& status) {
  // In use: the system's word for a lock that cannot be had now is that of any shortage, EAGAIN.
  return status.code() == Status::Code::kExhausted || status.code() == Status::Code::kUnavailable ||
         status.code() == Status::Code::kInUse;
}

class DiskFaultTest : public ::testing::Test {
 protected:
  void TearDown() override { Disk::Disarm(); }

  static Result<std::unique_ptr<CheckpointStore>> Open(const TemporaryFolder& folder) {
    return CheckpointStore::Open(folder.path(), "g", kFilter);
  }

  static Status Save(CheckpointStore* store, std::uint64_t n) {
    CheckpointRecord record = store->record();
    record.checkpoint = Position{n, n};
    return store->Save(record);
  }

  static std::unique_ptr<CheckpointStore> OpenWithTen(const TemporaryFolder& folder) {
    auto store = Open(folder);
    EXPECT_TRUE(store.ok()) << store.status().message();
    EXPECT_TRUE(Save(store->get(), 10).ok());
    return *std::move(store);
  }

  // Opens once with the fault; whatever came of it, a later open finds what was there.
  static Status FailToOpen(const TemporaryFolder& folder, int error, int nth,
                           const std::optional<Position>& wanted) {
    Disk::Arm(Disk::kAll, error, nth, true);
    const Status status = Open(folder).status();
    const bool fired = Disk::fired() > 0;
    Disk::Disarm();
    EXPECT_EQ(status.ok(), !fired) << status.message();
    const auto store = Open(folder);
    EXPECT_TRUE(store.ok()) << store.status().message();
    EXPECT_EQ((*store)->record().checkpoint, wanted);
    EXPECT_EQ((*store)->warning(), "");
    return status;
  }
};

TEST_F(DiskFaultTest, ACommitIsOneWriteAndOneSync) {
  const TemporaryFolder folder;
  const auto store = OpenWithTen(folder);
  Disk::Arm(0, 0, 0, false);
  ASSERT_TRUE(Save(store.get(), 20).ok());
  EXPECT_EQ(Disk::made(Disk::kWrite), 1);
  EXPECT_EQ(Disk::made(Disk::kSync), 1);
  EXPECT_EQ(Disk::made(Disk::kAll), 2);
}

TEST_F(DiskFaultTest, WaitsOutAShortage) {
  for (const int error : kShortages) {
    const TemporaryFolder folder;
    auto store = OpenWithTen(folder);
    Disk::Arm(Disk::kWrite, error, 1, true);
    const Status status = Save(store.get(), 20);
    EXPECT_TRUE(MayPass(status)) << status.message();
    EXPECT_EQ(status.message(), (folder.path() / "g/checkpoint").string() +
                                    ": write: " + std::generic_category().message(error));
    EXPECT_EQ(store->record().checkpoint, (Position{10, 10}));
    EXPECT_TRUE(MayPass(Save(store.get(), 20)));
    EXPECT_TRUE(MayPass(store->RaiseToken().status()));
    EXPECT_TRUE(MayPass(store->SetDesired(DesiredState::kPaused)));
    Disk::Disarm();
    EXPECT_TRUE(Save(store.get(), 20).ok());
    EXPECT_TRUE(Save(store.get(), 30).ok());
    store.reset();
    EXPECT_EQ((*Open(folder))->record().checkpoint, (Position{30, 30}));
  }
}

// The write that a shortage cut in half went to the older slot.
TEST_F(DiskFaultTest, AKillDuringAShortageCostsNothing) {
  const TemporaryFolder folder;
  auto store = OpenWithTen(folder);
  Disk::Arm(Disk::kWrite, ENOSPC, 1, true);
  ASSERT_FALSE(Save(store.get(), 20).ok());
  store.reset();
  Disk::Disarm();
  EXPECT_EQ((*Open(folder))->record().checkpoint, (Position{10, 10}));
}

TEST_F(DiskFaultTest, GoesOnAfterAnInterruptionAndAShortTransfer) {
  for (const int error : {EINTR, Disk::kShort}) {
    for (const unsigned calls : {Disk::kRead, Disk::kWrite, Disk::kSync}) {
      if (error == Disk::kShort && calls == Disk::kSync) {
        continue;
      }
      const TemporaryFolder folder;
      auto store = OpenWithTen(folder);
      if (calls != Disk::kRead) {
        Disk::Arm(calls, error, 1, false);
        EXPECT_TRUE(Save(store.get(), 20).ok());
        EXPECT_EQ(Disk::fired(), 1);
      } else {
        EXPECT_TRUE(Save(store.get(), 20).ok());
      }
      store.reset();
      Disk::Arm(calls, error, 1, false);
      const auto again = Open(folder);
      EXPECT_EQ(Disk::fired(), 1);
      ASSERT_TRUE(again.ok()) << again.status().message();
      EXPECT_EQ((*again)->warning(), "");
      EXPECT_EQ((*again)->record().checkpoint, (Position{20, 20}));
    }
  }
}

// The kernel may hold as clean what the disk never got, whatever it said the cause was.
TEST_F(DiskFaultTest, StopsForGoodAfterAFailedSyncOrAnIoError) {
  struct Case {
    unsigned calls;
    int error;
  };
  for (const Case& fault :
       {Case{Disk::kSync, EIO}, Case{Disk::kSync, ENOSPC}, Case{Disk::kSync, EDQUOT},
        Case{Disk::kSync, EAGAIN}, Case{Disk::kSync, EROFS}, Case{Disk::kWrite, EIO}}) {
    for (const bool lasting : {false, true}) {
      const TemporaryFolder folder;
      auto store = OpenWithTen(folder);
      Disk::Arm(fault.calls, fault.error, 1, lasting);
      const Status status = Save(store.get(), 20);
      EXPECT_EQ(Disk::fired(), 1);
      Disk::Disarm();
      ASSERT_FALSE(status.ok());
      EXPECT_FALSE(MayPass(status)) << status.message();
      EXPECT_EQ(store->record().checkpoint, (Position{10, 10}));
      const Status later = Save(store.get(), 30);
      EXPECT_EQ(later.message(), "store closed after a failure: " + status.message());
      EXPECT_FALSE(store->RaiseToken().ok());
      EXPECT_FALSE(store->SetDesired(DesiredState::kPaused).ok());
      store.reset();
      auto again = Open(folder);
      ASSERT_TRUE(again.ok()) << again.status().message();
      const auto checkpoint = (*again)->record().checkpoint;
      EXPECT_TRUE(checkpoint == (Position{10, 10}) || checkpoint == (Position{20, 20}));
      EXPECT_TRUE(Save(again->get(), 40).ok());
    }
  }
}

TEST_F(DiskFaultTest, WaitsOutAShortageWhileItIsOpened) {
  for (const int error : kShortages) {
    int n = 1;
    for (bool completed = false; !completed && n < kMaxCalls; ++n) {
      const TemporaryFolder folder;
      OpenWithTen(folder).reset();
      const Status status = FailToOpen(folder, error, n, Position{10, 10});
      EXPECT_TRUE(status.ok() || MayPass(status)) << status.message();
      completed = status.ok();
    }
    EXPECT_GT(n, 10);
    EXPECT_LT(n, kMaxCalls);
  }
}

TEST_F(DiskFaultTest, WaitsOutAShortageWhileItIsMade) {
  for (const int error : kShortages) {
    int n = 1;
    for (bool completed = false; !completed && n < kMaxCalls; ++n) {
      const TemporaryFolder folder;
      const Status status = FailToOpen(folder, error, n, std::nullopt);
      EXPECT_TRUE(status.ok() || MayPass(status)) << status.message();
      completed = status.ok();
    }
    EXPECT_GT(n, 15);
    EXPECT_LT(n, kMaxCalls);
  }
}

TEST_F(DiskFaultTest, LosesNothingWhenOpeningOrMakingItMeetsABadDisk) {
  for (const bool exists : {true, false}) {
    int n = 1;
    for (bool completed = false; !completed && n < kMaxCalls; ++n) {
      const TemporaryFolder folder;
      if (exists) {
        OpenWithTen(folder).reset();
      }
      const auto wanted = exists ? std::optional(Position{10, 10}) : std::nullopt;
      const Status status = FailToOpen(folder, EIO, n, wanted);
      EXPECT_FALSE(MayPass(status)) << status.message();
      completed = status.ok();
    }
    EXPECT_GT(n, 10);
    EXPECT_LT(n, kMaxCalls);
  }
}

}  // namespace
}  // namespace catchup
