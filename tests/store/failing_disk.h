#pragma once

namespace catchup {

// Stands between the store and the system's calls (the linker's --wrap, tests/store/CMakeLists.txt)
// and lets the n-th of them fail. Process-wide; one test at a time.
class FailingDisk {
 public:
  // Which calls are meant; a sum of these.
  enum Calls : unsigned {
    kOpen = 1,
    kLook = 2,   // lstat
    kRead = 4,   // pread
    kWrite = 8,  // pwrite
    kSync = 16,  // fsync, fdatasync
    kName = 32,  // rename, unlink, mkdir
    kLock = 64,  // flock
    kAll = 127,
  };

  // In place of an error number: the call does half of what it was asked for and says so.
  static constexpr int kShort = 0;

  // From now on the n-th of `calls` fails with `error`, and so do all after it when `lasting`. A
  // failing write has put half of its bytes on the disk, as it may.
  static void Arm(unsigned calls, int error, int nth, bool lasting);
  static void Disarm();

  // How many calls have failed since Arm().
  static int fired();

  // How many of `calls` were made since Arm(), which may be of no call.
  static int made(unsigned calls);
};

}  // namespace catchup
