#include "host/store/checkpoint_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "host/base/check.h"
#include "host/base/durable_file.h"
#include "host/store/bytes.h"

namespace catchup {
namespace {

constexpr std::string_view kMagic = "catchup-checkpt\n";
constexpr std::size_t kAtFormat = 16;
constexpr std::size_t kAtSlotBytes = 20;
constexpr std::size_t kAtHeaderSum = kHeaderBytes - kSumBytes;
constexpr mode_t kFileMode = 0600;

// How often a file is opened again because it was replaced in between.
constexpr int kMaxOpens = 3;

// As FromErrno, but what an operator can mend while the host waits is no verdict on the file.
Status Failed(std::string_view what, const std::filesystem::path& file, int error) {
  Status status = Status::FromErrno(fmt::format("{}: {}", file.string(), what), error);
  return status.code() == Status::Code::kDenied ? Status::Unavailable(status.message()) : status;
}

// A failure that no later try can undo, so no code that stands for one.
Status Final(std::string_view what, const std::filesystem::path& file, int error) {
  return Status::Internal(Failed(what, file, error).message());
}

std::string MakeHeader() {
  std::string header(kMagic);
  PutNumber(kCheckpointFormat, &header);
  PutNumber(static_cast<std::uint32_t>(kSlotBytes), &header);
  header.resize(kAtHeaderSum);
  AppendSum(&header);
  return header;
}

std::size_t SlotOffset(std::size_t slot) { return kHeaderBytes + slot * kSlotBytes; }

// What is wrong with a header; kIncompatible when it is whole and of another format.
Result<std::string> JudgeHeader(std::string_view header, const std::filesystem::path& file) {
  if (header.size() < kHeaderBytes || header.substr(0, kMagic.size()) != kMagic ||
      !SumFits(header)) {
    return std::string("its header is bad");
  }
  const auto format = GetNumber<std::uint32_t>(header, kAtFormat);
  const auto slot_bytes = GetNumber<std::uint32_t>(header, kAtSlotBytes);
  if (format != kCheckpointFormat || slot_bytes != kSlotBytes) {
    return Status::Incompatible(fmt::format("{}: format {}, this version reads {}", file.string(),
                                            format, kCheckpointFormat));
  }
  return std::string();
}

// Up to kCheckpointFileBytes; fewer where the file is shorter.
Result<std::string> ReadAll(int fd, const std::filesystem::path& file) {
  std::string bytes(kCheckpointFileBytes, '\0');
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t size = ::pread(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (size < 0 && errno == EINTR) {
      continue;
    }
    if (size < 0) {
      return Failed("read", file, errno);
    }
    if (size == 0) {
      break;
    }
    at += static_cast<std::size_t>(size);
  }
  bytes.resize(at);
  return bytes;
}

Result<CheckpointFile::Image> ReadImage(int fd, const std::filesystem::path& file) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    return Failed("look at it", file, errno);
  }
  CATCHUP_ASSIGN_OR_RETURN(const auto read, ReadAll(fd, file));
  const std::string_view bytes = read;
  CATCHUP_ASSIGN_OR_RETURN(auto fault, JudgeHeader(bytes.substr(0, kHeaderBytes), file));
  CheckpointFile::Image image;
  image.fault = std::move(fault);
  if (static_cast<std::size_t>(info.st_size) != kCheckpointFileBytes) {
    image.fault = fmt::format("{} bytes, wanted {}", info.st_size, kCheckpointFileBytes);
  }
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    if (bytes.size() >= SlotOffset(slot) + kSlotBytes) {
      image.slots[slot] = bytes.substr(SlotOffset(slot), kSlotBytes);
    }
  }
  return image;
}

// One pwrite, unless the system takes less than all of it.
int WriteAt(int fd, std::string_view bytes, std::size_t at) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0 && errno != EINTR) {
      return errno;
    }
    if (written == 0) {
      return EIO;  // A regular file never does this; without it the loop might not end.
    }
    const std::size_t size = written < 0 ? 0 : static_cast<std::size_t>(written);
    bytes.remove_prefix(size);
    at += size;
  }
  return 0;
}

