#pragma once

#include <filesystem>
#include <string>

#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup {

// The directory that holds everything that must survive a restart, owned by one host at a time:
//
//   format        the number of this layout
//   lock          locked while a host runs; holds its pid
//   groups/NAME/  a group's stores, and data/, its plugin's working directory
//   plugins/      copies of plugins, by SHA-256
//
// The lock lasts as long as this value. Immutable once open, so any thread may ask for paths.
class StateDirectory {
 public:
  // Opens `path`, which must be absolute, creating it (0700) and its missing parents.
  //
  // kInUse         another host owns it; the text names its pid
  // kIncompatible  made by a newer version, or a folder that holds something else
  // kDenied        not ours, writable by others, read-only, or on a `noexec` mount, from which no
  //                plugin could be loaded
  static Result<StateDirectory> Open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path groups() const { return path_ / "groups"; }
  std::filesystem::path plugins() const { return path_ / "plugins"; }
  std::filesystem::path group(const std::string& name) const { return groups() / name; }
  std::filesystem::path group_data(const std::string& name) const { return group(name) / "data"; }

 private:
  StateDirectory(std::filesystem::path path, UniqueFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  UniqueFd lock_;
};

}  // namespace catchup
