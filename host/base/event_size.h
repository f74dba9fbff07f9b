#pragma once

#include <cstdint>

// How large an event may be, and what is derived from it. Whatever else is bounded by bytes and has
// to hold an event, asserts that it does, beside its own definition.
namespace catchup {

// The most data and metadata that a server takes in one append.
inline constexpr std::uint64_t kMaxAppendBytes = 16ull << 20;

// The largest event there can be: names, data and metadata together. What is over kMaxAppendBytes
// is room for names. The ring and every buffer of an event are sized for it, and what is larger is
// refused where it comes in.
inline constexpr std::uint64_t kMaxEventBytes = kMaxAppendBytes + (1ull << 20);

// A message that carries an event: the event, and room for the fields around it.
inline constexpr std::uint64_t kMaxMessageBytes = kMaxEventBytes + (1ull << 20);

}  // namespace catchup
