#include "host/ring/runner_end.h"

#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "host/base/build.h"
#include "host/base/wait.h"

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

std::size_t PageSize() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

// What was written over, for damage().
constexpr char kSettledDamage[] = "the word that says what is settled";
constexpr char kReadDamage[] = "the position up to which events were taken";
constexpr char kCallDamage[] = "the word that says which call is running";
constexpr char kSleepDamage[] = "the word that says whether the runner sleeps";
constexpr char kPostedDamage[] = "the word that says what was reported";
constexpr char kPlaceDamage[] = "the place of the next event";

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
  std::unique_ptr<RunnerEnd> end(
      new RunnerEnd(reinterpret_cast<const EventRingHeader*>(events)->key));
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

RunnerEnd::RunnerEnd(const RingKey& key)
    : settled_(WordSeal(key, Sealed::kSettled)),
      read_(WordSeal(key, Sealed::kEventRead)),
      call_(WordSeal(key, Sealed::kCall)),
      call_sequence_(WordSeal(key, Sealed::kCallSequence)),
      posted_(WordSeal(key, Sealed::kOutcomePublished)),
      sleep_(WordSeal(key, Sealed::kSleep)),
      lines_dropped_(WordSeal(key, Sealed::kLogLinesDropped)),
      outcome_seal_(key) {}

void* RunnerEnd::operator new(std::size_t size) {
  const std::size_t page = PageSize();
  CATCHUP_CHECK(size <= page);
  void* pages =
      mmap(nullptr, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) {
    throw std::bad_alloc();
  }
  auto* state = static_cast<std::byte*>(pages) + page;
  if (mprotect(state, page, PROT_READ | PROT_WRITE) != 0) {
    (void)munmap(pages, 3 * page);
    throw std::bad_alloc();
  }
  return state;
}

void RunnerEnd::operator delete(void* at) {
  // Fails only for an address that was never mapped.
  (void)munmap(static_cast<std::byte*>(at) - PageSize(), 3 * PageSize());
}

void RunnerEnd::Damaged(const char* what) {
  const char* none = nullptr;
  damage_.compare_exchange_strong(none, what, std::memory_order_acq_rel);
}

bool RunnerEnd::Write(OwnWord* own, std::atomic<std::uint64_t>* shared, std::uint64_t number,
                      std::memory_order order, const char* damage) {
  if (!own->Intact(*shared)) [[unlikely]] {
    Damaged(damage);
  }
  if (this->damage() != nullptr) [[unlikely]] {
    return false;
  }
  own->Write(shared, number, order);
  return true;
}

// Every word that only the runner's own thread writes.
void RunnerEnd::VerifyWords() {
  const struct {
    const OwnWord& own;
    const std::atomic<std::uint64_t>& shared;
    const char* damage;
  } words[] = {{settled_, outcomes().settled, kSettledDamage},
               {read_, outcomes().event_read, kReadDamage},
               {call_, outcomes().call, kCallDamage},
               {call_sequence_, outcomes().call_sequence, kCallDamage},
               {sleep_, outcomes().sleep, kSleepDamage}};
  for (const auto& word : words) {
    if (!word.own.Intact(word.shared)) {
      Damaged(word.damage);
    }
  }
}

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
  setup.go_on_after_failures = cursor.Number() != 0;
  setup.ignore_position = cursor.Number() != 0;
  setup.create_only = cursor.Number() != 0;
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
  return RecordAt(consumed(), taken_ == 0 ? 0 : taken_ + 1);
}

std::optional<RecordView> RunnerEnd::PeekBehind(const RecordView& before) {
  return RecordAt(before.end, before.sequence + 1);
}

// False: there is nothing behind `after` yet.
bool RunnerEnd::RefreshPublished(std::uint64_t after) {
  published_ = events().published.load(std::memory_order_acquire);
  not_published_ = ~published_;
  return published_ != after;
}

