#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace catchup {

// What processes have of memory that is theirs alone to give back.
struct MemoryUse {
  std::uint64_t bytes = 0;
  std::uint32_t processes = 0;  // That were counted.
  // ReadProcessorTime of the first of them, from before it was counted.
  std::optional<std::chrono::nanoseconds> ran;
};

// Anonymous memory of `pid` and of every process below it, resident or swapped out: RssAnon and
// VmSwap. Not the files it maps, which the kernel can drop, nor shared memory, of which a runner's
// rings are. Pages that a fork shares with its parent count for both until the child runs another
// program. A process that has left its parents behind counts while its adopter is below `pid`.
//
// Null when `pid` is gone or may not be looked at. Where the kernel does not list children
// (CONFIG_PROC_CHILDREN), `pid` alone counts. Takes some 25 us where there are no children. Any
// thread.
std::optional<MemoryUse> ReadMemoryUse(pid_t pid);

// How long the threads of `pid` have run so far: what has not run has filled no memory. Null when
// it is gone. Takes less than a microsecond. Any thread.
std::optional<std::chrono::nanoseconds> ReadProcessorTime(pid_t pid);

}  // namespace catchup
