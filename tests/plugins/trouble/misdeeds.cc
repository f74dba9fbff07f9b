#include "tests/plugins/trouble/misdeeds.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <cerrno>
#include <cfenv>
#include <chrono>
#include <clocale>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace trouble {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// A status of any number, those that plugin_types.hpp has no name for included.
class Status : public catchup::Error {
 public:
  Status(std::int32_t status, const std::string& text) : Error(status, text) {}
};

std::string TextOf(const Order& order) {
  return order.text.empty() ? order.what + " as ordered" : order.text;
}

void Ok(const Order&, const catchup::Host&) {}
void Reject(const Order& order, const catchup::Host&) { throw catchup::Reject(TextOf(order)); }
void Retry(const Order& order, const catchup::Host&) { throw catchup::Retry(TextOf(order)); }
void Fatal(const Order& order, const catchup::Host&) { throw catchup::Fatal(TextOf(order)); }
void Fail(const Order& order, const catchup::Host&) { throw Status(CATCHUP_FAILED, TextOf(order)); }
void Throw(const Order& order, const catchup::Host&) { throw std::runtime_error(TextOf(order)); }
void ThrowInt(const Order&, const catchup::Host&) { throw 42; }
void BadStatus(const Order& order, const catchup::Host&) { throw Status(77, TextOf(order)); }

void Segv(const Order&, const catchup::Host&) {
  volatile int* volatile nowhere = reinterpret_cast<volatile int*>(64);
  *nowhere = 1;
}
void Abort(const Order&, const catchup::Host&) { std::abort(); }
void Exit(const Order&, const catchup::Host&) { std::exit(3); }

// The frame is used after the call, so that it is none the compiler can drop.
int Recurse(std::uint64_t depth) {
  volatile char frame[4096];
  frame[depth % sizeof frame] = 1;
  return depth == 0 ? 0 : Recurse(depth - 1) + frame[0];
}
void StackOverflow(const Order&, const catchup::Host&) { (void)Recurse(UINT64_MAX); }

void Bus(const Order&, const catchup::Host&) {
  const int file = memfd_create("empty", MFD_CLOEXEC);
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) throw catchup::Retry("mmap: no memory is to be had");
  *static_cast<volatile char*>(memory) = 1;  // Beyond the end of the file.
}
void Fpe(const Order&, const catchup::Host&) {
  volatile int number = 7;
  const volatile int zero = 0;
  number = number / zero;
}
void Ill(const Order&, const catchup::Host&) { __builtin_trap(); }
void Terminate(const Order&, const catchup::Host&) { std::terminate(); }
void ExitAtOnce(const Order&, const catchup::Host&) { _exit(4); }
void ExitThread(const Order&, const catchup::Host&) { pthread_exit(nullptr); }

// To a frame that is not there any more: what runs then is anybody's guess.
std::jmp_buf gone;
__attribute__((noinline)) int Leave() { return setjmp(gone); }
void LongJump(const Order&, const catchup::Host&) {
  if (Leave() == 0) std::longjmp(gone, 1);
  std::abort();
}

// Reuses what another language leaves behind: no type that C++ knows.
void ThrowForeign(const Order&, const catchup::Host&) {
  static _Unwind_Exception foreign;
  foreign = {};
  _Unwind_RaiseException(&foreign);
}

void Hang(const Order&, const catchup::Host&) {
  while (true) pause();
}
void Spin(const Order&, const catchup::Host&) {
  const volatile bool for_ever = true;
  while (for_ever) {
  }
}
void Deadlock(const Order&, const catchup::Host&) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  pthread_mutex_lock(&mutex);
}

// In steps, so that whoever watches the process sees it grow.
void Take(std::uint64_t bytes, std::uint64_t ms) {
  constexpr std::uint64_t kStep = 4 * kMiB;
  const std::chrono::milliseconds pause(ms * kStep / std::max(bytes, kStep));
  for (std::uint64_t left = bytes; left > 0;) {
    const std::uint64_t size = std::min(left, kStep);
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    std::fill_n(static_cast<volatile char*>(memory), size, '\1');
    left -= size;
    std::this_thread::sleep_for(pause);
  }
}
void Leak(const Order& order, const catchup::Host&) {
  Take(order.bytes.value_or(1024 * kMiB), order.ms.value_or(256));
}

// All of them are closed again.
void OpenFiles(const Order& order, const catchup::Host&) {
  std::vector<int> files;
  int error = 0;
  while (error == 0 && files.size() < order.bytes.value_or(64)) {
    const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    error = file < 0 ? errno : 0;
    if (file >= 0) files.push_back(file);
  }
  for (const int file : files) close(file);
  if (error != 0) throw Status(CATCHUP_FAILED, std::string("open: ") + std::strerror(error));
}

void Fork(const Order& order, const catchup::Host&) {
  const pid_t child = fork();
  if (child < 0) throw catchup::Retry("fork: no process is to be had");
  if (child == 0) {
    (void)setsid();
    const pid_t left = fork();
    if (left == 0) {
      Take(order.bytes.value_or(0), 0);
      while (true) pause();
    }
    // Whole for whoever waits for it.
    if (FILE* file = std::fopen("left.new", "we"); file != nullptr) {
      std::fprintf(file, "%d\n", static_cast<int>(left));
      std::fclose(file);
      (void)std::rename("left.new", "left");
    }
    _exit(0);
  }
  (void)waitpid(child, nullptr, 0);
}

