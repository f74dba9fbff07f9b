#include "host/base/witness.h"

namespace catchup {

Testimony Judge(const Witness& witness, const std::optional<FirstRecord>& first) {
  const bool at_its_place = first.has_value() && first->position == witness.position;
  if (at_its_place && first->event_id == witness.event_id) {
    return Testimony::kProved;
  }
  if (at_its_place && !first->is_link) {
    return Testimony::kRefuted;
  }
  return witness.stream.empty() ? Testimony::kNone : Testimony::kAskStream;
}

Testimony Judge(const Witness& witness, const StreamRevision& found) {
  switch (found.kind) {
    case StreamRevision::Kind::kEvent:
      return found.event_id == witness.event_id ? Testimony::kProved : Testimony::kRefuted;
    case StreamRevision::Kind::kEndsBelow:
      return Testimony::kRefuted;
    case StreamRevision::Kind::kGone:
      break;
  }
  return Testimony::kNone;
}

}  // namespace catchup
