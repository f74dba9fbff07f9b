#include "host/runner/crash_report.h"

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <iterator>

#include "host/runner/instance.h"
#include "host/runner/module_map.h"
#include "host/runner/process.h"

namespace catchup {
namespace {

constexpr int kDeadlySignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
// Many times what the handler, the unwinder and the largest saved registers take.
constexpr std::size_t kAlternateStack = 64 << 10;
// Enough for a deep plugin, and few enough that the host logs a whole report at once.
constexpr int kMaxFrames = 32;
// KurrentDB allows longer names, which nobody has.
constexpr std::size_t kMaxStreamBytes = 256;
constexpr std::size_t kMaxNameBytes = 160;

struct Name {
  char bytes[kMaxNameBytes];
  std::size_t size;

  void Set(std::string_view text) { size = text.copy(bytes, sizeof bytes); }
  std::string_view view() const { return {bytes, size}; }
};

const RunnerEnd* g_ring = nullptr;
int g_output = -1;
Name g_group{};
Name g_plugin{};
std::uint32_t g_lane = 0;
constinit ModuleMap g_modules;

// Atomic for the reports of other threads. The record is null while the other two change.
std::atomic<const EventRecord*> g_record = nullptr;
std::atomic<const char*> g_record_bytes = nullptr;
std::atomic<std::uint32_t> g_record_count = 0;

// Thread whose crash is reported, 0 for none yet, and its signal.
std::atomic<pid_t> g_reporting_thread = 0;
std::atomic<int> g_signal = 0;
std::atomic<std::size_t> g_next_part = 0;

void WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = write(g_output, text.data(), text.size());
    if (size < 0 && errno != EINTR) {
      return;  // Nobody to tell.
    }
    if (size > 0) {
      text.remove_prefix(static_cast<std::size_t>(size));
    }
  }
}

// One line, written at once. Only calls that are safe in a signal handler.
class SignalLine {
 public:
  SignalLine() { Add("catchup-runner: "); }

  SignalLine& Add(std::string_view text) {
    size_ += text.copy(bytes_ + size_, room());
    return *this;
  }
  SignalLine& Add(std::uint64_t number) { return AddNumber(number, 10); }
  SignalLine& AddHex(std::uint64_t number) { return Add("0x").AddNumber(number, 16); }

  // In quotes, with what could end them or the line as \xNN, cut after `most` bytes.
  SignalLine& AddQuoted(std::string_view text, std::size_t most) {
    constexpr char kHex[] = "0123456789abcdef";
    const std::size_t shown = std::min(text.size(), most);
    Add("\"");
    for (const char c : text.substr(0, shown)) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < ' ' || byte == 0x7f || c == '"' || c == '\\') {
        const char escaped[] = {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
        Add(std::string_view(escaped, sizeof escaped));
      } else {
        Add(std::string_view(&c, 1));
      }
    }
    return Add(shown < text.size() ? "\"..." : "\"");
  }

  void Write() {
    bytes_[size_++] = '\n';
    WriteAll({bytes_, size_});
  }

 private:
  // All but the line's end.
  std::size_t room() const { return sizeof bytes_ - 1 - size_; }

  SignalLine& AddNumber(std::uint64_t number, unsigned base) {
    char digits[20];
    std::size_t at = sizeof digits;
    do {
      digits[--at] = "0123456789abcdef"[number % base];
      number /= base;
    } while (number != 0);
    return Add(std::string_view(digits + at, sizeof digits - at));
  }

  // A stream's name with every byte escaped, both names, and the words between.
  char bytes_[4 * kMaxStreamBytes + 2 * kMaxNameBytes + 256];
  std::size_t size_ = 0;
};

