#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>

#include "host/source/client/connection_options.h"

namespace catchup {

// A connection of its own, shared with no other channel of this process, so that a full window or a
// broken socket stays its owner's alone. Connects when first used; an address that cannot be
// reached fails the call that needed it within about 10 s.
std::shared_ptr<grpc::Channel> OpenChannel(const ConnectionOptions& options);

// The headers that every call carries. A failure: there are no credentials where some are wanted,
// so the call is not to be made.
Status AddHeaders(const ConnectionOptions& options, grpc::ClientContext* context);

}  // namespace catchup
