#include "host/ring/host_end.h"

#include <catchup/plugin.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <limits>

#include "host/base/build.h"

namespace catchup {
namespace {

constexpr std::uint64_t kNoWake = std::numeric_limits<std::uint64_t>::max();

// How much a counter that nothing bounds may grow between two looks: as far as the bits of a sealed
// word tell numbers apart. Of calls, ten million a second for a quarter of an hour.
constexpr std::uint64_t kMostSteps = (std::uint64_t{1} << WordSeal::kNumberBits) - 1;

std::byte* DataOf(const Region& region) { return region.mapping.data() + kRingHeaderBytes; }

// A full pipe is the only failure, and means that wake-ups are pending already.
void Signal(int fd) {
  const char wake = 1;
  (void)!write(fd, &wake, sizeof wake);
}

bool IsFailureStatus(std::int32_t status) {
  return (status > CATCHUP_OK && status <= CATCHUP_FATAL) || status == kRunnerSetupFailed ||
         status == kRunnerContract;
}

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

Result<std::unique_ptr<HostEnd>> HostEnd::Create(const std::string& name) {
  std::unique_ptr<HostEnd> end(new HostEnd);
  struct {
    Region* region;
    const char* suffix;
    std::uint64_t size;
    RegionWriters writers;
  } const wanted[] = {
      {&end->event_region_, "-events", kRingHeaderBytes + kEventRingBytes,
       RegionWriters::kCreatorOnly},
      {&end->outcome_region_, "-outcomes", kRingHeaderBytes + kOutcomeRingBytes,
       RegionWriters::kBothSides},
      {&end->large_region_, "-large", kLargeRegionBytes, RegionWriters::kCreatorOnly},
  };
  for (const auto& want : wanted) {
    Result<Region> region = CreateRegion("catchup-" + name + want.suffix, want.size, want.writers);
    if (!region.ok()) {
      return region.status();
    }
    *want.region = std::move(*region);
  }
  // A pipe where the host writes, because its two ends are separate open files: a runner that fills
  // an eventfd and makes it blocking, which both sides would share, would stop the host.
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    return Status::FromErrno("create the runner's wake-up of " + name + " (pipe2)", errno);
  }
  end->runner_wake_read_ = UniqueFd(pipe_ends[0]);
  end->runner_wake_ = UniqueFd(pipe_ends[1]);
  end->host_wake_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!end->host_wake_.valid()) {
    return Status::FromErrno("create the host's wake-up of " + name + " (eventfd)", errno);
  }
  Result<RingKey> key = MakeRingKey();
  if (!key.ok()) {
    return key.status();
  }
  end->seals_.emplace(*key);
  EventRingHeader& header = end->events();
  header.key = *key;
  header.magic = kRingMagic;
  header.layout = kRingLayout;
  BuildId().copy(header.build_id, sizeof header.build_id - 1);
  header.host_pid = static_cast<std::uint64_t>(getpid());
  header.wake_at_settled.store(kNoWake, std::memory_order_release);
  auto& words = *reinterpret_cast<OutcomeRingHeader*>(end->outcome_region_.mapping.data());
  words.settled.store(end->seals_->settled.Close(0));
  words.event_read.store(end->seals_->event_read.Close(0));
  words.call.store(end->seals_->call.Close(0));
  words.call_sequence.store(end->seals_->call_sequence.Close(0));
  words.outcome_published.store(end->seals_->outcome_published.Close(0));
  words.sleep.store(end->seals_->sleep.Close(0));
  words.log_lines_dropped.store(end->seals_->log_lines_dropped.Close(0));
  return end;
}

HostEnd::Descriptors HostEnd::descriptors() const {
  return {event_region_.fd.get(), outcome_region_.fd.get(), large_region_.fd.get(),
          runner_wake_read_.get(), host_wake_.get()};
}

HostEnd::Mappings HostEnd::mappings() const {
  return {event_region_.mapping.data(), outcome_region_.mapping.data(),
          large_region_.mapping.data()};
}

EventRingHeader& HostEnd::events() const {
  return *reinterpret_cast<EventRingHeader*>(event_region_.mapping.data());
}

const OutcomeRingHeader& HostEnd::outcomes() const {
  return *reinterpret_cast<const OutcomeRingHeader*>(outcome_region_.mapping.data());
}

Status HostEnd::Break(std::string text) {
  if (broken_.ok()) {
    broken_ = Status::Corrupt(std::move(text));
  }
  return broken_;
}

