#include "host/runner/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "host/base/inherited.h"
#include "host/base/str_cat.h"
#include "host/base/unique_fd.h"

namespace catchup {
namespace {

// Above the host's own, so that the kernel ends a leaking plugin first.
constexpr char kOomScore[] = "500";

}  // namespace

Status StartClean(int first_free) {
  CATCHUP_RETURN_IF_ERROR(CloseDescriptorsFrom(first_free));
  CATCHUP_RETURN_IF_ERROR(OpenStandardDescriptors());
  CATCHUP_RETURN_IF_ERROR(ResetSignals());
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  // A plugin's own system calls are not cut short by what means nothing to it.
  nothing.sa_flags = SA_RESTART;
  for (const int number : {SIGTERM, SIGINT, SIGPIPE, SIGXFSZ, SIGHUP, SIGALRM}) {
    if (sigaction(number, &nothing, nullptr) != 0) {
      return Status::FromErrno(StrCat("take signal ", number, " (sigaction)"), errno);
    }
  }
  return {};
}

Status PrepareProcess(int host_pid, int first_free_fd) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    return Status::FromErrno("die with the host (prctl PR_SET_PDEATHSIG)", errno);
  }
  // The host may have died before the line above took effect.
  if (getppid() != host_pid) {
    return Status::Cancelled("the host is gone");
  }
  // What a plugin leaves of its own processes stays below this one, and comes to the host with its
  // end, which can so tell whose it was.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return Status::FromErrno("adopt orphans (prctl PR_SET_CHILD_SUBREAPER)", errno);
  }
  // It was executed by descriptor, whose number would otherwise show as its name.
  (void)prctl(PR_SET_NAME, "catchup-runner");
  if (setsid() < 0) {
    return Status::FromErrno("make a session of its own (setsid)", errno);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Status::FromErrno("give up new privileges (prctl PR_SET_NO_NEW_PRIVS)", errno);
  }
  for (int fd = kEventRingFd; fd < first_free_fd; ++fd) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      return Status::FromErrno(StrCat("keep descriptor ", fd, " from children"), errno);
    }
  }
  umask(077);
  const UniqueFd oom(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (oom.valid()) {
    // Raising one's own score is always allowed; where /proc is not there, it only helps less.
    (void)!write(oom.get(), kOomScore, sizeof kOomScore - 1);
  }
  return {};
}

}  // namespace catchup
