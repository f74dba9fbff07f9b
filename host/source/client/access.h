#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <string_view>

namespace catchup {

// What a call needs a right to.
enum class AccessTo : std::uint8_t { kAll, kStream };

// How a call that a server refused for who made it ended, with what a person can do about it; any
// other end as it is. `credentials`: where those came from that were sent; empty for none. A header
// that a node cannot decode, which it answers with HTTP 500, counts as UNAUTHENTICATED.
grpc::Status AdviseOnAccess(const grpc::Status& status, AccessTo access,
                            std::string_view credentials);

}  // namespace catchup
