#include "host/plugins/runner_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "host/plugins/children.h"
#include "host/plugins/spawn_plan.h"
#include "host/ring/contract/descriptors.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

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
  return fmt::format("an earlier runner, pid {}, still holds {}", runner, file.string());
}

}  // namespace

Result<RunnerBinary> RunnerBinary::Open(const fs::path& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return Status::FromErrno("runner " + path.string(), errno);
  }
  // Out of the way of the numbers that a runner's own descriptors get: it is executed after those
  // have been put in place.
  CATCHUP_ASSIGN_OR_RETURN(
      UniqueFd parked,
      Park(fd.get(), fmt::format("runner {}: copy its descriptor", path.string())));
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
  return Status::NotFound(fmt::format("catchup-runner not found: wanted {} or {}",
                                      candidates[0].string(), candidates[1].string()));
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
      return fmt::format("pid {}, left behind by the plugin of runner {}, still holds {}", name,
                         runner, file.string());
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

// The pipe's writing end is closed when this and the plan are gone, so that the runner's is the
// last.
Result<std::unique_ptr<RunnerProcess>> RunnerProcess::Run(SpawnPlan* plan,
                                                          const RunnerBinary& binary,
                                                          std::vector<std::string> arguments,
                                                          const std::vector<std::string>& env,
                                                          const fs::path& directory) {
  CATCHUP_ASSIGN_OR_RETURN(Pipe output, MakePipe());
  CATCHUP_RETURN_IF_ERROR(plan->NullInput());
  CATCHUP_RETURN_IF_ERROR(plan->Give(output.write_end.get(), STDOUT_FILENO));
  CATCHUP_RETURN_IF_ERROR(plan->Give(output.write_end.get(), STDERR_FILENO));
  CATCHUP_RETURN_IF_ERROR(plan->WorkIn(directory));
  CATCHUP_ASSIGN_OR_RETURN(
      pid_t pid, plan->Run(binary.path().c_str(), std::move(arguments), ConstructEnvironment(env)));
  std::unique_ptr<RunnerProcess> process(new RunnerProcess);
  process->pid_ = pid;
  process->output_ = std::move(output.read_end);
  process->pidfd_ = UniqueFd(OpenPidfd(pid));
  if (!process->pidfd_.valid()) {
    return Status::FromErrno("watch the runner (pidfd_open)", errno);
  }
  return process;
}

Result<std::unique_ptr<RunnerProcess>> RunnerProcess::Spawn(const RunnerBinary& binary,
                                                            const Options& options,
                                                            const RunnerLock& lock) {
  SpawnPlan plan;
  const struct {
    int fd;
    int number;
  } descriptors[] = {
      {options.rings.event_ring, kEventRingFd},     {options.rings.outcome_ring, kOutcomeRingFd},
      {options.rings.large_region, kLargeRegionFd}, {options.rings.runner_wake, kRunnerWakeFd},
      {options.rings.host_wake, kHostWakeFd},       {lock.fd(), kRunnerLockFd},
  };
  for (const auto& descriptor : descriptors) {
    CATCHUP_RETURN_IF_ERROR(plan.Give(descriptor.fd, descriptor.number));
  }
  auto process = Run(&plan, binary, {"catchup-runner", options.group, std::to_string(getpid())},
                     options.env, options.working_directory);
  if (process.ok()) {
    Children::OfThisProcess().SetOwner((*process)->pid_, options.group);
    lock.WritePid((*process)->pid_);
  }
  return process;
}

Result<std::unique_ptr<RunnerProcess>> RunnerProcess::SpawnProbe(const RunnerBinary& binary,
                                                                 const ProbeOptions& options) {
  SpawnPlan plan;
  CATCHUP_RETURN_IF_ERROR(plan.Give(options.answer, kProbeAnswerFd));
  std::vector<std::string> arguments = {"catchup-runner", "--probe", std::to_string(getpid()),
                                        options.plugin.string()};
  arguments.insert(arguments.end(), options.projections.begin(), options.projections.end());
  return Run(&plan, binary, std::move(arguments), options.env, options.working_directory);
}

RunnerProcess::~RunnerProcess() {
  if (!reaped_ && pid_ > 0) {
    Kill();
    (void)Reap();
  }
}

void RunnerProcess::Signal(int signal_number) const {
  if (!reaped_) {
    // If it is not there any more (ESRCH), that is what a signal that ends it wants anyway.
    if (syscall(SYS_pidfd_send_signal, pidfd_.get(), signal_number, nullptr, 0) != 0 &&
        errno != ESRCH) {
      // The call is not known here, or there is no pidfd: until it is reaped its number is its own.
      (void)kill(pid_, signal_number);
    }
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

}  // namespace catchup
