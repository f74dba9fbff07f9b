#include "host/base/shortage.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "host/base/event_size.h"
#include "host/base/mutex.h"
#include "host/base/str_cat.h"
#include "host/base/unique_fd.h"

namespace catchup {
namespace {

// The largest piece that is ever asked for at once: a message that grows by doubling.
constexpr std::size_t kLargestPiece = 2 * kMaxMessageBytes;

std::atomic<bool> g_json = false;
std::atomic<bool> g_ending = false;

}  // namespace

// Only what is safe in a signal handler, and allocates nothing.
void EndWithWords(std::string_view msg, std::string_view reason, int code) {
  if (g_ending.exchange(true)) {
    // Another thread says it. Should it have died of that, this one ends the process.
    const timespec a_second{1, 0};
    (void)nanosleep(&a_second, nullptr);
    _exit(code);
  }
  char line[512];
  const int message = static_cast<int>(msg.size());
  const int text = static_cast<int>(reason.size());
  int size = 0;
  if (g_json.load(std::memory_order_relaxed)) {
    using std::chrono::floor;
    const auto now = std::chrono::system_clock::now();
    const auto day = floor<std::chrono::days>(now);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(floor<std::chrono::milliseconds>(now - day));
    size = std::snprintf(
        line, sizeof line,
        "{\"time\":\"%04d-%02u-%02uT%02d:%02d:%02d.%03dZ\",\"level\":\"error\",\"msg\":\"%.*s\","
        "\"method\":\"Process.End\",\"group\":null,\"reason\":\"%.*s\",\"exitCode\":%d}\n",
        static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
        static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
        static_cast<int>(time.subseconds().count()), message, msg.data(), text, reason.data(),
        code);
  } else {
    size = std::snprintf(line, sizeof line, "catchup: %.*s: %.*s\n", message, msg.data(), text,
                         reason.data());
  }
  if (size > 0) {
    (void)!write(STDERR_FILENO, line, std::min(static_cast<std::size_t>(size), sizeof line - 1));
  }
  _exit(code);
}

namespace {

[[noreturn]] void OutOfMemory() {
  EndWithWords("Out of memory",
               "no memory is left for this process (limits: ulimit -v, the memory of its cgroup)");
}

// What Status::FromErrno takes for a shortage; that one allocates.
bool IsShortage(int number) {
  return number == ENOMEM || number == EAGAIN || number == EMFILE || number == ENFILE ||
         number == ENOSPC || number == EDQUOT || number == ENOBUFS || number == EFBIG;
}

// What an uncaught exception says about the machine; returns if it says nothing.
void EndIfShortage(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    OutOfMemory();
  }
  const auto* system = dynamic_cast<const std::system_error*>(&error);
  if (system != nullptr && IsShortage(system->code().value())) {
    EndWithWords("The machine has run out of something", system->what());
  }
}

[[noreturn]] void Terminate() {
  try {
    if (const std::exception_ptr error = std::current_exception()) {
      std::rethrow_exception(error);
    }
  } catch (const std::exception& error) {
    EndIfShortage(error);
    (void)!write(STDERR_FILENO, "catchup: uncaught exception: ", 29);
    const std::string_view what = error.what();
    (void)!write(STDERR_FILENO, what.data(), what.size());
    (void)!write(STDERR_FILENO, "\n", 1);
  } catch (...) {
  }
  std::abort();
}

bool MemoryIsUsedUp() {
  void* piece =
      mmap(nullptr, kLargestPiece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (piece == MAP_FAILED) {
    return true;
  }
  (void)munmap(piece, kLargestPiece);
  return false;
}

// Whether this process has once had so much that another piece might have been refused: whoever
// aborts after a refusal may have given back what it had before this looks.
bool MemoryWasUsedUp() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return false;
  }
  const UniqueFd status(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  char text[1024];  // The peak stands in the first lines.
  const ssize_t size = status.valid() ? read(status.get(), text, sizeof text - 1) : -1;
  if (size <= 0) {
    return false;
  }
  text[size] = '\0';
  const char* peak = std::strstr(text, "VmPeak:");
  return peak != nullptr &&
         (std::strtoull(peak + std::strlen("VmPeak:"), nullptr, 10) << 10) + kLargestPiece >=
             limit.rlim_cur;
}

bool DescriptorsAreUsedUp() {
  const int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) {
    return errno == EMFILE || errno == ENFILE;
  }
  (void)close(fd);
  return false;
}

