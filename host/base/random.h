#pragma once

#include <cstdint>

namespace catchup {

// A number that nobody can guess, from the system's own source; where a system refuses that (no
// getrandom, no /dev/urandom), one that differs all the same between calls, processes and machines.
// Any thread; never fails, never waits.
std::uint64_t RandomNumber();

}  // namespace catchup
