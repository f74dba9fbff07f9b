#pragma once

#include <string>
#include <vector>

#include "host/config/config.h"

namespace catchup {

// Something in a configuration that is valid in itself and still likely to be a mistake here.
struct ConfigWarning {
  std::string group;  // Empty: it is about the host.
  std::string text;   // "file:line:column: what, and what was wanted"; or without a place.
};

// Looks for what a valid configuration names and this machine lacks: plugin directories, folders of
// sinks, variables of our environment; for groups that ask for a sink's stream; and for what is odd
// about the source. Any thread that does not change the environment. `file` is the configuration as
// the user named it.
std::vector<ConfigWarning> FindConfigWarnings(const HostConfig& config, const std::string& file);

}  // namespace catchup
