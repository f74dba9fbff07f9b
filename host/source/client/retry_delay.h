#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace catchup {

// How long a server asks to be left alone in the details of a status, the bytes of a
// google.rpc.Status: the delay of the first google.rpc.RetryInfo among them. Null where there is
// none, or bytes that are none; never negative.
std::optional<std::chrono::nanoseconds> RetryDelay(std::string_view details);

}  // namespace catchup
