#pragma once

#include <filesystem>
#include <utility>

#include "host/base/status.h"

namespace catchup {

// A fresh directory of this command, below the one for temporary files, to load copies of plugins
// from. Removed at the end with everything in it. One thread.
class ScratchDirectory {
 public:
  // kInvalid where there is no directory for temporary files, kDenied where it is mounted noexec;
  // the text says what to do about it.
  static Result<ScratchDirectory> Make();

  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;  // Empty once moved from.
};

}  // namespace catchup
