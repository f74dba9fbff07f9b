#pragma once

#include <string_view>

namespace catchup {

// Whether a runner never gets a variable of this name, in capitals or not, whatever its group asks
// for: it steers the loader, gRPC, proxies or TLS behind the program's back, or is the host's
// alone. What reads a configuration refuses such a name, and what starts a runner leaves it out.
bool IsForbiddenVariable(std::string_view name);

// Those names, for a message.
inline constexpr std::string_view kForbiddenVariables =
    "LD_*, GRPC_*, *_PROXY, GLIBC_TUNABLES, SSLKEYLOGFILE and CATCHUP_CREDENTIALS";

}  // namespace catchup
