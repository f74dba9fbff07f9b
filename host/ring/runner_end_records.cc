#include <algorithm>
#include <cstring>
#include <utility>

#include "host/ring/runner_end.h"

// What the runner reads: the setup, events and advances.

namespace catchup {
namespace {

class Cursor {
 public:
  Cursor(const char* at, const char* end) : at_(at), end_(end) {}

  std::uint64_t Number() {
    std::uint64_t value = 0;
    if (static_cast<std::size_t>(end_ - at_) < sizeof value) {
      ok_ = false;
      return 0;
    }
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  std::string_view Text() {
    const std::uint64_t size = Number();
    if (!ok_ || static_cast<std::uint64_t>(end_ - at_) < size) {
      ok_ = false;
      return {};
    }
    const std::string_view text(at_, size);
    at_ += size;
    return text;
  }

  bool ok() const { return ok_; }

 private:
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace

Result<SetupView> RunnerEnd::ReadSetup() {
  while (!HasWork()) {
    WaitForWork();
  }
  if (stop_requested()) {
    return Status::Cancelled("asked to stop before the setup came");
  }
  (void)RefreshPublished(0);
  const std::byte* data = events_ + kRingHeaderBytes;
  RecordHeader header;
  std::memcpy(&header, data, sizeof header);
  if (header.kind != RecordKind::kSetup || header.size > kEventRingBytes / 2) {
    return Status::Incompatible("the first record of the ring is not a setup");
  }
  setup_bytes_.assign(reinterpret_cast<const char*>(data) + sizeof header,
                      header.size - sizeof header);
  Cursor cursor(setup_bytes_.data(), setup_bytes_.data() + setup_bytes_.size());
  SetupView setup;
  setup.lane = static_cast<std::uint32_t>(cursor.Number());
  setup.open_files = static_cast<std::uint32_t>(cursor.Number());
  setup.token = cursor.Number();
  setup.ignore_position = cursor.Number() != 0;
  setup.create_only = cursor.Number() != 0;
  const bool has_reset = cursor.Number() != 0;
  const bool to_position = cursor.Number() != 0;
  const std::uint64_t commit = cursor.Number();
  const std::uint64_t prepare = cursor.Number();
  if (has_reset) {
    setup.reset.emplace();
  }
  if (has_reset && to_position) {
    setup.reset->to = Position{commit, prepare};
  }
  const std::uint64_t settings = cursor.Number();
  setup.group = cursor.Text();
  setup.projection = cursor.Text();
  setup.plugin_path = cursor.Text();
  setup.config_json = cursor.Text();
  for (std::uint64_t i = 0; i < settings && cursor.ok(); ++i) {
    SettingView setting;
    setting.path = cursor.Text();
    setting.kind = static_cast<SettingKind>(cursor.Number());
    setting.text = cursor.Text();
    setup.settings.push_back(setting);
  }
  if (!cursor.ok()) {
    return Status::Incompatible("the setup record of the ring is cut short");
  }
  (void)Write(&read_, &outcomes().event_read, header.size / kRecordAlign, std::memory_order_release,
              kReadDamage);
  return setup;
}

std::optional<RecordView> RunnerEnd::Peek() {
  if (!read_.Intact(outcomes().event_read) || !read_.Consistent()) [[unlikely]] {
    Damaged(kReadDamage);
  }
  return Find(consumed(), taken_ + 1);
}

std::optional<RecordView> RunnerEnd::PeekBehind(const RecordView& before) {
  return Find(before.end, before.ticket + 1);
}

// Filled in where the caller has it: a copy reads what was just written in other pieces than it was
// written in, and stalls.
std::optional<RecordView> RunnerEnd::Find(std::uint64_t offset, Ticket wanted) {
  std::optional<RecordView> view(std::in_place);
  if (!RecordAt(offset, wanted, &*view)) {
    view.reset();
  }
  return view;
}

// False: there is nothing behind `after` yet.
bool RunnerEnd::RefreshPublished(std::uint64_t after) {
  published_ = events().published.load(std::memory_order_acquire);
  not_published_ = ~published_;
  return published_ != after;
}

// The record at `offset`, which must be the one of the ticket `wanted`. False: there is none, or
// something is damaged.
bool RunnerEnd::RecordAt(std::uint64_t offset, Ticket wanted, RecordView* view) {
  constexpr std::uint64_t kFixed = sizeof(RecordHeader) + sizeof(EventRecord);
  if (damage() != nullptr) {
    return false;
  }
  while (true) {
    if (not_published_ != ~published_ || offset > published_ ||
        published_ - offset > kEventRingBytes) [[unlikely]] {
      Damaged(kPlaceDamage);
      return false;
    }
    if (offset == published_ && !RefreshPublished(offset)) {
      return false;
    }
    const std::uint64_t to_end = kEventRingBytes - offset % kEventRingBytes;
    const std::byte* at = events_ + kRingHeaderBytes + offset % kEventRingBytes;
    const auto* header = reinterpret_cast<const RecordHeader*>(at);
    const std::uint64_t most = std::min(to_end, published_ - offset);
    if (header->kind == RecordKind::kPadding) {
      if (header->size != to_end || to_end > most) [[unlikely]] {
        Damaged(kPlaceDamage);
        return false;
      }
      offset += to_end;
      continue;
    }
    const bool large = header->kind == RecordKind::kLargeEvent;
    const bool known =
        large || header->kind == RecordKind::kEvent || header->kind == RecordKind::kAdvance;
    if (!known || header->size < kFixed || header->size > most || header->ticket != wanted)
        [[unlikely]] {
      Damaged(kPlaceDamage);
      return false;
    }
    view->kind = header->kind;
    view->is_json = (header->flags & kEventIsJson) != 0;
    view->alone = (header->flags & kEventAlone) != 0;
    view->ticket = header->ticket;
    view->begin = offset;
    view->end = offset + header->size;
    view->body = reinterpret_cast<const EventRecord*>(at + sizeof(RecordHeader));
    const EventRecord& body = *view->body;
    const std::uint64_t bytes =
        std::uint64_t{body.stream_size} + body.type_size + body.metadata_size + body.data_size;
    if (bytes > kLargeRegionBytes || header->size != AlignRecord(kFixed + (large ? 0 : bytes)))
        [[unlikely]] {
      Damaged(kPlaceDamage);
      return false;
    }
    view->bytes = reinterpret_cast<const char*>(large ? large_ : at + kFixed);
    peeked_ = std::max(peeked_, view->ticket);
    return true;
  }
}

void RunnerEnd::Consume(const RecordView& last) {
  const auto* header = reinterpret_cast<const RecordHeader*>(events_ + kRingHeaderBytes +
                                                             last.begin % kEventRingBytes);
  if (last.begin < consumed() || last.end > published_ || last.begin % kRecordAlign != 0 ||
      last.begin + header->size != last.end || header->ticket != last.ticket) [[unlikely]] {
    Damaged(kPlaceDamage);
  }
  if (Write(&read_, &outcomes().event_read, last.end / kRecordAlign, std::memory_order_release,
            kReadDamage)) {
    taken_ = last.ticket;
  }
  if (last.alone) [[unlikely]] {
    EndNaps();
  }
}

}  // namespace catchup
