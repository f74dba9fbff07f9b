#include "host/cli/scratch_directory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>

namespace catchup {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "catchup-scratch-";

// Between its making and its locking a directory looks like one that was left behind.
constexpr std::chrono::minutes kYoung{1};

UniqueFd Lock(const fs::path& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
    return fd;
  }
  return {};
}

// What commands of this user left behind when they were killed.
void RemoveLeftovers(const fs::path& parent) {
  std::error_code failed;  // What cannot be removed now can be by the next command.
  for (fs::directory_iterator at(parent, failed), end; !failed && at != end; at.increment(failed)) {
    struct stat info {};
    if (!at->path().filename().string().starts_with(kPrefix) ||
        ::lstat(at->path().c_str(), &info) != 0 || info.st_uid != ::geteuid()) {
      continue;
    }
    const auto made = std::chrono::system_clock::from_time_t(info.st_ctime);
    if (std::chrono::system_clock::now() - made < kYoung) {
      continue;
    }
    if (const UniqueFd unused = Lock(at->path()); unused.valid()) {
      std::error_code stays;
      fs::remove_all(at->path(), stays);
    }
  }
}

}  // namespace

Result<ScratchDirectory> ScratchDirectory::Make() {
  std::error_code failed;
  const fs::path parent = fs::temp_directory_path(failed);
  if (failed) {
    // Read while there is one thread.
    const char* named = std::getenv("TMPDIR");  // NOLINT
    return Status::Invalid(
        fmt::format("TMPDIR: {}: wanted a directory", named == nullptr ? "/tmp" : named));
  }
  struct statvfs mount {};
  if (::statvfs(parent.c_str(), &mount) != 0) {
    return Status::FromErrno("look at the file system of " + parent.string(), errno);
  }
  if ((mount.f_flag & ST_NOEXEC) != 0) {
    return Status::Denied(parent.string() +
                          " is mounted noexec, so no plugin can be loaded from there; set TMPDIR "
                          "to a directory where it can");
  }
  RemoveLeftovers(parent);
  std::string path = (parent / (std::string(kPrefix) + "XXXXXX")).string();
  if (::mkdtemp(path.data()) == nullptr) {
    return Status::FromErrno("make a directory in " + parent.string(), errno);
  }
  // A file system without locks costs no more than what a killed command leaves there.
  return ScratchDirectory(path, Lock(path));
}

ScratchDirectory::~ScratchDirectory() {
  if (!path_.empty()) {
    std::error_code leftover;  // What stays in a temporary directory is swept by the system.
    fs::remove_all(path_, leftover);
  }
}

}  // namespace catchup
