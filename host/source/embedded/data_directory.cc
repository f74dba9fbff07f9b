#include "host/source/embedded/data_directory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <string_view>
#include <system_error>
#include <thread>

#include "host/base/number.h"
#include "host/base/path_access.h"

namespace catchup::embedded {
namespace {

constexpr std::chrono::milliseconds kPollInterval{20};

// A pid or an address; anything longer is not ours.
constexpr std::size_t kMaxTextBytes = 512;

std::filesystem::path LockFile(const std::filesystem::path& directory) {
  return directory / "owner.lock";
}
std::filesystem::path EndpointFile(const std::filesystem::path& directory) {
  return directory / "endpoint";
}

// The file's text without the line's end; empty when there is none.
std::string ReadText(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string text(kMaxTextBytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
    text.pop_back();
  }
  return text;
}

Status WriteAll(int fd, std::string_view text, std::string_view what) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return Status::FromErrno(what, errno);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

bool NamesLiveProcess(const std::string& text) {
  const pid_t pid = ParseNumber<pid_t>(text).value_or(0);
  return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
}

// The whole file, for one writer. Of the open file, so that it ends with the process and asking
// does not take it, which a starting owner would meet and give up on.
struct flock OwnersLock() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

// What stands at the path already must be a directory.
Status CheckPath(const std::filesystem::path& directory) {
  std::error_code error;  // What cannot be looked at is told by the call that needs it.
  const auto status = std::filesystem::status(directory, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) {
    return Status::Invalid(fmt::format(
        "event log {}: it is no directory, wanted the directory of the log", directory.string()));
  }
  return {};
}

// Whether a file that is there begins as a database does; what it holds is for whoever opens it.
Status CheckHeader(const std::filesystem::path& file) {
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  std::string head(kMagic.size(), '\0');
  std::ifstream in(file, std::ios::binary);
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  // An empty one is a log that was not begun.
  return in.gcount() == 0 || head == kMagic
             ? Status()
             : Status::Incompatible(file.string() + " is no event log");
}

}  // namespace

Result<DataDirectory> DataDirectory::Own(const std::filesystem::path& directory) {
  CATCHUP_RETURN_IF_ERROR(CheckPath(directory));
  CATCHUP_RETURN_IF_ERROR(RefuseLinkToNothing(directory));
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return Status::FromErrno("create " + directory.string(), error.value());
  }
  const std::filesystem::path file = LockFile(directory);
  UniqueFd lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock.valid()) {
    return Status::FromErrno("open " + file.string(), errno);
  }
  const struct flock wanted = OwnersLock();
  if (::fcntl(lock.get(), F_OFD_SETLK, &wanted) != 0) {
    if (errno != EAGAIN && errno != EACCES) {
      return Status::FromErrno("lock " + file.string(), errno);
    }
    const std::string owner = ReadText(file);
    return Status::InUse(fmt::format("event log {} is in use by process {}", directory.string(),
                                     owner.empty() ? "(starting)" : owner));
  }
  DataDirectory owned(directory, std::move(lock));
  // The order matters to LiveEndpoint(): a lock file that names this process promises that no
  // endpoint of a dead owner is left.
  owned.RemoveEndpoint();
  if (::ftruncate(owned.lock_.get(), 0) != 0) {
    return Status::FromErrno("truncate " + file.string(), errno);
  }
  CATCHUP_RETURN_IF_ERROR(
      WriteAll(owned.lock_.get(), fmt::format("{}\n", ::getpid()), "write " + file.string()));
  return owned;
}

Result<std::optional<std::string>> DataDirectory::LiveEndpoint(
    const std::filesystem::path& directory, std::chrono::milliseconds patience) {
  CATCHUP_RETURN_IF_ERROR(CheckPath(directory));
  const std::filesystem::path file = LockFile(directory);
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (true) {
    const UniqueFd lock(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!lock.valid()) {
      if (errno == ENOENT) {
        return std::optional<std::string>();
      }
      return Status::FromErrno("open " + file.string(), errno);
    }
    struct flock found = OwnersLock();
    if (::fcntl(lock.get(), F_OFD_GETLK, &found) != 0) {
      return Status::FromErrno("ask for the lock of " + file.string(), errno);
    }
    if (found.l_type == F_UNLCK) {
      return std::optional<std::string>();
    }
    const bool late = std::chrono::steady_clock::now() >= give_up;
    // An owner in another process namespace cannot be asked whether it lives; the lock says so,
    // and by then it has had the time to name itself.
    if (NamesLiveProcess(ReadText(file)) || late) {
      std::string endpoint = ReadText(EndpointFile(directory));
      if (!endpoint.empty()) {
        return std::optional(std::move(endpoint));
      }
    }
    if (late) {
      return Status::Unavailable(
          fmt::format("event log {} is owned by process {}, which serves no endpoint",
                      directory.string(), ReadText(file)));
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

Status DataDirectory::LookAt(const std::filesystem::path& directory) {
  const auto check = [&] {
    CATCHUP_RETURN_IF_ERROR(CheckUsableDirectory(directory));
    for (const char* name : {"owner.lock", "events.db", "events.db-wal", "events.db-shm"}) {
      CATCHUP_RETURN_IF_ERROR(CheckUsableFile(directory / name));
    }
    return CheckHeader(directory / "events.db");
  };
  const Status status = check();
  return status.ok() ? status : status.Within("event log " + directory.string());
}

bool DataDirectory::HasLog(const std::filesystem::path& directory) {
  std::error_code unreadable;  // Then whoever opens it says why.
  return std::filesystem::exists(directory / "events.db", unreadable) || unreadable;
}

DataDirectory::~DataDirectory() {
  if (lock_.valid()) {
    RemoveEndpoint();
  }
}

Status DataDirectory::WriteEndpoint(const std::string& endpoint) {
  const std::filesystem::path file = EndpointFile(directory_);
  const std::filesystem::path fresh = file.string() + ".new";
  const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd.valid()) {
    return Status::FromErrno("open " + fresh.string(), errno);
  }
  CATCHUP_RETURN_IF_ERROR(WriteAll(fd.get(), endpoint + "\n", "write " + fresh.string()));
  if (::rename(fresh.c_str(), file.c_str()) != 0) {
    return Status::FromErrno("rename " + fresh.string(), errno);
  }
  return {};
}

void DataDirectory::RemoveEndpoint() {
  std::error_code ignored;  // What cannot be removed is overwritten when there is an endpoint.
  std::filesystem::remove(EndpointFile(directory_), ignored);
}

}  // namespace catchup::embedded
