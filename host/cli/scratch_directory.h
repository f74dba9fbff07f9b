#pragma once

#include <filesystem>
#include <utility>

#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup {

// A fresh directory of this command, below the one for temporary files, to load copies of plugins
// from. Removed at the end with everything in it. Locked meanwhile: a directory that a
// killed command has left behind is not, and the next command removes it. One thread.
class ScratchDirectory {
 public:
  // kInvalid where there is no directory for temporary files, kDenied where it is mounted noexec;
  // the text says what to do about it.
  static Result<ScratchDirectory> Make();

  ScratchDirectory(ScratchDirectory&& other) noexcept
      : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory();

  const std::filesystem::path& path() const { return path_; }

 private:
  ScratchDirectory(std::filesystem::path path, UniqueFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  std::filesystem::path path_;  // Empty once moved from.
  UniqueFd lock_;
};

}  // namespace catchup
