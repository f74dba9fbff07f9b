#include "host/runner/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "host/base/unique_fd.h"
#include "host/runner/instance.h"

namespace catchup {
namespace {

constexpr int kDeadlySignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
constexpr std::size_t kAlternateStack = 64 << 10;
// Above the host's own, so that the kernel ends a leaking plugin first.
constexpr char kOomScore[] = "500";

const RunnerEnd* g_ring = nullptr;
char g_group[80] = "";

// Only calls that are safe in a signal handler.
class SignalLine {
 public:
  SignalLine& Add(std::string_view text) {
    const std::size_t room = sizeof bytes_ - size_;
    const std::size_t taken = text.size() < room ? text.size() : room;
    std::memcpy(bytes_ + size_, text.data(), taken);
    size_ += taken;
    return *this;
  }
  SignalLine& Add(std::uint64_t number) {
    char digits[20];
    std::size_t at = sizeof digits;
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    return Add(std::string_view(digits + at, sizeof digits - at));
  }
  void Write() const { (void)!write(STDERR_FILENO, bytes_, size_); }

 private:
  char bytes_[256];
  std::size_t size_ = 0;
};

void ReportCrash(int signal_number) {
  SignalLine line;
  line.Add("catchup-runner: group ").Add(g_group).Add(": signal ");
  line.Add(static_cast<std::uint64_t>(signal_number)).Add(" in call ");
  // "none" and 0 between two calls: nothing is to blame then.
  line.Add(CallName(g_ring->current_call_kind())).Add(", event ");
  line.Add(g_ring->current_sequence()).Add("\n");
  line.Write();
  // The handler was installed with SA_RESETHAND, so this one kills.
  (void)raise(signal_number);
}

}  // namespace

Status PrepareProcess(int host_pid) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    return Status::FromErrno("die with the host", errno);
  }
  // The host may have died before the line above took effect.
  if (getppid() != host_pid) {
    return Status::Cancelled("the host is gone");
  }
  // What a plugin leaves of its own processes stays below this one, and comes to the host with its
  // end, which can so tell whose it was.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return Status::FromErrno("adopt orphans", errno);
  }
  // It was executed by descriptor, whose number would otherwise show as its name.
  if (prctl(PR_SET_NAME, "catchup-runner") != 0) {
    return Status::FromErrno("name the process", errno);
  }
  if (setsid() < 0) {
    return Status::FromErrno("make a session of its own", errno);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Status::FromErrno("give up new privileges", errno);
  }
  if (signal(SIGTERM, SIG_IGN) == SIG_ERR || signal(SIGINT, SIG_IGN) == SIG_ERR) {
    return Status::FromErrno("ignore SIGTERM and SIGINT", errno);
  }
  for (int fd = kEventRingFd; fd < kFirstFreeFd; ++fd) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      return Status::FromErrno("keep descriptor " + std::to_string(fd) + " from children", errno);
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

Status InstallCrashReport(const RunnerEnd* ring, const char* group) {
  g_ring = ring;
  std::snprintf(g_group, sizeof g_group, "%s", group);
  static std::array<std::byte, kAlternateStack> stack_memory;
  stack_t stack{};
  stack.ss_sp = stack_memory.data();
  stack.ss_size = stack_memory.size();
  if (sigaltstack(&stack, nullptr) != 0) {
    return Status::FromErrno("install a signal stack", errno);
  }
  struct sigaction action {};
  action.sa_handler = ReportCrash;
  action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND | SA_NODEFER);
  for (const int number : kDeadlySignals) {
    if (sigaction(number, &action, nullptr) != 0) {
      return Status::FromErrno("install the crash report", errno);
    }
  }
  return {};
}

}  // namespace catchup
