#include "host/ring/host_end.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstdio>

#include "host/base/build.h"
#include "host/base/str_cat.h"

namespace catchup {
namespace {

// How much a counter that nothing bounds may grow between two looks: as far as the bits of a sealed
// word tell numbers apart. Of calls, ten million a second for a quarter of an hour.
constexpr std::uint64_t kMostSteps = (std::uint64_t{1} << WordSeal::kNumberBits) - 1;

// A full pipe is the only failure, and means that wake-ups are pending already.
void Signal(int fd) {
  const char wake = 1;
  (void)!write(fd, &wake, sizeof wake);
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
    CATCHUP_ASSIGN_OR_RETURN(
        *want.region, CreateRegion(StrCat("catchup-", name, want.suffix), want.size, want.writers));
  }
  // A pipe where the host writes, because its two ends are separate open files: a runner that fills
  // an eventfd and makes it blocking, which both sides would share, would stop the host.
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    return Status::FromErrno(StrCat("create the runner's wake-up of ", name, " (pipe2)"), errno);
  }
  end->runner_wake_read_ = UniqueFd(pipe_ends[0]);
  end->runner_wake_ = UniqueFd(pipe_ends[1]);
  end->host_wake_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!end->host_wake_.valid()) {
    return Status::FromErrno(StrCat("create the host's wake-up of ", name, " (eventfd)"), errno);
  }
  CATCHUP_ASSIGN_OR_RETURN(const RingKey key, MakeRingKey());
  end->seals_.emplace(key);
  EventRingHeader& header = end->events();
  header.key = key;
  header.magic = kRingMagic;
  header.layout = kRingLayout;
  BuildId().copy(header.build_id, sizeof header.build_id - 1);
  header.host_pid = static_cast<std::uint64_t>(getpid());
  header.wake_at_settled.store(kNoWake, std::memory_order_release);
  header.epoch_ticket.store(1, std::memory_order_relaxed);
  header.epoch.store(kFirstEpoch, std::memory_order_release);
  auto& words = *reinterpret_cast<OutcomeRingHeader*>(end->outcome_region_.mapping.data());
  words.settled.store(end->seals_->settled.Close(0));
  words.event_read.store(end->seals_->event_read.Close(0));
  words.call.store(end->seals_->call.Close(0));
  words.call_ticket.store(end->seals_->call_ticket.Close(0));
  words.epoch.store(end->seals_->epoch.Close(kFirstEpoch));
  words.outcome_published.store(end->seals_->outcome_published.Close(0));
  words.sleep.store(end->seals_->sleep.Close(0));
  for (std::size_t level = 0; level < kLogLevels; ++level) {
    words.log_lines_dropped[level].store(end->seals_->log_lines_dropped[level].Close(0));
  }
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
  // It has one order with the stores of both sides, for the sake of the wake-ups.
  const std::uint64_t found = word.load(std::memory_order_seq_cst);
  if (*seen < least && found == seal.Close(*seen)) {
    return true;  // Of an earlier epoch still, or of none.
  }
  least = std::max(least, *seen);
  const std::optional<std::uint64_t> number = seal.Open(found, least, most);
  if (!number.has_value()) [[unlikely]] {
    char hex[2 * sizeof found + 1];
    std::snprintf(hex, sizeof hex, "%016" PRIx64, found);
    (void)Break(StrCat("the runner's word ", name, " holds 0x", hex, ": wanted a number from ",
                       least, " to ", most,
                       " with the check bits of this runner, so something in its process wrote "
                       "over memory that is not its own"));
    return false;
  }
  *seen = *number;
  return true;
}

bool HostEnd::TakeSettled(Ticket* seen) {
  const Ticket most = failed_ticket_ != 0 ? failed_ticket_ - 1 : last_published_ticket_;
  return Take(outcomes().settled, seals_->settled, epoch_ticket_, most, seen, "settled");
}

bool HostEnd::TakeRead() {
  if (!Take(outcomes().event_read, seals_->event_read, epoch_begin_ / kRecordAlign,
            published_ / kRecordAlign, &read_seen_, "event_read")) {
    return false;
  }
  freed_ = std::max(epoch_begin_, read_seen_ * kRecordAlign);
  return true;
}

// The words of a call in progress.
bool HostEnd::TakeCall() {
  return Take(outcomes().call, seals_->call, 0, call_seen_ + kMostSteps, &call_seen_, "call") &&
         Take(outcomes().call_ticket, seals_->call_ticket, epoch_ticket_, last_published_ticket_,
              &call_ticket_seen_, "call_ticket");
}

bool HostEnd::TakeSleep() {
  return Take(outcomes().sleep, seals_->sleep, 0, sleep_seen_ + kMostSteps, &sleep_seen_, "sleep");
}

