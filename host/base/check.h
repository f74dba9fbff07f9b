#pragma once

namespace catchup {

// Prints "FILE:LINE: broken invariant: EXPRESSION" to standard error and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* expression);

}  // namespace catchup

// Ends the process unless `condition` holds, which only a defect breaks. Never for input.
#define CATCHUP_CHECK(condition)                              \
  do {                                                        \
    if (!(condition)) {                                       \
      ::catchup::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                         \
  } while (false)