bool HostEnd::Take(const std::atomic<std::uint64_t>& word, const WordSeal& seal,
                   std::uint64_t least, std::uint64_t most, std::uint64_t* seen, const char* name) {
  if (!broken_.ok()) [[unlikely]] {
    return false;
  }
  // In one order with the stores of both sides, for the sake of the wake-ups.
  const std::uint64_t found = word.load(std::memory_order_seq_cst);
  if (*seen == 0 && found == seal.Close(0)) {
    return true;
  }
  least = std::max(least, *seen);
  const std::optional<std::uint64_t> number = seal.Open(found, least, most);
  if (!number.has_value()) [[unlikely]] {
    char hex[2 * sizeof found + 1];
    std::snprintf(hex, sizeof hex, "%016" PRIx64, found);
    (void)Break("the runner's word " + std::string(name) + " holds 0x" + hex +
                ": wanted a number from " + std::to_string(least) + " to " + std::to_string(most) +
                " with the check bits of this runner, so something in its process wrote over "
                "memory that is not its own");
    return false;
  }
  *seen = *number;
  return true;
}

bool HostEnd::TakeSettled() { return TakeSettled(&settled_); }

bool HostEnd::TakeSettled(std::uint64_t* seen) {
  const std::uint64_t most =
      failed_sequence_ != 0 ? failed_sequence_ - 1 : last_published_sequence_;
  return Take(outcomes().settled, seals_->settled, first_sequence_, most, seen, "settled");
}

bool HostEnd::TakeRead() {
  if (!Take(outcomes().event_read, seals_->event_read, 0, published_ / kRecordAlign, &read_seen_,
            "event_read")) {
    return false;
  }
  freed_ = read_seen_ * kRecordAlign;
  return true;
}

// The words of a call in progress.
bool HostEnd::TakeCall() {
  return Take(outcomes().call, seals_->call, 0, call_seen_ + kMostSteps, &call_seen_, "call") &&
         Take(outcomes().call_sequence, seals_->call_sequence, first_sequence_,
              last_published_sequence_, &call_sequence_seen_, "call_sequence");
}

bool HostEnd::TakeSleep() {
  return Take(outcomes().sleep, seals_->sleep, 0, sleep_seen_ + kMostSteps, &sleep_seen_, "sleep");
}

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
    std::memcpy(DataOf(event_region_) + offset, &padding, kPaddingHeaderBytes);
    written_ += to_end;
  } else if (!HasRoom(size)) {
    return nullptr;
  }
  std::byte* at = DataOf(event_region_) + written_ % kEventRingBytes;
  written_ += size;
  return at;
}

