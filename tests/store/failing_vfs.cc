#include "tests/store/failing_vfs.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>

namespace catchup {
namespace {

using Fault = FailingVfs::Fault;

Fault fault = Fault::kNone;
int countdown = 0;
bool lasts = false;
int fire_count = 0;

bool Fires(Fault one) {
  if (fault != one) {
    return false;
  }
  if (countdown > 0) {
    --countdown;
  }
  if (countdown != 0 || (!lasts && fire_count > 0)) {
    return false;
  }
  ++fire_count;
  return true;
}

struct File {
  sqlite3_file base;
  sqlite3_file* real;
};

sqlite3_file* Real(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real; }

int Close(sqlite3_file* file) {
  sqlite3_file* real = Real(file);
  const int result = real->pMethods == nullptr ? SQLITE_OK : real->pMethods->xClose(real);
  sqlite3_free(real);
  return result;
}

int Read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
  if (Fires(Fault::kIoError)) {
    return SQLITE_IOERR_READ;
  }
  return Real(file)->pMethods->xRead(Real(file), to, size, at);
}

int Write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
  if (Fires(Fault::kFull)) {
    return SQLITE_FULL;
  }
  if (Fires(Fault::kQuota)) {
    return SQLITE_IOERR_WRITE;
  }
  if (Fires(Fault::kIoError)) {
    // Half of it reaches the disk, as it may.
    (void)Real(file)->pMethods->xWrite(Real(file), from, size / 2, at);
    return SQLITE_IOERR_WRITE;
  }
  return Real(file)->pMethods->xWrite(Real(file), from, size, at);
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (Fires(Fault::kIoError)) {
    return SQLITE_IOERR_TRUNCATE;
  }
  return Real(file)->pMethods->xTruncate(Real(file), size);
}

int Sync(sqlite3_file* file, int flags) {
  if (Fires(Fault::kSyncError) || Fires(Fault::kSyncFull)) {
    return SQLITE_IOERR_FSYNC;
  }
  return Real(file)->pMethods->xSync(Real(file), flags);
}

int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return Real(file)->pMethods->xFileSize(Real(file), size);
}
int Lock(sqlite3_file* file, int level) { return Real(file)->pMethods->xLock(Real(file), level); }
int Unlock(sqlite3_file* file, int level) {
  return Real(file)->pMethods->xUnlock(Real(file), level);
}
int CheckReserved(sqlite3_file* file, int* out) {
  return Real(file)->pMethods->xCheckReservedLock(Real(file), out);
}
int Control(sqlite3_file* file, int op, void* argument) {
  return Real(file)->pMethods->xFileControl(Real(file), op, argument);
}
int SectorSize(sqlite3_file* file) { return Real(file)->pMethods->xSectorSize(Real(file)); }
int Characteristics(sqlite3_file* file) {
  return Real(file)->pMethods->xDeviceCharacteristics(Real(file));
}

sqlite3_io_methods methods;
sqlite3_vfs vfs;

sqlite3_vfs* Base() { return static_cast<sqlite3_vfs*>(vfs.pAppData); }

int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* ours = reinterpret_cast<File*>(file);
  ours->base.pMethods = nullptr;
  ours->real = static_cast<sqlite3_file*>(sqlite3_malloc(Base()->szOsFile));
  std::memset(ours->real, 0, static_cast<std::size_t>(Base()->szOsFile));
  const int result = Base()->xOpen(Base(), name, ours->real, flags, out_flags);
  if (result != SQLITE_OK) {
    sqlite3_free(ours->real);
    return result;
  }
  ours->base.pMethods = &methods;
  return SQLITE_OK;
}

// Errors of ours are no system's, and an old errno must not be taken for one.
int LastError(sqlite3_vfs*, int, char*) {
  if (fire_count == 0) {
    return 0;
  }
  return fault == Fault::kSyncFull ? ENOSPC : fault == Fault::kQuota ? EDQUOT : EIO;
}

}  // namespace

void FailingVfs::Install() {
  if (vfs.pAppData != nullptr) {
    return;
  }
  sqlite3_vfs* base = sqlite3_vfs_find(nullptr);
  vfs = *base;
  vfs.zName = "failing";
  vfs.pNext = nullptr;
  vfs.szOsFile = sizeof(File);
  vfs.pAppData = base;
  vfs.xOpen = Open;
  vfs.xGetLastError = LastError;
  methods.iVersion = 1;
  methods.xClose = Close;
  methods.xRead = Read;
  methods.xWrite = Write;
  methods.xTruncate = Truncate;
  methods.xSync = Sync;
  methods.xFileSize = FileSize;
  methods.xLock = Lock;
  methods.xUnlock = Unlock;
  methods.xCheckReservedLock = CheckReserved;
  methods.xFileControl = Control;
  methods.xSectorSize = SectorSize;
  methods.xDeviceCharacteristics = Characteristics;
  sqlite3_vfs_register(&vfs, 1);
}

void FailingVfs::Arm(Fault one, int nth, bool lasting) {
  fault = one;
  countdown = nth;
  lasts = lasting;
  fire_count = 0;
}

void FailingVfs::Disarm() { fault = Fault::kNone; }

int FailingVfs::fired() { return fire_count; }

}  // namespace catchup
