#include "host/base/position.h"

#include <charconv>

#include "host/base/str_cat.h"

namespace catchup {
namespace {

bool ParseNumber(std::string_view text, std::uint64_t* out) {
  if (text.empty() || text.front() == '+') {
    return false;
  }
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, *out);
  return error == std::errc() && rest == end;
}

}  // namespace

std::string FormatPosition(Position position) {
  return StrCat(position.commit, ":", position.prepare);
}

Result<Position> ParsePosition(std::string_view text) {
  Position position;
  const auto colon = text.find(':');
  const bool valid =
      ParseNumber(text.substr(0, colon), &position.commit) &&
      (colon == std::string_view::npos || ParseNumber(text.substr(colon + 1), &position.prepare));
  if (!valid) {
    return Status::Invalid(
        StrCat("position \"", text, "\": wanted COMMIT:PREPARE, two decimal numbers"));
  }
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
