#include "host/engine/reconnect_pace.h"

#include <algorithm>

#include "host/engine/backoff.h"

namespace catchup {
namespace {

// A dropped connection is back at once in most cases; a server that answers and serves nothing for
// hours costs it a try each 30 s.
constexpr Backoff kDropped{std::chrono::milliseconds(200), std::chrono::seconds(30)};

// The source is looked for meanwhile, much more often than by this. It is for what a look cannot
// see, as a network that lets only some connections through.
constexpr Backoff kUnanswered{std::chrono::seconds(10), std::chrono::seconds(10)};

// Wrong credentials do not heal by themselves, and failed logins fill the server's log.
constexpr Backoff kRefused{std::chrono::seconds(10), std::chrono::seconds(60)};
constexpr std::chrono::seconds kRefusedMinimum{10};

// What only another event, or a server of another version, can change.
constexpr std::chrono::seconds kTooLarge{30};
constexpr std::chrono::seconds kHopeless{60};

// A server may ask for quiet, but not for so long that nobody would know why a group stands still.
constexpr std::chrono::nanoseconds kMostQuiet = std::chrono::seconds(60);

}  // namespace

ReconnectPace::Next ReconnectPace::OnEnded(const EndOfCall& end, bool answered, bool heard,
                                           std::uint64_t random) {
  ++tries_;
  Next next = Own(end.kind, answered, heard, random);
  if (end.retry_after.has_value()) {
    const std::chrono::nanoseconds quiet = std::min(*end.retry_after, kMostQuiet);
    next.delay = std::max(next.delay, quiet);
    next.earliest = std::max(next.earliest, quiet);
  }
  return next;
}

ReconnectPace::Next ReconnectPace::Own(EndClass kind, bool answered, bool heard,
                                       std::uint64_t random) {
  switch (kind) {
    case EndClass::kCredentials:
    case EndClass::kRights: {
      const std::chrono::nanoseconds delay =
          std::max<std::chrono::nanoseconds>(kRefused.Delay(refusals_++, random), kRefusedMinimum);
      return {delay, delay};
    }
    case EndClass::kTooLarge:
      return {kTooLarge, kTooLarge};
    case EndClass::kUnsupported:
    case EndClass::kBadRequest:
      return {kHopeless, kHopeless};
    case EndClass::kDropped:
    case EndClass::kNotReady:
    case EndClass::kNotLeader:
    case EndClass::kInvalidPosition:
      break;
  }
  if (!answered && !heard) {
    return {kUnanswered.Delay(0, random), {}};
  }
  const std::chrono::nanoseconds delay = kDropped.Delay(failures_++, random);
  return {delay, heard ? delay : std::chrono::nanoseconds{}};
}

}  // namespace catchup
