#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "host/config/config.h"

namespace catchup {

struct TomlMember;

// One value of a TOML document with its place. Dates and times are kept as RFC 3339 text. A value
// type of ours, so that the library behind it is seen by one file only and its recursion stays
// there.
struct TomlValue {
  struct Date {
    std::string text;
  };
  using List = std::vector<TomlValue>;
  using Table = std::vector<TomlMember>;  // In the order of the file.

  std::variant<bool, std::int64_t, double, std::string, Date, List, Table> value;
  SourceLocation location;

  template <typename T>
  const T* As() const {
    return std::get_if<T>(&value);
  }
  const TomlMember* Find(std::string_view key) const;
};

struct TomlMember {
  std::string key;
  SourceLocation location;  // Of the key.
  TomlValue value;
};

// Deeper nesting than this is refused, which bounds every recursion over a tree.
inline constexpr int kMaxTomlDepth = 64;

struct TomlError {
  SourceLocation location;
  std::string text;  // What was found and, where the grammar knows, what was wanted.
};

// Parses a whole document into its root table. Any thread.
std::variant<TomlValue, TomlError> ParseToml(std::string_view text);

// The value as a person would write it, on one line and cut to a readable length, without the user
// and password of a URL. Controls are escaped.
std::string DescribeToml(const TomlValue& value);

}  // namespace catchup
