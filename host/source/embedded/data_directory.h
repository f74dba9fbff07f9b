#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup::embedded {

// The directory of one embedded log, owned by one process at a time.
//
//   events.db   the log
//   owner.lock  locked for as long as the owner lives; holds its process id
//   endpoint    "host:port" of the owner's server, absent while it has none
//
// Liveness is the lock, which the kernel drops with its process: an endpoint left behind by a
// killed owner means nothing, and the next owner removes it before it names itself. The lock is one
// of fcntl() on the open file, so it works where the file system supports that.
class DataDirectory {
 public:
  // Creates the directory if it is missing and becomes its owner until destroyed.
  // kInUse names the process that owns it.
  static Result<DataDirectory> Own(const std::filesystem::path& directory);

  // Opening a log takes milliseconds, recovering one after a kill perhaps a second.
  static constexpr std::chrono::seconds kStartWait{10};

  // The endpoint of a live owner, or nothing where no process owns the directory. An owner that is
  // only starting is waited for, at most `patience`: kUnavailable after that. Asking is free: it
  // never stands in the way of a process that becomes the owner at the same time.
  static Result<std::optional<std::string>> LiveEndpoint(
      const std::filesystem::path& directory, std::chrono::milliseconds patience = kStartWait);

  // Whether this process could own the directory, as far as asking tells, and whether its log is
  // one. For a directory that nobody owns.
  static Status LookAt(const std::filesystem::path& directory);

  // Whether there is a log in it, whoever owns it.
  static bool HasLog(const std::filesystem::path& directory);

  DataDirectory(DataDirectory&&) = default;
  DataDirectory& operator=(DataDirectory&&) = delete;
  ~DataDirectory();

  std::filesystem::path log_file() const { return directory_ / "events.db"; }

  // Publishes the endpoint in one step: readers see the whole text or none.
  Status WriteEndpoint(const std::string& endpoint);
  void RemoveEndpoint();

 private:
  DataDirectory(std::filesystem::path directory, UniqueFd lock)
      : directory_(std::move(directory)), lock_(std::move(lock)) {}

  std::filesystem::path directory_;
  UniqueFd lock_;
};

}  // namespace catchup::embedded
