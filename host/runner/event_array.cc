#include "host/runner/event_array.h"

#include <algorithm>
#include <cstring>

#include "host/base/event_size.h"

namespace catchup {

static_assert(CATCHUP_MAX_EVENT_BYTES == kMaxEventBytes, "plugins are told what the host takes");

void EventArray::Grow() {
  constexpr std::uint64_t kFirst = 16;
  const std::uint64_t size =
      std::min<std::uint64_t>(capacity_, std::max<std::uint64_t>(kFirst, 2 * events_.size()));
  events_.resize(size);
  pointers_.resize(size);
  for (std::uint64_t i = 0; i < size; ++i) {
    pointers_[i] = &events_[i];
  }
}

void EventArray::Add(const RecordView& record) {
  CATCHUP_CHECK(!full());
  if (count_ == events_.size()) {
    Grow();
  }
  catchup_event& event = events_[count_++];
  const EventRecord& body = *record.body;
  const char* at = record.bytes;
  const auto take = [&at](std::uint64_t size) {
    const catchup_view view{at, size};
    at += size;
    return view;
  };
  event.struct_size = sizeof event;
  event.stream = take(body.stream_size);
  event.type = take(body.type_size);
  event.metadata = take(body.metadata_size);
  event.data = take(body.data_size);
  event.flags = record.is_json ? CATCHUP_EVENT_JSON : 0;
  if (event.type.size != 0 && event.type.data[0] == '$') {
    event.flags |= CATCHUP_EVENT_SYSTEM;
  }
  std::memcpy(event.id, body.id, sizeof event.id);
  event.revision = body.revision;
  event.position = {body.commit, body.prepare};
  event.created_ticks = body.created_ticks;
  event.attempt = body.attempt;
  event.lane = lane_;
}

}  // namespace catchup
