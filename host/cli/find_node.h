#pragma once

#include <memory>
#include <string>

#include "host/base/signals.h"
#include "host/base/status.h"
#include "host/config/credentials.h"
#include "host/config/source_uri.h"
#include "host/source/embedded/log_server.h"

namespace catchup {

// Where a command finds a log, and what keeps it there.
struct LogTarget {
  std::string address;                  // "host:port".
  embedded::EmbeddedEndpoint endpoint;  // Keeps an embedded log that this command itself opened.
};

// The server of `uri`; of a cluster its leader, whatever is preferred for reading, since another
// node may lag, and not every one takes an append. An embedded log that nobody serves is opened,
// and made where there is none. Blocks for as many rounds of questions as the connection string
// allows, and ends at once when a signal comes, which it takes: kCancelled. kUnavailable: no node
// of the cluster is found.
Result<LogTarget> OpenTarget(const SourceUri& uri, const std::shared_ptr<Credentials>& credentials,
                             SignalInbox* signals);

}  // namespace catchup
