#pragma once

#include <chrono>
#include <cstddef>

#include "host/base/event_size.h"

namespace catchup {

// What the API takes from anybody, so that no client costs the host more than this.

// One request, head and body together. The longest command is a few hundred bytes.
inline constexpr std::size_t kMaxRequestBytes = 64u << 10;
// Its head alone.
inline constexpr std::size_t kMaxRequestHeadBytes = 8u << 10;

// The time within which a request must have come whole, and within which an answer must have been
// taken.
inline constexpr std::chrono::seconds kRequestLimit{5};

// Connections at a time. One more takes the place of whoever has been slowest to send its request.
inline constexpr std::size_t kMaxConnections = 32;

// The longest answer that a client reads: a letter of the largest event, whose bytes are no text.
inline constexpr std::size_t kMaxResponseBytes = 64u << 20;
static_assert(kMaxResponseBytes >= 2 * kMaxMessageBytes);  // Base64 makes four bytes of three.

}  // namespace catchup
