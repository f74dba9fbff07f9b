#include "host/ring/runner_end.h"

#include <catchup/plugin.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>

#include "host/base/build.h"
#include "host/base/str_cat.h"
#include "host/base/wait.h"

namespace catchup {
namespace {

// While events keep coming the runner naps instead of asking to be woken: each wake-up costs both
// sides more than an event, and where hundreds of groups take turns, each of them gets its events
// one by one. A nap is as long as it takes to fill the ring to an eighth up to a quarter, which
// leaves the host room for all that its own pauses bring. It begins with the shortest, at the
// second short sleep in a row, and ends where a nap brings nothing. So live events are never held
// back by one, unless they come at many hundred a second: then by one nap at most.
//
// After a failure, and after an event that was called alone, the host chooses what comes next by
// what came of it, so each nap would be time in which both sides wait: there it ends napping too.
//
// It does not spin before it sleeps, since that brings nothing: at 200 events a second four waits
// in a thousand end within 20 us, and where events come as fast as that, naps meet them.
constexpr std::chrono::microseconds kShortSleep{2000};
constexpr std::chrono::microseconds kShortestNap{500};
constexpr std::chrono::microseconds kLongestNap{4000};
constexpr std::uint32_t kShortSleepsBeforeNap = 2;
constexpr std::uint64_t kNapBringsEnough = kEventRingBytes / 8;
constexpr std::uint64_t kNapBringsMuch = kEventRingBytes / 4;

void SleepFor(std::chrono::nanoseconds time) {
  const timespec nap{0, time.count()};
  // An early return only shortens the nap.
  (void)nanosleep(&nap, nullptr);
}

std::size_t PageSize() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

constexpr char kOneInstallation[] = "; host and runner must come from one installation";

Status CheckHeader(const EventRingHeader& header) {
  if (header.magic != kRingMagic || header.layout != kRingLayout) {
    return Status::Incompatible(StrCat("ring of layout ", header.layout, ": this runner has ",
                                       kRingLayout, kOneInstallation));
  }
  const std::string_view build(header.build_id, strnlen(header.build_id, sizeof header.build_id));
  if (build != BuildId().substr(0, sizeof header.build_id - 1)) {
    return Status::Incompatible(
        StrCat("the host is build ", build, ", this runner is ", BuildId(), kOneInstallation));
  }
  return {};
}

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
      call_ticket_(WordSeal(key, Sealed::kCallTicket)),
      epoch_(WordSeal(key, Sealed::kEpoch), kFirstEpoch),
      posted_(WordSeal(key, Sealed::kOutcomePublished)),
      sleep_(WordSeal(key, Sealed::kSleep)),
      lines_dropped_{OwnWord(WordSeal(key, Sealed::kDebugLinesDropped)),
                     OwnWord(WordSeal(key, Sealed::kInfoLinesDropped)),
                     OwnWord(WordSeal(key, Sealed::kWarnLinesDropped)),
                     OwnWord(WordSeal(key, Sealed::kErrorLinesDropped))},
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

// The words that tell how far the runner is.
void RunnerEnd::VerifyWords() {
  const struct {
    const OwnWord& own;
    const std::atomic<std::uint64_t>& shared;
    const char* damage;
  } words[] = {{settled_, outcomes().settled, kSettledDamage},
               {read_, outcomes().event_read, kReadDamage},
               {call_, outcomes().call, kCallDamage},
               {call_ticket_, outcomes().call_ticket, kCallDamage},
               {epoch_, outcomes().epoch, kEpochDamage},
               {sleep_, outcomes().sleep, kSleepDamage}};
  for (const auto& word : words) {
    if (!word.own.Intact(word.shared)) {
      Damaged(word.damage);
    }
  }
  const MutexLock lock(&post_mutex_);
  if (!posted_.Intact(outcomes().outcome_published)) {
    Damaged(kPostedDamage);
  }
}

void RunnerEnd::Settle(Ticket ticket) {
  if (ticket < settled_.number() || ticket > peeked_) [[unlikely]] {
    Damaged(kSettledDamage);
  }
  // Sequentially consistent with HostEnd::WakeWhenSettled: one of the two sees the other.
  if (!Write(&settled_, &outcomes().settled, ticket, std::memory_order_seq_cst, kSettledDamage)) {
    return;
  }
  const std::uint64_t wake_at = events().wake_at_settled.load(std::memory_order_seq_cst);
  if (ticket >= wake_at && wake_at != signalled_for_) {
    signalled_for_ = wake_at;
    SignalHost();
  }
}

bool RunnerEnd::AwaitEpoch() {
  const auto begun = [this] {
    return events().epoch.load(std::memory_order_seq_cst) != epoch_.number();
  };
  while (!begun()) {
    if (stop_requested() || damage() != nullptr) {
      return false;
    }
    SleepUnless([&] { return begun() || stop_requested(); });
  }
  return EnterEpoch(events().epoch.load(std::memory_order_acquire));
}

bool RunnerEnd::EnterEpoch(std::uint64_t number) {
  const Ticket first = events().epoch_ticket.load(std::memory_order_relaxed);
  const std::uint64_t begin = events().epoch_begin.load(std::memory_order_relaxed);
  (void)RefreshPublished(begin);
  // The host's numbers are right, so what does not fit is what is kept here.
  if (!epoch_.Intact(outcomes().epoch) || !epoch_.Consistent() || number != epoch_.number() + 1 ||
      first <= peeked_ || begin <= consumed() || begin > published_) [[unlikely]] {
    Damaged(kEpochDamage);
  }
  if (!Write(&epoch_, &outcomes().epoch, number, std::memory_order_release, kEpochDamage) ||
      !Write(&read_, &outcomes().event_read, begin / kRecordAlign, std::memory_order_release,
             kReadDamage)) {
    return false;
  }
  taken_ = first - 1;
  peeked_ = first - 1;
  EndNaps();
  return true;
}

bool RunnerEnd::HasWork() const {
  return events().published.load(std::memory_order_seq_cst) != consumed() || stop_requested();
}

void RunnerEnd::WaitForWork() {
  if (damage() != nullptr) {
    return;
  }
  if (nap_ != std::chrono::nanoseconds::zero()) {
    Nap();
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  SleepUnless([this] { return HasWork() || damage() != nullptr; });
  const bool was_short = std::chrono::steady_clock::now() - begin < kShortSleep;
  short_sleeps_ = was_short ? short_sleeps_ + 1 : 0;
  if (short_sleeps_ >= kShortSleepsBeforeNap) {
    nap_ = kShortestNap;
  }
}

void RunnerEnd::EndNaps() {
  nap_ = std::chrono::nanoseconds::zero();
  short_sleeps_ = 0;
}

void RunnerEnd::Nap() {
  SleepFor(nap_);
  const std::uint64_t brought = events().published.load(std::memory_order_acquire) - consumed();
  // A host that asked to be told of what is not settled yet may have stood still meanwhile.
  const Ticket wake_at = events().wake_at_settled.load(std::memory_order_relaxed);
  const bool host_waits = wake_at != kNoWake && wake_at > settled_.number();
  if (brought == 0) {
    EndNaps();
  } else if (brought > kNapBringsMuch || host_waits) {
    nap_ = std::max<std::chrono::nanoseconds>(nap_ / 2, kShortestNap);
  } else if (brought < kNapBringsEnough) {
    nap_ = std::min<std::chrono::nanoseconds>(nap_ * 2, kLongestNap);
  }
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

void RunnerEnd::BeginCall(CallKind kind, Ticket ticket) {
  // Released, so that a host that reads either also sees the end of the call before, and with it
  // that what it has read is of two calls.
  if (HasEvents(kind)) {
    (void)Write(&call_ticket_, &outcomes().call_ticket, ticket, std::memory_order_release,
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

Ticket RunnerEnd::current_ticket() const {
  return HasEvents(current_call_kind()) ? call_ticket_.number() : 0;
}

}  // namespace catchup
