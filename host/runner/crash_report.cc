#include "host/runner/crash_report.h"

#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <iterator>

#include "host/base/text.h"
#include "host/ring/contract/crash_line.h"
#include "host/runner/instance.h"
#include "host/runner/modules.h"
#include "host/runner/process.h"

namespace catchup {
namespace {

constexpr int kDeadlySignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
// Many times what the handler, the unwinder and the largest saved registers take.
constexpr std::size_t kAlternateStack = 64 << 10;

// Frames looked at: a plugin that calls a library which recurses is found below that.
constexpr int kMaxFrames = 512;
// Frames told: the innermost, and below them the first of the plugin's.
constexpr int kInnermost = 16;
constexpr int kOfPlugin = 8;

// Shares of the line. Together with the numbers, which take less than 300 bytes, they fit.
constexpr std::size_t kMaxNameBytes = 160;
constexpr std::size_t kMaxStreamBytes = 300;
constexpr std::size_t kMaxFileBytes = 48;
constexpr std::size_t kMaxFramesBytes = 1700;
constexpr std::size_t kMaxModulesBytes = 1300;
static_assert(kMaxNameBytes + kMaxStreamBytes + kMaxFramesBytes + kMaxModulesBytes + 300 <
              kMaxCrashLine);
static_assert(kMaxCrashLine <= PIPE_BUF);
// Every frame that is chosen has room: a file, "+0x", 16 digits and a space.
static_assert((kInnermost + kOfPlugin) * (kMaxFileBytes + 20) + sizeof " ..." < kMaxFramesBytes);

// How long a report waits for a reader, whose pipe the plugin has filled.
constexpr int kMaxWaitMs = 2000;

struct Name {
  char bytes[kMaxNameBytes];
  std::size_t size;

  void Set(std::string_view text) { size = text.copy(bytes, sizeof bytes); }
  std::string_view view() const { return {bytes, size}; }
};

const RunnerEnd* g_ring = nullptr;
int g_output = -1;
Name g_plugin{};
char g_plugin_path[PATH_MAX];
std::size_t g_plugin_path_size = 0;
std::uint32_t g_lane = 0;

// Atomic for the reports of other threads. The record is null while the other two change.
std::atomic<const EventRecord*> g_record = nullptr;
std::atomic<const char*> g_record_bytes = nullptr;
std::atomic<std::uint32_t> g_record_count = 0;

// Thread whose crash is reported, 0 for none yet, its signal, and where it was.
std::atomic<pid_t> g_reporting_thread = 0;
std::atomic<int> g_signal = 0;
std::atomic<std::uintptr_t> g_place = 0;
std::atomic<std::size_t> g_next_part = 0;

// The line, in memory of its own; only calls that are safe in a signal handler. What was added
// since the last Keep() is taken back by Drop(), so that a part which crashes half way costs
// nothing but itself.
class CrashLine {
 public:
  CrashLine& Add(std::string_view text) {
    size_ += text.copy(bytes_ + size_, end_ - size_);
    return *this;
  }
  CrashLine& Add(std::uint64_t number) { return AddNumber(number, 10); }
  CrashLine& AddHex(std::uint64_t number) { return Add("0x").AddNumber(number, 16); }

  // Writes what could end a member or the line as \xNN.
  CrashLine& AddEscaped(std::string_view text) {
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < ' ' || byte == 0x7f || c == '\\') {
        const char escaped[] = {'\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
        Add(std::string_view(escaped, sizeof escaped));
      } else {
        Add(std::string_view(&c, 1));
      }
    }
    return *this;
  }
  CrashLine& AddBytes(std::string_view bytes) {
    for (const char c : bytes) {
      const auto byte = static_cast<unsigned char>(c);
      AddNumber(byte >> 4, 16).AddNumber(byte & 15, 16);
    }
    return *this;
  }

  // "NAME=", to be followed by at most `most` bytes; more are cut.
  CrashLine& Begin(std::string_view name, std::size_t most) {
    end_ = kMaxCrashLine - 1;
    Add("\t").Add(name).Add("=");
    end_ = std::min(end_, size_ + most);
    return *this;
  }
  bool HasRoom(std::size_t size) const { return end_ - size_ >= size; }

  void Keep() { kept_ = size_; }
  void Drop() { size_ = kept_; }