Status HostEnd::WriteSetup(const RunnerSetup& setup) {
  CATCHUP_CHECK(written_ == 0);
  const std::string_view texts[] = {setup.group, setup.projection, setup.plugin_path,
                                    setup.config_json};
  static const std::vector<PluginSetting> kNoSettings;
  const auto& settings = setup.settings == nullptr ? kNoSettings : *setup.settings;
  std::uint64_t size = sizeof(RecordHeader) + 7 * sizeof(std::uint64_t);
  for (const std::string_view text : texts) {
    size += sizeof(std::uint64_t) + text.size();
  }
  for (const PluginSetting& setting : settings) {
    size += 3 * sizeof(std::uint64_t) + setting.path.size() + setting.text.size();
  }
  size = AlignRecord(size);
  if (size > kEventRingBytes / 2) {
    return Status::Exhausted("the configuration of group " + std::string(setup.group) + " takes " +
                             std::to_string(size) + " bytes: wanted at most " +
                             std::to_string(kEventRingBytes / 2));
  }
  std::byte* at = Reserve(size);
  CATCHUP_CHECK(at != nullptr);
  setup_end_ = written_;
  go_on_ = setup.go_on_after_failures;
  const RecordHeader header{static_cast<std::uint32_t>(size), RecordKind::kSetup, 0, 0};
  std::memcpy(at, &header, sizeof header);
  at += sizeof header;
  const std::uint64_t numbers[] = {setup.lane,
                                   setup.open_files,
                                   setup.token,
                                   setup.go_on_after_failures ? 1u : 0u,
                                   setup.ignore_position ? 1u : 0u,
                                   setup.create_only ? 1u : 0u,
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

void HostEnd::NoteSequence(std::uint64_t sequence) {
  first_sequence_ = first_sequence_ == 0 ? sequence : first_sequence_;
  last_sequence_ = sequence;
}

bool HostEnd::WriteEvent(std::uint64_t sequence, const EventView& event, std::uint32_t attempt) {
  CATCHUP_CHECK(sequence != 0 && (last_sequence_ == 0 || sequence == last_sequence_ + 1));
  const std::uint64_t fixed = sizeof(RecordHeader) + sizeof(EventRecord);
  const std::uint64_t bytes = event.size();
  CATCHUP_CHECK(bytes <= kLargeRegionBytes);
  const bool large = fixed + bytes > kMaxInlineRecord;
  if (large && large_busy_until_ > freed_) {
    // The region holds one event at a time.
    if (!HasRoom(kEventRingBytes) && large_busy_until_ > freed_) {
      return false;
    }
  }
  const std::uint64_t size = AlignRecord(fixed + (large ? 0 : bytes));
  std::byte* at = Reserve(size);
  if (at == nullptr) {
    return false;
  }
  const RecordHeader header{static_cast<std::uint32_t>(size),
                            large ? RecordKind::kLargeEvent : RecordKind::kEvent,
                            event.is_json ? kEventIsJson : std::uint16_t{0}, sequence};
  std::memcpy(at, &header, sizeof header);
  WriteBody(at + sizeof header, event, attempt);
  std::byte* to = large ? large_region_.mapping.data() : at + fixed;
  to = Append(Append(Append(to, event.stream), event.type), event.metadata);
  Append(to, event.data);
  if (large) {
    large_busy_until_ = written_;
    large_used_ = true;
  }
  NoteSequence(sequence);
  return true;
}

bool HostEnd::WriteAdvance(std::uint64_t sequence, Position position) {
  CATCHUP_CHECK(sequence != 0 && (last_sequence_ == 0 || sequence == last_sequence_ + 1));
  const std::uint64_t size = sizeof(RecordHeader) + sizeof(EventRecord);
  std::byte* at = Reserve(size);
  if (at == nullptr) {
    return false;
  }
  const RecordHeader header{static_cast<std::uint32_t>(size), RecordKind::kAdvance, 0, sequence};
  std::memcpy(at, &header, sizeof header);
  EventView nothing;
  nothing.position = position;
  WriteBody(at + sizeof header, nothing, 1);
  NoteSequence(sequence);
  return true;
}

void HostEnd::Publish() {
  if (published_ != written_) {
    published_ = written_;
    last_published_sequence_ = last_sequence_;
    events().published.store(published_, std::memory_order_seq_cst);
  }
  // Sequentially consistent on both sides: either the runner, about to sleep, sees what was just
  // published, or this sees that it sleeps.
  if (asleep() && sleep_seen_ != woken_sleep_) {
    woken_sleep_ = sleep_seen_;
    Signal(runner_wake_.get());
  }
}

void HostEnd::RequestStop() {
  if (!stop_requested_) {
    stop_requested_ = true;
    events().stop.store(1, std::memory_order_seq_cst);
  }
  Signal(runner_wake_.get());
}

Result<std::uint64_t> HostEnd::PollSettled() {
  const std::uint64_t before = settled_;
  if (!TakeSettled() || !TakeRead() || !TakeCall() || !TakeSleep() ||
      !Take(outcomes().log_lines_dropped, seals_->log_lines_dropped, 0,
            lines_dropped_seen_ + kMostSteps, &lines_dropped_seen_, "log_lines_dropped")) {
    return broken_;
  }
  ForgetKey();
  if (settled_ != before) {
    events().seen_settled.store(settled_, std::memory_order_release);
  }
  return settled_;
}

// Nothing in the runner but its own end of the ring is to have the key, and that has it by now.
void HostEnd::ForgetKey() {
  if (setup_end_ != 0 && freed_ >= setup_end_) [[unlikely]] {
    setup_end_ = 0;
    events().key = {};
  }
}

Status HostEnd::CheckSizes(const OutcomeHeader& header, std::uint64_t available) {
  const std::uint64_t wanted = AlignRecord(sizeof header + header.text_size);
  if (header.size % kRecordAlign != 0 || header.size > available || header.size < sizeof header ||
      header.text_size > kMaxErrorText || header.size != wanted) {
    return Status::Corrupt("outcome record of " + std::to_string(header.size) +
                           " bytes with a text of " + std::to_string(header.text_size) + ": " +
                           std::to_string(available) + " bytes were published");
  }
  return {};
}

Status HostEnd::CheckOutcome(const OutcomeHeader& header) const {
  switch (header.kind) {
    case OutcomeKind::kReady:
      return CheckReady(header);
    case OutcomeKind::kLog:
      if (header.level > CATCHUP_LOG_ERROR) {
        return Status::Corrupt("the runner logs a line of level " + std::to_string(header.level) +
                               ": wanted 0 to 3");
      }
      return {};
    case OutcomeKind::kStopped:
      return stopped_seen_ ? Status::Corrupt("the runner says twice that it stopped") : Status();
    case OutcomeKind::kFailure:
      return CheckFailure(header);
  }
  return Status::Corrupt("outcome record of unknown kind " +
                         std::to_string(static_cast<unsigned>(header.kind)));
}

Status HostEnd::CheckReady(const OutcomeHeader& header) const {
  if (ready_seen_ || failure_seen_ || stopped_seen_) {
    return Status::Corrupt("the runner says that it is ready after it said how it went on");
  }
  if (header.max_events == 0 || header.max_events > kMostEventsPerCall ||
      header.position_mode > 1 || header.loaded > header.position_mode) {
    return Status::Corrupt("the runner is ready for " + std::to_string(header.max_events) +
                           " events a call, position mode " + std::to_string(header.position_mode) +
                           ", loaded " + std::to_string(header.loaded) + ": wanted 1 to " +
                           std::to_string(kMostEventsPerCall) +
                           " events, and a loaded position in position mode only");
  }
  return {};
}

Status HostEnd::CheckFailure(const OutcomeHeader& header) const {
  if (failure_seen_ || stopped_seen_) {
    return Status::Corrupt("the runner reports a failure after it said that it failed or stopped");
  }
  if (!IsFailureStatus(header.status) || !IsKnown(header.call)) {
    return Status::Corrupt("the runner reports a failure of call " +
                           std::to_string(static_cast<std::uint32_t>(header.call)) +
                           " with status " + std::to_string(header.status) +
                           ": one of them is not known");
  }
  // A failure that was passed over may have been settled before it is read.
  const std::uint64_t first = std::max(go_on_ ? 1 : settled_ + 1, first_sequence_);
  const bool of_event = header.sequence >= first && header.sequence <= last_published_sequence_;
  if (HasEvents(header.call) ? !of_event : header.sequence != 0) {
    return Status::Corrupt("the runner reports a failure of event " +
                           std::to_string(header.sequence) + " in call " +
                           std::to_string(static_cast<std::uint32_t>(header.call)) + ": events " +
                           std::to_string(first) + " to " +
                           std::to_string(last_published_sequence_) + " were its to handle");
  }
  return {};
}

Result<std::optional<Outcome>> HostEnd::PollOutcome() {
  if (!Take(outcomes().outcome_published, seals_->outcome_published, 0,
            (outcome_read_ + kOutcomeRingBytes) / kRecordAlign, &outcome_seen_,
            "outcome_published")) {
    return broken_;
  }
  if (outcome_seen_ * kRecordAlign == outcome_read_) {
    return std::optional<Outcome>();
  }
  Result<std::optional<Outcome>> outcome = TakeOutcome();
  if (!outcome.ok()) {
    return Break(std::string(outcome.status().message()));
  }
  return outcome;
}

Result<std::optional<Outcome>> HostEnd::TakeOutcome() {
  const std::uint64_t available = outcome_seen_ * kRecordAlign - outcome_read_;
  if (available < sizeof(OutcomeHeader)) {
    return Status::Corrupt("the runner published an outcome of " + std::to_string(available) +
                           " bytes: wanted at least " + std::to_string(sizeof(OutcomeHeader)));
  }
  // Records may wrap here, since they are copied anyway.
  const std::byte* data = DataOf(outcome_region_);
  const auto copy = [&](std::uint64_t from, void* to, std::uint64_t size) {
    const std::uint64_t offset = from % kOutcomeRingBytes;
    const std::uint64_t first = std::min(size, kOutcomeRingBytes - offset);
    std::memcpy(to, data + offset, first);
    std::memcpy(static_cast<std::byte*>(to) + first, data, size - first);
  };
  OutcomeHeader header;
  copy(outcome_read_, &header, sizeof header);
  // Keeps the compiler from reading the shared bytes again after they were checked.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  CATCHUP_RETURN_IF_ERROR(CheckSizes(header, available));
  std::string text(header.text_size, '\0');
  copy(outcome_read_ + sizeof header, text.data(), header.text_size);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  OutcomeHeader unchecked = header;
  unchecked.check = 0;
  if (seals_->outcome.Check(outcome_read_, &unchecked, sizeof unchecked, text) != header.check) {
    return Status::Corrupt("the outcome record at byte " + std::to_string(outcome_read_) +
                           " is not as the runner wrote it: something in its process wrote over "
                           "memory that is not its own");
  }
  CATCHUP_RETURN_IF_ERROR(CheckOutcome(header));
  Outcome outcome;
  outcome.kind = header.kind;
  // Only the fields of its kind: the others were not checked.
  if (header.kind == OutcomeKind::kLog) {
    outcome.level = header.level;
  } else if (header.kind == OutcomeKind::kFailure) {
    outcome.status = header.status;
    outcome.call = header.call;
    outcome.sequence = header.sequence;
  } else if (header.kind == OutcomeKind::kReady) {
    outcome.max_events = header.max_events;
    outcome.position_mode = header.position_mode != 0;
    if (header.loaded != 0) {
      outcome.loaded = Position{header.commit, header.prepare};
    }
  }
  outcome.text = std::move(text);
  Note(header);
  outcome_read_ += header.size;
  events().outcome_read.store(outcome_read_, std::memory_order_release);
  return std::optional<Outcome>(std::move(outcome));
}

void HostEnd::Note(const OutcomeHeader& header) {
  ready_seen_ |= header.kind == OutcomeKind::kReady;
  stopped_seen_ |= header.kind == OutcomeKind::kStopped;
  const bool passed_over = go_on_ && HasEvents(header.call) && header.status != kRunnerContract;
  if (header.kind == OutcomeKind::kFailure && !passed_over) {
    failure_seen_ = true;
    failed_sequence_ = header.sequence;
  }
}

bool HostEnd::WakeWhenSettled(std::uint64_t sequence) {
  events().wake_at_settled.store(sequence, std::memory_order_seq_cst);
  // Only looked at: PollSettled is what takes it. A wrong word is for that one to report, so it is
  // called at once.
  std::uint64_t settled = settled_;
  return TakeSettled(&settled) && settled < sequence;
}

void HostEnd::DrainWake() {
  std::uint64_t count;
  const iovec to{&count, sizeof count};
  // Never waits, even if a runner made the descriptor, which is its own too, blocking. Nothing
  // pending (EAGAIN) is as good as something.
  (void)!preadv2(host_wake_.get(), &to, 1, -1, RWF_NOWAIT);
}

CallInProgress HostEnd::call() {
  // Values of one and the same call, or after this many tries of a runner that is faster than we
  // look, or wants to be, of several: then it is not stuck in any of them.
  constexpr int kTries = 8;
  CallInProgress call;
  for (int i = 0; i < kTries; ++i) {
    if (!TakeCall()) {
      return {};
    }
    call.number = call_seen_ >> kCallKindBits;
    call.kind = static_cast<CallKind>(call_seen_ & ((1u << kCallKindBits) - 1));
    call.sequence = HasEvents(call.kind) ? call_sequence_seen_ : 0;
    if (outcomes().call.load(std::memory_order_relaxed) == seals_->call.Close(call_seen_)) {
      break;
    }
  }
  if (!IsKnown(call.kind)) {
    (void)Break("the runner says that it is in call " +
                std::to_string(static_cast<std::uint32_t>(call.kind)) +
                ": no call has that number");
    return {};
  }
  return call;
}

std::uint64_t HostEnd::log_lines_dropped() {
  (void)Take(outcomes().log_lines_dropped, seals_->log_lines_dropped, 0,
             lines_dropped_seen_ + kMostSteps, &lines_dropped_seen_, "log_lines_dropped");
  return lines_dropped_seen_;
}

bool HostEnd::asleep() { return TakeSleep() && (sleep_seen_ & 1) != 0; }

bool HostEnd::idle() const {
  return written_ == published_ && (failure_seen_ || settled_ == last_published_sequence_) &&
         outcomes().event_read.load(std::memory_order_acquire) ==
             seals_->event_read.Close(published_ / kRecordAlign);
}

void HostEnd::Nudge() {
  if (broken_.ok() && !idle()) {
    Signal(runner_wake_.get());
  }
}

}  // namespace catchup
