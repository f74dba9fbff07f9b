#include "host/store/state_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "host/base/path_access.h"
#include "host/base/shell_word.h"
#include "host/store/durable_file.h"

namespace catchup {
namespace {

constexpr long kStateFormat = 2;

// Of before the checkpoints were plain files.
constexpr long kSqliteFormat = 1;

constexpr mode_t kLockMode = 0600;
constexpr std::size_t kMaxNumberFile = 32;  // A decimal number and a line feed.

// What a creation that was cut short may leave behind.
constexpr std::array<std::string_view, 2> kEarlyFiles = {"lock", "format.new"};

// The number in a small file of ours, or 0.
long ReadNumber(int fd) {
  char text[kMaxNumberFile];
  const ssize_t size = ::pread(fd, text, sizeof text, 0);
  long number = 0;
  if (size <= 0 || std::from_chars(text, text + size, number).ec != std::errc()) {
    return 0;
  }
  return number;
}

Status MakeDirectories(const std::filesystem::path& path) {
  std::filesystem::path made;
  for (const std::filesystem::path& part : path) {
    made /= part;
    struct stat info {};
    if (::stat(made.c_str(), &info) == 0) {
      continue;
    }
    if (Status status = MakeDirectory(made); !status.ok()) {
      return status.code() != Status::Code::kDenied
                 ? status
                 : Status::Denied(status.message() + "; as root run: install -d -m 0700 -o " +
                                  std::to_string(::geteuid()) + " " + ShellWord(path.string()));
    }
    CATCHUP_RETURN_IF_ERROR(SyncDirectory(made.parent_path()));
  }
  return {};
}

Status CheckExecutable(const std::filesystem::path& path) {
  struct statvfs mount {};
  if (::statvfs(path.c_str(), &mount) != 0) {
    return Status::FromErrno("look at its file system", errno);
  }
  if ((mount.f_flag & ST_NOEXEC) != 0) {
    return Status::Denied(
        "it lies on a file system mounted noexec, from which no plugin can be "
        "loaded; wanted one without noexec");
  }
  return {};
}

Status CheckDirectory(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return Status::FromErrno("look at it", errno);
  }
  if (!S_ISDIR(info.st_mode)) {
    return Status::Invalid("it is no directory, wanted one");
  }
  if (info.st_uid != ::geteuid()) {
    const std::string self = std::to_string(::geteuid());
    return Status::Denied("it belongs to user " + std::to_string(info.st_uid) +
                          ", wanted one of user " + self + "; as root run: chown -R " + self + " " +
                          ShellWord(path.string()));
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", info.st_mode & 07777U);
    return Status::Denied(std::string("it has mode ") + mode +
                          ", wanted no right to write for group and others; run: chmod go-w " +
                          ShellWord(path.string()));
  }
  return CheckExecutable(path);
}

Result<UniqueFd> Lock(const std::filesystem::path& file) {
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kLockMode));
  if (!fd.valid()) {
    return Status::FromErrno("open its lock", errno);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return Status::FromErrno("lock it", errno);
    }
    const long pid = ReadNumber(fd.get());
    return Status::InUse(pid > 0 ? "is in use by pid " + std::to_string(pid)
                                 : std::string("is in use by a process that is just starting"));
  }
  // Over what is there, so that it takes no room that a full disk might not have. Where it cannot
  // be written it is left empty: it serves the text above only.
  const std::string pid = std::to_string(::getpid()) + "\n";
  const ssize_t written = ::pwrite(fd.get(), pid.data(), pid.size(), 0);
  if (::ftruncate(fd.get(), std::max<ssize_t>(written, 0)) != 0) {
    return Status::FromErrno("write its lock", errno);
  }
  return fd;
}

// Whether nothing but what an interrupted creation leaves is in the folder.
Result<bool> IsNew(const std::filesystem::path& path) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name != kEarlyFiles[0] && name != kEarlyFiles[1]) {
      return false;
    }
  }
  if (error) {
    return Status::FromErrno("list it", error.value());
  }
  return true;
}

