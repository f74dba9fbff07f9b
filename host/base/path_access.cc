#include "host/base/path_access.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "host/base/str_cat.h"

namespace catchup {
namespace {

Status CheckAccess(const std::filesystem::path& path, int mode, const char* what) {
  int result = ::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS);
  // A filter of system calls that does not know faccessat2, which no right of a file answers with.
  // The older call asks for the real user, who is the effective one unless somebody made us setuid.
  if (result != 0 && errno == EPERM && ::getuid() == ::geteuid()) {
    result = ::access(path.c_str(), mode);
  }
  return result == 0 ? Status() : Status::FromErrno(what + path.string(), errno);
}

// What a host cannot begin with: it keeps 20 KiB for each group and a copy of each plugin.
constexpr std::uint64_t kLeastBytes = 1u << 20;
constexpr std::uint64_t kLeastFiles = 16;

// The kernel's own file systems, in which even the administrator makes no files, whatever the mode
// of a directory says.
Status CheckTakesFiles(const std::filesystem::path& directory) {
  struct statfs mount {};
  if (::statfs(directory.c_str(), &mount) != 0) {
    return Status::FromErrno("look at the file system of " + directory.string(), errno);
  }
  const auto type = static_cast<unsigned long>(mount.f_type);
  for (const unsigned long kernels :
       {static_cast<unsigned long>(PROC_SUPER_MAGIC), static_cast<unsigned long>(SYSFS_MAGIC),
        static_cast<unsigned long>(CGROUP_SUPER_MAGIC),
        static_cast<unsigned long>(CGROUP2_SUPER_MAGIC)}) {
    if (type == kernels) {
      return Status::Invalid(directory.string() +
                             " is in a file system of the kernel, wanted one that takes files");
    }
  }
  return {};
}

}  // namespace

Status CheckUsableDirectory(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (!S_ISDIR(info.st_mode)) {
      return Status::Invalid(path.string() + " is a file, wanted a directory");
    }
    CATCHUP_RETURN_IF_ERROR(CheckAccess(path, W_OK | X_OK, "write into "));
    return CheckTakesFiles(path);
  }
  if (errno != ENOENT && errno != ENOTDIR) {
    return Status::FromErrno("look at " + path.string(), errno);
  }
  CATCHUP_RETURN_IF_ERROR(RefuseLinkToNothing(path));
  const std::filesystem::path parent =
      path.has_filename() ? path.parent_path() : path.parent_path().parent_path();
  return parent == path || parent.empty() ? Status() : CheckUsableDirectory(parent);
}

Status RefuseLinkToNothing(const std::filesystem::path& path) {
  std::filesystem::path part;
  for (const std::filesystem::path& name : path) {
    part /= name;
    struct stat info {};
    if (::lstat(part.c_str(), &info) != 0) {
      return {};  // Then nothing below it exists either.
    }
    if (S_ISLNK(info.st_mode) && ::stat(part.c_str(), &info) != 0 &&
        (errno == ENOENT || errno == ENOTDIR)) {
      return Status::Invalid(part.string() + " is a link to nothing, wanted a directory");
    }
  }
  return {};
}

std::string DescribeShortRoom(const std::filesystem::path& path) {
  std::error_code failed;
  std::filesystem::path there = std::filesystem::absolute(path, failed);
  struct statvfs disk {};
  while (::statvfs(there.c_str(), &disk) != 0) {
    if (!there.has_relative_path()) {
      return {};
    }
    there = there.parent_path();
  }
  // What is kept back for root counts for root alone.
  const bool root = ::geteuid() == 0;
  const std::uint64_t bytes = disk.f_frsize * (root ? disk.f_bfree : disk.f_bavail);
  const std::uint64_t files = root ? disk.f_ffree : disk.f_favail;
  // Without a bound of its own a file system says 0 of everything.
  std::string left;
  if (disk.f_blocks != 0 && bytes < kLeastBytes) {
    left = StrCat(bytes, " bytes");
  } else if (disk.f_files != 0 && files < kLeastFiles) {
    left = StrCat("room for ", files, " files");
  }
  return left.empty() ? left : left + " left in the file system of " + there.string();
}

Status CheckUsableFile(const std::filesystem::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Status() : Status::FromErrno("look at " + path.string(), errno);
  }
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return Status::Invalid(path.string() + " is no regular file, wanted one");
  }
  return CheckAccess(path, R_OK | W_OK, "write ");
}

}  // namespace catchup
