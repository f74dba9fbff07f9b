#include "host/config/small_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "host/base/unique_fd.h"

namespace catchup {

Result<std::string> ReadSmallFile(const std::filesystem::path& file, const SmallFile& wanted) {
  // Not to wait for whoever writes into a pipe.
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    return Status::FromErrno("cannot open it", errno);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    return Status::FromErrno("cannot look at it", errno);
  }
  if (S_ISDIR(info.st_mode)) {
    return Status::Invalid(fmt::format("it is a directory: wanted a file with {}", wanted.content));
  }
  if (!S_ISREG(info.st_mode)) {
    return Status::Invalid(
        fmt::format("it is no regular file: wanted one with {}", wanted.content));
  }
  if ((info.st_mode & wanted.forbidden) != 0) {
    return Status::Invalid(
        fmt::format("its mode is {:04o}: wanted {}", info.st_mode & 07777u, wanted.rights));
  }
  if (static_cast<std::uint64_t>(info.st_size) > wanted.max_bytes) {
    return Status::Invalid(
        fmt::format("more than {} KiB: wanted {}", wanted.max_bytes >> 10, wanted.content));
  }
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return Status::FromErrno("cannot read it", errno);
    }
    if (got == 0) {
      break;
    }
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

}  // namespace catchup
