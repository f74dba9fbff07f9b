#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace catchup {

// The text rules that a group has unless its `classify` says otherwise: parts of an error text that
// say of which class it is, whatever their case.
inline constexpr std::array<std::string_view, 5> kDomainRules = {
    "validation", "invalid", "constraint", "domain", "business"};
inline constexpr std::array<std::string_view, 22> kInfrastructureRules = {
    "timeout",       "connection",  "network",     "database",        "redis",
    "timed out",     "unavailable", "unreachable", "refused",         "broken pipe",
    "certificate",   "resolve",     "dns",         "name resolution", "name not found",
    "deadlock",      "lock",        "serializ",    "read-only",       "disk",
    "no space left", "too many"};

// Among how many of a type's called events `breaker.budget` counts those that became letters.
inline constexpr std::uint32_t kBudgetWindow = 20;

}  // namespace catchup
