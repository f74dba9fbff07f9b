#include "host/plugins/children.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace catchup {
namespace {

enum class Session { kOfItsParent, kOfItsOwn };

// What a runner's plugin leaves behind: a child with a session of its own ends, and one of its
// children lives on. True once that is so.
bool LeaveBehind(const std::string& owner, Session session) {
  int ready[2];
  if (pipe(ready) != 0) {
    return false;
  }
  Children& children = Children::OfThisProcess();
  const Result<pid_t> child = children.Spawn([&]() -> Result<pid_t> {
    const pid_t pid = fork();
    if (pid != 0) {
      return pid;
    }
    setsid();
    if (fork() != 0) {
      _exit(0);
    }
    if (session == Session::kOfItsOwn) {
      setsid();
    }
    (void)!write(ready[1], "", 1);
    while (true) {
      pause();
    }
  });
  if (!owner.empty()) {
    children.SetOwner(*child, owner);
  }
  char byte = 1;
  const bool left = read(ready[0], &byte, 1) == 1;
  close(ready[0]);
  close(ready[1]);
  (void)children.Reap(*child);
  return left;
}

// Groups end at the same time, and whoever sweeps first finds what all of them left.
TEST(ChildrenTest, AnOrphanIsToldAsItsOwnersUnlessItHasLeftTheSession) {
  Children& children = Children::OfThisProcess();
  ASSERT_TRUE(children.Adopt().ok());
  ASSERT_TRUE(LeaveBehind("a", Session::kOfItsParent));
  ASSERT_TRUE(LeaveBehind("b", Session::kOfItsParent));
  ASSERT_TRUE(LeaveBehind("b", Session::kOfItsOwn));
  ASSERT_TRUE(LeaveBehind("", Session::kOfItsParent));

  std::vector<std::string> owners;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  bool done = false;
  while (!done && std::chrono::steady_clock::now() < deadline) {
    const Children::Sweep sweep = children.KillOrphans();
    for (const Children::Orphan& orphan : sweep.killed) {
      owners.push_back(orphan.owner);
    }
    done = sweep.done;
    std::this_thread::sleep_for(Children::kSweepAgain);
  }

  EXPECT_TRUE(done);
  EXPECT_THAT(owners, testing::UnorderedElementsAre("a", "b", "", ""));
}

}  // namespace
}  // namespace catchup
