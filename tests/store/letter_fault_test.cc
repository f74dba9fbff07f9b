#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>

#include "tests/store/failing_disk.h"
#include "tests/store/failing_vfs.h"
#include "tests/store/letters.h"
#include "tests/test_files.h"

// The disk fails at the n-th call, n = 1, 2, 3 … until a run completes without a fault.

namespace catchup {
namespace {

using Disk = FailingDisk;
using Vfs = FailingVfs;

constexpr int kMaxCalls = 1000;  // Far above what one step takes; ends a loop that would not.

// Which of the calls are tried, of each change; a sanitizer makes every one of them slow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kStride = 5;
#else
constexpr int kStride = 1;
#endif

// What passes when somebody makes room, gives a right, or waits.
// Under a sanitizer one of each kind: all of them go the same ways through the code.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kShortages[] = {ENOSPC, EMFILE, EACCES};
#else
constexpr int kShortages[] = {ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM, EROFS, EACCES};
#endif

bool MayPass(const Status& status) {
  return status.code() == Status::Code::kExhausted || status.code() == Status::Code::kUnavailable;
}

struct Change {
  const char* name;
  std::function<Status(LetterStore*)> make;
  std::vector<Position> after;
};

std::vector<Change> Changes() {
  const Letter first = MakeLetter(1);
  LetterHead dead = first.head;
  dead.state = StoredState::kDead;
  return {{"insert",
           [](LetterStore* store) { return InsertOne(store, MakeLetter(3)); },
           {At(1), At(2), At(3)}},
          {"insert a large one",
           [](LetterStore* store) {
             Letter large = MakeLetter(3);
             large.data = std::string(100'000, 'x');
             return InsertOne(store, std::move(large));
           },
           {At(1), At(2), At(3)}},
          {"remove", [](LetterStore* store) { return store->RemoveHealed(0, At(1)); }, {At(2)}},
          {"update",
           [=](LetterStore* store) {
             return store->Update(0, {dead, first.cause, {{LetterStepKind::kDead, ""}}});
           },
           {At(1), At(2)}},
          {"reset", [](LetterStore* store) { return store->RemoveBeyond(0, At(1)); }, {At(1)}},
          {"hold",
           [](LetterStore* store) {
             return store->SetHold(0, {"t", LetterHold::By::kHost, 1, ""});
           },
           {At(1), At(2)}}};
}

class LetterFaultTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { Vfs::Install(); }
  void TearDown() override {
    Vfs::Disarm();
    Disk::Disarm();
  }

  static LetterStore::Options Options() {
    LetterStore::Options options;
    options.sinks = {"jsonl:out"};
    return options;
  }

  static std::unique_ptr<LetterStore> OpenWithTwo(const TemporaryFolder& folder) {
    auto store = OpenLetters(folder.path(), Options());
    EXPECT_TRUE(InsertOne(store.get(), MakeLetter(1)).ok());
    EXPECT_TRUE(InsertOne(store.get(), MakeLetter(2)).ok());
    return store;
  }

  static std::vector<Position> Reopened(const TemporaryFolder& folder) {
    const auto store = OpenLetters(folder.path(), Options());
    return store ? Positions(&store->reader()) : std::vector<Position>();
  }
};

TEST_F(LetterFaultTest, WaitsOutAShortageInEveryChange) {
  for (const Change& change : Changes()) {
    for (const int error : kShortages) {
      int fired = 0;
      int n = 1;
      for (bool completed = false; !completed && n < kMaxCalls; n += kStride) {
        const TemporaryFolder folder;
        auto store = OpenWithTwo(folder);
        Vfs::Arm(Vfs::kWrite | Vfs::kTruncate | Vfs::kOpen, error, n, true);
        const Status status = change.make(store.get());
        completed = Vfs::fired() == 0;
        fired += Vfs::fired();
        EXPECT_TRUE(status.ok() || MayPass(status))
            << change.name << " " << error << ": " << status.message();
        Vfs::Disarm();
        if (!status.ok()) {
          const Status again = change.make(store.get());
          // The word of a commit can be lost.
          EXPECT_TRUE(again.ok() || again.code() == Status::Code::kNotFound)
              << change.name << " " << error << ": " << again.message();
        }
        EXPECT_EQ(Positions(&store->reader()), change.after) << change.name;
        EXPECT_TRUE(store->EndHold(0, "none").ok());
        EXPECT_EQ(*store->reader().Count(), store->totals()) << change.name << " " << n;
        store.reset();
        EXPECT_EQ(Reopened(folder), change.after) << change.name;
      }
      EXPECT_GT(fired, 0) << change.name;
      EXPECT_LT(n, kMaxCalls);
    }
  }
}

TEST_F(LetterFaultTest, AKillDuringAShortageCostsNothing) {
  for (const Change& change : Changes()) {
    int n = 1;
    for (bool completed = false; !completed && n < kMaxCalls; n += kStride) {
      const TemporaryFolder folder;
      auto store = OpenWithTwo(folder);
      Vfs::Arm(Vfs::kWrite | Vfs::kTruncate, ENOSPC, n, true);
      const bool made = change.make(store.get()).ok();
      completed = Vfs::fired() == 0;
      store.reset();
      Vfs::Disarm();
      const std::vector<Position> found = Reopened(folder);
      EXPECT_TRUE(found == change.after || (!made && found == (std::vector{At(1), At(2)})))
          << change.name << " " << n;
    }
  }
}

// The kernel may hold as clean what the disk never got, whatever it said the cause was.
TEST_F(LetterFaultTest, StopsForGoodAfterAFailedSyncOrAnIoError) {
  struct Case {
    unsigned calls;
    int error;
  };
  for (const Case& fault :
       {Case{Vfs::kSync, EIO}, Case{Vfs::kSync, ENOSPC}, Case{Vfs::kSync, EDQUOT},
        Case{Vfs::kSync, EROFS}, Case{Vfs::kWrite, EIO}}) {
    for (const Change& change : Changes()) {
      int n = 1;
      for (bool completed = false; !completed && n < kMaxCalls; n += kStride) {
        const TemporaryFolder folder;
        auto store = OpenWithTwo(folder);
        Vfs::Arm(fault.calls, fault.error, n, false);
        const Status status = change.make(store.get());
        completed = Vfs::fired() == 0;
        Vfs::Disarm();
        if (status.ok()) {
          EXPECT_EQ(Positions(&store->reader()), change.after);
          continue;
        }
        EXPECT_EQ(status.code(), Status::Code::kInternal) << status.message();
        EXPECT_EQ(status.message().rfind((folder.path() / "letters.db").string() + ": ", 0), 0u);
        EXPECT_EQ(change.make(store.get()).message(),
                  "store closed after a failure: " + status.message());
        store.reset();
        EXPECT_TRUE(std::filesystem::exists(folder.path() / "letters.db-unclean"));
        const std::vector<Position> found = Reopened(folder);
        EXPECT_TRUE(found == change.after || found == (std::vector{At(1), At(2)})) << change.name;
      }
      EXPECT_LT(n, kMaxCalls);
    }
  }
}

TEST_F(LetterFaultTest, LosesNothingWhenOpeningMeetsABadDisk) {
  for (const bool unclean : {false, true}) {
    for (const bool ours : {false, true}) {
      for (const int error : {ENOSPC, EMFILE, EACCES, EIO}) {
        int n = 1;
        for (bool completed = false; !completed && n < kMaxCalls; n += kStride) {
          const TemporaryFolder folder;
          OpenWithTwo(folder).reset();
          if (unclean) {
            WriteFile(folder.path() / "letters.db-unclean", "?");
          }
          Vfs::Arm(ours ? 0u : unsigned{Vfs::kAll}, error, n, true);
          Disk::Arm(ours ? unsigned{Disk::kAll} : 0u, error, n, true);
          const Status status = LetterStore::Open(folder.path(), "g", Options()).status();
          completed = Vfs::fired() + Disk::fired() == 0;
          Vfs::Disarm();
          Disk::Disarm();
          EXPECT_TRUE(status.ok() || error == EIO || MayPass(status)) << n << status.message();
          EXPECT_EQ(Reopened(folder), (std::vector{At(1), At(2)})) << n;
        }
        EXPECT_GT(n, 3);
        EXPECT_LT(n, kMaxCalls);
      }
    }
  }
}

TEST_F(LetterFaultTest, TheFirstLetterWaitsOutAShortageWhileTheFileIsMade) {
  for (const bool ours : {false, true}) {
    for (const int error : {ENOSPC, EMFILE, EACCES}) {
      int n = 1;
      for (bool completed = false; !completed && n < kMaxCalls; n += kStride) {
        const TemporaryFolder folder;
        auto store = OpenLetters(folder.path(), Options());
        ASSERT_TRUE(store->SetToken(3).ok());
        Vfs::Arm(ours ? 0u : Vfs::kOpen | Vfs::kWrite, error, n, true);
        Disk::Arm(ours ? Disk::kAll & ~Disk::kSync : 0u, error, n, true);
        const Status status = InsertOne(store.get(), MakeLetter(1));
        completed = Vfs::fired() + Disk::fired() == 0;
        Vfs::Disarm();
        Disk::Disarm();
        EXPECT_TRUE(status.ok() || MayPass(status)) << n << " " << status.message();
        EXPECT_TRUE(InsertOne(store.get(), MakeLetter(1)).ok()) << n;
        EXPECT_EQ(store->token(), 3u);
        store.reset();
        EXPECT_EQ(Reopened(folder), (std::vector{At(1)})) << n;
      }
      EXPECT_GT(n, 3);
      EXPECT_LT(n, kMaxCalls);
    }
  }
}

// Letters that wait together share the syncs of one commit.
TEST_F(LetterFaultTest, ManyLettersTakeAsManySyncsAsOne) {
  const TemporaryFolder folder;
  auto store = OpenWithTwo(folder);
  Vfs::Arm(0, 0, 0, false);
  ASSERT_TRUE(InsertOne(store.get(), MakeLetter(3)).ok());
  const int alone = Vfs::made(Vfs::kSync);
  std::vector<Letter> many;
  for (std::uint64_t n = 10; n < 26; ++n) {
    many.push_back(MakeLetter(n));
  }
  Vfs::Arm(0, 0, 0, false);
  ASSERT_TRUE(store->Insert(0, many).ok());
  EXPECT_EQ(Vfs::made(Vfs::kSync), alone);
  EXPECT_LE(alone, 4);
}

}  // namespace
}  // namespace catchup
