#pragma once

namespace catchup {

// A disk without room for any checkpoint or token, for as long as this lives. Stands between the
// store and pwrite (the linker's --wrap, tests/daemon/CMakeLists.txt). Process-wide; any thread.
class FullDisk {
 public:
  FullDisk();
  ~FullDisk();
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
};

}  // namespace catchup
