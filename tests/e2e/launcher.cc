// launcher OPTION... -- PROGRAM ARGUMENT...: becomes PROGRAM in a process with inherited state that
// nobody wants, or on a system that lacks something. The options:
//
//   --open FD              leaves FD open (on /dev/null), not close-on-exec
//   --close FD             closes FD
//   --ignore-signals       ignores every signal but SIGHUP
//   --block-signals        blocks every signal
//   --alarm                leaves a timer that sends SIGALRM every 20 ms
//   --umask MASK           octal
//   --limit NAME VALUE     as, cpu, fsize, nofile, nproc, stack; of both limits
//   --user UID             if this is root: that user and no group
//   --gone                 a working directory that has been removed
//   --deny CALL ERRNO      the call fails so (ENOSYS, EPERM, EAGAIN, ENOSPC); `thread`: no thread
//   can be made
#include <dirent.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

#if defined(__x86_64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#endif

constexpr unsigned kCloneThread = 0x00010000;

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "launcher: %s: %s\n", what.c_str(), std::strerror(errno));
  _exit(125);
}

unsigned CallNumber(const std::string& name) {
  static const std::map<std::string, unsigned> kCalls = {
    {"clone3", SYS_clone3},
    {"close_range", SYS_close_range},
    {"copy_file_range", SYS_copy_file_range},
    {"epoll_create1", SYS_epoll_create1},
    {"eventfd2", SYS_eventfd2},
    {"faccessat2", SYS_faccessat2},
    {"getrandom", SYS_getrandom},
    {"madvise", SYS_madvise},
    {"memfd_create", SYS_memfd_create},
#if defined(SYS_mkdir)
    {"mkdir", SYS_mkdir},
#else
    {"mkdir", SYS_mkdirat},
#endif
    {"openat2", SYS_openat2},
    {"pidfd_open", SYS_pidfd_open},
    {"pidfd_send_signal", SYS_pidfd_send_signal},
    {"pipe2", SYS_pipe2},
    {"prctl", SYS_prctl},
    {"prlimit64", SYS_prlimit64},
    {"pwrite64", SYS_pwrite64},
    {"renameat2", SYS_renameat2},
    {"setsid", SYS_setsid},
    {"signalfd4", SYS_signalfd4},
    {"statx", SYS_statx},
    {"timerfd_create", SYS_timerfd_create},
    {"utimensat", SYS_utimensat},
    {"waitid", SYS_waitid},
  };
  const auto found = kCalls.find(name);
  if (found == kCalls.end()) {
    errno = EINVAL;
    Fail("call " + name);
  }
  return found->second;
}

unsigned ErrorNumber(const std::string& name) {
  static const std::map<std::string, unsigned> kErrors = {
      {"ENOSYS", ENOSYS}, {"EPERM", EPERM}, {"EAGAIN", EAGAIN}, {"ENOSPC", ENOSPC}};
  return kErrors.at(name);
}

class Filter {
 public:
  Filter() {
    Add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
    Jump(kArchitecture, 1, 0);
    Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    Add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  }

  void Deny(unsigned call, unsigned error) {
    Jump(call, 0, 1);
    Add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    used_ = true;
  }

  // The library falls back from clone3, whose flags a filter cannot see, to clone.
  void DenyThreads(unsigned error) {
    Deny(SYS_clone3, ENOSYS);
    Jump(SYS_clone, 0, 4);
    Add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0]));
    program_.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kCloneThread, 0, 1));
    Add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    Add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  }

  void Install() {
    if (!used_) {
      return;
    }
    Add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const sock_fprog program{static_cast<unsigned short>(program_.size()), program_.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      Fail("install the filter");
    }
  }

 private:
  void Add(unsigned short code, unsigned value) { program_.push_back(BPF_STMT(code, value)); }
  void Jump(unsigned value, unsigned char yes, unsigned char no) {
    program_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no));
  }

  std::vector<sock_filter> program_;
  bool used_ = false;
};

void Limit(const std::string& name, const std::string& value) {
  static const std::map<std::string, __rlimit_resource> kLimits = {
      {"as", RLIMIT_AS},         {"cpu", RLIMIT_CPU},     {"fsize", RLIMIT_FSIZE},
      {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}, {"stack", RLIMIT_STACK}};
  const rlim_t most = std::stoull(value);
  const rlimit limit{most, most};
  if (setrlimit(kLimits.at(name), &limit) != 0) {
    Fail("limit " + name);
  }
}

void Ignore() {
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGHUP) {
      (void)signal(number, SIG_IGN);  // SIGKILL and SIGSTOP cannot be.
    }
  }
}

void LeaveDirectory() {
  char path[] = "/tmp/catchup-gone-XXXXXX";
  if (mkdtemp(path) == nullptr || chdir(path) != 0 || rmdir(path) != 0) {
    Fail("a directory that is gone");
  }
}

}  // namespace

int main(int argc, char** argv) {
  Filter filter;
  std::vector<int> closed;
  int i = 1;
  const auto next = [&] {
    if (i >= argc) {
      errno = EINVAL;
      Fail("arguments");
    }
    return std::string(argv[i++]);
  };
  for (std::string option = next(); option != "--"; option = next()) {
    if (option == "--open") {
      const int null = open("/dev/null", O_RDWR);
      const int wanted = std::stoi(next());
      if (dup2(null, wanted) != wanted) Fail("open");
      if (null != wanted) close(null);
    } else if (option == "--close") {
      closed.push_back(std::stoi(next()));
    } else if (option == "--ignore-signals") {
      Ignore();
    } else if (option == "--block-signals") {
      sigset_t all;
      sigfillset(&all);
      sigprocmask(SIG_SETMASK, &all, nullptr);
    } else if (option == "--alarm") {
      const itimerval often{{0, 20'000}, {0, 20'000}};
      (void)setitimer(ITIMER_REAL, &often, nullptr);
    } else if (option == "--umask") {
      umask(static_cast<mode_t>(std::stoul(next(), nullptr, 8)));
    } else if (option == "--limit") {
      const std::string name = next();
      Limit(name, next());
    } else if (option == "--user") {
      const auto user = static_cast<uid_t>(std::stoul(next()));
      if (getuid() == 0 && (setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0)) {
        Fail("user");
      }
    } else if (option == "--gone") {
      LeaveDirectory();
    } else if (option == "--deny") {
      const std::string call = next();
      const unsigned error = ErrorNumber(next());
      call == "thread" ? filter.DenyThreads(error) : filter.Deny(CallNumber(call), error);
    } else {
      errno = EINVAL;
      Fail(option);
    }
  }
  if (i >= argc) {
    errno = EINVAL;
    Fail("no program");
  }
  filter.Install();
  for (const int fd : closed) {
    close(fd);
  }
  execv(argv[i], argv + i);
  Fail(argv[i]);
}
