#include <catchup/plugin.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "host/base/str_cat.h"
#include "host/ring/host_end.h"

// What the runner reports: outcome records, copied and then checked.

namespace catchup {
namespace {

bool IsFailureStatus(std::int32_t status) {
  return (status > CATCHUP_OK && status <= CATCHUP_FATAL) || status == kRunnerSetupFailed ||
         status == kRunnerContract;
}

}  // namespace

Status HostEnd::CheckSizes(const OutcomeHeader& header, std::uint64_t available) {
  const std::uint64_t wanted = AlignRecord(sizeof header + header.text_size);
  if (header.size % kRecordAlign != 0 || header.size > available || header.size < sizeof header ||
      header.text_size > kMaxErrorText || header.size != wanted) {
    return Status::Corrupt(StrCat("outcome record of ", header.size, " bytes with a text of ",
                                  header.text_size, ": ", available, " bytes were published"));
  }
  return {};
}

Status HostEnd::CheckOutcome(const OutcomeHeader& header) const {
  switch (header.kind) {
    case OutcomeKind::kReady:
      return CheckReady(header);
    case OutcomeKind::kLog:
      if (header.level > CATCHUP_LOG_ERROR) {
        return Status::Corrupt(
            StrCat("the runner logs a line of level ", header.level, ": wanted 0 to 3"));
      }
      return {};
    case OutcomeKind::kStopped:
      return stopped_seen_ ? Status::Corrupt("the runner says twice that it stopped") : Status();
    case OutcomeKind::kFailure:
      return CheckFailure(header);
  }
  return Status::Corrupt(
      StrCat("outcome record of unknown kind ", static_cast<unsigned>(header.kind)));
}

Status HostEnd::CheckReady(const OutcomeHeader& header) const {
  if (ready_seen_ || failure_seen_ || stopped_seen_ || epoch_ != kFirstEpoch) {
    return Status::Corrupt("the runner says that it is ready after it said how it went on");
  }
  if (header.max_events == 0 || header.max_events > kMostEventsPerCall ||
      header.position_mode > 1 || header.loaded > header.position_mode) {
    return Status::Corrupt(StrCat("the runner is ready for ", header.max_events,
                                  " events a call, position mode ", header.position_mode,
                                  ", loaded ", header.loaded, ": wanted 1 to ", kMostEventsPerCall,
                                  " events, and a loaded position in position mode only"));
  }
  return {};
}

Status HostEnd::CheckFailure(const OutcomeHeader& header) const {
  if (failure_seen_ || stopped_seen_) {
    return Status::Corrupt("the runner reports a failure after it said that it failed or stopped");
  }
  if (!IsFailureStatus(header.status) || !IsKnown(header.call)) {
    return Status::Corrupt(StrCat("the runner reports a failure of call ",
                                  static_cast<std::uint32_t>(header.call), " with status ",
                                  header.status, ": one of them is not known"));
  }
  const Ticket first = std::max(settled_ + 1, epoch_ticket_);
  const bool of_event = header.ticket >= first && header.call_first >= epoch_ticket_ &&
                        header.call_first <= header.ticket && header.ticket <= header.call_last &&
                        header.call_last <= last_published_ticket_ &&
                        header.call_last - header.call_first < kMostEventsPerCall;
  const bool of_none = header.ticket == 0 && header.call_first == 0 && header.call_last == 0;
  if (HasEvents(header.call) ? !of_event : !of_none) {
    return Status::Corrupt(StrCat("the runner reports a failure of event ", header.ticket,
                                  " in call ", static_cast<std::uint32_t>(header.call), " for ",
                                  header.call_first, " to ", header.call_last, ": events ", first,
                                  " to ", last_published_ticket_, " were its to handle"));
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
    return Status::Corrupt(StrCat("the runner published an outcome of ", available,
                                  " bytes: wanted at least ", sizeof(OutcomeHeader)));
  }
  // Records may wrap here, since they are copied anyway.
  const std::byte* data = outcome_bytes();
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
    return Status::Corrupt(StrCat("the outcome record at byte ", outcome_read_,
                                  " is not as the runner wrote it: something in its process wrote "
                                  "over memory that is not its own"));
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
    outcome.ticket = header.ticket;
    outcome.call_first = header.call_first;
    outcome.call_last = header.call_last;
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
  if (header.kind != OutcomeKind::kFailure) {
    return;
  }
  failure_seen_ = true;
  failed_ticket_ = header.ticket;
  if (failed_ticket_ > epoch_ticket_) {
    settled_ = failed_ticket_ - 1;
    events().seen_settled.store(settled_, std::memory_order_release);
  }
}

}  // namespace catchup
