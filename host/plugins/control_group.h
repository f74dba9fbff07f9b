#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "host/base/status.h"

namespace catchup {

// The control group (version 2) of one runner and all that its plugin starts. One thread.
class ControlGroup {
 public:
  // `folder` is there, and is removed when this goes, with every process that is still in it.
  explicit ControlGroup(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ~ControlGroup();
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  // Puts the process `pid` into it; what it starts from now on is in it too.
  Status Enter(pid_t pid) const;

  // The kernel has killed a process of it for want of memory.
  bool OutOfMemory() const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  const std::filesystem::path folder_;
};

// The part of the system's control groups that a service manager has handed to this host, as
// systemd does for Delegate=yes. Each runner gets a group of its own in it:
//
//     host                   this process
//     runner-GROUP-SPAWN     one runner
//
// The kernel then holds a plugin's memory down where it grows faster than anybody looks, and its
// count of processes. Once made, any thread.
class ControlGroups {
 public:
  // How much more than limits.memory the kernel allows: what it counts besides anonymous memory are
  // files and shared memory, so that the host's own look comes first.
  static constexpr std::uint64_t kMemoryBeyond = 64ull << 20;
  // A plugin with more processes than that only makes them.
  static constexpr std::uint64_t kMostProcesses = 4096;

  // Takes what this process was handed: moves it into `host`, so that its folder may have groups
  // below it, and removes what an earlier host has left there. kNotFound: nothing was handed to it,
  // and why that is so.
  static Result<ControlGroups> Find();
  // The same of `folder`.
  static Result<ControlGroups> Take(const std::filesystem::path& folder);

  // A fresh group with its limits set.
  Result<std::unique_ptr<ControlGroup>> Make(const std::string& group, std::uint64_t spawn,
                                             std::uint64_t memory_bytes) const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  explicit ControlGroups(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::filesystem::path folder_;
};

}  // namespace catchup