std::string WhatToDo(long format) {
  const std::string anew =
      "name another directory (or move this one away), where every group begins anew at its start";
  if (format == kSqliteFormat) {
    return " and cannot take over the checkpoints of an earlier one: go on with the version that "
           "made it, or " +
           anew;
  }
  return format > kStateFormat ? ": go on with the version that made it, or " + anew
                               : ": put the file \"format\" back from a backup, or " + anew;
}

// Whether the folder has a format, one that this version reads; false for a new folder.
Result<bool> HasFormat(const std::filesystem::path& path) {
  const UniqueFd fd(::open((path / "format").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (fd.valid()) {
    const long format = ReadNumber(fd.get());
    if (format == kStateFormat) {
      return true;
    }
    return Status::Incompatible("its format is " + std::to_string(format) +
                                ", this version reads " + std::to_string(kStateFormat) +
                                WhatToDo(format));
  }
  if (errno != ENOENT) {
    return Status::FromErrno("open its format", errno);
  }
  const auto fresh = IsNew(path);
  if (!fresh.ok()) {
    return fresh.status();
  }
  if (!*fresh) {
    return Status::Incompatible(
        "it holds files but no \"format\", so it is no state directory; "
        "wanted one, or an empty or new directory");
  }
  return false;
}

Status CheckFormat(const std::filesystem::path& path) {
  const auto has_format = HasFormat(path);
  if (!has_format.ok() || *has_format) {
    return has_format.status();
  }
  return WriteFileDurably(path / "format", std::to_string(kStateFormat) + "\n");
}

// Folders of groups whose making a kill has cut short. One that cannot be removed is in the way of
// its group alone, which says so.
void RemoveUnfinishedGroups(const std::filesystem::path& groups) {
  std::error_code ended;
  std::vector<std::filesystem::path> unfinished;
  for (std::filesystem::directory_iterator at(groups, ended), end; !ended && at != end;
       at.increment(ended)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with('.') && name.ends_with(".new")) {
      unfinished.push_back(at->path());
    }
  }
  for (const std::filesystem::path& folder : unfinished) {
    std::filesystem::remove_all(folder, ended);
  }
}

// The pid of the process that holds a lock file of ours, or 0. Asks the kernel's list, because
// trying the lock would keep a host that starts at this moment from getting it.
long LockHolder(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) {
    return 0;
  }
  const long pid = ReadNumber(fd.get());
  // "1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF"
  const std::string holder = " " + std::to_string(pid) + " ";
  const std::string inode = ":" + std::to_string(info.st_ino) + " ";
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    if (line.find(" FLOCK ") != std::string::npos && line.find(holder) != std::string::npos &&
        line.find(inode) != std::string::npos) {
      return pid;
    }
  }
  return 0;
}

Result<StateDirectory::Look> LookInto(const std::filesystem::path& path) {
  StateDirectory::Look look;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    CATCHUP_RETURN_IF_ERROR(CheckUsableDirectory(path));
    // It will lie where the nearest of its parents lies that is there.
    std::filesystem::path parent = path;
    while (::stat(parent.c_str(), &info) != 0 && parent.has_relative_path()) {
      parent = parent.parent_path();
    }
    CATCHUP_RETURN_IF_ERROR(CheckExecutable(parent));
    return look;
  }
  CATCHUP_RETURN_IF_ERROR(CheckDirectory(path));
  CATCHUP_RETURN_IF_ERROR(CheckUsableDirectory(path));
  CATCHUP_RETURN_IF_ERROR(CheckUsableFile(path / "lock"));
  CATCHUP_RETURN_IF_ERROR(CheckUsableDirectory(path / "groups"));
  CATCHUP_RETURN_IF_ERROR(CheckUsableDirectory(path / "plugins"));
  const auto has_format = HasFormat(path);
  if (!has_format.ok()) {
    return has_format.status();
  }
  const long holder = *has_format ? LockHolder(path / "lock") : 0;
  if (holder != 0) {
    look.note = "is in use by pid " + std::to_string(holder);
    return look;
  }
  look.readable = *has_format;
  return look;
}

