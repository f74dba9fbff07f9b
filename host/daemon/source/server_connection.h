#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "host/config/connection_settings.h"
#include "host/config/credentials.h"
#include "host/config/source_uri.h"
#include "host/daemon/source/discovery.h"
#include "host/source/client/connection_options.h"

namespace catchup {

// How to reach `address` ("host:port") by `settings`, as the user of `credentials` where there are
// some. `purpose`, as a group's name, stands behind the name that the server knows the connection
// by.
ConnectionOptions ServerConnection(const ConnectionSettings& settings, std::string address,
                                   std::string_view purpose,
                                   const std::shared_ptr<Credentials>& credentials);

// How the nodes of a cluster are asked for one to connect to, the `preference` best: those that
// `uri` names, which are the seeds, by its other settings and on `threads`, which must not end on
// any of their own.
Discovery::Services AskNodes(const SourceUri& uri, NodePreference preference,
                             const std::shared_ptr<Credentials>& credentials,
                             const std::shared_ptr<SourceThreads>& threads);

}  // namespace catchup
