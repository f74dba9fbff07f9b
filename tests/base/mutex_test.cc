#include "host/base/mutex.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace catchup {
namespace {

TEST(MutexTest, OneThreadAtATimeIsInside) {
  Mutex mutex;
  int inside = 0;
  int most = 0;
  int visits = 0;
  const auto visit = [&] {
    for (int i = 0; i < 10'000; ++i) {
      const MutexLock lock(&mutex);
      most = std::max(most, ++inside);
      ++visits;
      --inside;
    }
  };
  std::thread other(visit);
  visit();
  other.join();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(visits, 20'000);
}

TEST(MutexTest, ALockThatWasGivenBackLetsOthersInUntilItIsTakenAgain) {
  Mutex mutex;
  bool was_here = false;
  MutexLock lock(&mutex);
  lock.Unlock();
  std::thread([&] {
    const MutexLock other(&mutex);
    was_here = true;
  }).join();
  lock.Lock();
  EXPECT_TRUE(was_here);
}

TEST(MutexTest, AWaitLetsAnotherThreadChangeWhatIsWaitedFor) {
  Mutex mutex;
  CondVar changed;
  bool ready = false;
  std::thread other([&] {
    const MutexLock lock(&mutex);
    ready = true;
    changed.NotifyAll();
  });
  {
    const MutexLock lock(&mutex);
    while (!ready) {
      changed.Wait(&mutex);
    }
    EXPECT_TRUE(ready);
  }
  other.join();
}

TEST(MutexTest, AWaitEndsAtItsDeadlineWithTheLockHeld) {
  Mutex mutex;
  CondVar changed;
  MutexLock lock(&mutex);
  while (changed.WaitUntil(&mutex, std::chrono::steady_clock::now())) {
  }
  bool entered = false;
  std::thread other([&] {
    const MutexLock its(&mutex);
    entered = true;
  });
  // Held here, so the other cannot have come in.
  EXPECT_FALSE(entered);
  lock.Unlock();
  other.join();
  lock.Lock();
  EXPECT_TRUE(entered);
}

TEST(RoleTest, BelongsToTheFirstThreadThatSaysSo) {
  Role role;
  std::thread([&] {
    role.AssertHeld();
    role.AssertHeld();
  }).join();
  EXPECT_DEATH(role.AssertHeld(), "broken invariant");
}

}  // namespace
}  // namespace catchup
