#pragma once

#include <string>
#include <string_view>

namespace catchup {

// The ids by which a trace finds the event: 32 and 16 lower-case hexadecimal digits; both empty
// where they are not both valid.
struct TraceIds {
  std::string trace;
  std::string span;
  bool invalid = false;  // There is none because what the metadata says is no id.
};

// Metadata beyond this is not looked into: a trace's ids stand in a small object.
inline constexpr std::size_t kMaxTracedMetadata = 64u << 10;

// The first valid pair of an event's metadata, a JSON object: `traceparent` (W3C), `$traceId` and
// `$spanId`, `trace-id` and `span-id`. Ids of zeros alone are none.
TraceIds TraceIdsOf(std::string_view metadata);

}  // namespace catchup
