#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace catchup {

// A UUID as the 16 bytes of its text form, left to right. The two halves on the wire are bytes 0-7
// and 8-15, big-endian.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;

  static Uuid FromHalves(std::uint64_t most_significant, std::uint64_t least_significant);
  std::uint64_t most_significant() const;
  std::uint64_t least_significant() const;
  bool is_zero() const { return *this == Uuid{}; }
};

// Lower case, 8-4-4-4-12.
std::string FormatUuid(const Uuid& uuid);

// The 8-4-4-4-12 form in either case; nothing else.
std::optional<Uuid> ParseUuid(std::string_view text);

// A version-5 UUID (SHA-1) of `name` in the namespace of this product: the same text always gives
// the same id, on every machine.
Uuid NameUuid(std::string_view name);

// A version-4 UUID from the system's random numbers.
Uuid RandomUuid();

}  // namespace catchup
