#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "host/base/position.h"
#include "host/base/uuid.h"

namespace catchup {

// How a log is recognised. An event that a group has passed, be it that it was handled or that it
// was the log's newest, witnesses that its place, its stream and its revision had this id; a log
// that says otherwise is another one, or an older copy that has grown anew. Places that a server
// has only announced, where no record lies, witness nothing.

// An event by which a later connect recognises the log. `stream` is empty where the name was too
// long to keep: position and id still prove.
struct Witness {
  Position position;
  Uuid event_id;
  std::uint64_t revision = 0;
  std::string stream;
  friend bool operator==(const Witness&, const Witness&) = default;
};

inline std::optional<Position> PlaceOf(const std::optional<Witness>& event) {
  return event.has_value() ? std::optional(event->position) : std::nullopt;
}

// A record of the log as a read of the log shows it, links unresolved.
struct FirstRecord {
  Position position;
  Uuid event_id;
  // It names another event. Whoever follows links knows the event at this place by that one's id.
  bool is_link = false;
  friend bool operator==(const FirstRecord&, const FirstRecord&) = default;
};

// What a read of one stream says of one of its revisions.
struct StreamRevision {
  enum class Kind : std::uint8_t {
    kEvent,      // It is there, with `event_id`.
    kEndsBelow,  // The stream is there and has never had so many events in this log.
    // Nothing is to be learnt: there is no such stream, it was deleted or cut off in front of a
    // later event, the revision is scavenged or too old to be shown, or the stream is not for this
    // user to read.
    kGone,
  };
  Kind kind = Kind::kGone;
  Uuid event_id;  // kEvent.
  friend bool operator==(const StreamRevision&, const StreamRevision&) = default;
};

// What an answer of a log's makes of a witness.
enum class Testimony : std::uint8_t {
  kProved,     // The event is there: up to its place this is the log.
  kRefuted,    // Another event is there: this is another log, or another past.
  kAskStream,  // Nothing is there that would tell: its stream may still have it.
  kNone,       // The log has neither the one nor the other any more.
};

// `first`: what a read of one event from the witness's place on has found; the server's word that
// the place is none refutes as well, and does not come here. One without a stream is not asked for
// further.
Testimony Judge(const Witness& witness, const std::optional<FirstRecord>& first);
// `found`: its stream at its revision.
Testimony Judge(const Witness& witness, const StreamRevision& found);

}  // namespace catchup
