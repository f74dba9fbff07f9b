#include "plugins/jsonl/line_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "catchup/plugin.hpp"

namespace catchup {
namespace {

// How often one Append looks again after the file has changed under it. A rotation changes it once;
// what changes it more often than this is no rotation.
constexpr int kMaxTries = 8;

// More symbolic links in a row than Linux follows.
constexpr int kMaxLinks = 40;

// How every line begins that this plugin writes (AppendEventLine).
constexpr std::string_view kLineStart = "{\"stream\":\"";

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

// While it lives, this thread's ftruncate makes no file longer: it fails with EFBIG instead.
//
// What was cut off by somebody else right before would come back as zeros otherwise, and no other
// call shrinks a file that may meanwhile be shorter. The kernel holds the limit against the size
// under the file's own lock, so there is no moment in between. The limit is the whole process's,
// which holds this plugin alone, and no other thread of it writes to files.
class NoGrowth {
 public:
  NoGrowth() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGXFSZ);
    ::pthread_sigmask(SIG_BLOCK, &signals, &mask_);
    ::getrlimit(RLIMIT_FSIZE, &limit_);
    const rlimit none{0, limit_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoGrowth() {
    ::setrlimit(RLIMIT_FSIZE, &limit_);
    // The signal of a refusal stays with this thread until it is taken.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGXFSZ);
    const timespec at_once{};
    while (::sigtimedwait(&signals, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }
  NoGrowth(const NoGrowth&) = delete;
  NoGrowth& operator=(const NoGrowth&) = delete;

 private:
  sigset_t mask_{};
  rlimit limit_{};
};

}  // namespace

std::string LineFile::Text(std::string_view what, int error) const {
  std::string text = path_;
  text.append(": ").append(what).append(": ").append(std::generic_category().message(error));
  return text;
}

// Later than at the start the path was right before, so that what is missing may come back.
void LineFile::Throw(std::string_view what, int error) const {
  if (opening_ && IsMisconfiguration(error)) throw Fatal(Text(what, error));
  throw Retry(Text(what, error));
}

void LineFile::Open(const std::string& path) {
  Close();
  path_ = path;
  std::error_code failed;
  absolute_ = std::filesystem::absolute(path, failed).string();
  if (failed) Throw("cannot find the working directory", failed.value());
  opening_ = true;
  OpenCurrent();
}

// A file that is open is one that has all of this behind it.
void LineFile::OpenCurrent() {
  Close();
  try {
    OpenOrMake();
    Lock();
    SyncFolders();
    MendEnd();
  } catch (...) {
    Close();
    throw;
  }
}

void LineFile::OpenOrMake() {
  // Neither waits for the other end of a FIFO nor takes a terminal for its own.
  constexpr int kFlags = O_RDWR | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  fd_ = ::open(absolute_.c_str(), kFlags);
  if (fd_ < 0 && errno == ENOENT) {
    fd_ = ::open(absolute_.c_str(), kFlags | O_CREAT, 0640);
    if (fd_ < 0) Throw("cannot make the file", errno);
  }
  if (fd_ < 0) Throw("cannot open", errno);
  struct stat status {};
  if (::fstat(fd_, &status) != 0) Throw("cannot look at the file", errno);
  if (!S_ISREG(status.st_mode)) {
    const std::string text =
        path_ + ": found something that is not a regular file, wanted a file of lines";
    if (opening_) throw Fatal(text);
    throw Retry(text);
  }
}

// A new file's name is durable only once its folder is, whoever made the file. Where the path is a
// symbolic link, that is the folder it leads to; the link itself may be as new.
void LineFile::SyncFolders() const {
  std::filesystem::path path = absolute_;
  for (int i = 0; i <= kMaxLinks; ++i) {
    const std::filesystem::path folder = path.parent_path();
    SyncFolder(folder);
    std::error_code no_link;  // Or it cannot be read, which opening the file would have met.
    const std::filesystem::path target = std::filesystem::read_symlink(path, no_link);
    if (no_link) return;
    path = folder / target;
  }
  Throw("cannot follow it", ELOOP);
}

void LineFile::SyncFolder(const std::filesystem::path& folder) const {
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

bool LineFile::IsCurrent() const {
  struct stat open {};
  struct stat named {};
  // What is wrong with the path shows when it is opened.
  return fd_ >= 0 && ::fstat(fd_, &open) == 0 && ::stat(absolute_.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

std::uint64_t LineFile::Size() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) Throw("cannot look at the file", errno);
  return static_cast<std::uint64_t>(status.st_size);
}

int LineFile::ByteAt(std::uint64_t offset) const {
  unsigned char byte = 0;
  ssize_t got;
  do {
    got = ::pread(fd_, &byte, 1, static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  if (got < 0) Throw("cannot read", errno);
  return got == 1 ? byte : -1;
}

std::uint64_t LineFile::StartOfLastLine(std::uint64_t size) const {
  char block[64 * 1024];
  std::uint64_t start = size;
  while (start > 0) {
    const std::uint64_t take = std::min<std::uint64_t>(start, sizeof block);
    const ssize_t got = ::pread(fd_, block, take, static_cast<off_t>(start - take));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) Throw("cannot read", errno);
    start -= take;
    // Less than asked: the file was cut meanwhile, and what is left of it begins before here.
    const void* const feed = ::memrchr(block, '\n', static_cast<std::size_t>(got));
    if (feed != nullptr) {
      return start + static_cast<std::uint64_t>(static_cast<const char*>(feed) - block) + 1;
    }
  }
  return 0;
}

// A piece of a line as we write them; or zeros, which are in no text but where a file was made
// longer without being written to.
bool LineFile::LastLineIsOurs(std::uint64_t start) const {
  for (std::size_t i = 0; i < kLineStart.size(); ++i) {
    const int byte = ByteAt(start + i);
    if (byte <= 0) return true;
    if (byte != static_cast<unsigned char>(kLineStart[i])) return false;
  }
  return true;
}

void LineFile::Cut(std::uint64_t size) const {
  int error = 0;
  do {
    const NoGrowth no_growth;
    error = ::ftruncate(fd_, static_cast<off_t>(size)) == 0 ? 0 : errno;
  } while (error == EINTR);
  // Too short for that already: somebody else was faster.
  if (error != 0 && error != EFBIG) Throw("cannot cut an unfinished line", error);
}

void LineFile::MendEnd() {
  for (int i = 0; i < kMaxTries; ++i) {
    const std::uint64_t size = Size();
    if (size == 0) return;
    const int last = ByteAt(size - 1);
    if (last == '\n') return;
    if (last < 0) continue;
    const std::uint64_t start = StartOfLastLine(size);
    if (LastLineIsOurs(start)) {
      Cut(start);
      const std::string cut = path_ + ": cut " + std::to_string(size - start) + " bytes ";
      notice_(opening_ ? cut + "of a last line that was not finished; its event comes again"
                       : cut + "behind the last whole line",
              true);
    } else {
      if (::write(fd_, "\n", 1) != 1) Throw("cannot end the last line", errno);
      notice_(path_ + ": ended a last line that had no line feed and is no event's", true);
    }
    if (::fdatasync(fd_) != 0) Throw("cannot sync", errno);
  }
  throw Retry(path_ + ": others change its end all the time, wanted to be its only writer");
}

void LineFile::Append(std::string_view lines, bool sync) {
  opening_ = false;
  for (int i = 0; i < kMaxTries; ++i) {
    if (!IsCurrent()) {
      const bool had_one = fd_ >= 0;
      OpenCurrent();
      if (had_one) notice_(path_ + ": the file was moved or removed; goes on in a new one", false);
    }
    MendEnd();
    // The file is not current: what was written may be gone with the file, or be in the hands of
    // whoever rotates it. It stands once more in the next one rather than nowhere.
    if (WriteOnce(lines, sync) && IsCurrent()) return;
  }
  throw Retry(path_ + ": the file was moved or cut at each of " + std::to_string(kMaxTries) +
              " tries to write to it");
}

// Where the lines begin and end is asked after each write, as O_APPEND finds that out by itself.
// False if the file was cut meanwhile, so that they are not all there.
bool LineFile::WriteOnce(std::string_view lines, bool sync) {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::string_view rest = lines;
  while (!rest.empty()) {
    // One call takes a whole batch; after a short one the next says what was wrong.
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : EIO;
      CutOwn(start, end);
      Throw("cannot write", error);
    }
    const off_t at = ::lseek(fd_, 0, SEEK_CUR);
    if (at < written) Throw("cannot tell where it wrote", at < 0 ? errno : EIO);
    const auto behind = static_cast<std::uint64_t>(at);
    const std::uint64_t from = behind - static_cast<std::uint64_t>(written);
    if (end != 0 && from != end) {
      CutOwn(from, behind);
      return false;
    }
    if (end == 0) start = from;
    end = behind;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  // After a failed sync the kernel may call these pages clean. They are cut off and written anew,
  // so a later sync that succeeds does speak for them; earlier lines had a sync of their own.
  if (sync && ::fdatasync(fd_) != 0) {
    const int error = errno;
    CutOwn(start, end);
    Throw("cannot sync", error);
  }
  return Size() >= end;
}

// Takes back what was written from `start` to `end`, of which nothing may be there (0 and 0). Only
// that is ours to take: if the file is longer now, somebody else has written behind it.
void LineFile::CutOwn(std::uint64_t start, std::uint64_t end) {
  const std::uint64_t size = Size();
  if (size <= start || size > end) return;
  Cut(start);
  MendEnd();
}

void LineFile::Close() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace catchup
