#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>
#include <utility>

namespace catchup::e2e {

// A disk that holds little, which only this process and its children see.
class SmallDisk {
 public:
  // `room` as tmpfs has it: "size=8m", "nr_inodes=4".
  SmallDisk(std::filesystem::path path, const std::string& room) : path_(std::move(path)) {
    const std::string options = "mode=0700," + room;
    mounted_ = unshare(CLONE_NEWNS) == 0 &&
               mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
               mount("none", path_.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) {
      (void)umount2(path_.c_str(), MNT_DETACH);
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // False where mounting is not allowed.
  bool mounted() const { return mounted_; }
  bool Grow(const std::string& room) const {
    return mount("none", path_.c_str(), "tmpfs", MS_REMOUNT, room.c_str()) == 0;
  }

 private:
  const std::filesystem::path path_;
  bool mounted_ = false;
};

}  // namespace catchup::e2e