// The record at `offset`, which must be of the sequence `wanted` unless that is 0.
std::optional<RecordView> RunnerEnd::RecordAt(std::uint64_t offset, std::uint64_t wanted) {
  constexpr std::uint64_t kFixed = sizeof(RecordHeader) + sizeof(EventRecord);
  if (damage() != nullptr) {
    return std::nullopt;
  }
  while (true) {
    if (not_published_ != ~published_ || offset > published_ ||
        published_ - offset > kEventRingBytes) [[unlikely]] {
      Damaged(kPlaceDamage);
      return std::nullopt;
    }
    if (offset == published_ && !RefreshPublished(offset)) {
      return std::nullopt;
    }
    const std::uint64_t to_end = kEventRingBytes - offset % kEventRingBytes;
    const std::byte* at = events_ + kRingHeaderBytes + offset % kEventRingBytes;
    const auto* header = reinterpret_cast<const RecordHeader*>(at);
    const std::uint64_t most = std::min(to_end, published_ - offset);
    if (header->kind == RecordKind::kPadding) {
      if (header->size != to_end || to_end > most) [[unlikely]] {
        Damaged(kPlaceDamage);
        return std::nullopt;
      }
      offset += to_end;
      continue;
    }
    const bool large = header->kind == RecordKind::kLargeEvent;
    const bool known =
        large || header->kind == RecordKind::kEvent || header->kind == RecordKind::kAdvance;
    if (!known || header->size < kFixed || header->size > most || header->sequence == 0 ||
        (wanted != 0 && header->sequence != wanted)) [[unlikely]] {
      Damaged(kPlaceDamage);
      return std::nullopt;
    }
    RecordView view;
    view.kind = header->kind;
    view.is_json = (header->flags & kEventIsJson) != 0;
    view.sequence = header->sequence;
    view.begin = offset;
    view.end = offset + header->size;
    view.body = reinterpret_cast<const EventRecord*>(at + sizeof(RecordHeader));
    const EventRecord& body = *view.body;
    const std::uint64_t bytes =
        std::uint64_t{body.stream_size} + body.type_size + body.metadata_size + body.data_size;
    if (bytes > kLargeRegionBytes || header->size != AlignRecord(kFixed + (large ? 0 : bytes)))
        [[unlikely]] {
      Damaged(kPlaceDamage);
      return std::nullopt;
    }
    view.bytes = reinterpret_cast<const char*>(large ? large_ : at + kFixed);
    peeked_ = std::max(peeked_, view.sequence);
    return view;
  }
}

void RunnerEnd::Consume(const RecordView& last) {
  const auto* header = reinterpret_cast<const RecordHeader*>(events_ + kRingHeaderBytes +
                                                             last.begin % kEventRingBytes);
  if (last.begin < consumed() || last.end > published_ || last.begin % kRecordAlign != 0 ||
      last.begin + header->size != last.end || header->sequence != last.sequence) [[unlikely]] {
    Damaged(kPlaceDamage);
  }
  if (Write(&read_, &outcomes().event_read, last.end / kRecordAlign, std::memory_order_release,
            kReadDamage)) {
    taken_ = last.sequence;
  }
}

void RunnerEnd::Settle(std::uint64_t sequence) {
  if (sequence < settled_.number() || sequence > peeked_) [[unlikely]] {
    Damaged(kSettledDamage);
  }
  // Sequentially consistent with HostEnd::WakeWhenSettled: one of the two sees the other.
  if (!Write(&settled_, &outcomes().settled, sequence, std::memory_order_seq_cst, kSettledDamage)) {
    return;
  }
  const std::uint64_t wake_at = events().wake_at_settled.load(std::memory_order_seq_cst);
  if (sequence >= wake_at && wake_at != signalled_for_) {
    signalled_for_ = wake_at;
    SignalHost();
  }
}

bool RunnerEnd::HasWork() const {
  return events().published.load(std::memory_order_seq_cst) != consumed() || stop_requested();
}

void RunnerEnd::WaitForWork() {
  if (damage() != nullptr) {
    return;
  }
  if (idle_naps_ < kNapsBeforeSleep) {
    Nap();
    idle_naps_ = HasWork() ? 0 : idle_naps_ + 1;
    return;
  }
  SleepUnless([this] { return HasWork() || damage() != nullptr; });
  idle_naps_ = 0;
}

void RunnerEnd::WaitForStop() {
  while (!stop_requested()) {
    SleepUnless([this] { return stop_requested(); });
  }
}

