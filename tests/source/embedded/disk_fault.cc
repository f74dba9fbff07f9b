#include "tests/source/embedded/disk_fault.h"

#include <sqlite3.h>

#include <cerrno>
#include <map>
#include <mutex>
#include <optional>

namespace catchup::test {
namespace {

std::mutex mutex;
std::optional<DiskFault::Kind> armed;
int countdown = 0;
int failed = 0;

bool Fails(DiskFault::Kind kind) {
  const std::lock_guard lock(mutex);
  if (armed != kind || --countdown > 0) {
    return false;
  }
  ++failed;
  return true;
}

// A file stays SQLite's own object, with a method table that differs in two places: the other
// methods, those of shared memory among them, find what they expect.
using Methods = sqlite3_io_methods;
std::map<const Methods*, Methods> tables;  // By the original.
std::map<const Methods*, const Methods*> originals;
sqlite3_vfs vfs;

const Methods* Original(sqlite3_file* file) {
  const std::lock_guard lock(mutex);
  return originals.at(file->pMethods);
}

int Write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
  if (Fails(DiskFault::Kind::kFull)) {
    errno = ENOSPC;
    return SQLITE_FULL;
  }
  return Original(file)->xWrite(file, from, size, at);
}

int Sync(sqlite3_file* file, int flags) {
  if (Fails(DiskFault::Kind::kSync)) {
    errno = EIO;
    return SQLITE_IOERR_FSYNC;
  }
  return Original(file)->xSync(file, flags);
}

int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* base = static_cast<sqlite3_vfs*>(vfs.pAppData);
  const int result = base->xOpen(base, name, file, flags, out_flags);
  if (file->pMethods != nullptr) {
    const std::lock_guard lock(mutex);
    const auto [table, is_new] = tables.try_emplace(file->pMethods, *file->pMethods);
    if (is_new) {
      table->second.xWrite = Write;
      table->second.xSync = Sync;
      originals.emplace(&table->second, file->pMethods);
    }
    file->pMethods = &table->second;
  }
  return result;
}

}  // namespace

void DiskFault::Install() {
  if (vfs.pAppData != nullptr) {
    return;
  }
  sqlite3_vfs* base = sqlite3_vfs_find(nullptr);
  vfs = *base;
  vfs.zName = "disk-fault";
  vfs.pNext = nullptr;
  vfs.pAppData = base;
  vfs.xOpen = Open;
  sqlite3_vfs_register(&vfs, 1);
}

void DiskFault::Arm(Kind kind, int nth) {
  const std::lock_guard lock(mutex);
  armed = kind;
  countdown = nth;
  failed = 0;
}

int DiskFault::Disarm() {
  const std::lock_guard lock(mutex);
  armed.reset();
  return failed;
}

}  // namespace catchup::test
