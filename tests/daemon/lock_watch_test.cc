#include "host/daemon/watch/lock_watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

using std::chrono::seconds;

class LockWatchTest : public testing::Test {
 protected:
  LockWatchTest() { EXPECT_TRUE(worker_->Start(1).ok()); }
  ~LockWatchTest() override {
    reactor_->Stop();
    worker_.reset();
  }

  // Has answered, if it asked, when this returns.
  void Look(seconds at) {
    Told<bool> told;
    reactor_->Post([&] {
      watch_.Look(begin_ + at);
      worker_->Post([&] { reactor_->Post([&] { told.Tell(true); }); });
    });
    ASSERT_TRUE(told.Await().has_value());
  }
  std::filesystem::path directory() const { return folder_.path() / "state"; }
  std::filesystem::path lock() const { return directory() / "lock"; }

  const TemporaryFolder folder_;
  const LockWatch::Clock::time_point begin_ = LockWatch::Clock::now();
  StateDirectory state_ = *StateDirectory::Open(directory());
  std::unique_ptr<Reactor> reactor_ = *Reactor::Create();
  std::optional<WorkerPool> worker_{std::in_place};
  Told<Status> lost_;
  LockWatch watch_{&state_, &*worker_, reactor_.get(),
                   [this](const Status& why) { lost_.Tell(why); }};
};

TEST_F(LockWatchTest, MakesARemovedLockAgainAtTheNextLookThatIsDue) {
  Look(seconds(0));
  std::filesystem::remove(lock());
  Look(seconds(1));
  EXPECT_FALSE(std::filesystem::exists(lock()));

  Look(seconds(2));

  EXPECT_TRUE(std::filesystem::exists(lock()));
  EXPECT_EQ(lost_.size(), 0u);
}

TEST_F(LockWatchTest, SaysOnceThatTheDirectoryIsGone) {
  std::filesystem::rename(directory(), folder_.path() / "away");
  Look(seconds(0));
  Look(seconds(2));

  ASSERT_EQ(lost_.size(), 1u);
  EXPECT_EQ(lost_.Await()->code(), Status::Code::kNotFound);
}

TEST_F(LockWatchTest, SaysThatAnotherHasTakenTheDirectory) {
  std::filesystem::remove(lock());
  const auto other = StateDirectory::Open(directory());
  ASSERT_TRUE(other.ok());
  Look(seconds(0));

  ASSERT_EQ(lost_.size(), 1u);
  EXPECT_EQ(lost_.Await()->code(), Status::Code::kInUse);
}

}  // namespace
}  // namespace catchup
