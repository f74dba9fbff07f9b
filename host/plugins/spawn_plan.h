#pragma once

#include <spawn.h>
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup {

// Where descriptors wait before they are given their numbers in the child, above all of those.
inline constexpr int kParkingFd = 32;

// A copy of `fd` there. kExhausted also if the limit of descriptors leaves no such number.
Result<UniqueFd> Park(int fd, std::string_view what);

// The environment of a runner: fixed values, and the variables that its group passes through from
// ours, which win. What host/base/environment.h forbids is never among them.
std::vector<std::string> ConstructEnvironment(const std::vector<std::string>& names);

struct Pipe {
  UniqueFd read_end;  // Non-blocking.
  UniqueFd write_end;
};
Result<Pipe> MakePipe();

// Readable when the process is gone.
int OpenPidfd(pid_t pid);  // -1 and errno; without pidfd_open a thread of its own waits for it.

// How a runner is spawned: posix_spawn's arguments, freed at the end. Descriptors are first copied
// out of the way of the numbers they are to have; the copies are closed with this. One thread.
class SpawnPlan {
 public:
  SpawnPlan();
  ~SpawnPlan();
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  Status Give(int fd, int number);
  Status NullInput();
  Status WorkIn(const std::filesystem::path& directory);

  // Signal mask and handlers at their defaults, whatever this thread has.
  Result<pid_t> Run(const char* path, std::vector<std::string> arguments,
                    std::vector<std::string> environment);

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
  std::vector<UniqueFd> parked_;
};

}  // namespace catchup
