#include "host/plugins/memory_use.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <thread>

#include "host/base/unique_fd.h"

namespace catchup {
namespace {

constexpr std::size_t kMiB = 1u << 20;
constexpr std::size_t kMuch = 32 * kMiB;

void Fill(int flags, int fd, std::size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (memory == MAP_FAILED) {
    _exit(1);
  }
  std::memset(memory, 1, size);
}

// A process that does `what` and then waits to be killed; there once that is done.
class Child {
 public:
  explicit Child(const std::function<void()>& what) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      what();
      (void)!write(ends[1], "", 1);
      while (true) pause();
    }
    const UniqueFd read_end(ends[0]);
    close(ends[1]);
    char done = 0;
    EXPECT_EQ(read(read_end.get(), &done, 1), 1);
  }
  ~Child() { End(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void End() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(std::exchange(pid_, 0), nullptr, 0);
    }
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

std::size_t UseOf(const Child& child) {
  const auto use = ReadMemoryUse(child.pid());
  EXPECT_TRUE(use.has_value());
  return use.has_value() ? use->bytes : 0;
}

// What it has from us, as a fork of this process.
std::size_t Usual() {
  return UseOf(Child([] {}));
}

TEST(ProcessorTimeTest, GrowsWhileAProcessRunsAndStandsWhileItWaits) {
  const Child child([] {});
  const auto stopped = [&] {
    int status = 0;
    kill(child.pid(), SIGSTOP);
    return waitpid(child.pid(), &status, WUNTRACED) == child.pid() && WIFSTOPPED(status);
  };
  ASSERT_TRUE(stopped());
  const auto before = ReadProcessorTime(child.pid());
  ASSERT_TRUE(before.has_value());
  EXPECT_EQ(ReadMemoryUse(child.pid())->ran, before);
  EXPECT_EQ(ReadProcessorTime(child.pid()), before);
  kill(child.pid(), SIGCONT);
  ASSERT_TRUE(stopped()) << "it ran to be stopped again";
  EXPECT_GT(ReadProcessorTime(child.pid()), before);
}

TEST(ProcessorTimeTest, ThereIsNoneOfAProcessThatIsGone) {
  Child child([] {});
  const pid_t pid = child.pid();
  child.End();
  EXPECT_EQ(ReadProcessorTime(pid), std::nullopt);
}

TEST(MemoryUseTest, CountsWhatAProcessFills) {
  const Child child([] { Fill(MAP_PRIVATE | MAP_ANONYMOUS, -1, kMuch); });
  EXPECT_GE(UseOf(child), Usual() + kMuch - kMiB);
  EXPECT_LE(UseOf(child), Usual() + kMuch + 8 * kMiB);
}

// The kernel can drop what is a file's, and rings are shared.
TEST(MemoryUseTest, LeavesOutWhatIsSharedOrAFiles) {
  const Child child([] {
    Fill(MAP_SHARED | MAP_ANONYMOUS, -1, kMuch);
    const int fd = memfd_create("file", MFD_CLOEXEC);
    if (ftruncate(fd, kMuch) != 0) {
      _exit(1);
    }
    Fill(MAP_SHARED, fd, kMuch);
  });
  EXPECT_LE(UseOf(child), Usual() + 8 * kMiB);
}

// Whoever made them, and also where those in between have ended.
TEST(MemoryUseTest, CountsTheProcessesBelow) {
  const Child child([] {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int ends[2];
    int lives[2];  // Nobody writes to it: it ends with the child.
    if (pipe(ends) != 0 || pipe(lives) != 0) {
      _exit(1);
    }
    const auto leave = [&] {
      close(lives[1]);
      Fill(MAP_PRIVATE | MAP_ANONYMOUS, -1, kMuch);
      (void)!write(ends[1], "", 1);
      char none = 0;
      (void)!read(lives[0], &none, 1);
      _exit(0);
    };
    std::thread([&] {
      if (fork() == 0) {
        leave();
      }
      while (true) pause();  // What a thread has made is its own for as long as it lives.
    }).detach();
    const pid_t between = fork();
    if (between == 0) {
      setsid();
      if (fork() == 0) {
        leave();
      }
      _exit(0);
    }
    waitpid(between, nullptr, 0);
    char done[2];
    for (int i = 0; i < 2; ++i) {
      (void)!read(ends[0], done, 1);
    }
  });
  const auto use = ReadMemoryUse(child.pid());
  ASSERT_TRUE(use.has_value());
  EXPECT_EQ(use->processes, 3u);
  EXPECT_GE(use->bytes, 2 * kMuch);
}

TEST(MemoryUseTest, OfAProcessThatIsGoneThereIsNone) {
  Child child([] {});
  const pid_t pid = child.pid();
  child.End();
  EXPECT_FALSE(ReadMemoryUse(pid).has_value());
}

}  // namespace
}  // namespace catchup
