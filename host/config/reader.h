#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/status.h"
#include "host/config/config.h"

namespace catchup {

// A configuration is written by people: a file above this is a mistake, not a configuration.
inline constexpr std::size_t kMaxConfigBytes = 256u << 10;

// What became of reading a configuration: the values, or every problem of the file at once.
struct ConfigReading {
  std::optional<HostConfig> config;   // Set exactly when there is no problem.
  std::vector<std::string> problems;  // "file:line:column: what, and what was wanted", in order.
};

// Reads and checks `file`. It does not look at what the file names: directories and plugins may be
// missing. A file that cannot be read, or that is no TOML, gives one problem. Any thread.
ConfigReading ReadConfigFile(const std::filesystem::path& file);

// The same for text already read; `file` serves messages and relative paths.
ConfigReading ReadConfigText(std::string_view text, const std::filesystem::path& file);

// Plugin settings from "KEY=TOMLVALUE" texts, as the command line takes them; KEY may have dots. A
// value that is no TOML value, a key given twice or one inside another's scalar is kInvalid.
Result<PluginSettings> SettingsFromArguments(const std::vector<std::string>& arguments);

}  // namespace catchup