template <typename Condition>
void RunnerEnd::SleepUnless(Condition awake) {
  const bool said = WriteSleep(sleep_.number() + 1, std::memory_order_seq_cst);
  if (!awake()) {
    if (settled_.number() != events().seen_settled.load(std::memory_order_acquire)) {
      SignalHost();
    }
    pollfd wait{runner_wake_, POLLIN, 0};
    // A signal ends the wait early, and the caller comes back.
    (void)PollOrPause(&wait, 1, -1);
    // As many wake-ups as came while nobody slept: one each time the host saw a sleep just ending.
    char pending[64];
    (void)!read(runner_wake_, pending, sizeof pending);
  }
  if (said) {
    (void)WriteSleep(sleep_.number() + 1, std::memory_order_release);
  }
  VerifyWords();
}

bool RunnerEnd::WriteSleep(std::uint64_t number, std::memory_order order) {
  return Write(&sleep_, &outcomes().sleep, number, order, kSleepDamage);
}

bool RunnerEnd::stop_requested() const {
  return events().stop.load(std::memory_order_seq_cst) != 0;
}

void RunnerEnd::BeginCall(CallKind kind, std::uint64_t sequence) {
  // Released, so that a host that reads either also sees the end of the call before, and with it
  // that what it has read is of two calls.
  if (HasEvents(kind)) {
    (void)Write(&call_sequence_, &outcomes().call_sequence, sequence, std::memory_order_release,
                kCallDamage);
  }
  const std::uint64_t number = (call_.number() >> kCallKindBits) + 1;
  (void)Write(&call_, &outcomes().call,
              (number << kCallKindBits) | static_cast<std::uint64_t>(kind),
              std::memory_order_release, kCallDamage);
}

void RunnerEnd::EndCall() {
  (void)Write(&call_, &outcomes().call, call_.number() + (1u << kCallKindBits),
              std::memory_order_release, kCallDamage);
}

CallKind RunnerEnd::current_call_kind() const {
  const std::uint64_t call = call_.number();
  const bool running = ((call >> kCallKindBits) & 1) != 0;
  return running ? static_cast<CallKind>(call & ((1u << kCallKindBits) - 1)) : CallKind::kNone;
}

std::uint64_t RunnerEnd::current_sequence() const {
  return HasEvents(current_call_kind()) ? call_sequence_.number() : 0;
}

bool RunnerEnd::Post(OutcomeHeader header, std::string_view text, std::uint64_t keep_free,
                     PostHow how) {
  const std::uint64_t size = AlignRecord(sizeof header + text.size());
  header.size = static_cast<std::uint32_t>(size);
  header.text_size = static_cast<std::uint32_t>(text.size());
  const std::lock_guard<std::mutex> lock(post_mutex_);
  if (!posted_.Intact(outcomes().outcome_published)) [[unlikely]] {
    Damaged(kPostedDamage);
  }
  if (how == PostHow::kIfIntact && damage() != nullptr) [[unlikely]] {
    return false;
  }
  const std::uint64_t at = posted_.number() * kRecordAlign;
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
  header.check = 0;
  header.check = outcome_seal_.Check(at, &header, sizeof header, text);
  copy(at, &header, sizeof header);
  if (!text.empty()) {
    copy(at + sizeof header, text.data(), text.size());
  }
  posted_.Write(&outcomes().outcome_published, (at + size) / kRecordAlign,
                std::memory_order_seq_cst);
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
  CATCHUP_CHECK(Post(header, {}, 0, PostHow::kAlways));
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
  CATCHUP_CHECK(Post(header, text.substr(0, kMaxErrorText), 0, PostHow::kAlways));
}

void RunnerEnd::PostStopped() {
  OutcomeHeader header{};
  header.kind = OutcomeKind::kStopped;
  CATCHUP_CHECK(Post(header, {}, 0, PostHow::kAlways));
}

void RunnerEnd::Log(std::uint16_t level, std::string_view text) {
  OutcomeHeader header{};
  header.kind = OutcomeKind::kLog;
  header.level = level;
  const std::uint64_t keep_free =
      kOutcomeReserve + (level < kFirstSevereLevel ? kSevereLogReserve : 0);
  if (!Post(header, text.substr(0, kMaxLogText), keep_free, PostHow::kIfIntact)) {
    const std::lock_guard<std::mutex> lock(post_mutex_);
    (void)Write(&lines_dropped_, &outcomes().log_lines_dropped, lines_dropped_.number() + 1,
                std::memory_order_relaxed, kPostedDamage);
  }
}

void RunnerEnd::SignalHost() const {
  const std::uint64_t one = 1;
  // Fails only with a full counter, when a wake-up is pending anyway.
  (void)!write(host_wake_, &one, sizeof one);
}

}  // namespace catchup
