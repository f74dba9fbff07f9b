#pragma once

#include <sodium.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <tuple>

#include "host/base/digest.h"

// How stored files are written byte by byte: little-endian numbers, BLAKE2b sums of 32 bytes.
namespace catchup {

inline constexpr std::size_t kSumBytes = std::tuple_size_v<Digest32>;

inline Digest32 Sum(std::string_view bytes) {
  Digest32 sum{};
  crypto_generichash(sum.data(), sum.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size(), nullptr, 0);
  return sum;
}

// Appends the sum of all that is there.
inline void AppendSum(std::string* bytes) {
  const auto sum = Sum(*bytes);
  bytes->append(reinterpret_cast<const char*>(sum.data()), sum.size());
}

// Whether the last kSumBytes are the sum of all before.
inline bool SumFits(std::string_view bytes) {
  if (bytes.size() < kSumBytes) {
    return false;
  }
  const std::string_view before = bytes.substr(0, bytes.size() - kSumBytes);
  const auto sum = Sum(before);
  return std::memcmp(sum.data(), bytes.data() + before.size(), kSumBytes) == 0;
}

template <typename T>
void PutNumber(T value, std::string* bytes) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes->push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
  }
}

// `at` and what follows must lie inside.
template <typename T>
T GetNumber(std::string_view bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= std::uint64_t{static_cast<std::uint8_t>(bytes[at + i])} << (8 * i);
  }
  return static_cast<T>(value);
}

}  // namespace catchup
