#include "host/store/state_directory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

#include "host/base/durable_file.h"
#include "host/base/number.h"
#include "host/base/path_access.h"
#include "host/base/shell_word.h"
#include "host/base/text.h"

namespace catchup {
namespace {

constexpr long kStateFormat = 2;

// The format of the versions before checkpoints were plain files.
constexpr long kSqliteFormat = 1;

constexpr mode_t kLockMode = 0600;
constexpr std::size_t kMaxNumberFile = 32;  // A decimal number and a line feed.

// What a creation that was cut short may leave behind. A "format" that does not say anything is
// none, so it may be there: on some file systems a machine that crashes can make it empty.
constexpr std::array<std::string_view, 3> kEarlyFiles = {"lock", "format.new", "format"};

// A small file of ours, up to its bound.
Result<std::string> ReadSmallFile(int fd) {
  char text[kMaxNumberFile];
  const ssize_t size = ::pread(fd, text, sizeof text, 0);
  if (size < 0) {
    return Status::FromErrno("read it", errno);
  }
  return std::string(text, static_cast<std::size_t>(size));
}

// The positive number that is the whole of `text`, but for a line feed; or 0.
long ReadNumber(std::string_view text) {
  text = text.substr(0, text.find_last_not_of("\r\n") + 1);
  return std::max(ParseNumber<long>(text).value_or(0), 0L);
}

// The pid in a lock file, or 0.
long ReadPid(int fd) {
  const auto text = ReadSmallFile(fd);
  return text.ok() ? ReadNumber(*text) : 0;
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
      const std::filesystem::path parent = made.has_parent_path() ? made.parent_path() : ".";
      // Only where it is a matter of rights another user can do it.
      const bool read_only = ::access(parent.c_str(), W_OK) != 0 && errno == EROFS;
      return status.code() != Status::Code::kDenied || read_only
                 ? status
                 : Status::Denied(fmt::format("{}; as root run: install -d -m 0700 -o {} {}",
                                              status.message(), ::geteuid(),
                                              ShellWord(path.string())));
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
    return Status::Denied(
        fmt::format("it belongs to user {0}, wanted one of user {1}; as root run: chown -R {1} {2}",
                    info.st_uid, ::geteuid(), ShellWord(path.string())));
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Status::Denied(fmt::format(
        "it has mode {:04o}, wanted no right to write for group and others; run: chmod go-w {}",
        info.st_mode & 07777U, ShellWord(path.string())));
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
    const long pid = ReadPid(fd.get());
    return Status::InUse(pid > 0 ? fmt::format("is in use by pid {}", pid)
                                 : std::string("is in use by a process that is just starting"));
  }
  // Over what is there, so that it takes no room that a full disk might not have. Where it cannot
  // be written it is left empty: it serves the text above only.
  const std::string pid = fmt::format("{}\n", ::getpid());
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
    if (std::find(kEarlyFiles.begin(), kEarlyFiles.end(), name) == kEarlyFiles.end()) {
      return false;
    }
  }
  if (error) {
    return Status::FromErrno("list it", error.value());
  }
  return true;
}

constexpr std::string_view kAnew =
    "name another directory (or move this one away), where every group begins anew at its start";

std::string WhatToDo(long format) {
  if (format == kSqliteFormat) {
    return " and cannot take over the checkpoints of an earlier one: go on with the version that "
           "made it, or " +
           std::string(kAnew);
  }
  return ": go on with the version that made it, or " + std::string(kAnew);
}

// For a format that is no number, beside files that somebody may need.
Status NoFormat(const std::string& text) {
  std::string found = "is empty";
  if (!text.empty()) {
    found = "holds ";
    AppendJsonString(text, &found);
  }
  const std::string wanted = std::to_string(kStateFormat);
  return Status::Incompatible(
      fmt::format("its file \"format\" {}, wanted the number of the layout: if this version has "
                  "made the directory, put \"{}\" into that file, else {}",
                  found, wanted, kAnew));
}

