#include "host/base/signals.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "host/base/str_cat.h"

namespace catchup {
namespace {

// What the kernel keeps of a process's name, with its final zero.
constexpr std::size_t kProgramBytes = 16;

sigset_t IdleSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGSTKFLT,
                           SIGPIPE, SIGXFSZ}) {
    sigaddset(&set, number);
  }
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) {
    sigaddset(&set, number);
  }
  return set;
}

sigset_t HostSignals() {
  sigset_t set = IdleSignals();
  for (const int number : {SIGTERM, SIGINT, SIGXCPU, SIGHUP}) {
    sigaddset(&set, number);
  }
  return set;
}

void Block(const sigset_t& set) {
  CATCHUP_CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  // Failed writes say so by themselves, in a thread of a library that unblocks them, too.
  CATCHUP_CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
  CATCHUP_CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
  // Where it fails they keep what they had, and the library sets them once it needs them.
  (void)SetLibrarySignals(SIG_IGN);
}

// Empty if it is gone or may not be looked at.
std::string ProgramOf(pid_t pid) {
  const std::string path = StrCat("/proc/", pid, "/comm");
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char name[kProgramBytes];
  const ssize_t size = file.valid() ? read(file.get(), name, sizeof name) : -1;
  std::string program(name, size > 0 ? static_cast<std::size_t>(size) : 0);
  return program.substr(0, program.find('\n'));
}

}  // namespace

Status SetLibrarySignals(void (*handler)(int)) {
  // The struct that the kernel takes.
  const struct {
    void (*handler)(int);
    unsigned long flags = 0;
    void (*restorer)() = nullptr;
    unsigned long mask = 0;
  } action{handler};
  for (const int number : {32, 33}) {
    if (syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof action.mask) != 0) {
      return Status::FromErrno(StrCat("set signal ", number, " (sigaction)"), errno);
    }
  }
  return {};
}

std::string SignalName(int number) {
  if (number >= SIGRTMIN && number <= SIGRTMAX) {
    return StrCat("SIGRTMIN+", number - SIGRTMIN);
  }
  const char* name = sigabbrev_np(number);
  return name != nullptr ? "SIG" + std::string(name) : StrCat("signal ", number);
}

void BlockIdleSignals() { Block(IdleSignals()); }

void BlockHostSignals() { Block(HostSignals()); }

std::string ReceivedSignal::Sender() const {
  if (!by_process) {
    switch (number) {
      case SIGINT:
        return "the kernel (a key of the terminal)";
      case SIGHUP:
        return "the kernel (the terminal was closed)";
      case SIGXCPU:
        return "the kernel (the limit of CPU time, RLIMIT_CPU)";
      default:
        return "the kernel";
    }
  }
  if (pid == 0) {
    return StrCat("a process outside of this one's namespace, uid ", uid);
  }
  return StrCat("pid ", pid, program.empty() ? "" : StrCat(" (", program, ")"), ", uid ", uid);
}

Result<SignalInbox> SignalInbox::Open() { return Of(HostSignals()); }

Result<SignalInbox> SignalInbox::OpenForCommand(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : signals) {
    struct sigaction present {};
    // A blocked signal comes, though it is ignored.
    if (sigaction(number, nullptr, &present) == 0 && present.sa_handler != SIG_IGN) {
      sigaddset(&set, number);
    }
  }
  CATCHUP_CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  return Of(set);
}

Result<SignalInbox> SignalInbox::Of(const sigset_t& set) {
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) {
    return Status::FromErrno("receive signals (signalfd)", errno);
  }
  return SignalInbox(std::move(fd));
}

std::optional<ReceivedSignal> SignalInbox::Take() {
  signalfd_siginfo info{};
  if (read(fd_.get(), &info, sizeof info) != sizeof info) {
    return std::nullopt;
  }
  ReceivedSignal received;
  received.number = static_cast<int>(info.ssi_signo);
  received.by_process =
      info.ssi_code == SI_USER || info.ssi_code == SI_QUEUE || info.ssi_code == SI_TKILL;
  if (received.by_process) {
    received.pid = static_cast<pid_t>(info.ssi_pid);
    received.uid = info.ssi_uid;
    received.program = ProgramOf(received.pid);
  }
  return received;
}

}  // namespace catchup
