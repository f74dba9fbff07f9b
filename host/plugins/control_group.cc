#include "host/plugins/control_group.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <string_view>

#include "host/base/unique_fd.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRunnerPrefix = "runner-";

// One write, as the kernel takes an order.
Status WriteOrder(const fs::path& file, const std::string& order) {
  const UniqueFd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid() || write(fd.get(), order.data(), order.size()) < 0) {
    return Status::FromErrno(fmt::format("write {} to {}", order, file.string()), errno);
  }
  return {};
}

std::string ReadText(const fs::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

// Where the hierarchy of version 2 is mounted: its root is the one that /proc/self/cgroup counts
// from. Empty where it is not.
fs::path MountPoint() {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::size_t type = line.find(" - cgroup2 ");
    if (type == std::string::npos) {
      continue;
    }
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 5; ++i) {
      words >> word;
    }
    return word;
  }
  return {};
}

// This process's place in that hierarchy: "/system.slice/catchup.service".
std::string OwnPath() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.rfind("0::/", 0) == 0) {
      return line.substr(4);
    }
  }
  return {};
}

// systemd marks what it has handed over; a folder that merely may be written, as by root, is not
// ours to change.
bool IsDelegated(const fs::path& folder) {
  for (const char* const name : {"user.delegate", "trusted.delegate"}) {
    std::array<char, 4> value{};
    if (getxattr(folder.c_str(), name, value.data(), value.size()) == 1 && value[0] == '1') {
      return true;
    }
  }
  return false;
}

}  // namespace

ControlGroup::~ControlGroup() {
  // Whatever is left; before Linux 5.14 the host's own sweep alone finds it.
  if (access((folder_ / "cgroup.kill").c_str(), W_OK) == 0) {
    (void)WriteOrder(folder_ / "cgroup.kill", "1");
  }
  // What has just been killed may take a moment to go; then the next host removes it.
  (void)rmdir(folder_.c_str());
}

Status ControlGroup::Enter(pid_t pid) const {
  return WriteOrder(folder_ / "cgroup.procs", std::to_string(pid));
}

bool ControlGroup::OutOfMemory() const {
  std::istringstream events(ReadText(folder_ / "memory.events"));
  std::string name;
  std::uint64_t count = 0;
  while (events >> name >> count) {
    if (name == "oom_kill" && count > 0) {
      return true;
    }
  }
  return false;
}

Result<ControlGroups> ControlGroups::Find() {
  const fs::path mount = MountPoint();
  const std::string own = OwnPath();
  if (mount.empty() || own.empty()) {
    return Status::NotFound("the system has no control groups of version 2, or this process none");
  }
  fs::path folder = mount / own;
  // After a restart in place, or with DelegateSubgroup=host, it is in there already.
  if (!IsDelegated(folder) && folder.filename() == "host") {
    folder = folder.parent_path();
  }
  if (!IsDelegated(folder)) {
    return Status::NotFound(fmt::format(
        "{} is not handed to this process, as by Delegate=yes of systemd", folder.string()));
  }
  if (ReadText(folder / "cgroup.controllers").find("memory") == std::string::npos) {
    return Status::NotFound(
        fmt::format("{} has no memory controller", (folder / "cgroup.controllers").string()));
  }
  return Take(folder);
}

Result<ControlGroups> ControlGroups::Take(const fs::path& folder) {
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().filename().string().rfind(kRunnerPrefix, 0) == 0) {
      const ControlGroup left(at->path());
    }
  }
  fs::create_directory(folder / "host", failed);
  if (failed) {
    return Status::FromErrno("make " + (folder / "host").string(), failed.value());
  }
  CATCHUP_RETURN_IF_ERROR(WriteOrder(folder / "host" / "cgroup.procs", std::to_string(getpid())));
  CATCHUP_RETURN_IF_ERROR(WriteOrder(folder / "cgroup.subtree_control", "+memory +pids"));
  return ControlGroups(folder);
}

Result<std::unique_ptr<ControlGroup>> ControlGroups::Make(const std::string& group,
                                                          std::uint64_t spawn,
                                                          std::uint64_t memory_bytes) const {
  const fs::path folder = folder_ / fmt::format("{}{}-{}", kRunnerPrefix, group, spawn);
  (void)rmdir(folder.c_str());  // Of an earlier incarnation, whose processes took a moment to go.
  std::error_code failed;
  fs::create_directory(folder, failed);
  if (failed) {
    return Status::FromErrno("make " + folder.string(), failed.value());
  }
  auto made = std::make_unique<ControlGroup>(folder);
  CATCHUP_RETURN_IF_ERROR(
      WriteOrder(folder / "memory.max", std::to_string(memory_bytes + kMemoryBeyond)));
  // A runner without the helper that it has started, or the other way round, is no use.
  CATCHUP_RETURN_IF_ERROR(WriteOrder(folder / "memory.oom.group", "1"));
  CATCHUP_RETURN_IF_ERROR(WriteOrder(folder / "pids.max", std::to_string(kMostProcesses)));
  return made;
}

}  // namespace catchup
