#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/status.h"

namespace catchup {

// A place in the log, compared commit first, then prepare. Both halves are kept as received: a
// checkpoint of the form (N, 0) is not the same place as (N, N).
struct Position {
  std::uint64_t commit = 0;
  std::uint64_t prepare = 0;

  friend constexpr auto operator<=>(const Position&, const Position&) = default;
};

// Some servers send this as a checkpoint when nothing matched; sent back, it means "end".
inline constexpr Position kEndOfLog{std::numeric_limits<std::uint64_t>::max(),
                                    std::numeric_limits<std::uint64_t>::max()};

// Whether a record of a log can lie there: servers keep offsets in signed 64 bits, and a record is
// never committed before it was prepared. What is no place is never stored, sent or compared.
constexpr bool IsPlace(Position position) {
  return position.prepare <= position.commit &&
         position.commit <= std::uint64_t{std::numeric_limits<std::int64_t>::max()};
}

// "commit:prepare" in decimal.
std::string FormatPosition(Position position);

// Reads "commit:prepare"; a single number `n`, as older stores wrote it, is read as n:0, which can
// repeat one event but never skips one. kInvalid for anything else and for what is no place,
// kEndOfLog apart.
Result<Position> ParsePosition(std::string_view text);

// An operator's word for where a group is to go on.
struct PositionReset {
  std::optional<Position> to;  // The first event is the one after it; none: the beginning.
};

}  // namespace catchup
