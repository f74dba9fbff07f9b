#include "host/base/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "host/base/str_cat.h"
#include "host/base/unique_fd.h"

namespace catchup {
namespace {

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;

Status Failed(std::string_view what, const std::filesystem::path& path, int error) {
  return Status::FromErrno(StrCat(what, " ", path.string()), error);
}

Status WriteAll(int fd, std::string_view content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      return Failed("write", path, errno);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Status SyncDirectory(const std::filesystem::path& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    return Failed("open", directory, errno);
  }
  return ::fsync(fd.get()) == 0 ? Status() : Failed("sync", directory, errno);
}

Status RenameDurably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return Failed("rename to", to, errno);
  }
  return SyncDirectory(to.parent_path());
}

Status WriteFileDurably(const std::filesystem::path& file, std::string_view content) {
  std::filesystem::path fresh = file;
  fresh += ".new";
  const UniqueFd fd(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kFileMode));
  if (!fd.valid()) {
    return Failed("create", fresh, errno);
  }
  CATCHUP_RETURN_IF_ERROR(WriteAll(fd.get(), content, fresh));
  if (::fsync(fd.get()) != 0) {
    return Failed("sync", fresh, errno);
  }
  return RenameDurably(fresh, file);
}

Status RemoveIfThere(const std::filesystem::path& file) {
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) {
    return Failed("remove", file, errno);
  }
  return {};
}

Status MakeDirectory(const std::filesystem::path& directory) {
  if (::mkdir(directory.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
    return Failed("create directory", directory, errno);
  }
  return {};
}

}  // namespace catchup
