#pragma once

#include <cstdint>

namespace catchup::sim {

// A small seeded generator (SplitMix64): the same seed gives the same history everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15ull;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  // Both ends included.
  std::uint64_t Between(std::uint64_t low, std::uint64_t high) {
    return low + Next() % (high - low + 1);
  }

  bool Chance(std::uint64_t percent) { return Next() % 100 < percent; }

 private:
  std::uint64_t state_;
};

}  // namespace catchup::sim
