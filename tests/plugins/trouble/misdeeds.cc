#include "tests/plugins/trouble/misdeeds.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

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

void Hang(const Order&, const catchup::Host&) {
  while (true) pause();
}

// In steps, so that whoever watches the process sees it grow.
void Leak(const Order& order, const catchup::Host&) {
  constexpr std::uint64_t kStep = 4 * kMiB;
  for (std::uint64_t left = order.bytes.value_or(1024 * kMiB); left > 0;) {
    const std::uint64_t size = std::min(left, kStep);
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    std::fill_n(static_cast<volatile char*>(memory), size, '\1');
    left -= size;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void Fork(const Order&, const catchup::Host&) {
  const pid_t child = fork();
  if (child < 0) throw catchup::Retry("fork: no process is to be had");
  if (child == 0) {
    (void)setsid();
    const pid_t left = fork();
    if (left == 0) {
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
                                 {"slow", Slow}};

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
