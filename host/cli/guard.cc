#include "host/cli/guard.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <system_error>

#include "host/base/signals.h"
#include "host/base/status.h"
#include "host/base/unique_fd.h"
#include "host/base/wait.h"
#include "host/cli/commands.h"
#include "host/plugins/children.h"
#include "host/plugins/spawn_plan.h"

namespace catchup {
namespace {

constexpr int kSignalExit = 128;

// A process that was told to end does so at once, unless the kernel holds it in a call that
// nothing can cut short.
constexpr int kEndLimitMs = 3'000;

// What processes that were killed may take to be gone.
constexpr std::chrono::seconds kOrphansEnd{2};

[[noreturn]] void Work(const std::function<int()>& work, pid_t guard, const sigset_t& signals) {
  // Both sides of the call: the guard may be gone already.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != guard) {
    _exit(kExitFailed);
  }
  CATCHUP_CHECK(sigprocmask(SIG_SETMASK, &signals, nullptr) == 0);
  // A reader that goes away ends the work, as it would end a tool that knows nothing of signals.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  CATCHUP_CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
  CATCHUP_CHECK(sigprocmask(SIG_UNBLOCK, &pipe, nullptr) == 0);
  // Its own runners' orphans come to it, so that they can be ended before the next one starts.
  int code = kExitFailed;
  if (Status adopting = Children::OfThisProcess().Adopt(); adopting.ok()) {
    code = KeepResults(work());
  } else {
    std::fprintf(stderr, "%s\n", adopting.message().c_str());
  }
  _exit(code);
}

// Until the child is gone; passes on what asks for the end.
void Watch(pid_t child, int pidfd, SignalInbox* signals) {
  int timeout = -1;
  while (true) {
    pollfd waits[] = {{pidfd, POLLIN, 0}, {signals->fd(), POLLIN, 0}};
    const int ready = PollOrPause(waits, std::size(waits), timeout);
    if ((waits[0].revents & POLLIN) != 0) {
      return;
    }
    if (ready == 0) {
      (void)kill(child, SIGKILL);
    }
    while (const auto signal = signals->Take()) {
      (void)kill(child, signal->number);
      // A stopped one is to hear of it too.
      (void)kill(child, SIGCONT);
      timeout = kEndLimitMs;
    }
  }
}

}  // namespace

int RunGuarded(const std::function<int()>& work) {
  Children& children = Children::OfThisProcess();
  if (Status adopting = children.Adopt(); !adopting.ok()) {
    std::fprintf(stderr, "%s\n", adopting.message().c_str());
    return kExitFailed;
  }
  std::fflush(nullptr);
  // What ends a command from outside is held back while the guard works.
  sigset_t before;
  CATCHUP_CHECK(sigprocmask(SIG_SETMASK, nullptr, &before) == 0);
  // Those of a crash, too, as far as somebody sent them: of its own they end this process as ever.
  auto signals = SignalInbox::OpenForCommand({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU, SIGABRT,
                                              SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP});
  if (!signals.ok()) {
    std::fprintf(stderr, "%s\n", signals.status().message().c_str());
    return kExitFailed;
  }
  const pid_t guard = getpid();
  const pid_t child = fork();
  if (child == 0) {
    Work(work, guard, before);
  }
  if (child < 0) {
    std::fprintf(stderr, "%s\n",
                 Status::FromErrno("start a process of its own", errno).message().c_str());
    return kExitFailed;
  }
  (void)children.Spawn([child]() -> Result<pid_t> { return child; });
  const UniqueFd pidfd(OpenPidfd(child));
  if (pidfd.valid()) {
    Watch(child, pidfd.get(), &*signals);
  }
  const siginfo_t end = children.Reap(child);
  children.EndOrphans(kOrphansEnd);
  CATCHUP_CHECK(sigprocmask(SIG_SETMASK, &before, nullptr) == 0);
  return end.si_code == CLD_EXITED ? end.si_status : kSignalExit + end.si_status;
}

int EndProcess(int code) {
  if (code > kSignalExit) {
    const int number = code - kSignalExit;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    // It was no death of this process: no core of it.
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(number, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &set, nullptr);
    (void)raise(number);
  }
  return code;
}

int KeepResults(int code) {
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  const int error = errno;
  if (flushed && std::ferror(stdout) == 0) {
    return code;
  }
  std::fprintf(stderr, "cannot write the result%s\n",
               error == 0 ? "" : (": " + std::generic_category().message(error)).c_str());
  return code == kExitDone ? kExitFailed : code;
}

}  // namespace catchup
