#include "host/plugins/runner_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "host/plugins/children.h"
#include "host/runner/process.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kProbeLimit{30};
constexpr std::size_t kMaxProbeText = 4096;

// Where descriptors wait before they are given their numbers in the child, above all of those.
constexpr int kParkingFd = 32;

// Names that steer the loader, gRPC or TLS in the child, whatever a group's `env` says.
bool IsForbidden(std::string_view name) {
  return name.starts_with("LD_") || name.starts_with("GRPC_") || name.ends_with("_proxy") ||
         name.ends_with("_PROXY") || name == "GLIBC_TUNABLES" || name == "SSLKEYLOGFILE";
}

std::vector<std::string> ConstructEnvironment(const std::vector<std::string>& names) {
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"};
  const auto pass = [&](const std::string& name) {
    // Read while no other thread writes: this process never changes its environment.
    if (const char* value = std::getenv(name.c_str()); value != nullptr) {  // NOLINT
      environment.push_back(name + "=" + value);
    }
  };
  pass("TZ");
  for (const std::string& name : names) {
    if (!IsForbidden(name)) {
      pass(name);
    }
  }
  return environment;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawn's arguments, freed at the end. Descriptors are first copied out of the way of the
// numbers they are to have.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  Status Give(int fd, int number) {
    UniqueFd parked(fcntl(fd, F_DUPFD_CLOEXEC, kParkingFd));
    if (!parked.valid()) {
      return Status::FromErrno("copy a descriptor for the runner", errno);
    }
    const int error = posix_spawn_file_actions_adddup2(&actions_, parked.get(), number);
    parked_.push_back(std::move(parked));
    return error == 0 ? Status() : Status::FromErrno("plan the runner's descriptors", error);
  }

  Status NullInput() {
    const int error =
        posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    return error == 0 ? Status() : Status::FromErrno("plan the runner's input", error);
  }

  Status WorkIn(const fs::path& directory) {
    const int error = posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str());
    return error == 0 ? Status() : Status::FromErrno("plan the runner's directory", error);
  }

  // Signal mask and handlers at their defaults, whatever this thread has.
  Result<pid_t> Run(const char* path, std::vector<std::string> arguments,
                    std::vector<std::string> environment) {
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return Children::OfThisProcess().Spawn([&]() -> Result<pid_t> {
      pid_t pid = -1;
      const int error = posix_spawn(&pid, path, &actions_, &attributes_, Pointers(arguments).data(),
                                    Pointers(environment).data());
      if (error != 0) {
        return Status::FromErrno("start catchup-runner", error);
      }
      return pid;
    });
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
  std::vector<UniqueFd> parked_;
};

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Status::FromErrno("make a pipe for the runner", errno);
  }
  Pipe made;
  made.read_end = UniqueFd(ends[0]);
  made.write_end = UniqueFd(ends[1]);
  if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
    return Status::FromErrno("make a pipe for the runner", errno);
  }
  return made;
}

// Debian 12's <sys/pidfd.h> lacks its extern "C", so the calls are made by number.
int OpenPidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

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

// Whether a process has `file`, an absolute path without links, among its descriptors, as far as it
// may be looked at. By the text of the links: following them could wait for a dead file system.
bool Holds(const fs::path& process, const fs::path& file) {
  std::error_code unreadable;  // Another user's process, or one that ends.
  for (fs::directory_iterator fd(process / "fd", unreadable), end; !unreadable && fd != end;
       fd.increment(unreadable)) {
    std::error_code gone;
    if (fs::read_symlink(fd->path(), gone) == file) {
      return true;
    }
  }
  return false;
}

// The pid in a runner's lock file.
std::string NotedRunner(int fd) {
  std::array<char, 32> bytes{};
  const ssize_t size = pread(fd, bytes.data(), bytes.size() - 1, 0);
  std::string runner(bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  runner.erase(std::find(runner.begin(), runner.end(), ' '), runner.end());
  return runner;
}

std::string EarlierRunner(const std::string& runner, const fs::path& file) {
  return "an earlier runner, pid " + runner + ", still holds " + file.string();
}

std::string ExecutablePath(const RunnerBinary& binary) {
  return "/proc/self/fd/" + std::to_string(binary.fd());
}

// The plan's own copies of the pipe are closed when this returns, so that the child's end is the
// last one.
Result<pid_t> SpawnProbe(const RunnerBinary& binary, const fs::path& plugin,
                         const std::string& projection, int output) {
  SpawnPlan plan;
  CATCHUP_RETURN_IF_ERROR(plan.NullInput());
  CATCHUP_RETURN_IF_ERROR(plan.Give(output, STDOUT_FILENO));
  return plan.Run(ExecutablePath(binary).c_str(),
                  {"catchup-runner", "--probe", plugin.string(), projection},
                  ConstructEnvironment({}));
}

}  // namespace

Result<RunnerBinary> RunnerBinary::Open(const fs::path& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return Status::FromErrno("runner " + path.string(), errno);
  }
  // Out of the way of the numbers that a runner's own descriptors get: it is executed after those
  // have been put in place.
  UniqueFd parked(fcntl(fd.get(), F_DUPFD_CLOEXEC, kParkingFd));
  if (!parked.valid()) {
    return Status::FromErrno("runner " + path.string(), errno);
  }
  return RunnerBinary(std::move(parked));
}

