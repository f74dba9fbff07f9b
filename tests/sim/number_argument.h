#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "host/base/number.h"

namespace catchup::sim {

// The number that an option has on a program's command line. Ends the program where it is none.
inline std::uint64_t NumberArgument(const char* text) {
  const auto number = ParseNumber<std::uint64_t>(text);
  if (!number) {
    std::fprintf(stderr, "%s: wanted a number\n", text);
    std::exit(2);
  }
  return *number;
}

}  // namespace catchup::sim
