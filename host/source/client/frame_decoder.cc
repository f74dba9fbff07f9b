#include "host/source/client/frame_decoder.h"

#include <fmt/core.h>

#include <string>

#include "host/base/number.h"
#include "host/base/uuid.h"
#include "host/source/client/wire_reader.h"

namespace catchup {
namespace {

// Field numbers are those of streams.proto and shared.proto.

constexpr std::uint64_t kUnknownHalf = kEndOfLog.commit;

// What a RecordedEvent says, before it is known which of the two of a ReadEvent counts.
struct Recorded {
  bool present = false;
  EventView event;
  std::string_view created;
  std::string_view id_text;  // Set when the id came as text.
};

Status Malformed(std::string_view what) {
  return Status::Invalid("malformed frame: " + std::string(what));
}

bool DecodeStructuredId(std::string_view bytes, Uuid* id) {
  // A second message of this kind merges into the first, so its halves are the starting point.
  std::uint64_t most = id->most_significant();
  std::uint64_t least = id->least_significant();
  WireReader reader(bytes);
  while (reader.NextTag()) {
    switch (reader.tag()) {
      case VarintTag(1):
        most = reader.Varint();
        break;
      case VarintTag(2):
        least = reader.Varint();
        break;
      default:
        reader.Skip();
    }
  }
  *id = Uuid::FromHalves(most, least);
  return reader.ok();
}

bool DecodeId(std::string_view bytes, Recorded* recorded) {
  WireReader reader(bytes);
  while (reader.NextTag()) {
    switch (reader.tag()) {
      case LengthTag(1):
        if (recorded->id_text.data() != nullptr) {
          recorded->id_text = {};
          recorded->event.id = {};
        }
        if (!DecodeStructuredId(reader.Bytes(), &recorded->event.id)) {
          return false;
        }
        break;
      case LengthTag(2):
        recorded->id_text = reader.Bytes();
        break;
      default:
        reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeStreamName(std::string_view bytes, std::string_view* name) {
  WireReader reader(bytes);
  while (reader.NextTag()) {
    if (reader.tag() == LengthTag(3)) {
      *name = reader.Bytes();
    } else {
      reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeProperty(std::string_view bytes, Recorded* recorded) {
  std::string_view key;
  std::string_view value;
  WireReader reader(bytes);
  while (reader.NextTag()) {
    switch (reader.tag()) {
      case LengthTag(1):
        key = reader.Bytes();
        break;
      case LengthTag(2):
        value = reader.Bytes();
        break;
      default:
        reader.Skip();
    }
  }
  if (key == "type") {
    recorded->event.type = value;
  } else if (key == "created") {
    recorded->created = value;
  } else if (key == "content-type") {
    recorded->event.is_json = value == "application/json";
  }
  return reader.ok();
}

bool DecodeRecorded(std::string_view bytes, Recorded* recorded) {
  recorded->present = true;
  EventView& event = recorded->event;
  WireReader reader(bytes);
  bool ok = true;
  while (ok && reader.NextTag()) {
    switch (reader.tag()) {
      case LengthTag(1):
        ok = DecodeId(reader.Bytes(), recorded);
        break;
      case LengthTag(2):
        ok = DecodeStreamName(reader.Bytes(), &event.stream);
        break;
      case VarintTag(3):
        event.revision = reader.Varint();
        break;
      case VarintTag(4):
        event.position.prepare = reader.Varint();
        break;
      case VarintTag(5):
        event.position.commit = reader.Varint();
        break;
      case LengthTag(6):
        ok = DecodeProperty(reader.Bytes(), recorded);
        break;
      case LengthTag(7):
        event.metadata = reader.Bytes();
        break;
      case LengthTag(8):
        event.data = reader.Bytes();
        break;
      default:
        reader.Skip();
    }
  }
  return ok && reader.ok();
}

bool DecodeReadEvent(std::string_view bytes, Recorded* event, Recorded* link) {
  WireReader reader(bytes);
  bool ok = true;
  while (ok && reader.NextTag()) {
    switch (reader.tag()) {
      case LengthTag(1):
        ok = DecodeRecorded(reader.Bytes(), event);
        break;
      case LengthTag(2):
        ok = DecodeRecorded(reader.Bytes(), link);
        break;
      default:
        reader.Skip();
    }
  }
  return ok && reader.ok();
}

bool DecodePosition(std::string_view bytes, Position* position) {
  WireReader reader(bytes);
  while (reader.NextTag()) {
    switch (reader.tag()) {
      case VarintTag(1):
        position->commit = reader.Varint();
        break;
      case VarintTag(2):
        position->prepare = reader.Varint();
        break;
      default:
        reader.Skip();
    }
  }
  return reader.ok();
}

bool DecodeCaughtUp(std::string_view bytes, std::optional<Position>* position) {
  WireReader reader(bytes);
  while (reader.NextTag()) {
    if (reader.tag() == LengthTag(3)) {
      if (!position->has_value()) {
        position->emplace();
      }
      if (!DecodePosition(reader.Bytes(), &**position)) {
        return false;
      }
    } else {
      reader.Skip();
    }
  }
  return reader.ok();
}

// Turns the texts of `recorded` into values.
Status Complete(Recorded* recorded) {
  if (recorded->id_text.data() != nullptr) {
    const std::optional<Uuid> id = ParseUuid(recorded->id_text);
    if (!id.has_value()) {
      return Malformed("event id is not a UUID");
    }
    recorded->event.id = *id;
  }
  if (!recorded->created.empty()) {
    const auto ticks = ParseNumber<std::int64_t>(recorded->created);
    if (!ticks) {
      return Malformed("creation time of an event is not a number");
    }
    recorded->event.created_ticks = *ticks;
  }
  return {};
}

Status FinishEvent(Recorded* event, Recorded* link, ReadFrame* frame) {
  if (!event->present && !link->present) {
    return Malformed("event without a record");
  }
  Recorded& shown = event->present ? *event : *link;
  CATCHUP_RETURN_IF_ERROR(Complete(&shown));
  frame->event = shown.event;
  frame->target_missing = !event->present;
  if (link->present) {
    frame->event.position = link->event.position;
  }
  if (frame->event.position.commit == kUnknownHalf ||
      frame->event.position.prepare == kUnknownHalf) {
    return Malformed("event without a position");
  }
  return {};
}

}  // namespace

Status DecodeReadFrame(std::string_view bytes, ReadFrame* frame) {
  *frame = ReadFrame();
  Recorded event;
  Recorded link;
  std::uint32_t member = 0;
  WireReader reader(bytes);
  bool ok = true;
  while (ok && reader.NextTag()) {
    const std::uint32_t tag = reader.tag();
    const std::uint32_t field = tag >> 3;
    const bool is_varint_member = field == 5 || field == 6;
    // Another member of the oneof puts the one before it out of force.
    const bool is_member = field >= 1 && field <= 9 && (tag & 7) == (is_varint_member ? 0 : 2);
    if (is_member && field != member) {
      event = Recorded();
      link = Recorded();
      frame->position.reset();
      member = field;
    }
    switch (tag) {
      case LengthTag(1):
        frame->kind = ReadFrame::Kind::kEvent;
        ok = DecodeReadEvent(reader.Bytes(), &event, &link);
        break;
      case LengthTag(2):
        frame->kind = ReadFrame::Kind::kConfirmation;
        reader.Skip();
        break;
      case LengthTag(3):
        frame->kind = ReadFrame::Kind::kCheckpoint;
        if (!frame->position.has_value()) {
          frame->position.emplace();
        }
        ok = DecodePosition(reader.Bytes(), &*frame->position);
        break;
      case LengthTag(4):
        frame->kind = ReadFrame::Kind::kNoStream;
        reader.Skip();
        break;
      case VarintTag(6):
        frame->kind = ReadFrame::Kind::kStreamEnd;
        frame->last_revision = reader.Varint();
        break;
      case LengthTag(8):
        frame->kind = ReadFrame::Kind::kCaughtUp;
        ok = DecodeCaughtUp(reader.Bytes(), &frame->position);
        break;
      default:
        if (is_member) {
          frame->kind = ReadFrame::Kind::kOther;
        }
        reader.Skip();
    }
  }
  if (!ok || !reader.ok()) {
    return Malformed(fmt::format("not a read response: {} bytes", bytes.size()));
  }
  if (frame->kind == ReadFrame::Kind::kEvent) {
    return FinishEvent(&event, &link, frame);
  }
  if (frame->position == kEndOfLog) {
    frame->position.reset();
  }
  return {};
}

}  // namespace catchup
