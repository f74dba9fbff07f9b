#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace catchup {

// The name of one run of `catchup append`, by which a later run can go on with it: when it began,
// and a number that no other run has. "20261124T033917Z-9f3b2c7de01a4856".
struct RunToken {
  std::string text;
  std::int64_t begin_ticks = 0;  // 100 ns ticks since 1970, whole seconds.
};

// The token of a run that begins now.
RunToken NewRunToken();

// None if `text` is no run's token.
std::optional<RunToken> ParseRunToken(std::string_view text);

}  // namespace catchup
