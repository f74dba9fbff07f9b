#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "host/base/event.h"
#include "host/base/position.h"
#include "host/base/status.h"

namespace catchup {

// One message of a read or a subscription, decoded.
struct ReadFrame {
  enum class Kind : std::uint8_t {
    kEvent,         // event, target_missing.
    kConfirmation,  // The subscription is accepted.
    kCheckpoint,    // position.
    kCaughtUp,      // position, if the server tells it.
    kNoStream,      // There is no such stream, or it was deleted.
    kStreamEnd,     // last_revision of the stream.
    kOther,         // Anything else, also what only newer servers send: to be ignored.
  };

  Kind kind = Kind::kOther;
  bool target_missing = false;
  std::optional<Position> position;
  std::uint64_t last_revision = 0;
  EventView event;
};

// Decodes one ReadResp message straight into views of `bytes`: no message object and no copy, which
// makes it several times faster than the generated parser. `frame`'s views live as long as `bytes`.
//
// Merging and skipping are protobuf's: of the members of a oneof the last one counts, a message
// given twice is merged, unknown fields are passed over. Two things are left to the reader of the
// event: texts are not checked to be UTF-8, and absent fields are empty or 0.
//
// An event reached through a link has the link's position; where the target is gone, `event` is the
// link record. Positions that only mean "unknown" (kEndOfLog) are no position: on a checkpoint or
// caught-up frame it is left out, on an event it is a fault.
//
// kInvalid with the member and what is wrong with it, for bytes that are not such a message.
Status DecodeReadFrame(std::string_view bytes, ReadFrame* frame);

}  // namespace catchup
