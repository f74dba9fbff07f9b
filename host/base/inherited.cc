#include "host/base/inherited.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "host/base/signals.h"
#include "host/base/str_cat.h"

namespace catchup {
namespace {

// CLOSE_RANGE_CLOEXEC of linux/close_range.h, which older systems do not have.
constexpr unsigned kCloseOnExec = 1U << 2;

// What a thread gets where nothing is limited. Less than the smaller one does not carry the
// libraries this program links; far more would use up a limit of address space by a few threads.
constexpr rlim_t kUsualStack = 8u << 20;
constexpr rlim_t kSmallestStack = 2u << 20;

int CloseRange(unsigned first, unsigned flags) {
#ifdef SYS_close_range
  return static_cast<int>(syscall(SYS_close_range, first, ~0U, flags));
#else
  (void)first;
  (void)flags;
  errno = ENOSYS;
  return -1;
#endif
}

struct CloseDirectory {
  void operator()(DIR* directory) const { (void)closedir(directory); }
};

// Those from `first` on that this process has open; without /proc every number it may have.
std::vector<int> OpenDescriptors(int first) {
  std::vector<int> found;
  const std::unique_ptr<DIR, CloseDirectory> directory(opendir("/proc/self/fd"));
  if (directory == nullptr) {
    rlimit limit{};
    // Beyond any number that a parent uses, where the limit says nothing.
    constexpr rlim_t kMost = 1u << 16;
    const bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0;
    for (int fd = first; fd < static_cast<int>(known ? std::min(limit.rlim_cur, kMost) : kMost);
         ++fd) {
      found.push_back(fd);
    }
    return found;
  }
  while (const dirent* entry = readdir(directory.get())) {  // NOLINT: one thread.
    int fd = -1;
    const char* end = entry->d_name + std::strlen(entry->d_name);
    const bool is_number = std::from_chars(entry->d_name, end, fd).ptr == end;
    if (is_number && fd >= first && fd != dirfd(directory.get())) {
      found.push_back(fd);
    }
  }
  return found;
}

void GiveThreadsAUsualStack() {
  rlimit limit{};
  if (getrlimit(RLIMIT_STACK, &limit) != 0) {
    return;
  }
  // The first thread's may grow while it runs; what is executed from here inherits it.
  if (limit.rlim_cur < kUsualStack) {
    limit.rlim_cur = std::min(kUsualStack, limit.rlim_max);
    (void)setrlimit(RLIMIT_STACK, &limit);
  }
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) {
    return;
  }
  // The limit at the start became the size of every thread's stack, whatever it is now.
  std::size_t size = 0;
  if (pthread_getattr_default_np(&attributes) == 0 &&
      pthread_attr_getstacksize(&attributes, &size) == 0 &&
      (size < kSmallestStack || size > kUsualStack)) {
    (void)pthread_attr_setstacksize(&attributes, kUsualStack);
    (void)pthread_setattr_default_np(&attributes);
  }
  (void)pthread_attr_destroy(&attributes);
}

}  // namespace

Status OpenStandardDescriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags < 0 && errno != EBADF) {
      continue;
    }
    if (flags >= 0) {
      if ((flags & FD_CLOEXEC) == 0) {
        continue;
      }
      // No parent can have left it: a library opened it before main, as gRPC does to see whether
      // there are eventfds, and forgets to close it where its number is 0.
      (void)close(fd);
    }
    // The lowest free number, which is this one, as those before are open. The wrong way round, so
    // that who reads events or writes results there is told, as without it.
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) {
      return Status::FromErrno(StrCat("open /dev/null as descriptor ", fd), errno);
    }
  }
  return {};
}

Status ResetSignals() {
  // First, so that none is sent behind what follows.
  const itimerval none{};
  for (const auto timer : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) {
    (void)setitimer(timer, &none, nullptr);
  }
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  struct sigaction fallback {};
  fallback.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction present {};
    if (number == SIGKILL || number == SIGSTOP || sigaction(number, nullptr, &present) != 0) {
      continue;
    }
    if (number == SIGHUP && present.sa_handler == SIG_IGN) {
      continue;
    }
    // One that was sent while it was blocked is forgotten by being ignored, unless it asks for an
    // end: that is still wanted.
    const bool asks =
        number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT;
    if ((!asks && sigaction(number, &ignore, nullptr) != 0) ||
        sigaction(number, &fallback, nullptr) != 0) {
      return Status::FromErrno(StrCat("reset signal ", number, " (sigaction)"), errno);
    }
  }
  CATCHUP_RETURN_IF_ERROR(SetLibrarySignals(SIG_DFL));
  sigset_t empty;
  sigemptyset(&empty);
  const int error = pthread_sigmask(SIG_SETMASK, &empty, nullptr);
  return error == 0 ? Status() : Status::FromErrno("unblock signals (sigprocmask)", error);
}

void KeepDescriptorsFromChildren() {
  constexpr int kFirst = STDERR_FILENO + 1;
  if (CloseRange(kFirst, kCloseOnExec) == 0) {
    return;
  }
  for (const int fd : OpenDescriptors(kFirst)) {
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

Status CloseDescriptorsFrom(int first) {
  if (CloseRange(static_cast<unsigned>(first), 0) == 0) {
    return {};
  }
  for (const int fd : OpenDescriptors(first)) {
    if (close(fd) != 0 && errno != EBADF && errno != EINTR && fcntl(fd, F_GETFD) >= 0) {
      return Status::FromErrno(StrCat("close inherited descriptor ", fd), errno);
    }
  }
  return {};
}

void LoosenInheritedLimits() {
  (void)umask(umask(077) & 077);
  GiveThreadsAUsualStack();
}

}  // namespace catchup
