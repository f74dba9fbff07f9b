#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "host/base/log_level.h"

namespace catchup {

// One field of a log line. Borrowed: name and text must live until the line is written.
// Positions go in as text, all other numbers as numbers.
class LogField {
 public:
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

  LogField(std::string_view name, std::string_view text) : name_(name), value_(text) {}
  LogField(std::string_view name, const char* text) : name_(name), value_(std::string_view(text)) {}
  LogField(std::string_view name, const std::string& text)
      : name_(name), value_(std::string_view(text)) {}
  template <typename T>
  requires std::is_arithmetic_v<T> LogField(std::string_view name, T number)
      : name_(name), value_(Widen(number)) {}

  std::string_view name() const { return name_; }
  const Value& value() const { return value_; }

 private:
  template <typename T>
  static Value Widen(T number) {
    if constexpr (std::is_same_v<T, bool>) {
      return Value(std::in_place_type<bool>, number);
    } else if constexpr (std::is_floating_point_v<T>) {
      return Value(std::in_place_type<double>, number);
    } else if constexpr (std::is_unsigned_v<T>) {
      return Value(std::in_place_type<std::uint64_t>, number);
    } else {
      return Value(std::in_place_type<std::int64_t>, number);
    }
  }

  std::string_view name_;
  Value value_;
};

// Everything a line says.
struct LogRecord {
  std::int64_t time_ticks = 0;  // 100 ns since 1970, UTC.
  LogLevel level = LogLevel::kInfo;
  std::string_view msg;
  std::string_view method;
  std::string_view group;  // Empty: the host's own line, null in JSON.
  std::span<const LogField> fields;
};

// A reader of logs must be able to take a line whole.
inline constexpr std::size_t kMaxLogLine = 16u << 10;

// The record as one JSON object without a line feed: time, level, msg, method, group, then the
// fields. Total over any bytes: what is not UTF-8 becomes U+FFFD, controls are escaped. At most
// kMaxLogLine bytes: long texts are cut, and what still does not fit is left out and said so by
// "truncated": true. Numbers that JSON lacks (infinities) become null.
std::string FormatLogJson(const LogRecord& record);

// The record for a terminal: "2026-11-24T03:39:17.572Z WARN  order-totals  Text  name=value …". One
// line, with controls escaped so that no event or plugin can drive the terminal.
std::string FormatLogText(const LogRecord& record);

}  // namespace catchup
