#include "tests/ring/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "host/base/check.h"
#include "host/base/unique_fd.h"

namespace catchup {
namespace {

constexpr int kFirstRingFd = 3;
// Above every number a child gets, so that no dup2 in it overwrites a source.
constexpr int kFirstSourceFd = 64;

}  // namespace

RingChild::RingChild(const std::string& path, const std::vector<std::string>& arguments,
                     const HostEnd::Descriptors& rings, ChildOutput output) {
  posix_spawn_file_actions_t actions;
  CATCHUP_CHECK(posix_spawn_file_actions_init(&actions) == 0);
  std::vector<UniqueFd> sources;
  const auto pass = [&](int from, int to) {
    sources.emplace_back(fcntl(from, F_DUPFD_CLOEXEC, kFirstSourceFd));
    CATCHUP_CHECK(sources.back().valid());
    CATCHUP_CHECK(posix_spawn_file_actions_adddup2(&actions, sources.back().get(), to) == 0);
  };
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  pass(null.get(), STDIN_FILENO);
  pass(output.out >= 0 ? output.out : STDOUT_FILENO, STDOUT_FILENO);
  pass(output.err >= 0 ? output.err : STDERR_FILENO, STDERR_FILENO);
  int to = kFirstRingFd;
  // The last stands for the lock of the runner.
  for (const int fd : {rings.event_ring, rings.outcome_ring, rings.large_region, rings.runner_wake,
                       rings.host_wake, null.get()}) {
    pass(fd, to++);
  }
  std::vector<char*> argv{const_cast<char*>(path.c_str())};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  CATCHUP_CHECK(posix_spawn(&pid_, path.c_str(), &actions, nullptr, argv.data(), environ) == 0);
  CATCHUP_CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
}

RingChild::~RingChild() {
  if (!HasEnded()) {
    (void)kill(pid_, SIGKILL);
    (void)waitpid(pid_, nullptr, 0);
  }
}

bool RingChild::HasEnded() {
  ended_ = ended_ || waitpid(pid_, &status_, WNOHANG) == pid_;
  return ended_;
}

int RingChild::Wait() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!HasEnded()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return status_;
}

}  // namespace catchup
