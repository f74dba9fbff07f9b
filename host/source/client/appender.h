#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/position.h"
#include "host/base/status.h"
#include "host/base/uuid.h"
#include "host/source/client/connection_options.h"

namespace catchup {

// An event to be written.
struct NewEvent {
  Uuid id;           // Not zero. The same id again is recognised, as far as the server remembers.
  std::string type;  // Must not be empty.
  std::string data;
  std::string metadata;
  bool is_json = false;

  // What the server counts against its limits, or a little more: it counts a type's UTF-16 units.
  std::uint64_t size() const { return data.size() + metadata.size() + 2 * type.size(); }
};

// What a stream must hold for an append to be made.
struct ExpectedStream {
  enum class Kind : std::uint8_t {
    kAny,       // Whatever it holds.
    kRevision,  // `revision` is that of its last event.
    kNone,      // Nothing.
  };
  Kind kind = Kind::kAny;
  std::uint64_t revision = 0;

  friend bool operator==(const ExpectedStream&, const ExpectedStream&) = default;
};

// What came of a request to an Appender.
struct AppendAnswer {
  std::uint64_t number = 0;  // The request's.

  // kUnavailable when the server cannot be reached, is not ready, or does not answer in time: an
  // append may have been made or not. kDenied and kInvalid when the server refuses the request; its
  // own reason is in the text.
  Status status;
  // With kInvalid: the stream holds something else than was expected, or some of the events and not
  // the others.
  bool conflict = false;

  // After an append, where its last event is; after a conflict, the last event of the stream. After
  // a read of the end of a stream, its last event. None for a stream without events.
  std::optional<std::uint64_t> revision;
  // After an append, the place of its last event, which a repeated append may not tell; after a
  // read of the head, that of the newest event.
  std::optional<Position> position;
  // After a read of the end of a stream, the ids of its events, newest first.
  std::vector<Uuid> ids;
};

// Writes events to one server: any number of appends at a time on one long call, and the questions
// that a writer has to ask first. Connects when first used; a call that has ended is followed by a
// new one with the next append.
//
// One thread makes the requests and takes the answers; a thread of its own does the waiting.
class Appender {
 public:
  // kExhausted: no descriptor or no thread is left for it.
  static Result<std::unique_ptr<Appender>> Open(const ConnectionOptions& options);
  virtual ~Appender() = default;

  // Asks for `events` to be written to the end of `stream`, all or none, and durably. Appends to
  // one stream keep their order only if each waits for the answer to the one before. Returns the
  // request's number, by which its answer is known.
  virtual std::uint64_t Append(std::string_view stream, const ExpectedStream& expected,
                               std::span<const NewEvent* const> events) = 0;

  // Asks for the end of a stream: back to the first event that was created before `since` (in 100
  // ns ticks since 1970), which is not given any more, or to its beginning.
  virtual std::uint64_t ReadEnd(std::string_view stream, std::int64_t since) = 0;

  // Asks for the position of the newest event of the whole log.
  virtual std::uint64_t ReadHead() = 0;

  // The answers that have come since, in the order they came. Also gives up what has waited longer
  // than the connection's deadline.
  virtual std::vector<AppendAnswer> Take() = 0;

  // A descriptor that is readable while there are answers to take.
  virtual int wake() const = 0;
  // When to call Take without that, to give up what waits too long; none while nothing waits.
  virtual std::optional<std::chrono::steady_clock::time_point> deadline() const = 0;
};

}  // namespace catchup
