#pragma once

#include <string>

#include "host/base/status.h"
#include "host/source/client/connection_options.h"

namespace catchup {

// What a server says about itself.
struct ServerInfo {
  std::string version;        // As it words it; empty when it does not say.
  bool batch_append = false;  // Whether Appender can write to it.
};

// Asks the server; blocks for at most the deadline. A server that does not know
// the question is no failure: the answer is then empty. kUnavailable when it cannot be reached.
Result<ServerInfo> ReadServerInfo(const ConnectionOptions& options);

}  // namespace catchup
