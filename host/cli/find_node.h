#pragma once

#include <memory>
#include <string>

#include "host/base/signals.h"
#include "host/base/status.h"
#include "host/config/credentials.h"
#include "host/config/source_uri.h"

namespace catchup {

// The node of the cluster of `uri` that a command is to write to: the leader, whatever is preferred
// for reading, since not every other node takes an append. Blocks for as many rounds of
// questions as the connection string allows, and ends at once when a signal comes, which it takes:
// kCancelled. kUnavailable: there is none.
Result<std::string> FindNode(const SourceUri& uri, const std::shared_ptr<Credentials>& credentials,
                             SignalInbox* signals);

}  // namespace catchup
