#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace catchup {

// What names one run of `catchup append`, so that a later one can go on with it: when it began, and
// a number that no other run has. "20261124T033917Z-9f3b2c7de01a4856".
struct RunToken {
  std::string text;
  std::int64_t begin_ticks = 0;  // 100 ns ticks since 1970, whole seconds.
};

// Of a run that begins now.
RunToken NewRunToken();

// None for what no run was named by.
std::optional<RunToken> ParseRunToken(std::string_view text);

}  // namespace catchup
