#include "tests/daemon/full_disk.h"

#include <sys/types.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

namespace {

std::atomic<bool> full = false;

}  // namespace

// The names are the linker's.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" {
ssize_t __real_pwrite(int fd, const void* from, std::size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void* from, std::size_t size, off_t at);

ssize_t __wrap_pwrite(int fd, const void* from, std::size_t size, off_t at) {
  if (full) {
    errno = ENOSPC;
    return -1;
  }
  return __real_pwrite(fd, from, size, at);
}
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace catchup {

FullDisk::FullDisk() { full = true; }
FullDisk::~FullDisk() { full = false; }

}  // namespace catchup
