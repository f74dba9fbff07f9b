#include "plugins/jsonl/line_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "catchup/plugin.hpp"

namespace catchup {
namespace {

// What no waiting heals: the operator wrote another path than was meant, or forgot a permission.
bool IsMisconfiguration(int error) {
  switch (error) {
    case EACCES:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENOENT:
    case ENOTDIR:
    case EPERM:
      return true;
    default:
      return false;
  }
}

}  // namespace

void LineFile::Throw(std::string_view what, int error) const {
  std::string text = path_;
  text.append(": ").append(what).append(": ").append(std::generic_category().message(error));
  if (IsMisconfiguration(error)) throw Fatal(text);
  throw Retry(text);
}

std::uint64_t LineFile::Open(const std::string& path) {
  Close();
  path_ = path;
  try {
    OpenOrCreate();
    Lock();
    return CutTornLine();
  } catch (...) {
    Close();
    throw;
  }
}

void LineFile::OpenOrCreate() {
  constexpr int kFlags = O_RDWR | O_APPEND | O_CLOEXEC;
  fd_ = ::open(path_.c_str(), kFlags);
  if (fd_ < 0 && errno == ENOENT) {
    fd_ = ::open(path_.c_str(), kFlags | O_CREAT, 0640);
    if (fd_ < 0) Throw("cannot make the file", errno);
    SyncFolder();
  }
  if (fd_ < 0) Throw("cannot open", errno);
  struct stat status {};
  if (::fstat(fd_, &status) != 0) Throw("cannot look at the file", errno);
  if (!S_ISREG(status.st_mode)) {
    throw Fatal(path_ + ": found something that is not a regular file, wanted a file of lines");
  }
  end_ = static_cast<std::uint64_t>(status.st_size);
}

// A new file's name is durable only once its folder is.
void LineFile::SyncFolder() const {
  std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  if (folder.empty()) folder = ".";
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) Throw("cannot open the file's folder", errno);
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (error != 0) Throw("cannot sync the file's folder", error);
}

void LineFile::Lock() const {
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
  if (errno != EWOULDBLOCK) Throw("cannot lock", errno);
  throw Retry(path_ + ": another process has locked it, wanted to be its only writer");
}

std::uint64_t LineFile::CutTornLine() {
  char block[64 * 1024];
  const std::uint64_t size = end_;
  std::uint64_t whole = size;
  bool found = false;
  while (whole > 0 && !found) {
    const std::uint64_t take = std::min<std::uint64_t>(whole, sizeof block);
    const ssize_t got = ::pread(fd_, block, take, static_cast<off_t>(whole - take));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) Throw("cannot read", errno);
    if (static_cast<std::uint64_t>(got) != take) {
      throw Retry(path_ + ": the file became shorter while it was read");
    }
    const void* const feed = ::memrchr(block, '\n', static_cast<std::size_t>(take));
    found = feed != nullptr;
    whole -= take;
    if (found) whole += static_cast<std::uint64_t>(static_cast<const char*>(feed) - block) + 1;
  }
  end_ = whole;
  if (whole != size) {
    RestoreEnd();
    if (::fdatasync(fd_) != 0) Throw("cannot sync", errno);
  }
  return size - whole;
}

void LineFile::RestoreEnd() {
  dirty_ = true;
  while (::ftruncate(fd_, static_cast<off_t>(end_)) != 0) {
    if (errno != EINTR) Throw("cannot cut an unfinished line", errno);
  }
  dirty_ = false;
}

void LineFile::Append(std::string_view lines, bool sync) {
  if (dirty_) RestoreEnd();
  dirty_ = true;
  std::string_view rest = lines;
  while (!rest.empty()) {
    // One call takes a whole batch; after a short one the next says what was wrong.
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : EIO;
      RestoreEnd();
      Throw("cannot write", error);
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  // After a failed sync the kernel may call these pages clean. They are cut off and written anew,
  // so a later sync that succeeds does speak for them; earlier lines had a sync of their own.
  if (sync && ::fdatasync(fd_) != 0) {
    const int error = errno;
    RestoreEnd();
    Throw("cannot sync", error);
  }
  end_ += lines.size();
  dirty_ = false;
}

void LineFile::Close() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  end_ = 0;
  dirty_ = false;
}

}  // namespace catchup
