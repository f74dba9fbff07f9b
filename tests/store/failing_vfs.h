#pragma once

namespace catchup {

// Stands between SQLite and the disk, and lets the n-th call of it fail. Process-wide, once
// installed for every connection opened from then on; one test at a time.
class FailingVfs {
 public:
  // Which calls are meant; a sum of these.
  enum Calls : unsigned {
    kOpen = 1,
    kRead = 2,
    kWrite = 4,
    kTruncate = 8,
    kSync = 16,
    kDelete = 32,
    kLock = 64,
    kAll = 127,
  };

  static void Install();

  // From now on the n-th of `calls` fails with `error`, and so do all after it when `lasting`. A
  // failing write has put half of its bytes on the disk, as it may.
  static void Arm(unsigned calls, int error, int nth, bool lasting);
  static void Disarm();

  // How many calls have failed, and how many of `calls` were made, since Arm().
  static int fired();
  static int made(unsigned calls);
};

}  // namespace catchup
