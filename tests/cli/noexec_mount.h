#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <filesystem>

namespace catchup {

// An empty file system mounted noexec over `path`, which only this process and its children see.
class NoexecMount {
 public:
  explicit NoexecMount(std::filesystem::path path) : path_(std::move(path)) {
    mounted_ = ::unshare(CLONE_NEWNS) == 0 &&
               ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
               ::mount("none", path_.c_str(), "tmpfs", MS_NOEXEC, "mode=0700") == 0;
  }
  ~NoexecMount() {
    if (mounted_) {
      (void)::umount2(path_.c_str(), MNT_DETACH);
    }
  }
  NoexecMount(const NoexecMount&) = delete;
  NoexecMount& operator=(const NoexecMount&) = delete;

  // False where mounting is not allowed.
  bool mounted() const { return mounted_; }

 private:
  const std::filesystem::path path_;
  bool mounted_ = false;
};

}  // namespace catchup