// Whether the folder has a format, one that this version reads; false for a new folder.
Result<bool> HasFormat(const std::filesystem::path& path) {
  const UniqueFd fd(::open((path / "format").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid() && errno != ENOENT) {
    return Status::FromErrno("open its format", errno);
  }
  std::string text;
  if (fd.valid()) {
    auto read = ReadSmallFile(fd.get());
    if (!read.ok()) {
      return read.status().Within("its format");
    }
    text = *std::move(read);
    const long format = ReadNumber(text);
    if (format == kStateFormat) {
      return true;
    }
    if (format != 0) {
      return Status::Incompatible(fmt::format("its format is {}, this version reads {}{}", format,
                                              kStateFormat, WhatToDo(format)));
    }
  }
  const auto fresh = IsNew(path);
  if (!fresh.ok() || (*fresh && text.empty())) {
    return fresh.ok() ? Result<bool>(false) : fresh;
  }
  if (fd.valid()) {
    return NoFormat(text);
  }
  return Status::Incompatible(
      "it holds files but no \"format\", so it is no state directory; "
      "wanted one, or an empty or new directory");
}

Status CheckFormat(const std::filesystem::path& path) {
  CATCHUP_ASSIGN_OR_RETURN(const bool has_format, HasFormat(path));
  if (has_format) {
    return {};
  }
  return WriteFileDurably(path / "format", fmt::format("{}\n", kStateFormat));
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
  const long pid = ReadPid(fd.get());
  // "1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF"
  const std::string holder = fmt::format(" {} ", pid);
  const std::string inode = fmt::format(":{} ", info.st_ino);
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
  CATCHUP_ASSIGN_OR_RETURN(const auto has_format, HasFormat(path));
  const long holder = has_format ? LockHolder(path / "lock") : 0;
  if (holder != 0) {
    look.note = fmt::format("is in use by pid {}", holder);
    return look;
  }
  look.readable = has_format;
  return look;
}

Result<UniqueFd> Prepare(const std::filesystem::path& path) {
  CATCHUP_RETURN_IF_ERROR(RefuseLinkToNothing(path));
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
    look->note = fmt::format("state directory {} {}", path.string(), look->note);
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
    return Status::NotFound(
        fmt::format("state directory {} is gone: it was removed or moved away while the host ran",
                    path_.string()));
  }
  auto lock = Lock(file);
  if (!lock.ok()) {
    return lock.status().code() == Status::Code::kInUse
               ? Status::InUse(fmt::format("state directory {} {}: its file \"lock\" was removed "
                                           "or replaced while this host ran",
                                           path_.string(), lock.status().message()))
               : lock.status().Within("state directory " + path_.string());
  }
  lock_ = *std::move(lock);
  return true;
}

Result<StateDirectory::GroupData> StateDirectory::EnsureGroupData(const std::string& name) const {
  const std::filesystem::path data = group_data(name);
  struct stat info {};
  GroupData found;
  if (::stat(data.c_str(), &info) != 0) {
    if (errno != ENOENT) {
      return Status::FromErrno("look at " + data.string(), errno);
    }
    CATCHUP_RETURN_IF_ERROR(MakeDirectory(data));
    found.made = true;
    if (::stat(data.c_str(), &info) != 0 && errno != ENOENT) {
      return Status::FromErrno("look at " + data.string(), errno);
    }
  }
  // A link that leads nowhere, for example.
  if (!S_ISDIR(info.st_mode)) {
    return Status::Invalid(
        fmt::format("{}: it is no directory, wanted the working directory of the plugin of group "
                    "{}; move it away and start the host again",
                    data.string(), name));
  }
  found.device = info.st_dev;
  found.inode = info.st_ino;
  return found;
}

bool StateDirectory::HasGroupData(const std::string& name, const GroupData& known) const {
  struct stat info {};
  return ::stat(group_data(name).c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
         known.IsSame({info.st_dev, info.st_ino, false});
}

Result<StateDirectory> StateDirectory::Open(const std::filesystem::path& path) {
  auto lock = Prepare(path);
  if (!lock.ok()) {
    const Status& status = lock.status();
    // The lock's text makes a sentence with the name, the others stand behind it.
    return status.code() == Status::Code::kInUse
               ? Status::InUse(
                     fmt::format("state directory {} {}", path.string(), status.message()))
               : status.Within("state directory " + path.string());
  }
  return StateDirectory(path, *std::move(lock));
}

}  // namespace catchup
