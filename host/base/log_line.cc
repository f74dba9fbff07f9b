#include "host/base/log_line.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "host/base/text.h"
#include "host/base/time_text.h"

namespace catchup {
namespace {

// Shares of kMaxLogLine, in bytes as written. msg, method and group are our own short texts; one
// field may carry an error text of a plugin, and a few of those must fit.
constexpr std::size_t kMaxMsg = 1024;
constexpr std::size_t kMaxMethod = 256;
constexpr std::size_t kMaxGroup = 256;
constexpr std::size_t kMaxFieldName = 128;
constexpr std::size_t kMaxFieldText = 6u << 10;
constexpr std::size_t kMaxNumber = 32;  // The longest double or 64-bit integer is 24.
constexpr std::string_view kTruncated = ",\"truncated\":true";
constexpr std::string_view kTruncatedText = "  truncated";

// Appends at most `limit` bytes, quotes included; false when the text was cut.
bool AppendQuoted(std::string_view text, std::size_t limit, std::string* out) {
  const std::size_t end = out->size() + limit - kEllipsis.size() - 1;
  bool whole = true;
  *out += '"';
  while (!text.empty()) {
    const std::size_t before = out->size();
    const std::size_t taken = AppendJsonCharacter(text, out);
    if (out->size() > end) {
      out->resize(before);
      *out += kEllipsis;
      whole = false;
      break;
    }
    text.remove_prefix(taken);
  }
  *out += '"';
  return whole;
}

template <typename Number>
void AppendNumber(Number number, std::string* out) {
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(number)) {
      *out += "null";
      return;
    }
  }
  char text[kMaxNumber];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number);
  *out += error == std::errc() ? std::string_view(text, static_cast<std::size_t>(end - text))
                               : std::string_view("null");
}

// A value that is not text.
void AppendScalar(const LogField::Value& value, std::string* out) {
  if (const auto* flag = std::get_if<bool>(&value)) {
    *out += *flag ? "true" : "false";
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    AppendNumber(*integer, out);
  } else if (const auto* natural = std::get_if<std::uint64_t>(&value)) {
    AppendNumber(*natural, out);
  } else if (const auto* real = std::get_if<double>(&value)) {
    AppendNumber(*real, out);
  }
}

bool IsPlain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
  });
}

// Text for people keeps its look where it can: no quotes around the whole, same escapes inside.
bool AppendBare(std::string_view text, std::size_t limit, std::string* out) {
  std::string quoted;
  const bool whole = AppendQuoted(text, limit, &quoted);
  *out += std::string_view(quoted).substr(1, quoted.size() - 2);
  return whole;
}

// One that stands alone may take all there is: a plugin's line has no other.
std::size_t MostOfField(const LogRecord& record) {
  return record.fields.size() == 1 ? kMaxLogLine : kMaxFieldText;
}

// Appends one field as name and value below `end`; false when it was cut or left out.
bool AppendField(const LogField& field, bool json, std::size_t end, std::size_t most,
                 std::string* out) {
  const std::size_t before = out->size();
  bool whole = true;
  if (json) {
    *out += ',';
    whole &= AppendQuoted(field.name(), kMaxFieldName, out);
    *out += ':';
  } else {
    *out += "  ";
    whole &= AppendBare(field.name(), kMaxFieldName, out);
    *out += '=';
  }
  // A text shorter than this says nothing; then the field is left out instead.
  constexpr std::size_t kLeast = 32;
  if (out->size() + kLeast > end) {
    out->resize(before);
    return false;
  }
  if (const auto* text = std::get_if<std::string_view>(&field.value())) {
    const std::size_t limit = std::min(most, end - out->size());
    if (!json && text->size() < limit && IsPlain(*text)) {
      *out += *text;
    } else {
      whole &= AppendQuoted(*text, limit, out);
    }
  } else {
    AppendScalar(field.value(), out);
  }
  return whole;
}

}  // namespace

std::string FormatLogJson(const LogRecord& record) {
  bool whole = true;
  std::string line;
  line.reserve(256);
  line += "{\"time\":\"";
  line += FormatTicks(record.time_ticks);
  line += "\",\"level\":\"";
  line += LogLevelName(record.level);
  line += "\",\"msg\":";
  whole &= AppendQuoted(record.msg, kMaxMsg, &line);
  line += ",\"method\":";
  whole &= AppendQuoted(record.method, kMaxMethod, &line);
  line += ",\"group\":";
  if (record.group.empty()) {
    line += "null";
  } else {
    whole &= AppendQuoted(record.group, kMaxGroup, &line);
  }
  const std::size_t end = kMaxLogLine - kTruncated.size() - 1;
  for (const LogField& field : record.fields) {
    whole &= AppendField(field, true, end, MostOfField(record), &line);
  }
  if (!whole) {
    line += kTruncated;
  }
  line += '}';
  return line;
}

std::string FormatLogText(const LogRecord& record) {
  // What goes as far as the milliseconds, of "2026-11-24T03:39:17.5720000Z".
  constexpr std::size_t kToMilliseconds = 23;
  bool whole = true;
  std::string line = FormatTicks(record.time_ticks).substr(0, kToMilliseconds);
  line += "Z ";
  std::string level(LogLevelName(record.level));
  for (char& c : level) {
    c = static_cast<char>(c - 'a' + 'A');
  }
  level.resize(5, ' ');
  line += level;
  line += "  ";
  if (!record.group.empty()) {
    whole &= AppendBare(record.group, kMaxGroup, &line);
    line += "  ";
  }
  whole &= AppendBare(record.msg, kMaxMsg, &line);
  const std::size_t end = kMaxLogLine - kTruncatedText.size();
  for (const LogField& field : record.fields) {
    whole &= AppendField(field, false, end, MostOfField(record), &line);
  }
  if (!whole) {
    line += kTruncatedText;
  }
  return line;
}

}  // namespace catchup
