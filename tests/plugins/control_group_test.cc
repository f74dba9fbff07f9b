#include "host/plugins/control_group.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "tests/test_files.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1u << 20;

// A folder of plain files in place of the kernel's.
class ControlGroupTest : public testing::Test {
 protected:
  const TemporaryFolder folder_;
};

TEST_F(ControlGroupTest, TheHostMovesIntoAGroupOfItsOwnAndHandsOnTheControllers) {
  ASSERT_TRUE(ControlGroups::Take(folder_.path()).ok());
  EXPECT_EQ(ReadFile(folder_.path() / "host/cgroup.procs"), std::to_string(getpid()));
  EXPECT_EQ(ReadFile(folder_.path() / "cgroup.subtree_control"), "+memory +pids");
}

TEST_F(ControlGroupTest, ARunnersGroupHasItsLimitAndWhatFilesMayTakeBeside) {
  const auto groups = ControlGroups::Take(folder_.path());
  ASSERT_TRUE(groups.ok());
  const auto group = groups->Make("orders", 7, 512 * kMiB);
  ASSERT_TRUE(group.ok()) << group.status().message();
  const fs::path made = folder_.path() / "runner-orders-7";
  EXPECT_EQ(ReadFile(made / "memory.max"), std::to_string(576 * kMiB));
  EXPECT_EQ(ReadFile(made / "memory.oom.group"), "1");
  EXPECT_EQ(ReadFile(made / "pids.max"), "4096");
  ASSERT_TRUE((*group)->Enter(4711).ok());
  EXPECT_EQ(ReadFile(made / "cgroup.procs"), "4711");
}

TEST_F(ControlGroupTest, TellsAKillForWantOfMemoryFromOthers) {
  const auto groups = ControlGroups::Take(folder_.path());
  ASSERT_TRUE(groups.ok());
  const auto group = groups->Make("orders", 1, 512 * kMiB);
  ASSERT_TRUE(group.ok());
  EXPECT_FALSE((*group)->OutOfMemory()) << "no such file";
  const fs::path events = (*group)->folder() / "memory.events";
  WriteFile(events, "low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\noom_group_kill 0\n");
  EXPECT_FALSE((*group)->OutOfMemory());
  WriteFile(events, "low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 1\n");
  EXPECT_TRUE((*group)->OutOfMemory());
}

TEST_F(ControlGroupTest, WhatAnEarlierHostLeftIsRemoved) {
  fs::create_directory(folder_.path() / "runner-orders-3");
  fs::create_directory(folder_.path() / "other");
  ASSERT_TRUE(ControlGroups::Take(folder_.path()).ok());
  EXPECT_FALSE(fs::exists(folder_.path() / "runner-orders-3"));
  EXPECT_TRUE(fs::exists(folder_.path() / "other"));
}

TEST_F(ControlGroupTest, AFolderThatCannotBeUsedIsNamed) {
  const auto groups = ControlGroups::Take(folder_.path() / "nothing");
  ASSERT_FALSE(groups.ok());
  EXPECT_NE(groups.status().message().find("nothing/host"), std::string::npos)
      << groups.status().message();
}

// Takes more than its group may, in the group; a process of its own, since whoever takes what was
// handed over moves.
int BeKilledInARealGroup(const ControlGroups& groups) {
  const auto group = groups.Make("test", 1, 16 * kMiB);
  if (!group.ok()) {
    return 1;
  }
  const pid_t child = fork();
  if (child == 0) {
    raise(SIGSTOP);
    void* memory =
        mmap(nullptr, 256 * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memset(memory, 1, 256 * kMiB);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, WUNTRACED);
  if (!(*group)->Enter(child).ok()) {
    return 2;
  }
  kill(child, SIGCONT);
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && (*group)->OutOfMemory() ? 0 : 3;
}

TEST(RealControlGroupTest, EndsWhatTakesMoreThanItsLimit) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto groups = ControlGroups::Find();
    if (!groups.ok()) {
      (void)!write(ends[1], groups.status().message().data(), groups.status().message().size());
      _exit(77);
    }
    _exit(BeKilledInARealGroup(*groups));
  }
  close(ends[1]);
  std::string why(1024, '\0');
  const ssize_t size = read(ends[0], why.data(), why.size());
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    why.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    GTEST_SKIP() << "against plain files only: " << why;
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace catchup
