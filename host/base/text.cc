#include "host/base/text.h"

#include <algorithm>

namespace catchup {
namespace {

constexpr std::string_view kEllipsis = "\xe2\x80\xa6";
constexpr std::string_view kReplacement = "\xef\xbf\xbd";

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t length = 1;  // Bytes taken; 1 when invalid.
  bool valid = false;
};

// Strict UTF-8: no overlong form, no surrogate, nothing above U+10FFFF.
CodePoint Decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) {
    return {first, 1, true};
  }
  std::size_t length = 0;
  std::uint32_t smallest = 0;
  if ((first & 0xe0) == 0xc0) {
    length = 2;
    smallest = 0x80;
  } else if ((first & 0xf0) == 0xe0) {
    length = 3;
    smallest = 0x800;
  } else if ((first & 0xf8) == 0xf0) {
    length = 4;
    smallest = 0x10000;
  } else {
    return {};
  }
  if (text.size() < length) {
    return {};
  }
  std::uint32_t value = first & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) {
      return {};
    }
    value = value << 6 | (byte(i) & 0x3fu);
  }
  if (value < smallest || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
    return {};
  }
  return {value, length, true};
}

void AppendEscaped(const CodePoint& point, std::string_view bytes, std::string* out) {
  if (!point.valid) {
    *out += kReplacement;
  } else if (point.value == '"' || point.value == '\\') {
    *out += '\\';
    *out += bytes;
  } else if (point.value == '\n') {
    *out += "\\n";
  } else if (point.value == '\r') {
    *out += "\\r";
  } else if (point.value == '\t') {
    *out += "\\t";
  } else if (point.value < 0x20 || (point.value >= 0x7f && point.value < 0xa0)) {
    *out += "\\u00";
    *out += kHexDigits[point.value >> 4];
    *out += kHexDigits[point.value & 0xf];
  } else {
    *out += bytes;
  }
}

}  // namespace

std::string CutText(std::string_view text, std::size_t most) {
  if (text.size() <= most) {
    return std::string(text);
  }
  std::size_t size = most - kEllipsis.size();
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) {
    --size;
  }
  return std::string(text.substr(0, size)).append(kEllipsis);
}

std::string OneLine(std::string_view text, std::size_t most) {
  std::string line = CutText(text, most);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  std::replace_if(line.begin(), line.end(), is_control, ' ');
  return line;
}

std::size_t AppendJsonCharacter(std::string_view text, std::string* out) {
  const CodePoint point = Decode(text);
  AppendEscaped(point, text.substr(0, point.length), out);
  return point.length;
}

void AppendJsonString(std::string_view text, std::string* out) {
  *out += '"';
  while (!text.empty()) {
    text.remove_prefix(AppendJsonCharacter(text, out));
  }
  *out += '"';
}

std::string Quoted(std::string_view text, std::size_t most) {
  std::string quoted;
  AppendJsonString(CutText(text, most), &quoted);
  return quoted;
}

std::string HexText(std::span<const std::uint8_t> bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 0xf];
  }
  return text;
}

}  // namespace catchup
