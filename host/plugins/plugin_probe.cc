#include "host/plugins/plugin_probe.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "host/plugins/children.h"
#include "host/plugins/spawn_plan.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kProbeLimit{30};
constexpr std::size_t kMaxProbeText = 4096;

using Deadline = std::chrono::steady_clock::time_point;

bool WaitReadable(int fd, Deadline deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd wait{fd, POLLIN, 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready >= 0 || errno != EINTR) {
      return ready > 0;
    }
  }
}

// What the child writes until it closes its end, as far as it matters.
std::string ReadUntilClosed(int fd, Deadline deadline) {
  std::string text;
  while (text.size() < kMaxProbeText && WaitReadable(fd, deadline)) {
    std::array<char, 1024> chunk;
    const ssize_t size = read(fd, chunk.data(), chunk.size());
    if (size <= 0) {
      break;
    }
    text.append(chunk.data(), static_cast<std::size_t>(size));
  }
  return text;
}

// The plan's own copies of the pipe are closed when this returns, so that the child's end is the
// last one.
Result<pid_t> SpawnProbe(const RunnerBinary& binary, const fs::path& plugin,
                         const std::string& projection, int output) {
  SpawnPlan plan;
  CATCHUP_RETURN_IF_ERROR(plan.NullInput());
  CATCHUP_RETURN_IF_ERROR(plan.Give(output, STDOUT_FILENO));
  return plan.Run(binary.path().c_str(), {"catchup-runner", "--probe", plugin.string(), projection},
                  ConstructEnvironment({}));
}

}  // namespace

Result<std::string> ProbePlugin(const RunnerBinary& binary, const fs::path& plugin,
                                const std::string& projection) {
  const std::string file = plugin.filename().string();
  Result<Pipe> output = MakePipe();
  if (!output.ok()) {
    return output.status();
  }
  Result<pid_t> pid = SpawnProbe(binary, plugin, projection, output->write_end.get());
  if (!pid.ok()) {
    return pid.status();
  }
  output->write_end.Reset();
  const UniqueFd pidfd(OpenPidfd(*pid));
  const auto deadline = std::chrono::steady_clock::now() + kProbeLimit;
  const std::string text = ReadUntilClosed(output->read_end.get(), deadline);
  output->read_end.Reset();
  const bool in_time = WaitReadable(pidfd.get(), deadline);
  if (!in_time) {
    (void)kill(*pid, SIGKILL);
  }
  const siginfo_t info = Children::OfThisProcess().Reap(*pid);
  const std::string line = text.substr(0, text.find('\n'));
  if (!in_time) {
    return Status::Incompatible(file + " took more than 30 s to load");
  }
  if (info.si_code != CLD_EXITED) {
    return Status::Incompatible(file + " died while it was loaded: signal " +
                                std::to_string(info.si_status));
  }
  if (info.si_status != 0) {
    return Status::Incompatible(line.empty() ? file + " ended the process that loaded it" : line);
  }
  return line;
}

}  // namespace catchup
