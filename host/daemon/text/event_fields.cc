#include "host/daemon/text/event_fields.h"

#include <fmt/core.h>

#include "host/base/position.h"
#include "host/base/uuid.h"

namespace catchup {

EventFields::EventFields(const EventView& event)
    : event_(event),
      known_(true),
      id_(FormatUuid(event.id)),
      position_(FormatPosition(event.position)),
      trace_(TraceIdsOf(event.metadata)) {
  text_ =
      fmt::format("{} {}@{} {} at {}", id_, event.stream, event.revision, event.type, position_);
}

void EventFields::AddTo(std::vector<LogField>* fields) const {
  fields->emplace_back("event", text_);
  if (known_) {
    fields->emplace_back("stream", event_.stream);
    fields->emplace_back("revision", event_.revision);
    fields->emplace_back("eventId", id_);
    fields->emplace_back("eventType", event_.type);
    fields->emplace_back("position", position_);
    if (!trace_.trace.empty()) {
      fields->emplace_back("traceId", trace_.trace);
      fields->emplace_back("spanId", trace_.span);
    }
  }
}

}  // namespace catchup
