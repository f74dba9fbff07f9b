#include "host/base/position.h"

#include "host/base/number.h"
#include "host/base/str_cat.h"

namespace catchup {

std::string FormatPosition(Position position) {
  return StrCat(position.commit, ":", position.prepare);
}

Result<Position> ParsePosition(std::string_view text) {
  const auto colon = text.find(':');
  const auto commit = ParseNumber<std::uint64_t>(text.substr(0, colon));
  const auto prepare = colon == std::string_view::npos
                           ? std::optional(Position().prepare)
                           : ParseNumber<std::uint64_t>(text.substr(colon + 1));
  if (!commit || !prepare) {
    return Status::Invalid(
        StrCat("position \"", text, "\": wanted COMMIT:PREPARE, two decimal numbers"));
  }
  const Position position{*commit, *prepare};
  if (position.prepare > position.commit) {
    return Status::Invalid(
        StrCat("position \"", text, "\": the prepare half is never above the commit half"));
  }
  if (!IsPlace(position) && position != kEndOfLog) {
    return Status::Invalid(StrCat("position \"", text, "\": wanted numbers below 2^63"));
  }
  return position;
}

}  // namespace catchup