void CloseDescriptors(const Order&, const catchup::Host&) {
  const int most = static_cast<int>(sysconf(_SC_OPEN_MAX));
  for (int fd = STDERR_FILENO + 1; fd < most; ++fd) close(fd);
}

// The host's own among them: its rings, its wake-ups, its lock.
void WriteDescriptors(const Order&, const catchup::Host&) {
  const std::string garbage(4096, '\xa5');
  for (int fd = STDERR_FILENO + 1; fd < 64; ++fd) {
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) continue;
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    if (lseek(fd, 0, SEEK_SET) == 0) {
      (void)!pwrite(fd, garbage.data(), garbage.size(), 0);
    } else {
      (void)!write(fd, garbage.data(), garbage.size());
    }
  }
}

// All that the rules keep from a plugin, because it is the process's.
void Rude(const Order&, const catchup::Host&) {
  sigset_t all;
  sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, nullptr);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGALRM}) signal(number, SIG_IGN);
  (void)!chdir("/");
  (void)setlocale(LC_ALL, "C.UTF-8");
  (void)fesetround(FE_UPWARD);
  (void)umask(0);
  (void)setenv("LD_PRELOAD", "nothing.so", 1);
  (void)setpriority(PRIO_PROCESS, 0, 19);
}

// From where the rules do not let it: `set_error` is the failing call's alone.
void CallFromThreads(const Order&, const catchup::Host& host) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&host] {
      for (int n = 0; n < 100; ++n) {
        host.Info("from a thread");
        host.SetError("from a thread");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Of one page, of which nothing follows.
void HugeLength(const Order&, const catchup::Host& host) {
  constexpr std::size_t kPage = 4096;
  void* memory = mmap(nullptr, 2 * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw catchup::Retry("mmap: no memory is to be had");
  (void)munmap(static_cast<char*>(memory) + kPage, kPage);
  host.SetError({static_cast<char*>(memory), std::size_t{1} << 62});
}

// An exception's text ends at a zero byte; the line of the log has that one, too.
void BigText(const Order& order, const catchup::Host& host) {
  const std::uint64_t size = order.bytes.value_or(kMiB);
  std::string any;
  std::string text = order.text;
  for (std::uint64_t i = 0; i < size; ++i) {
    any += static_cast<char>(i % 256);
    if (text.size() < size) text += static_cast<char>(1 + i % 255);
  }
  host.Error(any);
  throw Status(CATCHUP_FAILED, text);
}

void StdoutFlood(const Order& order, const catchup::Host&) {
  constexpr std::string_view kLine = "a line of which there are far too many\n";
  const std::uint64_t lines = order.bytes.value_or(4 * kMiB) / kLine.size();
  for (std::uint64_t i = 0; i < lines; ++i) {
    std::fwrite(kLine.data(), 1, kLine.size(), stdout);
  }
  std::fflush(stdout);
}

void Slow(const Order& order, const catchup::Host&) {
  std::this_thread::sleep_for(std::chrono::milliseconds(order.ms.value_or(100)));
}

// On every core, and one thread more.
void Burn(const Order& order, const catchup::Host&) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(order.ms.value_or(100));
  std::vector<std::thread> threads;
  for (unsigned i = 0; i <= std::thread::hardware_concurrency(); ++i) {
    threads.emplace_back([end] {
      while (std::chrono::steady_clock::now() < end) {
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

struct Misdeed {
  std::string_view name;
  void (*run)(const Order&, const catchup::Host&);
};

constexpr Misdeed kMisdeeds[] = {{"ok", Ok},
                                 {"reject", Reject},
                                 {"retry", Retry},
                                 {"fail", Fail},
                                 {"throw", Throw},
                                 {"throw_int", ThrowInt},
                                 {"fatal", Fatal},
                                 {"segv", Segv},
                                 {"abort", Abort},
                                 {"exit", Exit},
                                 {"stack_overflow", StackOverflow},
                                 {"hang", Hang},
                                 {"leak", Leak},
                                 {"fork", Fork},
                                 {"close_fds", CloseDescriptors},
                                 {"bad_status", BadStatus},
                                 {"big_text", BigText},
                                 {"stdout_flood", StdoutFlood},
                                 {"slow", Slow},
                                 {"bus", Bus},
                                 {"fpe", Fpe},
                                 {"ill", Ill},
                                 {"terminate", Terminate},
                                 {"_exit", ExitAtOnce},
                                 {"pthread_exit", ExitThread},
                                 {"longjmp", LongJump},
                                 {"throw_foreign", ThrowForeign},
                                 {"spin", Spin},
                                 {"deadlock", Deadlock},
                                 {"write_fds", WriteDescriptors},
                                 {"rude", Rude},
                                 {"burn", Burn},
                                 {"open_files", OpenFiles},
                                 {"huge_length", HugeLength},
                                 {"threads", CallFromThreads}};

}  // namespace

void Do(const Order& order, const catchup::Host& host) {
  std::string names;
  for (const Misdeed& misdeed : kMisdeeds) {
    if (misdeed.name == order.what) {
      misdeed.run(order, host);
      return;
    }
    names.append(names.empty() ? "" : ", ").append(misdeed.name);
  }
  throw catchup::Fatal("order: do is \"" + order.what + "\", wanted one of " + names);
}

}  // namespace trouble
