#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace catchup {

// A tick is 100 ns, as the database counts time.
inline constexpr std::int64_t kTicksPerSecond = 10'000'000;
inline constexpr std::int64_t kNanosPerTick = 1'000'000'000 / kTicksPerSecond;

// 100 ns ticks since 1970 as "2026-11-24T03:39:17.5720000Z": UTC, always seven digits.
std::string FormatTicks(std::int64_t ticks);

// What FormatTicks gave, back; none for any other text.
std::optional<std::int64_t> ParseTicks(std::string_view text);

// The wall clock in 100 ns ticks since 1970.
std::int64_t NowTicks();

// "350ms", "1.5s", "2m10s", "3h5m", for people.
std::string FormatDuration(std::chrono::nanoseconds duration);

// A setting as people write it: "10ms", "1s", "5m", "24h"; the largest unit that divides it.
std::string DescribeDuration(std::chrono::milliseconds duration);

// "1,234,567", for people.
std::string FormatCount(std::uint64_t count);

}  // namespace catchup