// An interrupted sync has failed nothing yet.
int SyncData(int fd) {
  while (::fdatasync(fd) != 0) {
    if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

// Writes and syncs a new file and returns it open and locked. What is left of a failure is an
// unfinished file of that name, which nobody trusts.
Result<UniqueFd> WriteNew(const std::filesystem::path& file, const CheckpointFile::Slots& slots) {
  // A new file, not the old one cut short: an earlier sync of that may have failed.
  CATCHUP_RETURN_IF_ERROR(RemoveIfThere(file));
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kFileMode));
  if (!fd.valid()) {
    return Failed("create", file, errno);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return Failed("lock", file, errno);
  }
  const std::string bytes = MakeHeader() + slots[0] + slots[1];
  CATCHUP_CHECK(bytes.size() == kCheckpointFileBytes);
  if (const int error = WriteAt(fd.get(), bytes, 0); error != 0) {
    return Failed("write", file, error);
  }
  // A failure is not Final(): the next try begins with another file.
  while (::fsync(fd.get()) != 0) {
    if (errno != EINTR) {
      return Failed("sync", file, errno);
    }
  }
  return fd;
}

}  // namespace

Result<CheckpointFile::Image> CheckpointFile::Read(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    return Failed("open", file, errno);
  }
  return ReadImage(fd.get(), file);
}

Status CheckpointFile::Write(const std::filesystem::path& file, const Slots& slots) {
  return WriteNew(file, slots).status();
}

Result<std::unique_ptr<CheckpointFile>> CheckpointFile::Open(const std::filesystem::path& file) {
  for (int i = 0; i < kMaxOpens; ++i) {
    UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid()) {
      return Failed("open", file, errno);
    }
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        break;
      }
      return Failed("lock", file, errno);
    }
    std::unique_ptr<CheckpointFile> opened(new CheckpointFile(file, std::move(fd)));
    // Whoever had it may have put a new file in its place just before letting go of this one.
    if (opened->CheckStillThere().ok()) {
      return opened;
    }
  }
  return Status::InUse(file.string() + ": another process has it open");
}

Result<CheckpointFile::Image> CheckpointFile::Read() const { return ReadImage(fd_.get(), file_); }

Status CheckpointFile::Renew(const Slots& slots) {
  std::filesystem::path fresh = file_;
  fresh += ".new";
  CATCHUP_ASSIGN_OR_RETURN(auto fd, WriteNew(fresh, slots));
  CATCHUP_RETURN_IF_ERROR(RenameDurably(fresh, file_));
  fd_ = std::move(fd);
  return {};
}

Status CheckpointFile::WriteSlot(std::size_t slot, std::string_view body) {
  CATCHUP_CHECK(slot < kSlots && body.size() == kSlotBytes);
  if (const int error = WriteAt(fd_.get(), body, SlotOffset(slot)); error != 0) {
    return Failed("write", file_, error);
  }
  if (const int error = SyncData(fd_.get()); error != 0) {
    return Final("sync", file_, error);
  }
  return CheckStillThere();
}

// A file that was removed, or moved away with its folder, takes writes and syncs as ever.
Status CheckpointFile::CheckStillThere() const {
  struct stat named {};
  struct stat ours {};
  if (::stat(file_.c_str(), &named) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) {
      return {};  // Not to be told now, as under a folder that was made unreadable.
    }
    const std::string found = file_.string() +
                              ": it was removed or moved away while the group ran, so no "
                              "checkpoint can be kept; ";
    // The next start decides which: without the folder a group is new, without the file it is
    // refused.
    return ::stat(file_.parent_path().c_str(), &named) == 0
               ? Status::NotFound(found + "put the file back as it was and restart the host")
               : Status::NotFound(found +
                                  "put the folder of the group back as it was and restart the "
                                  "host, without it the group begins anew");
  }
  if (::fstat(fd_.get(), &ours) == 0 && ours.st_dev == named.st_dev &&
      ours.st_ino == named.st_ino) {
    return {};
  }
  return Status::NotFound(file_.string() +
                          ": another file was put in its place while the group ran, so it is not "
                          "known which checkpoint counts; put the right one there and restart the "
                          "host");
}

}  // namespace catchup
