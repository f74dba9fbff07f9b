#pragma once

#include <cstdint>

namespace catchup {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };

enum class LogFormat : std::uint8_t {
  kAuto,  // Text when standard error is a terminal, JSON elsewhere.
  kJson,
  kText,
};

}  // namespace catchup
