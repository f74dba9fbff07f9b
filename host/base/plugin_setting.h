#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace catchup {

// What a value of a plugin's configuration is. The numbers are those of the plugin ABI.
enum class SettingKind : std::int32_t {
  kAbsent = 0,
  kText = 1,
  kNumber = 2,
  kBoolean = 3,
  kTable = 4,
  kList = 5,
};

// One value of a plugin's configuration. A table or a list stands in front of its members and has
// no text.
struct PluginSetting {
  std::string path;  // A TOML dotted key in the form of AppendSettingKey.
  SettingKind kind = SettingKind::kAbsent;
  std::string text;  // Of a text without quotes; of a number or boolean as JSON has it.

  friend bool operator==(const PluginSetting&, const PluginSetting&) = default;
};

// Appends one key to a path. The same keys always give the same path, and others another one: a key
// stands bare where TOML allows that, else as a basic string with no more escapes than it needs.
void AppendSettingKey(std::string_view key, std::string* path);

// Puts `dotted`, any way to write a dotted key of TOML 1.0, into *out in the form above. False if
// it is none. Keeps at most `limit` bytes of what it writes, so that it allocates nothing if *out
// has room for that many; a path that is cut has exactly `limit`.
bool NormalizeSettingPath(std::string_view dotted, std::size_t limit, std::string* out);

}  // namespace catchup
