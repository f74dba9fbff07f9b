#include "host/ring/runner_end.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "host/base/build.h"

namespace catchup {
namespace {

// While events keep coming the runner naps this long instead of asking to be woken: a wake-up per
// event would cost both sides more than the event. A live event waits at most this long.
constexpr long kNapNanoseconds = 500'000;

// Naps without work before the runner says that it sleeps.
constexpr std::uint32_t kNapsBeforeSleep = 4;

void Nap() {
  const timespec nap{0, kNapNanoseconds};
  // An early return only shortens the nap.
  (void)nanosleep(&nap, nullptr);
}

constexpr char kOneInstallation[] = "; host and runner must come from one installation";

Status CheckHeader(const EventRingHeader& header) {
  if (header.magic != kRingMagic || header.layout != kRingLayout) {
    return Status::Incompatible("ring of layout " + std::to_string(header.layout) +
                                ": this runner has " + std::to_string(kRingLayout) +
                                kOneInstallation);
  }
  const std::string_view build(header.build_id, strnlen(header.build_id, sizeof header.build_id));
  if (build != BuildId().substr(0, sizeof header.build_id - 1)) {
    return Status::Incompatible("the host is build " + std::string(build) + ", this runner is " +
                                std::string(BuildId()) + kOneInstallation);
  }
  return {};
}

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

Result<std::unique_ptr<RunnerEnd>> RunnerEnd::Open(int event_ring, int outcome_ring,
                                                   int large_region, int runner_wake,
                                                   int host_wake) {
  Result<Mapping> events =
      Mapping::Map(event_ring, kRingHeaderBytes + kEventRingBytes, Mapping::Access::kReadOnly);
  Result<Mapping> outcomes =
      Mapping::Map(outcome_ring, kRingHeaderBytes + kOutcomeRingBytes, Mapping::Access::kReadWrite);
  Result<Mapping> large = Mapping::Map(large_region, kLargeRegionBytes, Mapping::Access::kReadOnly);
  for (const auto* mapping : {&events, &outcomes, &large}) {
    if (!mapping->ok()) {
      return mapping->status();
    }
  }
  std::unique_ptr<RunnerEnd> end =
      OverMappings(events->data(), outcomes->data(), large->data(), runner_wake, host_wake);
  end->event_mapping_ = std::move(*events);
  end->outcome_mapping_ = std::move(*outcomes);
  end->large_mapping_ = std::move(*large);
  CATCHUP_RETURN_IF_ERROR(CheckHeader(end->events()));
  return end;
}

std::unique_ptr<RunnerEnd> RunnerEnd::OverMappings(std::byte* events, std::byte* outcomes,
                                                   const std::byte* large, int runner_wake,
                                                   int host_wake) {
  std::unique_ptr<RunnerEnd> end(new RunnerEnd);
  end->events_ = events;
  end->outcomes_ = outcomes;
  end->large_ = large;
  end->runner_wake_ = runner_wake;
  end->host_wake_ = host_wake;
  OutcomeRingHeader& header = end->outcomes();
  header.magic = kRingMagic;
  header.layout = kRingLayout;
  header.runner_pid = static_cast<std::uint64_t>(getpid());
  return end;
}

Result<SetupView> RunnerEnd::ReadSetup() {
  while (!HasWork()) {
    WaitForWork();
  }
  if (stop_requested()) {
    return Status::Cancelled("asked to stop before the setup came");
  }
  published_ = events().published.load(std::memory_order_acquire);
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
  setup.go_on_after_failures = cursor.Number() != 0;
  setup.ignore_position = cursor.Number() != 0;
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
  Consume(header.size);
  return setup;
}

std::optional<RecordView> RunnerEnd::Peek(std::uint64_t after) {
  while (true) {
    if (after == published_) {
      published_ = events().published.load(std::memory_order_acquire);
      if (after == published_) {
        return std::nullopt;
      }
    }
    const std::byte* at = events_ + kRingHeaderBytes + after % kEventRingBytes;
    const auto* header = reinterpret_cast<const RecordHeader*>(at);
    if (header->kind == RecordKind::kPadding) {
      after += header->size;
      continue;
    }
    RecordView view;
    view.kind = header->kind;
    view.is_json = (header->flags & kEventIsJson) != 0;
    view.sequence = header->sequence;
    view.end = after + header->size;
    view.body = reinterpret_cast<const EventRecord*>(at + sizeof(RecordHeader));
    view.bytes = reinterpret_cast<const char*>(
        header->kind == RecordKind::kLargeEvent ? large_
                                                : at + sizeof(RecordHeader) + sizeof(EventRecord));
    return view;
  }
}

void RunnerEnd::Consume(std::uint64_t end) {
  consumed_ = end;
  outcomes().event_read.store(end, std::memory_order_release);
}

void RunnerEnd::Settle(std::uint64_t sequence) {
  settled_ = sequence;
  // Sequentially consistent with HostEnd::WakeWhenSettled: one of the two sees the other.
  outcomes().settled.store(sequence, std::memory_order_seq_cst);
  const std::uint64_t wake_at = events().wake_at_settled.load(std::memory_order_seq_cst);
  if (sequence >= wake_at && wake_at != signalled_for_) {
    signalled_for_ = wake_at;
    SignalHost();
  }
}

bool RunnerEnd::HasWork() const {
  return events().published.load(std::memory_order_seq_cst) != consumed_ || stop_requested();
}

void RunnerEnd::WaitForWork() {
  if (idle_naps_ < kNapsBeforeSleep) {
    Nap();
    idle_naps_ = HasWork() ? 0 : idle_naps_ + 1;
    return;
  }
  SleepUnless([this] { return HasWork(); });
  idle_naps_ = 0;
}

void RunnerEnd::WaitForStop() {
  while (!stop_requested()) {
    SleepUnless([this] { return stop_requested(); });
  }
}

template <typename Condition>
void RunnerEnd::SleepUnless(Condition awake) {
  OutcomeRingHeader& header = outcomes();
  const std::uint32_t sleep = header.sleep_number.load(std::memory_order_relaxed) + 1;
  header.sleep_number.store(sleep, std::memory_order_seq_cst);
  if (!awake()) {
    if (settled_ != events().seen_settled.load(std::memory_order_acquire)) {
      SignalHost();
    }
    pollfd wait{runner_wake_, POLLIN, 0};
    // A signal ends the wait early, and the caller comes back.
    (void)poll(&wait, 1, -1);
    // As many wake-ups as came while nobody slept: one each time the host saw a sleep just ending.
    char pending[64];
    (void)!read(runner_wake_, pending, sizeof pending);
  }
  header.sleep_number.store(sleep + 1, std::memory_order_release);
}

bool RunnerEnd::stop_requested() const {
  return events().stop.load(std::memory_order_seq_cst) != 0;
}

void RunnerEnd::BeginCall(CallKind kind, std::uint64_t sequence) {
  OutcomeRingHeader& header = outcomes();
  // Released, so that a host that reads either also sees the end of the call before, and with it
  // that what it has read is of two calls.
  header.call_kind.store(static_cast<std::uint32_t>(kind), std::memory_order_release);
  header.call_sequence.store(sequence, std::memory_order_release);
  header.call_number.store(++call_number_, std::memory_order_release);
}

void RunnerEnd::EndCall() {
  outcomes().call_number.store(++call_number_, std::memory_order_release);
}

bool RunnerEnd::in_call() const {
  return (outcomes().call_number.load(std::memory_order_relaxed) & 1) != 0;
}

CallKind RunnerEnd::current_call_kind() const {
  return in_call() ? static_cast<CallKind>(outcomes().call_kind.load(std::memory_order_relaxed))
                   : CallKind::kNone;
}

std::uint64_t RunnerEnd::current_sequence() const {
  return in_call() ? outcomes().call_sequence.load(std::memory_order_relaxed) : 0;
}

bool RunnerEnd::Post(OutcomeHeader header, std::string_view text, std::uint64_t keep_free) {
  const std::uint64_t size = AlignRecord(sizeof header + text.size());
  header.size = static_cast<std::uint32_t>(size);
  header.text_size = static_cast<std::uint32_t>(text.size());
  const std::lock_guard<std::mutex> lock(post_mutex_);
  const std::uint64_t at = outcomes().outcome_published.load(std::memory_order_relaxed);
  const std::uint64_t read = events().outcome_read.load(std::memory_order_acquire);
  if (at - read + size + keep_free > kOutcomeRingBytes) {
    return false;
  }
  std::byte* data = outcomes_ + kRingHeaderBytes;
  const auto copy = [&](std::uint64_t to, const void* from, std::uint64_t length) {
    const std::uint64_t offset = to % kOutcomeRingBytes;
    const std::uint64_t first = std::min(length, kOutcomeRingBytes - offset);
    std::memcpy(data + offset, from, first);
    std::memcpy(data, static_cast<const std::byte*>(from) + first, length - first);
  };
  copy(at, &header, sizeof header);
  if (!text.empty()) {
    copy(at + sizeof header, text.data(), text.size());
  }
  outcomes().outcome_published.store(at + size, std::memory_order_seq_cst);
  SignalHost();
  return true;
}

void RunnerEnd::PostReady(std::uint32_t max_events, bool position_mode,
                          std::optional<Position> loaded) {
  OutcomeHeader header{};
  header.kind = OutcomeKind::kReady;
  header.max_events = max_events;
  header.position_mode = position_mode ? 1 : 0;
  if (loaded.has_value()) {
    header.loaded = 1;
    header.commit = loaded->commit;
    header.prepare = loaded->prepare;
  }
  CATCHUP_CHECK(Post(header, {}, 0));
}

void RunnerEnd::PostFailure(CallKind call, std::int32_t status, std::uint64_t sequence,
                            std::string_view text) {
  OutcomeHeader header{};
  header.kind = OutcomeKind::kFailure;
  header.call = call;
  header.status = status;
  header.sequence = sequence;
  // Log lines leave room for one failure, and after a failure the runner does nothing until the
  // host has read it.
  CATCHUP_CHECK(Post(header, text.substr(0, kMaxErrorText), 0));
}

void RunnerEnd::PostStopped() {
  OutcomeHeader header{};
  header.kind = OutcomeKind::kStopped;
  CATCHUP_CHECK(Post(header, {}, 0));
}

void RunnerEnd::Log(std::uint16_t level, std::string_view text) {
  OutcomeHeader header{};
  header.kind = OutcomeKind::kLog;
  header.level = level;
  if (!Post(header, text.substr(0, kMaxLogText), kOutcomeReserve)) {
    outcomes().log_lines_dropped.fetch_add(1, std::memory_order_relaxed);
  }
}

void RunnerEnd::SignalHost() const {
  const std::uint64_t one = 1;
  // Fails only with a full counter, when a wake-up is pending anyway.
  (void)!write(host_wake_, &one, sizeof one);
}

}  // namespace catchup
