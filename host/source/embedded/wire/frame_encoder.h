#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/event.h"
#include "host/base/position.h"

namespace catchup::embedded {

// Messages of a Read call, already in their wire form, one behind the other in one buffer: a page
// of them costs one allocation and is handed to the transport without a copy.
class FrameBuffer {
 public:
  bool empty() const { return ends_.empty(); }
  std::size_t count() const { return ends_.size(); }
  std::size_t bytes() const { return bytes_.size(); }

  // Where each message ends; the first begins at 0.
  const std::vector<std::size_t>& ends() const { return ends_; }
  std::string TakeBytes() { return std::move(bytes_); }

 private:
  friend class FrameEncoder;
  std::string bytes_;
  std::vector<std::size_t> ends_;
};

// Writes the frames of a Read call by hand. A generated message would be filled field by field,
// with a map of three strings for every event, only to be walked again; at a hundred thousand
// events a second that is most of the server's time. Field order is the one a node uses, so the
// bytes are a node's bytes. Cheap to copy.
class FrameEncoder {
 public:
  enum class UuidForm { kStructured, kString };

  explicit FrameEncoder(UuidForm form = UuidForm::kStructured) : form_(form) {}

  void Event(const EventView& event, FrameBuffer* out) const;
  // A link that was followed; `target` is null when what it names cannot be read.
  void Link(const EventView* target, const EventView& link, FrameBuffer* out) const;

  static void Confirmation(std::string_view subscription_id, FrameBuffer* out);
  static void Checkpoint(Position position, std::int64_t now_ticks, FrameBuffer* out);
  static void CaughtUpAll(std::optional<Position> position, std::int64_t now_ticks,
                          FrameBuffer* out);
  static void CaughtUpStream(std::optional<std::int64_t> revision, std::int64_t now_ticks,
                             FrameBuffer* out);
  static void StreamNotFound(std::string_view stream, FrameBuffer* out);
  static void FirstStreamPosition(std::uint64_t revision, FrameBuffer* out);
  static void LastStreamPosition(std::uint64_t revision, FrameBuffer* out);

 private:
  std::size_t RecordedSize(const EventView& event) const;
  char* PutRecorded(char* at, const EventView& event) const;
  void ReadEvent(const EventView* event, const EventView* link, FrameBuffer* out) const;

  UuidForm form_;
};

}  // namespace catchup::embedded