bool ProcessesAreUsedUp() {
  // A bare copy that ends at once and tells nobody but who asks for such.
  const auto pid = static_cast<pid_t>(syscall(SYS_clone, 0, nullptr, nullptr, nullptr, nullptr));
  if (pid == 0) {
    _exit(0);
  }
  if (pid < 0) {
    return true;
  }
  (void)waitpid(pid, nullptr, static_cast<int>(__WCLONE));
  return false;
}

// A library aborts where it cannot have what it needs, and does not say so. Whether anything is
// used up can still be seen.
void OnAbort(int number) {
  if (MemoryIsUsedUp() || MemoryWasUsedUp()) {
    EndWithWords("Out of memory",
                 "a library aborted, and no memory is or was left for this process (ulimit -v)");
  }
  if (DescriptorsAreUsedUp()) {
    EndWithWords("Out of descriptors",
                 "a library aborted, and no descriptor is left for this process (ulimit -n)");
  }
  if (ProcessesAreUsedUp()) {
    EndWithWords("Out of threads",
                 "a library aborted, and no thread or process can be made (ulimit -u, pids.max)");
  }
  (void)signal(number, SIG_DFL);
  (void)raise(number);
}

}  // namespace

void EndWithWordsOnShortage() {
  std::set_new_handler(OutOfMemory);
  std::set_terminate(Terminate);
  struct sigaction action {};
  action.sa_handler = OnAbort;
  action.sa_flags = SA_NODEFER;
  CATCHUP_CHECK(sigaction(SIGABRT, &action, nullptr) == 0);
}

void SetShortageLineAsJson(bool json) { g_json.store(json, std::memory_order_relaxed); }

Result<std::thread> StartThread(std::function<void()> body) {
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error& error) {
    const std::string limits =
        error.code().value() == EAGAIN ? "; limits: ulimit -u, TasksMax, pids.max, ulimit -v" : "";
    return Status::Exhausted(
        StrCat("cannot start a thread (clone): ", error.code().message(), limits));
  }
}

Status ProveThreads(int count) {
  Mutex mutex;
  CondVar changed;
  bool enough = false;
  std::vector<std::thread> threads;
  Status proved;
  for (int i = 0; i < count && proved.ok(); ++i) {
    auto thread = StartThread([&] {
      const MutexLock lock(&mutex);
      while (!enough) {
        changed.Wait(&mutex);
      }
    });
    proved = thread.status();
    if (thread.ok()) {
      threads.push_back(std::move(*thread));
    }
  }
  {
    const MutexLock lock(&mutex);
    enough = true;
  }
  changed.NotifyAll();
  for (std::thread& thread : threads) {
    thread.join();
  }
  return proved.Within(
      StrCat(count, " threads are needed to begin with, ", threads.size(), " can be had"));
}

Status ProveDescriptors(int count) {
  std::vector<UniqueFd> copies;
  while (static_cast<int>(copies.size()) < count) {
    UniqueFd copy(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    if (!copy.valid()) {
      return Status::FromErrno(StrCat(count, " descriptors are needed to begin with, ",
                                      copies.size(), " can be had (ulimit -n)"),
                               errno);
    }
    copies.push_back(std::move(copy));
  }
  return {};
}

Status ProveLibraryNeeds() {
  CATCHUP_RETURN_IF_ERROR(ProveDescriptors(kLibraryDescriptors));
  return ProveThreads(kLibraryThreads);
}

}  // namespace catchup
