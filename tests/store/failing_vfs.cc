#include "tests/store/failing_vfs.h"

#include <sqlite3.h>

#include <cerrno>
#include <map>

#include "tests/store/armed_fault.h"

namespace catchup {
namespace {

ArmedFault fault;

// A file stays SQLite's own object, with a method table that differs where calls can fail.
using Methods = sqlite3_io_methods;
std::map<const Methods*, Methods> tables;  // By the original.
std::map<const Methods*, const Methods*> originals;
sqlite3_vfs vfs;

const Methods* Original(sqlite3_file* file) { return originals.at(file->pMethods); }

int Read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
  return fault.Fires(FailingVfs::kRead) ? SQLITE_IOERR_READ
                                        : Original(file)->xRead(file, to, size, at);
}

int Write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
  if (fault.Fires(FailingVfs::kWrite)) {
    Original(file)->xWrite(file, from, size / 2, at);
    errno = fault.error();
    // As SQLite's own file does.
    return fault.error() == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  }
  return Original(file)->xWrite(file, from, size, at);
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  return fault.Fires(FailingVfs::kTruncate) ? SQLITE_IOERR_TRUNCATE
                                            : Original(file)->xTruncate(file, size);
}

// No test here survives the machine, so none waits for its disk.
int Sync(sqlite3_file*, int) {
  return fault.Fires(FailingVfs::kSync) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

int Lock(sqlite3_file* file, int level) {
  return fault.Fires(FailingVfs::kLock) ? SQLITE_IOERR_LOCK : Original(file)->xLock(file, level);
}

int FileControl(sqlite3_file* file, int operation, void* value) {
  if (operation == SQLITE_FCNTL_LAST_ERRNO && fault.fired() > 0) {
    *static_cast<int*>(value) = fault.error() == ENOSPC ? 0 : fault.error();
    return SQLITE_OK;
  }
  return Original(file)->xFileControl(file, operation, value);
}

int Delete(sqlite3_vfs*, const char* name, int sync) {
  auto* base = static_cast<sqlite3_vfs*>(vfs.pAppData);
  return fault.Fires(FailingVfs::kDelete) ? SQLITE_IOERR_DELETE : base->xDelete(base, name, sync);
}

int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* base = static_cast<sqlite3_vfs*>(vfs.pAppData);
  file->pMethods = nullptr;
  if (fault.Fires(FailingVfs::kOpen)) {
    return SQLITE_CANTOPEN;
  }
  const int result = base->xOpen(base, name, file, flags, out_flags);
  if (file->pMethods != nullptr) {
    const auto [table, is_new] = tables.try_emplace(file->pMethods, *file->pMethods);
    if (is_new) {
      table->second.xRead = Read;
      table->second.xWrite = Write;
      table->second.xTruncate = Truncate;
      table->second.xSync = Sync;
      table->second.xLock = Lock;
      table->second.xFileControl = FileControl;
      originals.emplace(&table->second, file->pMethods);
    }
    file->pMethods = &table->second;
  }
  return result;
}

}  // namespace

void FailingVfs::Install() {
  if (vfs.pAppData != nullptr) {
    return;
  }
  sqlite3_vfs* base = sqlite3_vfs_find(nullptr);
  vfs = *base;
  vfs.zName = "failing-vfs";
  vfs.pNext = nullptr;
  vfs.pAppData = base;
  vfs.xOpen = Open;
  vfs.xDelete = Delete;
  sqlite3_vfs_register(&vfs, 1);
}

void FailingVfs::Arm(unsigned calls, int error, int nth, bool lasting) {
  fault.Arm(calls, error, nth, lasting);
}
void FailingVfs::Disarm() { fault.Disarm(); }
int FailingVfs::fired() { return fault.fired(); }
int FailingVfs::made(unsigned calls) { return fault.made(calls); }

}  // namespace catchup
