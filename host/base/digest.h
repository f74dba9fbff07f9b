#pragma once

#include <array>
#include <cstdint>

namespace catchup {

// What a hash function makes of any bytes: SHA-256 of a plugin's file, BLAKE2b of what is stored.
using Digest32 = std::array<std::uint8_t, 32>;

}  // namespace catchup
