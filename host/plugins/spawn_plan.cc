#include "host/plugins/spawn_plan.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "host/base/environment.h"
#include "host/base/shortage.h"
#include "host/plugins/children.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::vector<std::string> ConstructEnvironment(const std::vector<std::string>& names) {
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"};
  const auto pass = [&](const std::string& name) {
    // Read while no other thread writes: this process never changes its environment.
    const char* value = std::getenv(name.c_str());  // NOLINT
    if (value == nullptr || IsForbiddenVariable(name)) {
      return;
    }
    // A name that stood twice would leave it to the program which one counts.
    const std::string beginning = name + "=";
    std::erase_if(environment,
                  [&](const std::string& other) { return other.starts_with(beginning); });
    environment.push_back(beginning + value);
  };
  pass("TZ");
  std::for_each(names.begin(), names.end(), pass);
  return environment;
}

Result<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Status::FromErrno("make a pipe for the runner (pipe2)", errno);
  }
  Pipe made;
  made.read_end = UniqueFd(ends[0]);
  made.write_end = UniqueFd(ends[1]);
  if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
    return Status::FromErrno("make a pipe for the runner (pipe2)", errno);
  }
  return made;
}

int OpenPidfd(pid_t pid) {
  // Debian 12's <sys/pidfd.h> lacks its extern "C", so the call is made by number.
  const auto pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pidfd >= 0 || (errno != ENOSYS && errno != EPERM)) {
    return pidfd;
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return -1;
  }
  UniqueFd read_end(ends[0]);
  auto thread = StartThread([pid, write_end = ends[1]] {
    // Whoever reaps the child may have closed the other end by the time of the write, and a command
    // that ends with its reader has SIGPIPE at its default.
    sigset_t all;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, nullptr);
    siginfo_t info{};
    // Leaves it to be reaped by who is told; one that was reaped meanwhile is gone as well.
    while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    (void)!write(write_end, "", 1);
    (void)close(write_end);
  });
  if (!thread.ok()) {
    (void)close(ends[1]);
    errno = EAGAIN;
    return -1;
  }
  thread->detach();  // Ends with the child.
  return read_end.Release();
}

Result<UniqueFd> Park(int fd, std::string_view what) {
  UniqueFd parked(fcntl(fd, F_DUPFD_CLOEXEC, kParkingFd));
  if (!parked.valid()) {
    // EINVAL: the limit (ulimit -n) ends below the number itself.
    const int error = errno == EINVAL ? EMFILE : errno;
    return Status::FromErrno(fmt::format("{} (fcntl, to a number from {})", what, kParkingFd),
                             error);
  }
  return parked;
}

SpawnPlan::SpawnPlan() {
  posix_spawn_file_actions_init(&actions_);
  posix_spawnattr_init(&attributes_);
}

SpawnPlan::~SpawnPlan() {
  posix_spawn_file_actions_destroy(&actions_);
  posix_spawnattr_destroy(&attributes_);
}

Status SpawnPlan::Give(int fd, int number) {
  CATCHUP_ASSIGN_OR_RETURN(UniqueFd parked, Park(fd, "copy a descriptor for the runner"));
  const int error = posix_spawn_file_actions_adddup2(&actions_, parked.get(), number);
  parked_.push_back(std::move(parked));
  return error == 0 ? Status() : Status::FromErrno("plan the runner's descriptors", error);
}

Status SpawnPlan::NullInput() {
  const int error =
      posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  return error == 0 ? Status() : Status::FromErrno("plan the runner's input", error);
}

Status SpawnPlan::WorkIn(const fs::path& directory) {
  const int error = posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str());
  return error == 0 ? Status() : Status::FromErrno("plan the runner's directory", error);
}

Result<pid_t> SpawnPlan::Run(const char* path, std::vector<std::string> arguments,
                             std::vector<std::string> environment) {
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes_, &none);
  posix_spawnattr_setsigdefault(&attributes_, &all);
  posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  return Children::OfThisProcess().Spawn([&]() -> Result<pid_t> {
    pid_t pid = -1;
    const int error = posix_spawn(&pid, path, &actions_, &attributes_, Pointers(arguments).data(),
                                  Pointers(environment).data());
    if (error != 0) {
      return Status::FromErrno("start catchup-runner (clone, execve)", error);
    }
    return pid;
  });
}

}  // namespace catchup
