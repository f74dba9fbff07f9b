#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace catchup {

// Makes other people's text fit for a message, a log or a file. Any bytes may come in: what is not
// UTF-8 passes unchanged through what only cuts, and becomes U+FFFD where JSON is written.

inline constexpr std::string_view kEllipsis = "\xe2\x80\xa6";

// `text`, or as much of its beginning as leaves room for "…" in `most` bytes, which are at least as
// many as that takes; no character is cut in two.
std::string CutText(std::string_view text, std::size_t most);

// The same on one line: each control character becomes a space.
std::string OneLine(std::string_view text, std::size_t most);

// Appends `text` as a JSON string with its quotes. Both blocks of controls are escaped, since the
// second one drives terminals too.
void AppendJsonString(std::string_view text, std::string* out);

// Appends the first character of `text`, which is not empty, as it stands inside a JSON string.
// Returns how many bytes of `text` it took.
std::size_t AppendJsonCharacter(std::string_view text, std::string* out);

// The most that a message shows of an argument or a name that somebody gave.
inline constexpr std::size_t kMaxShown = 80;

// `text` as a JSON string, cut to `most` bytes before it is escaped.
std::string Quoted(std::string_view text, std::size_t most);

// `text` with "…" for every user and password that stands in a URL of it: what is between "://" and
// the last "@" before a white space, a quotation mark or the end. For what a user typed in the
// wrong place and a message repeats.
std::string WithoutUserInfo(std::string_view text);

// With the letters of ASCII in lower case.
std::string LowerCase(std::string_view text);

inline constexpr char kHexDigits[] = "0123456789abcdef";

// The value of a hexadecimal digit of either case, or -1.
inline int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Two digits for each byte, in lower case.
std::string HexText(std::span<const std::uint8_t> bytes);

}  // namespace catchup