void WriteCall() {
  const CallKind call = g_ring->current_call_kind();
  SignalLine line;
  line.Add("group ").Add(g_group.view()).Add(": signal ");
  line.Add(static_cast<std::uint64_t>(g_signal.load(std::memory_order_relaxed)));
  line.Add(" in call ").Add(CallName(call));
  line.Add(", event ").Add(g_ring->current_sequence());
  const EventRecord* record = g_record.load(std::memory_order_acquire);
  if (HasEvents(call) && record != nullptr) {
    const std::uint32_t count = g_record_count.load(std::memory_order_relaxed);
    if (count > 1) {
      line.Add(", first of ").Add(count);
    }
    // An order to move the position has no event.
    if (count > 0) {
      line.Add(", stream ");
      line.AddQuoted({g_record_bytes.load(std::memory_order_relaxed), record->stream_size},
                     kMaxStreamBytes);
      line.Add(" revision ").Add(record->revision);
    }
  }
  line.Add(", plugin ").Add(g_plugin.view()).Add(", lane ").Add(g_lane);
  line.Write();
}

void WriteFrames() {
  void* frames[kMaxFrames];
  const int count = backtrace(frames, kMaxFrames);
  for (int i = 0; i < count; ++i) {
    const auto address = reinterpret_cast<std::uintptr_t>(frames[i]);
    SignalLine line;
    line.Add("at ").AddHex(address);
    if (const auto place = g_modules.Find(address)) {
      line.Add(" ").Add(place->file).Add("+").AddHex(place->offset);
    }
    line.Write();
  }
}

void WriteModules() { WriteAll(g_modules.lines()); }

// Each part is tried once: after one that crashes itself, the report goes on with the next.
[[noreturn]] void ReportAndDie() {
  constexpr void (*kParts[])() = {WriteCall, WriteFrames, WriteModules};
  for (std::size_t part; (part = g_next_part.fetch_add(1)) < std::size(kParts);) {
    kParts[part]();
  }
  const int number = g_signal.load(std::memory_order_relaxed);
  (void)signal(number, SIG_DFL);
  (void)raise(number);
  // Only if the signal cannot be raised.
  _exit(128 + number);
}

void ReportCrash(int signal_number) {
  pid_t reporting = 0;
  if (g_reporting_thread.compare_exchange_strong(reporting, gettid())) {
    g_signal.store(signal_number, std::memory_order_relaxed);
  } else if (reporting != gettid()) {
    // The other thread ends the process as soon as it has said why.
    while (true) {
      pause();
    }
  }
  ReportAndDie();
}

// SA_NODEFER lets in a crash of the report itself, and the default action take effect at once.
Status TakeSignals() {
  struct sigaction action {};
  action.sa_handler = ReportCrash;
  action.sa_flags = SA_ONSTACK | SA_NODEFER;
  for (const int number : kDeadlySignals) {
    if (sigaction(number, &action, nullptr) != 0) {
      return Status::FromErrno("install the crash report", errno);
    }
  }
  return {};
}

}  // namespace

Status InstallCrashReport(const RunnerEnd* ring, std::string_view group) {
  g_ring = ring;
  g_group.Set(group);
  g_plugin.Set("not known yet");
  g_output = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, kFirstFreeFd);
  if (g_output < 0) {
    return Status::FromErrno("keep standard error for the crash report", errno);
  }
  static std::array<std::byte, kAlternateStack> stack_memory;
  stack_t stack{};
  stack.ss_sp = stack_memory.data();
  stack.ss_size = stack_memory.size();
  if (sigaltstack(&stack, nullptr) != 0) {
    return Status::FromErrno("install a signal stack", errno);
  }
  // The first call loads the unwinder, which a handler must not.
  void* frames[1];
  (void)backtrace(frames, 1);
  return RefreshCrashReport();
}

void NamePluginInCrashReport(std::string_view plugin, std::uint32_t lane) {
  g_plugin.Set(plugin);
  g_lane = lane;
}

Status RefreshCrashReport() {
  g_modules.Read();
  return TakeSignals();
}

void SetEventsOfCrashReport(const RecordView& first, std::uint32_t count) {
  g_record.store(nullptr, std::memory_order_relaxed);
  g_record_bytes.store(first.bytes, std::memory_order_release);
  g_record_count.store(count, std::memory_order_release);
  g_record.store(first.body, std::memory_order_release);
}

}  // namespace catchup
