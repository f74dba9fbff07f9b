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

// A group whose `plugin` could be read.
struct GroupReading {
  GroupConfig config;
  // Whether these keys were valid; those that were not have their default, so no fault hides
  // another.
  bool projection_read = false;
  bool filter_read = false;          // prefixes, match, system_events
  bool settings_read = false;        // config
  SourceLocation settings_location;  // Its table, or the group's where there is none.
};

// What became of reading a configuration: the values, or every problem of the file at once.
struct ConfigReading {
  std::optional<HostConfig> config;   // Set exactly when there is no problem.
  std::vector<std::string> problems;  // "file:line:column: what, and what was wanted", in order.

  // What a check of the plugins needs, whatever else is wrong in the file.
  std::vector<SourceLocation> places;  // The place of each problem; 0:0: none.
  std::vector<GroupReading> groups;    // In the order of the file.
  HostConfig found;                    // What could be read, else defaults. Without groups.
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
