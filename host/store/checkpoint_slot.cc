#include "host/store/checkpoint_slot.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "host/base/check.h"
#include "host/base/log_line.h"

namespace catchup {
namespace {

constexpr std::size_t kAtSlot = 4;
constexpr std::size_t kAtHasCheckpoint = 5;
constexpr std::size_t kAtStartKind = 6;
constexpr std::size_t kAtWitnessCount = 7;
constexpr std::size_t kAtNumber = 8;
constexpr std::size_t kAtToken = 16;
constexpr std::size_t kAtCheckpoint = 24;
constexpr std::size_t kAtStart = 40;
constexpr std::size_t kAtTime = 56;
constexpr std::size_t kAtPlugin = 64;
constexpr std::size_t kAtFilterDigest = 96;
constexpr std::size_t kAtGroup = 128;
constexpr std::size_t kGroupBytes = 64;
constexpr std::size_t kAtFilterText = 192;
constexpr std::size_t kFilterTextBytes = 1024;
constexpr std::size_t kAtWitnesses = 1216;
constexpr std::size_t kWitnessBytes = 304;
constexpr std::size_t kAtSum = 3776;
constexpr std::size_t kSumBytes = 32;
static_assert(kAtWitnesses + kMaxWitnesses * kWitnessBytes + 128 == kAtSum);
static_assert(kAtSum + kSumBytes == kSlotBytes);

constexpr std::size_t kDesiredAtTime = 8;
constexpr std::size_t kDesiredAtSum = 16;
static_assert(kDesiredAtSum + kSumBytes == kDesiredBytes);

// A body under construction or inspection. Offsets are constants of ours, so they are not checked.
class Body {
 public:
  explicit Body(std::size_t size) : bytes_(size, '\0') {}
  explicit Body(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  void Put(std::size_t at, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      bytes_[at + i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
    }
  }

  template <typename T>
  T Get(std::size_t at) const {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value |= std::uint64_t{static_cast<std::uint8_t>(bytes_[at + i])} << (8 * i);
    }
    return static_cast<T>(value);
  }

  void PutBytes(std::size_t at, const void* bytes, std::size_t size) {
    std::memcpy(bytes_.data() + at, bytes, size);
  }

  void GetBytes(std::size_t at, void* bytes, std::size_t size) const {
    std::memcpy(bytes, bytes_.data() + at, size);
  }

  void PutPosition(std::size_t at, Position position) {
    Put(at, position.commit);
    Put(at + 8, position.prepare);
  }

  Position GetPosition(std::size_t at) const {
    return {Get<std::uint64_t>(at), Get<std::uint64_t>(at + 8)};
  }

  std::string GetText(std::size_t at, std::size_t size) const { return bytes_.substr(at, size); }