Result<RunnerBinary> RunnerBinary::Find() {
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  if (failed) {
    return Status::FromErrno("find the running executable", failed.value());
  }
  const fs::path folder = self.parent_path();
  const fs::path candidates[] = {folder / "catchup-runner",
                                 folder.parent_path() / "libexec/catchup/catchup-runner"};
  for (const fs::path& candidate : candidates) {
    if (access(candidate.c_str(), X_OK) == 0) {
      return Open(candidate);
    }
  }
  return Status::NotFound("catchup-runner not found: wanted " + candidates[0].string() + " or " +
                          candidates[1].string());
}

Result<RunnerLock> RunnerLock::TryTake(const fs::path& file) {
  UniqueFd fd(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    return Status::FromErrno("open " + file.string(), errno);
  }
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return Status::FromErrno("lock " + file.string(), errno);
    }
    return Status::InUse(EarlierRunner(NotedRunner(fd.get()), file));
  }
  return RunnerLock(std::move(fd), file);
}

std::string RunnerLock::DescribeHolder(const fs::path& file) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string runner = fd.valid() ? NotedRunner(fd.get()) : std::string("unknown");
  std::error_code unreadable;
  const fs::path real = fs::canonical(file, unreadable);
  if (unreadable || Holds(fs::path("/proc") / runner, real)) {
    return EarlierRunner(runner, file);
  }
  const std::string self = std::to_string(getpid());
  for (fs::directory_iterator process("/proc", unreadable), end; !unreadable && process != end;
       process.increment(unreadable)) {
    const std::string name = process->path().filename().string();
    const bool is_process = name.find_first_not_of("0123456789") == std::string::npos;
    if (is_process && name != self && Holds(process->path(), real)) {
      return "pid " + name + ", left behind by the plugin of runner " + runner + ", still holds " +
             file.string();
    }
  }
  return EarlierRunner(runner, file);
}

void RunnerLock::WritePid(pid_t pid) const {
  // Always as wide, so that an update takes no block that the disk might not have.
  char text[16];
  const int size = std::snprintf(text, sizeof text, "%-10d", static_cast<int>(pid));
  (void)!pwrite(fd_.get(), text, static_cast<std::size_t>(size), 0);
}

Result<std::unique_ptr<RunnerProcess>> RunnerProcess::Spawn(const RunnerBinary& binary,
                                                            const Options& options,
                                                            const RunnerLock& lock) {
  Result<Pipe> output = MakePipe();
  if (!output.ok()) {
    return output.status();
  }
  SpawnPlan plan;
  const struct {
    int fd;
    int number;
  } descriptors[] = {
      {output->write_end.get(), STDOUT_FILENO},     {output->write_end.get(), STDERR_FILENO},
      {options.rings.event_ring, kEventRingFd},     {options.rings.outcome_ring, kOutcomeRingFd},
      {options.rings.large_region, kLargeRegionFd}, {options.rings.runner_wake, kRunnerWakeFd},
      {options.rings.host_wake, kHostWakeFd},       {lock.fd(), kRunnerLockFd},
  };
  CATCHUP_RETURN_IF_ERROR(plan.NullInput());
  for (const auto& descriptor : descriptors) {
    CATCHUP_RETURN_IF_ERROR(plan.Give(descriptor.fd, descriptor.number));
  }
  CATCHUP_RETURN_IF_ERROR(plan.WorkIn(options.working_directory));
  Result<pid_t> pid = plan.Run(ExecutablePath(binary).c_str(),
                               {"catchup-runner", options.group, std::to_string(getpid())},
                               ConstructEnvironment(options.env));
  if (!pid.ok()) {
    return pid.status();
  }
  std::unique_ptr<RunnerProcess> process(new RunnerProcess);
  process->pid_ = *pid;
  process->output_ = std::move(output->read_end);
  process->pidfd_ = UniqueFd(OpenPidfd(*pid));
  if (!process->pidfd_.valid()) {
    return Status::FromErrno("watch the runner", errno);
  }
  lock.WritePid(*pid);
  return process;
}

RunnerProcess::~RunnerProcess() {
  if (!reaped_ && pid_ > 0) {
    Kill();
    (void)Reap();
  }
}

void RunnerProcess::Signal(int signal_number) const {
  if (!reaped_) {
    // Not there any more (ESRCH) is what a signal that ends it wants anyway.
    (void)syscall(SYS_pidfd_send_signal, pidfd_.get(), signal_number, nullptr, 0);
  }
}

void RunnerProcess::Kill() const {
  if (!reaped_) {
    // Until it is reaped its number is its own. The group is there once the runner has made its
    // session; before that the process itself is all there is.
    (void)kill(-pid_, SIGKILL);
    (void)kill(pid_, SIGKILL);
  }
}

ProcessExit RunnerProcess::Reap() {
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  // Whatever the runner left in its process group goes with it, while the number still holds it.
  (void)kill(-pid_, SIGKILL);
  info = Children::OfThisProcess().Reap(pid_);
  reaped_ = true;
  return {info.si_code != CLD_EXITED, info.si_status};
}

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
