#include "host/base/path_access.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

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

}  // namespace

Status CheckUsableDirectory(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (!S_ISDIR(info.st_mode)) {
      return Status::Invalid(path.string() + " is a file, wanted a directory");
    }
    return CheckAccess(path, W_OK | X_OK, "write into ");
  }
  if (errno != ENOENT && errno != ENOTDIR) {
    return Status::FromErrno("look at " + path.string(), errno);
  }
  if (::lstat(path.c_str(), &info) == 0) {
    return Status::Invalid(path.string() + " is a link to nothing, wanted a directory");
  }
  const std::filesystem::path parent =
      path.has_filename() ? path.parent_path() : path.parent_path().parent_path();
  return parent == path || parent.empty() ? Status() : CheckUsableDirectory(parent);
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
