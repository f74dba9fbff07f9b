#include "host/source/embedded/wire/frame_encoder.h"

#include <charconv>
#include <cstring>

#include "host/base/check.h"
#include "host/base/time_text.h"
#include "host/base/uuid.h"

namespace catchup::embedded {
namespace {

// Protobuf's key of a field: its number and the kind of value that follows. All numbers used here
// are below 16, so a key is one byte.
constexpr char VarintKey(int field) { return static_cast<char>(field << 3); }
constexpr char BytesKey(int field) { return static_cast<char>((field << 3) | 2); }

constexpr std::size_t kUuidTextBytes = 36;
constexpr std::size_t kMaxDigits = 20;

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kOctets = "application/octet-stream";

std::size_t VarintSize(std::uint64_t value) {
  std::size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

char* PutVarint(char* at, std::uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<char>(value);
  return at;
}

// A field of proto3 is absent at its default value.
std::size_t UintFieldSize(std::uint64_t value) { return value == 0 ? 0 : 1 + VarintSize(value); }

char* PutUintField(char* at, int field, std::uint64_t value) {
  if (value == 0) {
    return at;
  }
  *at++ = VarintKey(field);
  return PutVarint(at, value);
}

std::size_t BytesFieldSize(std::size_t size) { return 1 + VarintSize(size) + size; }

char* PutHeader(char* at, int field, std::size_t size) {
  *at++ = BytesKey(field);
  return PutVarint(at, size);
}

char* PutBytesField(char* at, int field, std::string_view value) {
  at = PutHeader(at, field, value.size());
  if (!value.empty()) {  // An empty view may hold a null pointer, which memcpy must not be given.
    std::memcpy(at, value.data(), value.size());
  }
  return at + value.size();
}

std::size_t MapEntrySize(std::string_view key, std::string_view value) {
  return BytesFieldSize(BytesFieldSize(key.size()) + BytesFieldSize(value.size()));
}

char* PutMapEntry(char* at, int field, std::string_view key, std::string_view value) {
  at = PutHeader(at, field, BytesFieldSize(key.size()) + BytesFieldSize(value.size()));
  at = PutBytesField(at, 1, key);
  return PutBytesField(at, 2, value);
}

// The text of a non-negative number, without an allocation.
class Digits {
 public:
  explicit Digits(std::int64_t value) {
    size_ = static_cast<std::size_t>(std::to_chars(text_, text_ + kMaxDigits, value).ptr - text_);
  }
  std::string_view view() const { return {text_, size_}; }

 private:
  char text_[kMaxDigits];
  std::size_t size_;
};

std::size_t StructuredSize(const Uuid& id) {
  return UintFieldSize(id.most_significant()) + UintFieldSize(id.least_significant());
}

// A ReadResp whose one field `field` is a message of `size` bytes: makes room and returns where
// those bytes go.
char* BeginMessage(std::string* bytes, int field, std::size_t size) {
  const std::size_t start = bytes->size();
  bytes->resize(start + BytesFieldSize(size));
  return PutHeader(bytes->data() + start, field, size);
}

struct Time {
  std::uint64_t seconds;
  std::uint64_t nanos;

  explicit Time(std::int64_t ticks)
      : seconds(static_cast<std::uint64_t>(ticks / kTicksPerSecond)),
        nanos(static_cast<std::uint64_t>(ticks % kTicksPerSecond * kNanosPerTick)) {}
  std::size_t size() const { return UintFieldSize(seconds) + UintFieldSize(nanos); }
  char* Put(char* at, int field) const {
    at = PutHeader(at, field, size());
    at = PutUintField(at, 1, seconds);
    return PutUintField(at, 2, nanos);
  }
};

}  // namespace

std::size_t FrameEncoder::RecordedSize(const EventView& event) const {
  const std::size_t id =
      BytesFieldSize(form_ == UuidForm::kString ? kUuidTextBytes : StructuredSize(event.id));
  return BytesFieldSize(id) + BytesFieldSize(BytesFieldSize(event.stream.size())) +
         UintFieldSize(event.revision) + UintFieldSize(event.position.prepare) +
         UintFieldSize(event.position.commit) + MapEntrySize("type", event.type) +
         MapEntrySize("created", Digits(event.created_ticks).view()) +
         MapEntrySize("content-type", event.is_json ? kJson : kOctets) +
         (event.metadata.empty() ? 0 : BytesFieldSize(event.metadata.size())) +
         (event.data.empty() ? 0 : BytesFieldSize(event.data.size()));
}

char* FrameEncoder::PutRecorded(char* at, const EventView& event) const {
  if (form_ == UuidForm::kString) {
    at = PutHeader(at, 1, BytesFieldSize(kUuidTextBytes));
    at = PutBytesField(at, 2, FormatUuid(event.id));
  } else {
    const std::size_t halves = StructuredSize(event.id);
    at = PutHeader(at, 1, BytesFieldSize(halves));
    at = PutHeader(at, 1, halves);
    at = PutUintField(at, 1, event.id.most_significant());
    at = PutUintField(at, 2, event.id.least_significant());
  }
  at = PutHeader(at, 2, BytesFieldSize(event.stream.size()));
  at = PutBytesField(at, 3, event.stream);
  at = PutUintField(at, 3, event.revision);
  at = PutUintField(at, 4, event.position.prepare);
  at = PutUintField(at, 5, event.position.commit);
  at = PutMapEntry(at, 6, "type", event.type);
  at = PutMapEntry(at, 6, "created", Digits(event.created_ticks).view());
  at = PutMapEntry(at, 6, "content-type", event.is_json ? kJson : kOctets);
  if (!event.metadata.empty()) {
    at = PutBytesField(at, 7, event.metadata);
  }
  if (!event.data.empty()) {
    at = PutBytesField(at, 8, event.data);
  }
  return at;
}

void FrameEncoder::ReadEvent(const EventView* event, const EventView* link,
                             FrameBuffer* out) const {
  const std::size_t event_size = event == nullptr ? 0 : RecordedSize(*event);
  const std::size_t link_size = link == nullptr ? 0 : RecordedSize(*link);
  const std::uint64_t commit = (link == nullptr ? event : link)->position.commit;
  const std::size_t size = (event == nullptr ? 0 : BytesFieldSize(event_size)) +
                           (link == nullptr ? 0 : BytesFieldSize(link_size)) + 1 +
                           VarintSize(commit);
  char* at = BeginMessage(&out->bytes_, 1, size);
  if (event != nullptr) {
    at = PutHeader(at, 1, event_size);
    at = PutRecorded(at, *event);
  }
  if (link != nullptr) {
    at = PutHeader(at, 2, link_size);
    at = PutRecorded(at, *link);
  }
  *at++ = VarintKey(3);
  at = PutVarint(at, commit);
  CATCHUP_CHECK(at == out->bytes_.data() + out->bytes_.size());
  out->ends_.push_back(out->bytes_.size());
}

void FrameEncoder::Event(const EventView& event, FrameBuffer* out) const {
  ReadEvent(&event, nullptr, out);
}

void FrameEncoder::Link(const EventView* target, const EventView& link, FrameBuffer* out) const {
  ReadEvent(target, &link, out);
}

void FrameEncoder::Confirmation(std::string_view subscription_id, FrameBuffer* out) {
  PutBytesField(BeginMessage(&out->bytes_, 2, BytesFieldSize(subscription_id.size())), 1,
                subscription_id);
  out->ends_.push_back(out->bytes_.size());
}

void FrameEncoder::Checkpoint(Position position, std::int64_t now_ticks, FrameBuffer* out) {
  const Time time(now_ticks);
  char* at = BeginMessage(&out->bytes_, 3,
                          UintFieldSize(position.commit) + UintFieldSize(position.prepare) +
                              BytesFieldSize(time.size()));
  at = PutUintField(at, 1, position.commit);
  at = PutUintField(at, 2, position.prepare);
  time.Put(at, 3);
  out->ends_.push_back(out->bytes_.size());
}

void FrameEncoder::CaughtUpAll(std::optional<Position> position, std::int64_t now_ticks,
                               FrameBuffer* out) {
  const Time time(now_ticks);
  const std::size_t halves =
      position ? UintFieldSize(position->commit) + UintFieldSize(position->prepare) : 0;
  char* at = BeginMessage(&out->bytes_, 8,
                          BytesFieldSize(time.size()) + (position ? BytesFieldSize(halves) : 0));
  at = time.Put(at, 1);
  if (position) {
    at = PutHeader(at, 3, halves);
    at = PutUintField(at, 1, position->commit);
    PutUintField(at, 2, position->prepare);
  }
  out->ends_.push_back(out->bytes_.size());
}

void FrameEncoder::CaughtUpStream(std::optional<std::int64_t> revision, std::int64_t now_ticks,
                                  FrameBuffer* out) {
  const Time time(now_ticks);
  const auto value = static_cast<std::uint64_t>(revision.value_or(0));
  char* at = BeginMessage(&out->bytes_, 8,
                          BytesFieldSize(time.size()) + (revision ? 1 + VarintSize(value) : 0));
  at = time.Put(at, 1);
  if (revision) {
    *at++ = VarintKey(2);  // Optional: present at 0 too.
    PutVarint(at, value);
  }
  out->ends_.push_back(out->bytes_.size());
}

void FrameEncoder::StreamNotFound(std::string_view stream, FrameBuffer* out) {
  const std::size_t name = BytesFieldSize(stream.size());
  char* at = BeginMessage(&out->bytes_, 4, BytesFieldSize(name));
  at = PutHeader(at, 1, name);
  PutBytesField(at, 3, stream);
  out->ends_.push_back(out->bytes_.size());
}

void FrameEncoder::FirstStreamPosition(std::uint64_t revision, FrameBuffer* out) {
  const std::size_t start = out->bytes_.size();
  out->bytes_.resize(start + 1 + VarintSize(revision));
  out->bytes_[start] = VarintKey(5);  // In a oneof: present at 0 too.
  PutVarint(out->bytes_.data() + start + 1, revision);
  out->ends_.push_back(out->bytes_.size());
}

void FrameEncoder::LastStreamPosition(std::uint64_t revision, FrameBuffer* out) {
  const std::size_t start = out->bytes_.size();
  out->bytes_.resize(start + 1 + VarintSize(revision));
  out->bytes_[start] = VarintKey(6);
  PutVarint(out->bytes_.data() + start + 1, revision);
  out->ends_.push_back(out->bytes_.size());
}

}  // namespace catchup::embedded