Result<UniqueFd> Prepare(const std::filesystem::path& path) {
  CATCHUP_RETURN_IF_ERROR(MakeDirectories(path));
  CATCHUP_RETURN_IF_ERROR(CheckDirectory(path));
  auto lock = Lock(path / "lock");
  if (!lock.ok()) {
    return lock;
  }
  CATCHUP_RETURN_IF_ERROR(CheckFormat(path));
  CATCHUP_RETURN_IF_ERROR(MakeDirectory(path / "groups"));
  CATCHUP_RETURN_IF_ERROR(MakeDirectory(path / "plugins"));
  CATCHUP_RETURN_IF_ERROR(SyncDirectory(path));
  RemoveUnfinishedGroups(path / "groups");
  return lock;
}

}  // namespace

Result<StateDirectory::Look> StateDirectory::LookAt(const std::filesystem::path& path) {
  auto look = LookInto(path);
  if (!look.ok()) {
    return look.status().Within("state directory " + path.string());
  }
  if (!look->note.empty()) {
    look->note = "state directory " + path.string() + " " + look->note;
  }
  return look;
}

Result<bool> StateDirectory::KeepLock() {
  const std::filesystem::path file = path_ / "lock";
  struct stat named {};
  struct stat ours {};
  if (::fstat(lock_.get(), &ours) != 0) {
    return Status::FromErrno("look at the lock of state directory " + path_.string(), errno);
  }
  if (::stat(file.c_str(), &named) == 0) {
    if (named.st_dev == ours.st_dev && named.st_ino == ours.st_ino) {
      return false;
    }
  } else if (errno != ENOENT) {
    return Status::FromErrno("look at " + file.string(), errno);
  } else if (struct stat directory{}; ::stat(path_.c_str(), &directory) != 0 && errno == ENOENT) {
    return Status::NotFound("state directory " + path_.string() +
                            " is gone: it was removed or moved away while the host ran");
  }
  auto lock = Lock(file);
  if (!lock.ok()) {
    return lock.status().code() == Status::Code::kInUse
               ? Status::InUse("state directory " + path_.string() + " " + lock.status().message() +
                               ": its file \"lock\" was removed or replaced while this host ran")
               : lock.status().Within("state directory " + path_.string());
  }
  lock_ = *std::move(lock);
  return true;
}

Result<bool> StateDirectory::EnsureGroupData(const std::string& name) const {
  const std::filesystem::path data = group_data(name);
  struct stat info {};
  bool made = false;
  if (::stat(data.c_str(), &info) != 0) {
    if (errno != ENOENT) {
      return Status::FromErrno("look at " + data.string(), errno);
    }
    CATCHUP_RETURN_IF_ERROR(MakeDirectory(data));
    made = true;
    if (::stat(data.c_str(), &info) != 0 && errno != ENOENT) {
      return Status::FromErrno("look at " + data.string(), errno);
    }
  }
  // As a link that leads nowhere.
  if (!S_ISDIR(info.st_mode)) {
    return Status::Invalid(data.string() +
                           ": it is no directory, wanted the working directory of "
                           "the plugin of group " +
                           name);
  }
  return made;
}

Result<StateDirectory> StateDirectory::Open(const std::filesystem::path& path) {
  auto lock = Prepare(path);
  if (!lock.ok()) {
    const Status& status = lock.status();
    // The lock's text makes a sentence with the name, the others stand behind it.
    return status.code() == Status::Code::kInUse
               ? Status::InUse("state directory " + path.string() + " " + status.message())
               : status.Within("state directory " + path.string());
  }
  return StateDirectory(path, *std::move(lock));
}

}  // namespace catchup
