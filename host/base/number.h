#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace catchup {

// The decimal number that the whole of `text` is, with a "-" in front where `Number` has a sign;
// nothing where it is none, or too large. Neither a "+" nor spaces are part of a number.
template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end ? std::optional(number) : std::nullopt;
}

}  // namespace catchup
