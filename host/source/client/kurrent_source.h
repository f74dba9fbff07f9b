#pragma once

#include <memory>

#include "host/source/client/connection_options.h"
#include "host/source/client/source_threads.h"
#include "host/source/source.h"

namespace catchup {

// A source that speaks the database's own protocol to one server. Connects when first used.
//
// It reports every end and reconnects nothing by itself: when to subscribe again is the engine's
// decision. gRPC's channel below does reconnect, at its own pace, once something asks for it.
// It is served by one of `threads`, or else by a thread of its own; kExhausted: there is none to be
// had.
Result<std::unique_ptr<Source>> OpenKurrentSource(const ConnectionOptions& options,
                                                  std::shared_ptr<SourceThreads> threads = nullptr);

// ReadHead for callers that can wait, such as a command line. Not from inside a callback.
Result<std::optional<Position>> ReadHeadAndWait(Source* source);

}  // namespace catchup
