#include "tests/store/failing_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>

#include "tests/store/armed_fault.h"

// The names are the linker's.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" {
int __real_open(const char* path, int flags, ...);
int __real_lstat(const char* path, struct stat* info);
ssize_t __real_pread(int fd, void* to, std::size_t size, off_t at);
ssize_t __real_pwrite(int fd, const void* from, std::size_t size, off_t at);
int __real_rename(const char* from, const char* to);
int __real_unlink(const char* path);
int __real_mkdir(const char* path, mode_t mode);
int __real_flock(int fd, int operation);

int __wrap_open(const char* path, int flags, ...);
int __wrap_lstat(const char* path, struct stat* info);
ssize_t __wrap_pread(int fd, void* to, std::size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void* from, std::size_t size, off_t at);
int __wrap_fsync(int);
int __wrap_fdatasync(int);
int __wrap_rename(const char* from, const char* to);
int __wrap_unlink(const char* path);
int __wrap_mkdir(const char* path, mode_t mode);
int __wrap_flock(int fd, int operation);
}

namespace catchup {
namespace {

ArmedFault fault;

}  // namespace

void FailingDisk::Arm(unsigned calls, int error, int nth, bool lasting) {
  fault.Arm(calls, error, nth, lasting);
}
void FailingDisk::Disarm() { fault.Disarm(); }
int FailingDisk::fired() { return fault.fired(); }
int FailingDisk::made(unsigned calls) { return fault.made(calls); }

}  // namespace catchup

using catchup::FailingDisk;

extern "C" {

int __wrap_open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  return catchup::fault.Fires(FailingDisk::kOpen) ? -1 : __real_open(path, flags, mode);
}

int __wrap_lstat(const char* path, struct stat* info) {
  return catchup::fault.Fires(FailingDisk::kLook) ? -1 : __real_lstat(path, info);
}

ssize_t __wrap_pread(int fd, void* to, std::size_t size, off_t at) {
  if (catchup::fault.Fires(FailingDisk::kRead)) {
    return catchup::fault.error() == FailingDisk::kShort ? __real_pread(fd, to, size / 2, at) : -1;
  }
  return __real_pread(fd, to, size, at);
}

ssize_t __wrap_pwrite(int fd, const void* from, std::size_t size, off_t at) {
  if (catchup::fault.Fires(FailingDisk::kWrite)) {
    const ssize_t half = __real_pwrite(fd, from, size / 2, at);
    errno = catchup::fault.error();
    return catchup::fault.error() == FailingDisk::kShort ? half : -1;
  }
  return __real_pwrite(fd, from, size, at);
}

// No test here survives the machine, so none waits for its disk.
int __wrap_fsync(int) { return catchup::fault.Fires(FailingDisk::kSync) ? -1 : 0; }
int __wrap_fdatasync(int) { return catchup::fault.Fires(FailingDisk::kSync) ? -1 : 0; }

int __wrap_rename(const char* from, const char* to) {
  return catchup::fault.Fires(FailingDisk::kName) ? -1 : __real_rename(from, to);
}

int __wrap_unlink(const char* path) {
  return catchup::fault.Fires(FailingDisk::kName) ? -1 : __real_unlink(path);
}

int __wrap_mkdir(const char* path, mode_t mode) {
  return catchup::fault.Fires(FailingDisk::kName) ? -1 : __real_mkdir(path, mode);
}

int __wrap_flock(int fd, int operation) {
  return catchup::fault.Fires(FailingDisk::kLock) ? -1 : __real_flock(fd, operation);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
