#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>

#include "host/source/client/connection_options.h"

namespace catchup {

// What a channel by `options` is opened with: TLS, or nothing where they have none.
//
// The files are read now and again every second, by one thread of the process for each set of them;
// a new content counts from the next connection on. What cannot be read, or is no certificate,
// leaves the last that was good in force; where there has been none, connecting fails and says so.
// Any thread.
std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const ConnectionOptions& options);

}  // namespace catchup
