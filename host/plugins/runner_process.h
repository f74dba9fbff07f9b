#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/status.h"
#include "host/base/str_cat.h"
#include "host/base/unique_fd.h"
#include "host/ring/host_end.h"

namespace catchup {

class SpawnPlan;

// The `catchup-runner` executable, opened once, so that an upgrade in place never mixes two
// versions: every spawn runs the file that was there at start. Immutable; any thread.
class RunnerBinary {
 public:
  // Looks beside the running executable, then in ../libexec/catchup/.
  static Result<RunnerBinary> Find();
  static Result<RunnerBinary> Open(const std::filesystem::path& path);

  // The path that executes it.
  std::string path() const { return StrCat("/proc/self/fd/", fd_.get()); }

 private:
  explicit RunnerBinary(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// The exclusive lock that a runner inherits: while any process holds it, a runner of this group may
// still be alive, though its host is gone.
class RunnerLock {
 public:
  // Tries to take `file`. kInUse while a runner holds it; the text names its pid.
  static Result<RunnerLock> TryTake(const std::filesystem::path& file);

  // Who holds `file`: the runner that is noted in it, or what its plugin left behind. Looks at
  // every process, so only for a wait that lasts.
  static std::string DescribeHolder(const std::filesystem::path& file);

  int fd() const { return fd_.get(); }
  // Notes the runner's pid in the file, for the text above only: on a full disk it may stay an old
  // one.
  void WritePid(pid_t pid) const;

 private:
  RunnerLock(UniqueFd fd, std::filesystem::path file)
      : fd_(std::move(fd)), file_(std::move(file)) {}
  UniqueFd fd_;
  std::filesystem::path file_;
};

// How a process ended.
struct ProcessExit {
  bool by_signal = false;
  int code = 0;  // Exit code, or the signal's number.
};

// A runner as a child process. The spawning thread must live as long as the runner, whose death
// signal fires when that thread ends. One thread.
class RunnerProcess {
 public:
  struct Options {
    std::string group;
    HostEnd::Descriptors rings{};
    std::filesystem::path working_directory;
    std::vector<std::string> env;  // Names passed through from our environment.
  };

  // Starts the runner; `lock` is handed to it.
  static Result<std::unique_ptr<RunnerProcess>> Spawn(const RunnerBinary& binary,
                                                      const Options& options,
                                                      const RunnerLock& lock);

  // What loads a plugin and says what it is, as host/ring/contract/probe_record.h tells.
  struct ProbeOptions {
    std::filesystem::path plugin;
    std::vector<std::string> projections;
    std::vector<std::string> env;
    std::filesystem::path working_directory;
    int answer = -1;  // The descriptor that it writes its records to.
  };
  static Result<std::unique_ptr<RunnerProcess>> SpawnProbe(const RunnerBinary& binary,
                                                           const ProbeOptions& options);

  // Kills what is left, with its process group, and reaps it.
  ~RunnerProcess();
  RunnerProcess(const RunnerProcess&) = delete;
  RunnerProcess& operator=(const RunnerProcess&) = delete;

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }    // Readable when the process is gone.
  int output() const { return output_.get(); }  // Standard output and error, non-blocking.

  // Sends a signal to the process itself. One that is gone is no failure.
  void Signal(int signal_number) const;
  // Sends SIGKILL to its whole process group.
  void Kill() const;

  // Reaps it. Call once pidfd() is readable.
  ProcessExit Reap();

 private:
  RunnerProcess() = default;
  static Result<std::unique_ptr<RunnerProcess>> Run(SpawnPlan* plan, const RunnerBinary& binary,
                                                    std::vector<std::string> arguments,
                                                    const std::vector<std::string>& env,
                                                    const std::filesystem::path& directory);

  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd output_;
  bool reaped_ = false;
};

}  // namespace catchup
