#pragma once

namespace catchup::test {

// SQLite's own file system with a fault that a test switches on: the n-th call of its kind from
// then on fails, and so do all after it. It keeps what a write-ahead log needs of a file system.
//
// Process-wide, any thread. Nothing fails while nothing is armed.
class DiskFault {
 public:
  enum class Kind {
    kFull,  // Writes fail for want of space.
    kSync,  // Syncs fail.
  };

  // Becomes the file system of connections opened from now on.
  static void Install();
  static void Arm(Kind kind, int nth = 1);
  // Returns how many calls have failed since Arm().
  static int Disarm();
};

}  // namespace catchup::test
