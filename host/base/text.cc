#include "host/base/text.h"

#include <algorithm>
#include <catchup/json_bytes.hpp>

namespace catchup {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Whether it is ASCII and stands for itself inside a JSON string.
bool IsPlain(char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; }

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

std::string WithoutUserInfo(std::string_view text) {
  constexpr std::string_view kMark = "://";
  std::string safe;
  for (;;) {
    const auto mark = text.find(kMark);
    if (mark == std::string_view::npos) {
      return safe.append(text);
    }
    const std::size_t begin = mark + kMark.size();
    const std::string_view url =
        text.substr(begin, text.find_first_of(" \t\r\n\"'", begin) - begin);
    const auto at = url.rfind('@');
    safe.append(text.substr(0, begin));
    if (at != std::string_view::npos) {
      safe.append(kEllipsis);
    }
    text.remove_prefix(begin + (at == std::string_view::npos ? 0 : at));
  }
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

std::size_t AppendJsonCharacter(std::string_view text, std::string* out) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t size = first < 0x80 ? 1 : Utf8SequenceSize(text);
  // The second block of controls begins with 0xc2 and ends before 0xa0.
  const bool is_second_control =
      size == 2 && first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
  if (size == 0) {
    *out += kReplacement;
    return 1;
  }
  if (first == '"' || first == '\\') {
    *out += '\\';
    *out += text.front();
  } else if (first == '\n') {
    *out += "\\n";
  } else if (first == '\r') {
    *out += "\\r";
  } else if (first == '\t') {
    *out += "\\t";
  } else if (first < ' ' || first == 0x7f || is_second_control) {
    const auto code = static_cast<std::uint8_t>(text[size - 1]);
    *out += "\\u00" + HexText({&code, 1});
  } else {
    *out += text.substr(0, size);
  }
  return size;
}

void AppendJsonString(std::string_view text, std::string* out) {
  *out += '"';
  while (!text.empty()) {
    // What stands for itself, which is most of it, goes together.
    const auto* const other = std::find_if_not(text.begin(), text.end(), IsPlain);
    out->append(text.begin(), other);
    text.remove_prefix(static_cast<std::size_t>(other - text.begin()));
    if (!text.empty()) {
      text.remove_prefix(AppendJsonCharacter(text, out));
    }
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
