#include "host/store/letter_sink.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <limits>
#include <string_view>
#include <thread>

#include "host/base/durable_file.h"

namespace catchup {
namespace {

// How every line of this sink begins, by which the rest of one is known.
constexpr std::string_view kLineStart = "{\"step\":\"";

// How long a delivery of another group may last before this one is put off.
constexpr std::chrono::milliseconds kLockPatience{200};
constexpr std::chrono::milliseconds kLockPause{5};

// What is read at a time where the beginning of the last line is looked for.
constexpr std::size_t kBlock = 64u << 10;

Status WriteAll(int fd, std::string_view text, off_t at) {
  while (!text.empty()) {
    const ssize_t written = ::pwrite(fd, text.data(), text.size(), at);
    if (written < 0 && errno != EINTR) {
      return Status::FromErrno("write", errno);
    }
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
      at += written;
    }
  }
  return {};
}

Result<off_t> StartOfLastLine(int fd, off_t size) {
  std::string block(kBlock, '\0');
  off_t end = size;
  while (end > 0) {
    const off_t begin = end > static_cast<off_t>(kBlock) ? end - static_cast<off_t>(kBlock) : 0;
    const ssize_t got = ::pread(fd, block.data(), static_cast<std::size_t>(end - begin), begin);
    if (got < 0) {
      return Status::FromErrno("read", errno);
    }
    const auto feed = std::string_view(block).substr(0, static_cast<std::size_t>(got)).rfind('\n');
    if (feed != std::string_view::npos) {
      return begin + static_cast<off_t>(feed) + 1;
    }
    end = begin;
  }
  return 0;
}

}  // namespace

// Neither waits for the other end of a FIFO nor takes a terminal for its own.
Result<UniqueFd> LineSink::Open() const {
  constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  UniqueFd fd(::open(file_.c_str(), kFlags));
  if (!fd.valid() && errno == ENOENT) {
    fd = UniqueFd(::open(file_.c_str(), kFlags | O_CREAT, 0640));
    if (fd.valid()) {
      const std::filesystem::path folder = file_.parent_path();
      CATCHUP_RETURN_IF_ERROR(SyncDirectory(folder.empty() ? "." : folder));
    }
  }
  if (!fd.valid()) {
    return Status::FromErrno("open", errno);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    return Status::FromErrno("look at it", errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return Status::Invalid("it is not a regular file, wanted a file of lines");
  }
  CATCHUP_RETURN_IF_ERROR(Lock(fd.get()));
  return fd;
}

// Another one that delivers is done in a moment.
Status LineSink::Lock(int fd) const {
  for (auto waited = kLockPatience * 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; waited += kLockPause) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return Status::FromErrno("lock", errno);
    }
    if (waited >= kLockPatience) {
      return Status::InUse("another process has it locked");
    }
    std::this_thread::sleep_for(kLockPause);
  }
  return {};
}

Result<off_t> LineSink::MendEnd(int fd) const {
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    return Status::FromErrno("look at it", errno);
  }
  CATCHUP_ASSIGN_OR_RETURN(const off_t start, StartOfLastLine(fd, info.st_size));
  if (start == info.st_size) {
    return start;
  }
  std::string begin(kLineStart.size(), '\0');
  const ssize_t got = ::pread(fd, begin.data(), begin.size(), start);
  if (got < 0) {
    return Status::FromErrno("read", errno);
  }
  begin.resize(static_cast<std::size_t>(got));
  if (kLineStart.starts_with(begin)) {
    return ::ftruncate(fd, start) == 0 ? Result<off_t>(start) : Status::FromErrno("cut", errno);
  }
  // Somebody else's line, which may end in a line of its own.
  CATCHUP_RETURN_IF_ERROR(WriteAll(fd, "\n", info.st_size));
  return info.st_size + 1;
}

Status LineSink::Deliver(std::span<const LetterStep> steps) {
  auto fd = Open();
  if (!fd.ok()) {
    return fd.status().Within(file_.string());
  }
  const auto end = MendEnd(fd->get());
  if (!end.ok()) {
    return end.status().Within(file_.string());
  }
  std::string lines;
  for (const LetterStep& step : steps) {
    lines += step.Object(std::numeric_limits<std::size_t>::max());
    lines += '\n';
  }
  Status written = WriteAll(fd->get(), lines, *end);
  if (!written.ok()) {
    // What cannot be cut off now, the next delivery does.
    [[maybe_unused]] const int cut = ::ftruncate(fd->get(), *end);
    return written.Within(file_.string());
  }
  if (::fdatasync(fd->get()) != 0) {
    return Status::FromErrno(file_.string() + ": sync", errno);
  }
  return {};
}

}  // namespace catchup