  Digest32 Sum(std::size_t size) const {
    Digest32 sum{};
    crypto_generichash(sum.data(), sum.size(),
                       reinterpret_cast<const unsigned char*>(bytes_.data()), size, nullptr, 0);
    return sum;
  }

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// The longest prefix of whole UTF-8 characters that fits.
std::string_view CutText(std::string_view text, std::size_t most) {
  if (text.size() <= most) {
    return text;
  }
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) {
    --most;
  }
  return text.substr(0, most);
}

void PutWitness(const Witness& witness, std::size_t at, Body* body) {
  body->PutPosition(at, witness.position);
  body->PutBytes(at + 16, witness.event_id.bytes.data(), witness.event_id.bytes.size());
  body->Put(at + 32, witness.revision);
  if (witness.stream.size() <= kMaxWitnessStream) {
    body->Put(at + 40, static_cast<std::uint16_t>(witness.stream.size()));
    body->PutBytes(at + 42, witness.stream.data(), witness.stream.size());
  }
}

Witness GetWitness(const Body& body, std::size_t at) {
  Witness witness;
  witness.position = body.GetPosition(at);
  body.GetBytes(at + 16, witness.event_id.bytes.data(), witness.event_id.bytes.size());
  witness.revision = body.Get<std::uint64_t>(at + 32);
  const std::size_t size =
      std::min<std::size_t>(body.Get<std::uint16_t>(at + 40), kMaxWitnessStream);
  witness.stream = body.GetText(at + 42, size);
  return witness;
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
  CATCHUP_CHECK(content.group.size() < kGroupBytes);
  Body body(kSlotBytes);
  body.Put(0, kSlotFormat);
  body.Put(kAtSlot, slot);
  body.Put(kAtHasCheckpoint, static_cast<std::uint8_t>(record.checkpoint.has_value()));
  body.Put(kAtStartKind, static_cast<std::uint8_t>(record.start.kind));
  body.Put(kAtWitnessCount, static_cast<std::uint8_t>(record.witnesses.size()));
  body.Put(kAtNumber, record.number);
  body.Put(kAtToken, record.token);
  body.PutPosition(kAtCheckpoint, record.checkpoint.value_or(Position{}));
  body.PutPosition(kAtStart, record.start.position);
  body.Put(kAtTime, record.time_ticks);
  body.PutBytes(kAtPlugin, record.plugin_digest.data(), record.plugin_digest.size());
  body.PutBytes(kAtFilterDigest, content.filter_digest.data(), content.filter_digest.size());
  body.Put(kAtGroup, static_cast<std::uint8_t>(content.group.size()));
  body.PutBytes(kAtGroup + 1, content.group.data(), content.group.size());
  const std::string_view text = CutText(content.filter_text, kFilterTextBytes - 2);
  body.Put(kAtFilterText, static_cast<std::uint16_t>(text.size()));
  body.PutBytes(kAtFilterText + 2, text.data(), text.size());
  for (std::size_t i = 0; i < record.witnesses.size(); ++i) {
    PutWitness(record.witnesses[i], kAtWitnesses + i * kWitnessBytes, &body);
  }
  const Digest32 sum = body.Sum(kAtSum);
  body.PutBytes(kAtSum, sum.data(), sum.size());
  return body.Take();
}

Result<SlotContent> DecodeSlot(std::uint8_t slot, std::string_view bytes) {
  if (bytes.size() != kSlotBytes) {
    return Status::Corrupt(std::to_string(bytes.size()) + " bytes, wanted " +
                           std::to_string(kSlotBytes));
  }
  const Body body(bytes);
  const Digest32 sum = body.Sum(kAtSum);
  if (std::memcmp(sum.data(), bytes.data() + kAtSum, kSumBytes) != 0) {
    return Status::Corrupt("its check sum does not fit its content");
  }
  if (const auto format = body.Get<std::uint32_t>(0); format != kSlotFormat) {
    return Status::Incompatible("format " + std::to_string(format) + ", this version reads " +
                                std::to_string(kSlotFormat));
  }
  const auto start_kind = body.Get<std::uint8_t>(kAtStartKind);
  const auto witnesses = body.Get<std::uint8_t>(kAtWitnessCount);
  const auto group_size = body.Get<std::uint8_t>(kAtGroup);
  const auto text_size = body.Get<std::uint16_t>(kAtFilterText);
  if (body.Get<std::uint8_t>(kAtSlot) != slot || body.Get<std::uint8_t>(kAtHasCheckpoint) > 1 ||
      start_kind > static_cast<std::uint8_t>(RecordedStart::Kind::kPosition) ||
      witnesses > kMaxWitnesses || group_size >= kGroupBytes || text_size > kFilterTextBytes - 2) {
    return Status::Corrupt("a field holds a value that is never written");
  }
  SlotContent content;
  CheckpointRecord& record = content.record;
  if (body.Get<std::uint8_t>(kAtHasCheckpoint) == 1) {
    record.checkpoint = body.GetPosition(kAtCheckpoint);
  }
  record.start = {static_cast<RecordedStart::Kind>(start_kind), body.GetPosition(kAtStart)};
  record.number = body.Get<std::uint64_t>(kAtNumber);
  record.token = body.Get<std::uint64_t>(kAtToken);
  record.time_ticks = body.Get<std::int64_t>(kAtTime);
  body.GetBytes(kAtPlugin, record.plugin_digest.data(), record.plugin_digest.size());
  body.GetBytes(kAtFilterDigest, content.filter_digest.data(), content.filter_digest.size());
  content.group = body.GetText(kAtGroup + 1, group_size);
  content.filter_text = body.GetText(kAtFilterText + 2, text_size);
  for (std::size_t i = 0; i < witnesses; ++i) {
    record.witnesses.push_back(GetWitness(body, kAtWitnesses + i * kWitnessBytes));
  }
  return content;
}

std::string EncodeDesired(DesiredState desired, std::int64_t time_ticks) {
  Body body(kDesiredBytes);
  body.Put(0, static_cast<std::uint32_t>(desired));
  body.Put(kDesiredAtTime, time_ticks);
  const Digest32 sum = body.Sum(kDesiredAtSum);
  body.PutBytes(kDesiredAtSum, sum.data(), sum.size());
  return body.Take();
}

Result<DesiredState> DecodeDesired(std::string_view bytes) {
  if (bytes.size() != kDesiredBytes) {
    return Status::Corrupt(std::to_string(bytes.size()) + " bytes, wanted " +
                           std::to_string(kDesiredBytes));
  }
  const Body body(bytes);
  const Digest32 sum = body.Sum(kDesiredAtSum);
  const auto state = body.Get<std::uint32_t>(0);
  if (std::memcmp(sum.data(), bytes.data() + kDesiredAtSum, kSumBytes) != 0 ||
      state < static_cast<std::uint32_t>(DesiredState::kRunning) ||
      state > static_cast<std::uint32_t>(DesiredState::kStopped)) {
    return Status::Corrupt("its check sum does not fit its content");
  }
  return static_cast<DesiredState>(state);
}

Digest32 FilterDigest(const EventFilter& filter) {
  std::string canonical(1, filter.match == EventFilter::Match::kEventType ? 't' : 's');
  for (const std::string& prefix : SortedPrefixes(filter)) {
    canonical += std::to_string(prefix.size()) + ':' + prefix;
  }
  // No prefix's length begins with a letter. What is off adds nothing, so that a filter without
  // these has the digest it had before they counted.
  canonical += filter.system_events ? "S" : "";
  canonical += filter.resolve_links ? "L" : "";
  Digest32 digest{};
  crypto_generichash(digest.data(), digest.size(),
                     reinterpret_cast<const unsigned char*>(canonical.data()), canonical.size(),
                     nullptr, 0);
  return digest;
}

std::string FilterText(const EventFilter& filter) {
  std::string text = filter.match == EventFilter::Match::kEventType ? "event_type" : "stream_name";
  // Before the prefixes, which may be cut.
  text += filter.system_events ? " with system_events" : "";
  text += filter.resolve_links ? " with resolve_links" : "";
  bool first = true;
  for (const std::string& prefix : SortedPrefixes(filter)) {
    text += first ? " " : ", ";
    AppendJsonString(prefix, &text);
    first = false;
  }
  constexpr std::string_view kCut = "…";
  if (text.size() > kFilterTextBytes - 2) {
    text = std::string(CutText(text, kFilterTextBytes - 2 - kCut.size())) + std::string(kCut);
  }
  return text;
}

}  // namespace catchup
