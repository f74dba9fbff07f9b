#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "host/base/event_size.h"
#include "host/base/position.h"
#include "host/base/uuid.h"

namespace catchup {

// Why an event of more than kMaxEventBytes is refused.
std::string TooLargeEvent(std::uint64_t bytes);

// One recorded event, borrowed: every view points into a buffer that somebody else owns and that
// must outlive this value.
struct EventView {
  std::string_view stream;
  std::string_view type;
  std::string_view data;
  std::string_view metadata;
  Uuid id;
  std::uint64_t revision = 0;
  Position position;
  std::int64_t created_ticks = 0;  // 100 ns since 1970-01-01T00:00:00Z.
  bool is_json = false;            // The record's content type is application/json.

  // Bytes of payload and names, what the window and the ring are bounded by.
  std::uint64_t size() const { return stream.size() + type.size() + data.size() + metadata.size(); }
  bool is_system() const { return !type.empty() && type.front() == '$'; }
};

}  // namespace catchup