  // Writes the line at once; waits for a reader if the plugin has made the pipe non-blocking.
  void Write() {
    bytes_[size_] = '\n';
    for (int waits = 0; waits < 2; ++waits) {
      ssize_t written;
      do {
        written = write(g_output, bytes_, size_ + 1);
      } while (written < 0 && errno == EINTR);
      if (written >= 0 || errno != EAGAIN) {
        return;  // Said, or nobody to tell.
      }
      pollfd wait{g_output, POLLOUT, 0};
      (void)poll(&wait, 1, kMaxWaitMs);
    }
  }

 private:
  CrashLine& AddNumber(std::uint64_t number, unsigned base) {
    char digits[20];
    std::size_t at = sizeof digits;
    do {
      digits[--at] = kHexDigits[number % base];
      number /= base;
    } while (number != 0);
    return Add(std::string_view(digits + at, sizeof digits - at));
  }

  char bytes_[kMaxCrashLine]{};
  std::size_t size_ = 0;
  std::size_t kept_ = 0;
  std::size_t end_ = kMaxCrashLine - 1;  // Where the present member must end.
};

constinit CrashLine g_line;
void* g_frames[kMaxFrames];

constexpr std::size_t kNumber = 20;

void AddCall() {
  const char mark[] = {kCrashMark};
  g_line.Add({mark, sizeof mark}).Add(kCrashWord);
  g_line.Begin("pid", kNumber).Add(static_cast<std::uint64_t>(getpid()));
  g_line.Begin("signal", kNumber).Add(static_cast<std::uint64_t>(g_signal.load()));
  g_line.Begin("call", kMaxNameBytes).Add(CallName(g_ring->current_call_kind()));
  g_line.Begin("event", kNumber).Add(g_ring->current_ticket());
  g_line.Begin("plugin", kMaxNameBytes).AddEscaped(g_plugin.view());
  g_line.Begin("lane", kNumber).Add(g_lane);
}

void AddEvent() {
  const EventRecord* record = g_record.load(std::memory_order_acquire);
  const std::uint32_t count = g_record_count.load(std::memory_order_relaxed);
  // An order to move the position has no event.
  if (!HasEvents(g_ring->current_call_kind()) || record == nullptr || count == 0) {
    return;
  }
  g_line.Begin("events", kNumber).Add(count);
  g_line.Begin("stream", kMaxStreamBytes)
      .AddEscaped({g_record_bytes.load(std::memory_order_relaxed), record->stream_size});
  g_line.Begin("revision", kNumber).Add(record->revision);
}

// Cut to what a line has room for, without what parts the frames of one.
void AddFile(const Module& module) {
  for (const char c : module.file.substr(0, kMaxFileBytes)) {
    const bool plain = c > ' ' && c != '\x7f' && c != '=';
    g_line.Add(plain ? std::string_view(&c, 1) : "?");
  }
}

void AddFrame(const void* frame, bool first) {
  const auto address = reinterpret_cast<std::uintptr_t>(frame);
  g_line.Add(first ? "" : " ");
  if (const auto module = FindModule(address)) {
    AddFile(*module);
    g_line.Add("+").AddHex(address - module->base);
  } else {
    g_line.AddHex(address);
  }
}

bool IsOfPlugin(const void* frame) {
  const auto module = FindModule(reinterpret_cast<std::uintptr_t>(frame));
  return module.has_value() && g_plugin_path_size != 0 &&
         module->path == std::string_view(g_plugin_path, g_plugin_path_size);
}

// The frames to tell, of those from `first` to `count`, are moved to the front; returns how many.
// A null one stands for some that are left out.
int ChooseFrames(int first, int count) {
  int chosen = 0;
  bool has_plugin = false;
  int at = first;
  for (; at < count && chosen < kInnermost; ++at) {
    has_plugin = has_plugin || IsOfPlugin(g_frames[at]);
    g_frames[chosen++] = g_frames[at];
  }
  if (!has_plugin) {
    const int begin = at;
    while (at < count && !IsOfPlugin(g_frames[at])) {
      ++at;
    }
    if (at == count) {
      return chosen;  // It is in none of them.
    }
    if (at > begin) {
      g_frames[chosen++] = nullptr;
    }
  }
  for (int i = 0; i < kOfPlugin && at < count; ++i, ++at) {
    g_frames[chosen++] = g_frames[at];
  }
  return chosen;
}

// The modules of the first `count` frames, the plugin's before all others, as far as there is room.
void AddModules(int count) {
  g_line.Begin("modules", kMaxModulesBytes);
  std::uintptr_t told[kInnermost + kOfPlugin + 1];
  std::size_t size = 0;
  for (int i = 0; i < 2 * count; ++i) {
    const void* const frame = g_frames[i % count];
    if (IsOfPlugin(frame) != (i < count)) {
      continue;
    }
    const auto module = FindModule(reinterpret_cast<std::uintptr_t>(frame));
    if (!module.has_value() || std::find(told, told + size, module->base) != told + size ||
        !g_line.HasRoom(kMaxFileBytes + 2 * module->build_id.size() + sizeof " =-")) {
      continue;
    }
    g_line.Add(size == 0 ? "" : " ");
    told[size++] = module->base;
    AddFile(*module);
    g_line.Add("=");
    if (module->build_id.empty()) {
      g_line.Add("-");
    } else {
      g_line.AddBytes(module->build_id);
    }
  }
}

// Where the signal came to, in front of frames that do not reach it, with a mark of what is missing
// between: no unwinder passes the handler of some runtimes, as Go's.
int PutInFront(void* place, int count) {
  const int kept = std::min(count, kMaxFrames - 2);
  std::copy_backward(g_frames, g_frames + kept, g_frames + kept + 2);
  g_frames[0] = place;
  g_frames[1] = nullptr;
  return kept + 2;
}

void AddFrames() {
  int count = backtrace(g_frames, kMaxFrames);
  // The report's own frames lie before the place that the signal came to, where that is known.
  auto* const place = reinterpret_cast<void*>(g_place.load());
  int first = static_cast<int>(std::find(g_frames, g_frames + count, place) - g_frames);
  if (first == count) {
    first = 0;
    count = place == nullptr ? count : PutInFront(place, count);
  }
  const int chosen = ChooseFrames(first, count);
  g_line.Begin("frames", kMaxFramesBytes);
  for (int i = 0; i < chosen; ++i) {
    if (g_frames[i] == nullptr) {
      g_line.Add(" ...");
    } else {
      AddFrame(g_frames[i], i == 0);
    }
  }
  AddModules(chosen);
}

void Write() { g_line.Write(); }

// Each part is tried once: after one that crashes itself, the report goes on with the next. What
// needs no unwinder is out before that is called.
[[noreturn]] void ReportAndDie() {
  constexpr void (*kParts[])() = {AddCall, AddEvent, Write, AddFrames, Write};
  for (std::size_t part; (part = g_next_part.fetch_add(1)) < std::size(kParts);) {
    g_line.Drop();
    kParts[part]();
    g_line.Keep();
  }
  const int number = g_signal.load(std::memory_order_relaxed);
  (void)signal(number, SIG_DFL);
  (void)raise(number);
  // Only if the signal cannot be raised.
  _exit(128 + number);
}

std::uintptr_t PlaceOf(const void* context) {
  const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(machine.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return machine.pc;
#else
  (void)machine;
  return 0;
#endif
}

// A handler of the plugin's that hands on what is not its own may run with the signal blocked: then
// a crash of the report would kill without the rest of it, and the last raise() would do nothing.
void UnblockDeadlySignals() {
  sigset_t deadly;
  sigemptyset(&deadly);
  for (const int number : kDeadlySignals) {
    sigaddset(&deadly, number);
  }
  (void)pthread_sigmask(SIG_UNBLOCK, &deadly, nullptr);
}

void ReportCrash(int signal_number, siginfo_t* /*info*/, void* context) {
  UnblockDeadlySignals();
  pid_t reporting = 0;
  if (g_reporting_thread.compare_exchange_strong(reporting, gettid())) {
    g_signal.store(signal_number, std::memory_order_relaxed);
    g_place.store(PlaceOf(context));
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
  action.sa_sigaction = ReportCrash;
  action.sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO;
  for (const int number : kDeadlySignals) {
    if (sigaction(number, &action, nullptr) != 0) {
      return Status::FromErrno("install the crash report", errno);
    }
  }
  return {};
}

}  // namespace

Status InstallCrashReport(const RunnerEnd* ring) {
  g_ring = ring;
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
  return TakeSignals();
}

void SetPluginFileOfCrashReport(std::string_view path) {
  g_plugin_path_size = path.copy(g_plugin_path, sizeof g_plugin_path);
}

void NamePluginInCrashReport(std::string_view plugin, std::uint32_t lane) {
  g_plugin.Set(plugin);
  g_lane = lane;
}

void SetEventsOfCrashReport(const RecordView& first, std::uint32_t count) {
  g_record.store(nullptr, std::memory_order_relaxed);
  g_record_bytes.store(first.bytes, std::memory_order_release);
  g_record_count.store(count, std::memory_order_release);
  g_record.store(first.body, std::memory_order_release);
}

}  // namespace catchup
