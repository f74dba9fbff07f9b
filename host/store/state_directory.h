#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "host/base/status.h"
#include "host/base/str_cat.h"
#include "host/base/unique_fd.h"

namespace catchup {

// The directory that holds everything that must survive a restart, owned by one host at a time:
//
//   format                       the number of this layout
//   lock                         locked while a host runs; holds its pid
//   groups/NAME/checkpoint       see checkpoint_store.h
//   groups/NAME/data/            its plugin's working directory
//   groups/NAME/runner-LANE.lock held while a runner of that lane lives
//   groups/.NAME.new/            a group's folder in the making
//   plugins/SHA256/FILE          copies of plugins
//
// The lock lasts as long as this value. The paths never change, so any thread may ask for them.
class StateDirectory {
 public:
  // Opens `path`, which must be absolute, creating it (0700) and its missing parents.
  //
  // kInUse         another host owns it; the text names its pid
  // kIncompatible  of another format, or a folder that holds something else
  // kDenied        not ours, writable by others, read-only, or on a `noexec` mount, from which no
  //                plugin could be loaded
  static Result<StateDirectory> Open(const std::filesystem::path& path);

  // Looks whether the directory and its file "lock" are still those that this value holds; makes
  // and takes the lock again where only the file was removed, and says whether it did. Call now and
  // then, from one thread.
  //
  // kNotFound: the directory is gone. kInUse: the file was replaced and another process holds it.
  // After either this host has no right to the directory any more. Others: not to be told now.
  Result<bool> KeepLock();

  // What can be told about `path` from outside, without creating, locking or changing anything.
  struct Look {
    bool readable = false;  // A state directory of ours that no host has.
    std::string note;       // Why not; empty when there is nothing to look at yet.
  };
  // Fails for what would make Open() fail here, as this user: a directory that is none, cannot be
  // made or written, belongs to somebody else, holds files of something else, has another format.
  static Result<Look> LookAt(const std::filesystem::path& path);

  // Where the groups of a state directory lie, for a reader that does not own it.
  static std::filesystem::path GroupsOf(const std::filesystem::path& path) {
    return path / "groups";
  }

  // The lock of a runner, by the folder of its group.
  static std::filesystem::path RunnerLockOf(const std::filesystem::path& group, int lane) {
    return group / (StrCat("runner-", lane, ".lock"));
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path groups() const { return GroupsOf(path_); }
  std::filesystem::path plugins() const { return path_ / "plugins"; }
  std::filesystem::path group(const std::string& name) const { return groups() / name; }
  std::filesystem::path group_data(const std::string& name) const { return group(name) / "data"; }
  // Which directory is a group's data/: the name may lead to another one later.
  struct GroupData {
    dev_t device = 0;
    ino_t inode = 0;
    bool made = false;
    bool IsSame(const GroupData& other) const {
      return device == other.device && inode == other.inode;
    }
  };
  // Makes a group's data/ where it is gone, and says whether it did. kInvalid: something else has
  // its name. kNotFound: the group's folder is gone, too. Any thread.
  Result<GroupData> EnsureGroupData(const std::string& name) const;
  // Whether `known` is still what data/ leads to. Any thread.
  bool HasGroupData(const std::string& name, const GroupData& known) const;
  std::filesystem::path runner_lock(const std::string& name, int lane) const {
    return RunnerLockOf(group(name), lane);
  }

 private:
  StateDirectory(std::filesystem::path path, UniqueFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  UniqueFd lock_;
};

}  // namespace catchup
