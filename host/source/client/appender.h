#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "host/base/position.h"
#include "host/base/status.h"
#include "host/base/uuid.h"
#include "host/source/client/connection_options.h"

namespace catchup {

// An event to be written.
struct NewEvent {
  Uuid id;           // Not zero. The same id again is recognised, as far as the server remembers.
  std::string type;  // Not empty.
  std::string data;
  std::string metadata;
  bool is_json = false;

  // What the server counts against its limits, or a little more: it counts a type's UTF-16 units.
  std::uint64_t size() const { return data.size() + metadata.size() + 2 * type.size(); }
};

// Where an append went.
struct Appended {
  std::uint64_t revision = 0;        // Of the last event, in its stream.
  std::optional<Position> position;  // Of the last event; a repeated append may not tell.
};

// Writes events, one append at a time, each a round trip on one long call. Blocks; one thread at a
// time. Connects when first used.
class Appender {
 public:
  static std::unique_ptr<Appender> Open(const ConnectionOptions& options);
  virtual ~Appender() = default;

  // Writes `events` to the end of `stream`, all or none, whatever the stream holds. Returns once
  // they are durable.
  //
  // kUnavailable when the server cannot be reached, is not ready, or does not answer in time: the
  // events may be there or not, and repeating the append with the same ids is the way to find out.
  // The next Append then makes a new call. kDenied and kInvalid when the server refuses these
  // events; its own reason is in the text.
  virtual Result<Appended> Append(std::string_view stream, std::span<const NewEvent> events) = 0;
};

}  // namespace catchup
