#pragma once

#include <string>
#include <vector>

#include "host/config/config.h"

namespace catchup {

// Something about a configuration that is not wrong in itself and still likely a mistake here.
struct ConfigWarning {
  std::string group;  // Empty: of the host.
  std::string text;   // "file:line:column: what, and what was wanted"; or without a place.
};

// Looks at what a right configuration names on this machine: plugin directories that are not there,
// variables that are not set in our environment. Any thread that does not change the environment.
// `file` is the configuration as the user named it.
std::vector<ConfigWarning> FindConfigWarnings(const HostConfig& config, const std::string& file);

}  // namespace catchup
