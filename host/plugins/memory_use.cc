#include "host/plugins/memory_use.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/unique_fd.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

// A plugin that forks without end must not keep the host busy with counting.
constexpr std::size_t kMostProcesses = 256;

// As much of a file of /proc as one read brings and the buffer holds. Empty where there is none.
template <std::size_t kSize>
std::string_view ReadProcFile(const std::string& path, std::array<char, kSize>* buffer) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return {};
  }
  ssize_t size = 0;
  do {
    size = read(fd.get(), buffer->data(), buffer->size());
  } while (size < 0 && errno == EINTR);
  return {buffer->data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

// The first number behind `name` at the beginning of a line; 0 where there is none.
std::uint64_t NumberOf(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) {
    return 0;
  }
  const std::size_t digits = text.find_first_of("0123456789", at + name.size());
  std::uint64_t number = 0;
  if (digits != std::string_view::npos) {
    std::from_chars(text.data() + digits, text.data() + text.size(), number);
  }
  return number;
}

void AddNumbers(std::string_view text, std::vector<pid_t>* pids) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end && pids->size() < kMostProcesses) {
    pid_t pid = 0;
    const auto read = std::from_chars(at, end, pid);
    if (read.ec != std::errc()) {
      return;
    }
    pids->push_back(pid);
    at = read.ptr != end ? read.ptr + 1 : end;
  }
}

// Each thread has a list of the children that it has made.
void AddChildren(pid_t pid, std::uint64_t threads, std::vector<pid_t>* pids) {
  std::array<char, 4096> buffer;
  const std::string tasks = fmt::format("/proc/{}/task", pid);
  if (threads == 1) {
    AddNumbers(ReadProcFile(fmt::format("{}/{}/children", tasks, pid), &buffer), pids);
    return;
  }
  std::error_code gone;
  for (fs::directory_iterator task(tasks, gone), end; !gone && task != end; task.increment(gone)) {
    AddNumbers(ReadProcFile((task->path() / "children").string(), &buffer), pids);
  }
}

}  // namespace

std::optional<MemoryUse> ReadMemoryUse(pid_t pid) {
  MemoryUse use;
  use.ran = ReadProcessorTime(pid);
  std::vector<pid_t> pids = {pid};
  for (std::size_t next = 0; next < pids.size(); ++next) {
    std::array<char, 4096> buffer;
    const std::string_view status =
        ReadProcFile(fmt::format("/proc/{}/status", pids[next]), &buffer);
    if (status.empty()) {
      if (next == 0) {
        return std::nullopt;
      }
      continue;  // It has ended since.
    }
    use.bytes += (NumberOf(status, "\nRssAnon:") + NumberOf(status, "\nVmSwap:")) << 10;
    ++use.processes;
    AddChildren(pids[next], NumberOf(status, "\nThreads:"), &pids);
  }
  return use;
}

std::optional<std::chrono::nanoseconds> ReadProcessorTime(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    return std::nullopt;
  }
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace catchup
