#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace catchup {

// Which events a group gets, all of what decides it. The source asks for what the first two say
// and for links; system events come all the same and are left out by who receives them. The
// checkpoint is kept with a digest of this, because under another filter events before it may be
// missing.
struct EventFilter {
  enum class Match : std::uint8_t { kEventType, kStreamName };

  // The server sends events whose type or stream name begins with one of the prefixes; an empty
  // prefix matches everything.
  Match match = Match::kEventType;
  std::vector<std::string> prefixes;
  bool system_events = false;  // Those whose type begins with "$" are handed on, too.
  bool resolve_links = false;  // A link is the event that it names.
};

}  // namespace catchup
