#include "host/cli/scratch_directory.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

namespace catchup {

namespace fs = std::filesystem;

Result<ScratchDirectory> ScratchDirectory::Make() {
  std::error_code failed;
  const fs::path parent = fs::temp_directory_path(failed);
  if (failed) {
    // Read while there is one thread.
    const char* named = std::getenv("TMPDIR");  // NOLINT
    return Status::Invalid("TMPDIR: " + std::string(named == nullptr ? "/tmp" : named) +
                           ": wanted a directory");
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
  std::string path = (parent / "catchup-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) {
    return Status::FromErrno("make a directory in " + parent.string(), errno);
  }
  return ScratchDirectory(path);
}

ScratchDirectory::~ScratchDirectory() {
  if (!path_.empty()) {
    std::error_code leftover;  // What stays in a temporary directory is swept by the system.
    fs::remove_all(path_, leftover);
  }
}

}  // namespace catchup