// After the words that speak of the epoch, since the runner writes this one before them.
bool HostEnd::TakeEpoch() {
  if (!Take(outcomes().epoch, seals_->epoch, kFirstEpoch, epoch_, &epoch_seen_, "epoch")) {
    return false;
  }
  const bool speaks_of_it = settled_seen_ >= epoch_ticket_ || call_ticket_seen_ >= epoch_ticket_ ||
                            read_seen_ * kRecordAlign >= epoch_begin_;
  if (epoch_seen_ != epoch_ && speaks_of_it) {
    (void)Break(StrCat("the runner says that it handled events of epoch ", epoch_,
                       " and that it is in epoch ", epoch_seen_, " still"));
    return false;
  }
  return true;
}

bool HostEnd::TakeDropped() {
  for (std::size_t level = 0; level < kLogLevels; ++level) {
    std::uint64_t& seen = lines_dropped_seen_[level];
    if (!Take(outcomes().log_lines_dropped[level], seals_->log_lines_dropped[level], 0,
              seen + kMostSteps, &seen, "log_lines_dropped")) {
      return false;
    }
  }
  return true;
}

bool HostEnd::TakeWords() {
  return TakeSettled(&settled_seen_) && TakeRead() && TakeCall() && TakeSleep() && TakeEpoch() &&
         TakeDropped();
}

void HostEnd::Publish() {
  if (published_ != written_) {
    published_ = written_;
    last_published_ticket_ = last_ticket_;
    events().published.store(published_, std::memory_order_seq_cst);
  }
  WakeRunner();
}

// Sequentially consistent on both sides: either the runner, about to sleep, sees what was just
// published, or this sees that it sleeps.
void HostEnd::WakeRunner() {
  if (asleep() && sleep_seen_ != woken_sleep_) {
    woken_sleep_ = sleep_seen_;
    Signal(runner_wake_.get());
  }
}

Status HostEnd::BeginEpoch() {
  CATCHUP_CHECK(!broken_.ok() || failed_ticket_ != 0);
  // As the epoch left them: what the runner writes from here on is held against the new one.
  if (!TakeWords()) {
    return broken_;
  }
  failure_seen_ = false;
  failed_ticket_ = 0;
  ++epoch_;
  epoch_ticket_ = last_ticket_ + 1;
  epoch_begin_ = written_;
  freed_ = written_;
  published_ = written_;
  last_published_ticket_ = last_ticket_;
  events().wake_at_settled.store(kNoWake, std::memory_order_relaxed);
  events().published.store(published_, std::memory_order_relaxed);
  events().epoch_ticket.store(epoch_ticket_, std::memory_order_relaxed);
  events().epoch_begin.store(epoch_begin_, std::memory_order_relaxed);
  events().epoch.store(epoch_, std::memory_order_seq_cst);
  WakeRunner();
  return {};
}

void HostEnd::RequestStop() {
  if (!stop_requested_) {
    stop_requested_ = true;
    events().stop.store(1, std::memory_order_seq_cst);
  }
  Signal(runner_wake_.get());
}

Result<Ticket> HostEnd::PollSettled() {
  const Ticket before = settled_;
  if (!TakeWords()) {
    return broken_;
  }
  ForgetKey();
  settled_ = std::max(settled_, settled_seen_);
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

bool HostEnd::WakeWhenSettled(Ticket ticket) {
  events().wake_at_settled.store(ticket, std::memory_order_seq_cst);
  // Only looked at: PollSettled is what takes it. A wrong word is for that one to report, so it is
  // called at once.
  Ticket settled = settled_seen_;
  return TakeSettled(&settled) && std::max(settled, settled_) < ticket;
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
    call.ticket = HasEvents(call.kind) ? call_ticket_seen_ : 0;
    if (outcomes().call.load(std::memory_order_relaxed) == seals_->call.Close(call_seen_)) {
      break;
    }
  }
  if (!IsKnown(call.kind)) {
    (void)Break(StrCat("the runner says that it is in call ", static_cast<std::uint32_t>(call.kind),
                       ": no call has that number"));
    return {};
  }
  return call;
}

const LinesByLevel& HostEnd::log_lines_dropped() {
  (void)TakeDropped();
  return lines_dropped_seen_;
}

bool HostEnd::asleep() { return TakeSleep() && (sleep_seen_ & 1) != 0; }

bool HostEnd::idle() const {
  const bool has_all =
      written_ == published_ &&
      (settled_ == last_published_ticket_ || last_published_ticket_ < epoch_ticket_) &&
      outcomes().event_read.load(std::memory_order_acquire) ==
          seals_->event_read.Close(published_ / kRecordAlign);
  return failure_seen_ || has_all;
}

void HostEnd::Nudge() {
  if (broken_.ok() && !idle()) {
    Signal(runner_wake_.get());
  }
}

}  // namespace catchup
