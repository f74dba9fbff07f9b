#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace catchup {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };

// The names of the levels, as a log line and the configuration have them.
inline constexpr std::array<std::string_view, 4> kLogLevelNames = {"debug", "info", "warn",
                                                                   "error"};

// One of kLogLevelNames.
constexpr std::string_view LogLevelName(LogLevel level) {
  return kLogLevelNames[static_cast<std::size_t>(level)];
}

enum class LogFormat : std::uint8_t {
  kAuto,  // Text when standard error is a terminal, JSON elsewhere.
  kJson,
  kText,
};

}  // namespace catchup
