#pragma once

#include <cstdint>

namespace catchup {

// SQLite's file system with a fault: the n-th call that can fail does. Becomes the default one.
// Process-wide; one test at a time.
class FailingVfs {
 public:
  enum class Fault {
    kNone,
    kFull,       // Writes fail for want of space.
    kQuota,      // Writes fail for want of a share of the space.
    kIoError,    // Reads, writes, truncations fail.
    kSyncError,  // Syncs fail.
    kSyncFull,   // Syncs fail for want of space.
  };

  static void Install();

  // From now on the n-th call that `fault` concerns fails, and so do all after it when `lasting`.
  static void Arm(Fault fault, int nth, bool lasting);
  static void Disarm();

  // How many calls have failed since Arm().
  static int fired();
};

}  // namespace catchup
