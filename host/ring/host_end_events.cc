#include <cstring>

#include "host/base/str_cat.h"
#include "host/ring/host_end.h"

// What the host writes: the setup, events and advances.

namespace catchup {
namespace {

std::byte* Append(std::byte* at, std::string_view bytes) {
  if (!bytes.empty()) {
    std::memcpy(at, bytes.data(), bytes.size());
  }
  return at + bytes.size();
}

std::byte* AppendSized(std::byte* at, std::string_view bytes) {
  const std::uint64_t size = bytes.size();
  std::memcpy(at, &size, sizeof size);
  return Append(at + sizeof size, bytes);
}

}  // namespace

bool HostEnd::HasRoom(std::uint64_t size) {
  if (written_ + size - freed_ <= kEventRingBytes) {
    return true;
  }
  // A wrong value frees nothing, and PollSettled reports it.
  return TakeRead() && written_ + size - freed_ <= kEventRingBytes;
}

std::byte* HostEnd::Reserve(std::uint64_t size) {
  const std::uint64_t offset = written_ % kEventRingBytes;
  const std::uint64_t to_end = kEventRingBytes - offset;
  // A record never wraps, so that the runner can pass its bytes on without copying them.
  if (size > to_end) {
    if (!HasRoom(to_end + size)) {
      return nullptr;
    }
    const RecordHeader padding{static_cast<std::uint32_t>(to_end), RecordKind::kPadding, 0, 0};
    std::memcpy(event_bytes() + offset, &padding, kPaddingHeaderBytes);
    written_ += to_end;
  } else if (!HasRoom(size)) {
    return nullptr;
  }
  std::byte* at = event_bytes() + written_ % kEventRingBytes;
  written_ += size;
  return at;
}

Status HostEnd::WriteSetup(const RunnerSetup& setup) {
  CATCHUP_CHECK(written_ == 0);
  const std::string_view texts[] = {setup.group, setup.projection, setup.plugin_path,
                                    setup.config_json};
  static const std::vector<PluginSetting> kNoSettings;
  const auto& settings = setup.settings == nullptr ? kNoSettings : *setup.settings;
  std::uint64_t size = sizeof(RecordHeader) + 10 * sizeof(std::uint64_t);
  for (const std::string_view text : texts) {
    size += sizeof(std::uint64_t) + text.size();
  }
  for (const PluginSetting& setting : settings) {
    size += 3 * sizeof(std::uint64_t) + setting.path.size() + setting.text.size();
  }
  size = AlignRecord(size);
  if (size > kEventRingBytes / 2) {
    return Status::Exhausted(StrCat("the configuration of group ", setup.group, " takes ", size,
                                    " bytes: wanted at most ", kEventRingBytes / 2));
  }
  std::byte* at = Reserve(size);
  CATCHUP_CHECK(at != nullptr);
  setup_end_ = written_;
  const RecordHeader header{static_cast<std::uint32_t>(size), RecordKind::kSetup, 0, 0};
  std::memcpy(at, &header, sizeof header);
  at += sizeof header;
  const PositionReset reset = setup.reset.value_or(PositionReset{});
  const Position to = reset.to.value_or(Position{});
  const std::uint64_t numbers[] = {setup.lane,
                                   setup.open_files,
                                   setup.token,
                                   setup.ignore_position ? 1u : 0u,
                                   setup.create_only ? 1u : 0u,
                                   setup.reset.has_value() ? 1u : 0u,
                                   reset.to.has_value() ? 1u : 0u,
                                   to.commit,
                                   to.prepare,
                                   settings.size()};
  std::memcpy(at, numbers, sizeof numbers);
  at += sizeof numbers;
  for (const std::string_view text : texts) {
    at = AppendSized(at, text);
  }
  for (const PluginSetting& setting : settings) {
    at = AppendSized(at, setting.path);
    const auto kind = static_cast<std::uint64_t>(setting.kind);
    std::memcpy(at, &kind, sizeof kind);
    at = AppendSized(at + sizeof kind, setting.text);
  }
  return {};
}

void HostEnd::WriteBody(std::byte* at, const EventView& event, std::uint32_t attempt) {
  EventRecord body{};
  std::memcpy(body.id, event.id.bytes.data(), sizeof body.id);
  body.revision = event.revision;
  body.commit = event.position.commit;
  body.prepare = event.position.prepare;
  body.created_ticks = event.created_ticks;
  body.data_size = event.data.size();
  body.stream_size = static_cast<std::uint32_t>(event.stream.size());
  body.type_size = static_cast<std::uint32_t>(event.type.size());
  body.metadata_size = static_cast<std::uint32_t>(event.metadata.size());
  body.attempt = attempt;
  std::memcpy(at, &body, sizeof body);
}

Ticket HostEnd::WriteEvent(const EventView& event, std::uint32_t attempt, CallFor call_for) {
  const std::uint64_t fixed = sizeof(RecordHeader) + sizeof(EventRecord);
  const std::uint64_t bytes = event.size();
  CATCHUP_CHECK(bytes <= kLargeRegionBytes);
  const bool large = fixed + bytes > kMaxInlineRecord;
  if (large && large_busy_until_ > freed_) {
    // The region holds one event at a time.
    if (!HasRoom(kEventRingBytes) && large_busy_until_ > freed_) {
      return 0;
    }
  }
  const std::uint64_t size = AlignRecord(fixed + (large ? 0 : bytes));
  std::byte* at = Reserve(size);
  if (at == nullptr) {
    return 0;
  }
  const int flags =
      (event.is_json ? kEventIsJson : 0) | (call_for == CallFor::kOne ? kEventAlone : 0);
  const RecordHeader header{static_cast<std::uint32_t>(size),
                            large ? RecordKind::kLargeEvent : RecordKind::kEvent,
                            static_cast<std::uint16_t>(flags), ++last_ticket_};
  std::memcpy(at, &header, sizeof header);
  WriteBody(at + sizeof header, event, attempt);
  std::byte* to = large ? large_region_.mapping.data() : at + fixed;
  to = Append(Append(Append(to, event.stream), event.type), event.metadata);
  Append(to, event.data);
  if (large) {
    large_busy_until_ = written_;
    large_used_ = true;
  }
  return last_ticket_;
}

Ticket HostEnd::WriteAdvance(Position position) {
  const std::uint64_t size = sizeof(RecordHeader) + sizeof(EventRecord);
  std::byte* at = Reserve(size);
  if (at == nullptr) {
    return 0;
  }
  const RecordHeader header{static_cast<std::uint32_t>(size), RecordKind::kAdvance, 0,
                            ++last_ticket_};
  std::memcpy(at, &header, sizeof header);
  EventView nothing;
  nothing.position = position;
  WriteBody(at + sizeof header, nothing, 1);
  return last_ticket_;
}

}  // namespace catchup
