#pragma once

#include <cstdint>

namespace catchup {

// What a group has done in this process.
struct Counts {
  std::uint64_t handled = 0;   // Events settled by their calls.
  std::uint64_t skipped = 0;   // By a stated rule.
  std::uint64_t dropped = 0;   // Frames of the source: what came again, goes back or is no place.
  std::uint64_t parked = 0;    // Letters written.
  std::uint64_t restarts = 0;  // Runners spawned because one had died.
  // Letters called before a group ends that was to catch up only, and failed.
  std::uint64_t calls_before_end = 0;
};

}  // namespace catchup
