#include "host/store/checkpoint_slot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>

#include "host/base/check.h"
#include "host/base/text.h"
#include "host/store/bytes.h"

namespace catchup {
namespace {

// Types of fields.
enum class Field : std::uint16_t {
  kGroup = 1,          // Text.
  kCheckpoint = 2,     // Position; absent: none yet.
  kLastEvent = 3,      // Position; absent: none yet.
  kNumber = 4,         // u64
  kToken = 5,          // u64
  kStart = 6,          // u8 RecordedStart::Kind, position.
  kFilterDigest = 7,   // 32 bytes.
  kFilterText = 8,     // Text.
  kDesired = 9,        // u8 DesiredState.
  kPluginDigest = 10,  // 32 bytes.
  kTime = 11,          // i64, 100 ns since 1970.
  kWitness = 12,  // Position, 16 bytes of id, u64 revision, stream; one field each, newest first.
  kReset = 13,    // u8 whether pending, u8 whether to a position, position; absent: none.
  kFence = 14,    // u64; absent: none.
  kLetters = 15,  // u64 file, u64 changes, u64 letters; absent: no file of letters.
};
constexpr std::uint16_t kLastField = 15;

constexpr std::size_t kPrefixBytes = 8;
constexpr std::size_t kAtSlot = 4;
constexpr std::size_t kAtFieldBytes = 6;
constexpr std::size_t kFieldsEnd = kSlotBytes - kSumBytes;
constexpr std::size_t kFieldHeadBytes = 4;

constexpr std::size_t kMaxFilterText = 512;
constexpr std::size_t kPositionBytes = 16;
constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kWitnessHeadBytes = kPositionBytes + kIdBytes + 8;
constexpr std::size_t kResetBytes = 2 + kPositionBytes;
constexpr std::size_t kLettersBytes = 3 * 8;

// What this version can write at most.
constexpr std::size_t kMaxFieldBytes =
    14 * kFieldHeadBytes + kMaxSlotGroup + 2 * kPositionBytes + 8 + 8 + (1 + kPositionBytes) + 32 +
    kMaxFilterText + 1 + 32 + 8 + kResetBytes + 8 + kLettersBytes +
    kMaxWitnesses * (kFieldHeadBytes + kWitnessHeadBytes + kMaxWitnessStream);
static_assert(kPrefixBytes + kMaxFieldBytes + kSpareBytes <= kFieldsEnd);

void PutField(Field type, std::string_view value, std::string* bytes) {
  PutNumber(static_cast<std::uint16_t>(type), bytes);
  PutNumber(static_cast<std::uint16_t>(value.size()), bytes);
  bytes->append(value);
}

template <typename T>
void PutNumberField(Field type, T value, std::string* bytes) {
  std::string text;
  PutNumber(value, &text);
  PutField(type, text, bytes);
}

void PutPosition(Position position, std::string* bytes) {
  PutNumber(position.commit, bytes);
  PutNumber(position.prepare, bytes);
}

Position GetPosition(std::string_view bytes, std::size_t at) {
  return {GetNumber<std::uint64_t>(bytes, at), GetNumber<std::uint64_t>(bytes, at + 8)};
}

void PutPositionField(Field type, const std::optional<Position>& position, std::string* bytes) {
  if (position) {
    std::string text;
    PutPosition(*position, &text);
    PutField(type, text, bytes);
  }
}

template <typename Bytes>
std::string_view View(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void PutWitness(const Witness& witness, std::string* bytes) {
  std::string text;
  PutPosition(witness.position, &text);
  text.append(View(witness.event_id.bytes));
  PutNumber(witness.revision, &text);
  if (witness.stream.size() <= kMaxWitnessStream) {
    text.append(witness.stream);
  }
  PutField(Field::kWitness, text, bytes);
}

bool TakeWitness(std::string_view value, CheckpointRecord* record) {
  if (value.size() < kWitnessHeadBytes || value.size() > kWitnessHeadBytes + kMaxWitnessStream ||
      record->witnesses.size() == kMaxWitnesses) {
    return false;
  }
  Witness& witness = record->witnesses.emplace_back();
  witness.position = GetPosition(value, 0);
  std::memcpy(witness.event_id.bytes.data(), value.data() + kPositionBytes, kIdBytes);
  witness.revision = GetNumber<std::uint64_t>(value, kPositionBytes + kIdBytes);
  witness.stream = value.substr(kWitnessHeadBytes);
  return true;
}

void PutReset(const ResetOrder& reset, std::string* bytes) {
  std::string text;
  text.push_back(reset.pending ? 1 : 0);
  text.push_back(reset.to.has_value() ? 1 : 0);
  PutPosition(reset.to.value_or(Position{}), &text);
  PutField(Field::kReset, text, bytes);
}

bool TakeReset(std::string_view value, SlotContent* content) {
  if (value.size() != kResetBytes || static_cast<std::uint8_t>(value[0]) > 1 ||
      static_cast<std::uint8_t>(value[1]) > 1) {
    return false;
  }
  ResetOrder& reset = content->reset.emplace();
  reset.pending = value[0] != 0;
  if (value[1] != 0) {
    reset.to = GetPosition(value, 2);
  }
  return true;
}

void PutLetters(const LettersMark& letters, std::string* bytes) {
  std::string text;
  PutNumber(letters.file, &text);
  PutNumber(letters.changes, &text);
  PutNumber(letters.letters, &text);
  PutField(Field::kLetters, text, bytes);
}

bool TakeLetters(std::string_view value, CheckpointRecord* record) {
  if (value.size() != kLettersBytes) {
    return false;
  }
  record->letters =
      LettersMark{GetNumber<std::uint64_t>(value, 0), GetNumber<std::uint64_t>(value, 8),
                  GetNumber<std::uint64_t>(value, 16)};
  return true;
}

// Takes one field; false when its value is one that is never written.
bool TakeField(Field type, std::string_view value, SlotContent* content) {
  CheckpointRecord& record = content->record;
  const auto take_number = [&](auto* out) {
    using T = std::remove_pointer_t<decltype(out)>;
    if (value.size() == sizeof(T)) {
      *out = GetNumber<T>(value, 0);
    }
    return value.size() == sizeof(T);
  };
  const auto take_position = [&](std::optional<Position>* out) {
    if (value.size() == kPositionBytes) {
      *out = GetPosition(value, 0);
    }
    return value.size() == kPositionBytes;
  };
  const auto take_digest = [&](auto* out) {
    if (value.size() == out->size()) {
      std::memcpy(out->data(), value.data(), value.size());
    }
    return value.size() == out->size();
  };
  switch (type) {
    case Field::kGroup:
      content->group = value;
      return value.size() <= kMaxSlotGroup;
    case Field::kCheckpoint:
      return take_position(&record.checkpoint);
    case Field::kLastEvent:
      return take_position(&record.last_event);
    case Field::kNumber:
      return take_number(&record.number);
    case Field::kToken:
      return take_number(&record.token);
    case Field::kStart: {
      if (value.size() != 1 + kPositionBytes) {
        return false;
      }
      const auto kind = static_cast<std::uint8_t>(value[0]);
      record.start = {static_cast<RecordedStart::Kind>(kind), GetPosition(value, 1)};
      return kind <= static_cast<std::uint8_t>(RecordedStart::Kind::kPosition);
    }
    case Field::kFilterDigest:
      return take_digest(&content->filter_digest);
    case Field::kFilterText:
      content->filter_text = value;
      return value.size() <= kMaxFilterText;
    case Field::kDesired: {
      const auto state = value.size() == 1 ? static_cast<std::uint8_t>(value[0]) : std::uint8_t{0};
      content->desired = static_cast<DesiredState>(state);
      return state >= static_cast<std::uint8_t>(DesiredState::kRunning) &&
             state <= static_cast<std::uint8_t>(DesiredState::kStopped);
    }
    case Field::kPluginDigest:
      return take_digest(&record.plugin_digest);
    case Field::kTime:
      return take_number(&record.time_ticks);
    case Field::kWitness:
      return TakeWitness(value, &record);
    case Field::kReset:
      return TakeReset(value, content);
    case Field::kFence:
      return take_number(&content->fence);
    case Field::kLetters:
      return TakeLetters(value, &record);
  }
  return false;
}

// Fields that every slot has.
constexpr Field kRequired[] = {Field::kGroup,        Field::kNumber,     Field::kToken,
                               Field::kStart,        Field::kFilterText, Field::kFilterDigest,
                               Field::kPluginDigest, Field::kDesired,    Field::kTime};

Status TakeFields(std::string_view fields, SlotContent* content) {
  std::array<bool, kLastField + 1> seen{};
  while (!fields.empty()) {
    if (fields.size() < kFieldHeadBytes) {
      return Status::Corrupt("its fields end in the middle of one");
    }
    const auto type = GetNumber<std::uint16_t>(fields, 0);
    const auto size = GetNumber<std::uint16_t>(fields, 2);
    if (fields.size() < kFieldHeadBytes + size) {
      return Status::Corrupt("its fields end in the middle of one");
    }
    const std::string_view whole = fields.substr(0, kFieldHeadBytes + size);
    fields.remove_prefix(whole.size());
    if (type == 0 || type > kLastField) {
      content->unknown.append(whole);
      continue;
    }
    const auto field = static_cast<Field>(type);
    const bool again = seen[type] && field != Field::kWitness;
    seen[type] = true;
    if (again || !TakeField(field, whole.substr(kFieldHeadBytes), content)) {
      return Status::Corrupt(fmt::format("its field {} holds a value that is never written", type));
    }
  }
  for (const Field field : kRequired) {
    if (!seen[static_cast<std::size_t>(field)]) {
      return Status::Corrupt(fmt::format("its field {} is missing", static_cast<int>(field)));
    }
  }
  return {};
}

std::vector<std::string> SortedPrefixes(const EventFilter& filter) {
  std::vector<std::string> prefixes = filter.prefixes;
  std::sort(prefixes.begin(), prefixes.end());
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  return prefixes;
}

}  // namespace

std::string EncodeSlot(std::uint8_t slot, const SlotContent& content) {
  const CheckpointRecord& record = content.record;
  CATCHUP_CHECK(record.witnesses.size() <= kMaxWitnesses);
  CATCHUP_CHECK(content.group.size() <= kMaxSlotGroup);
  std::string bytes;
  bytes.reserve(kSlotBytes);
  PutNumber(kCheckpointFormat, &bytes);
  PutNumber(std::uint16_t{slot}, &bytes);
  PutNumber(std::uint16_t{0}, &bytes);  // The fields' length, below.
  PutField(Field::kGroup, content.group, &bytes);
  PutPositionField(Field::kCheckpoint, record.checkpoint, &bytes);
  PutPositionField(Field::kLastEvent, record.last_event, &bytes);
  PutNumberField(Field::kNumber, record.number, &bytes);
  PutNumberField(Field::kToken, record.token, &bytes);
  std::string start(1, static_cast<char>(record.start.kind));
  PutPosition(record.start.position, &start);
  PutField(Field::kStart, start, &bytes);
  PutField(Field::kFilterDigest, View(content.filter_digest), &bytes);
  PutField(Field::kFilterText, CutText(content.filter_text, kMaxFilterText), &bytes);
  PutNumberField(Field::kDesired, static_cast<std::uint8_t>(content.desired), &bytes);
  PutField(Field::kPluginDigest, View(record.plugin_digest), &bytes);
  PutNumberField(Field::kTime, record.time_ticks, &bytes);
  for (const Witness& witness : record.witnesses) {
    PutWitness(witness, &bytes);
  }
  if (content.reset.has_value()) {
    PutReset(*content.reset, &bytes);
  }
  if (content.fence != 0) {
    PutNumberField(Field::kFence, content.fence, &bytes);
  }
  if (record.letters.has_value()) {
    PutLetters(*record.letters, &bytes);
  }
  bytes += content.unknown;
  CATCHUP_CHECK(bytes.size() <= kFieldsEnd);
  const std::size_t fields = bytes.size() - kPrefixBytes;
  bytes[kAtFieldBytes] = static_cast<char>(fields);
  bytes[kAtFieldBytes + 1] = static_cast<char>(fields >> 8);
  bytes.resize(kFieldsEnd);
  AppendSum(&bytes);
  return bytes;
}

Result<SlotContent> DecodeSlot(std::uint8_t slot, std::string_view bytes) {
  if (bytes.size() != kSlotBytes) {
    return Status::Corrupt(fmt::format("{} bytes, wanted {}", bytes.size(), kSlotBytes));
  }
  if (!SumFits(bytes)) {
    return Status::Corrupt("its check sum does not fit its content");
  }
  if (const auto format = GetNumber<std::uint32_t>(bytes, 0); format != kCheckpointFormat) {
    return Status::Incompatible(
        fmt::format("format {}, this version reads {}", format, kCheckpointFormat));
  }
  const auto fields = GetNumber<std::uint16_t>(bytes, kAtFieldBytes);
  if (GetNumber<std::uint16_t>(bytes, kAtSlot) != slot || fields > kFieldsEnd - kPrefixBytes) {
    return Status::Corrupt("it is a copy of the other one, or of no slot");
  }
  SlotContent content;
  CATCHUP_RETURN_IF_ERROR(TakeFields(bytes.substr(kPrefixBytes, fields), &content));
  // What is known may grow up to its most, and what is not known must stay beside it.
  if (content.unknown.size() > kFieldsEnd - kPrefixBytes - kMaxFieldBytes) {
    return Status::Incompatible(
        fmt::format("a newer version keeps {} bytes in it, this version has room for {}",
                    content.unknown.size(), kFieldsEnd - kPrefixBytes - kMaxFieldBytes));
  }
  return content;
}

Digest32 FilterDigest(const EventFilter& filter) {
  std::string canonical(1, filter.match == EventFilter::Match::kEventType ? 't' : 's');
  for (const std::string& prefix : SortedPrefixes(filter)) {
    canonical += fmt::format("{}:{}", prefix.size(), prefix);
  }
  // No prefix's length begins with a letter. What is off adds nothing, so that a filter without
  // these has the digest it had before they counted.
  canonical += filter.system_events ? "S" : "";
  canonical += filter.resolve_links ? "L" : "";
  return Sum(canonical);
}

std::string FilterText(const EventFilter& filter) {
  std::string text = filter.match == EventFilter::Match::kEventType ? "event_type" : "stream_name";
  // These come before the prefixes, which may be cut.
  text += filter.system_events ? " with system_events" : "";
  text += filter.resolve_links ? " with resolve_links" : "";
  bool first = true;
  for (const std::string& prefix : SortedPrefixes(filter)) {
    text += first ? " " : ", ";
    AppendJsonString(prefix, &text);
    first = false;
  }
  return CutText(text, kMaxFilterText);
}

}  // namespace catchup
