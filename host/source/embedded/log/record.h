#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/event.h"
#include "host/base/uuid.h"

namespace catchup::embedded {

// The file format's idea of a record's size, which spaces the positions: names, payload and 90
// bytes for the fixed fields. It is what a node's own records take, so positions here are the ones
// a node would give for the same events. Part of the file format: changing it needs a new format
// version.
inline constexpr std::uint64_t kRecordOverheadBytes = 90;

// Where the first record of a new log lies. On a node, records of its own come before that, so no
// event is ever at 0 and "from the start" and "from (0, 0)" deliver the same.
inline constexpr std::uint64_t kFirstPosition = 544;

// The revision of a tombstone; a stream that holds one is closed for ever.
inline constexpr std::int64_t kTombstoneRevision = std::numeric_limits<std::int64_t>::max();

inline constexpr std::string_view kMetadataType = "$metadata";
inline constexpr std::string_view kTombstoneType = "$streamDeleted";
inline constexpr std::string_view kLinkType = "$>";
inline constexpr std::string_view kMetadataPrefix = "$$";

// The bytes of log that a record takes.
constexpr std::uint64_t RecordSize(std::string_view stream, std::string_view type,
                                   std::string_view data, std::string_view metadata) {
  return kRecordOverheadBytes + stream.size() + type.size() + data.size() + metadata.size();
}

// An id as it is stored. The view is of `id`.
inline std::string_view IdBytes(const Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

// One event to write.
struct NewEvent {
  Uuid id;
  std::string type;
  std::string data;
  std::string metadata;
  bool is_json = false;
};

// One event as written, owning its bytes.
struct Record {
  std::string stream;
  std::string type;
  std::string data;
  std::string metadata;
  Uuid id;
  std::uint64_t position = 0;
  std::uint64_t revision = 0;
  std::int64_t created_ticks = 0;
  bool is_json = false;

  EventView view() const {
    return {stream,        type,   data, metadata, id, revision, {position, position},
            created_ticks, is_json};
  }
};

// The revision a writer expects its stream to be at.
struct ExpectedRevision {
  static constexpr std::int64_t kNoStream = -1;
  static constexpr std::int64_t kAny = -2;
  static constexpr std::int64_t kStreamExists = -4;

  std::int64_t value = kAny;  // One of the above, or the exact last revision.
};

}  // namespace catchup::embedded
