#pragma once

#include <string>
#include <string_view>

#include "host/store/letter.h"

// Letters as users' programs read them: `catchup dlq list --json`, and the events of sinks.
namespace catchup {

// Appends the members of one letter's object, without braces: id, group, stream, revision, type,
// eventId, commit, prepare, state, class, reason, attempts, firstFailedAt, lastFailedAt, nextTryAt,
// plugin, pluginVersion, pluginSha256.
void AppendLetterMembers(std::string_view group, const LetterHead& head, const LetterCause& cause,
                         std::string* out);

// Appends the members that only a letter shown by itself has: since, writtenAt, token, traceId,
// spanId, calls (each time, class, text), each with a comma before it.
void AppendLetterDetails(const LetterHead& head, const LetterCause& cause, std::string* out);

// Appends the members of the object of a letter that was dropped: who it was, state "dropped",
// class, reason, by, droppedAt.
void AppendDropMembers(std::string_view group, const LetterDrop& drop, std::string* out);

// Appends the members of the object of a type whose events are parked without a call: type, by
// ("host" or "operator"), since, reason.
void AppendHoldMembers(const LetterHold& hold, std::string* out);

// Appends the event as one event line, without a line feed: `catchup try` and `catchup append` read
// it back to the byte.
void AppendLetterEvent(const Letter& letter, std::string* out);

}  // namespace catchup
