// What the runner says: outcomes and log lines.
#include <catchup/plugin.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "host/base/check.h"
#include "host/ring/runner_end.h"

namespace catchup {

bool RunnerEnd::Post(OutcomeHeader header, std::string_view text, std::uint64_t keep_free,
                     PostHow how) {
  const std::uint64_t size = AlignRecord(sizeof header + text.size());
  header.size = static_cast<std::uint32_t>(size);
  header.text_size = static_cast<std::uint32_t>(text.size());
  const MutexLock lock(&post_mutex_);
  if (!posted_.Intact(outcomes().outcome_published)) [[unlikely]] {
    Damaged(kPostedDamage);
  }
  if (damage() != nullptr) [[unlikely]] {
    if (how == PostHow::kIfIntact) {
      return false;
    }
    // Whatever writes there may well go on, and would write over the word that tells of it. Where
    // the system refuses, the record is as likely to be heard as before.
    if (!moved_ && outcome_mapping_.data() != nullptr && outcome_mapping_.MoveAway()) {
      outcomes_ = outcome_mapping_.data();
    }
    moved_ = true;
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
                          std::optional<Position> loaded, std::string_view version) {
  OutcomeHeader header{};
  header.kind = OutcomeKind::kReady;
  header.max_events = max_events;
  header.position_mode = position_mode ? 1 : 0;
  if (loaded.has_value()) {
    header.loaded = 1;
    header.commit = loaded->commit;
    header.prepare = loaded->prepare;
  }
  CATCHUP_CHECK(Post(header, version.substr(0, kMaxVersionText), 0, PostHow::kAlways));
}

void RunnerEnd::PostFailure(CallKind call, std::int32_t status, const FailedEvents& events,
                            std::string_view text) {
  OutcomeHeader header{};
  header.kind = OutcomeKind::kFailure;
  header.call = call;
  header.status = status;
  header.ticket = events.ticket;
  header.call_first = events.call_first;
  header.call_last = events.call_last;
  // Log lines leave room for one failure, and after a failure the runner takes no event until the
  // host has read it and begun another epoch.
  CATCHUP_CHECK(Post(header, text.substr(0, kMaxErrorText), 0, PostHow::kAlways));
}

void RunnerEnd::PostStopped(std::string_view breach) {
  OutcomeHeader header{};
  header.kind = OutcomeKind::kStopped;
  CATCHUP_CHECK(Post(header, breach.substr(0, kMaxBreachText), 0, PostHow::kAlways));
}

void RunnerEnd::Log(std::uint16_t level, std::string_view text) {
  OutcomeHeader header{};
  header.kind = OutcomeKind::kLog;
  header.level = level;
  const std::uint64_t keep_free = kOutcomeReserve + (level < CATCHUP_LOG_WARN ? 2 * kWorseLogReserve
                                                     : level < CATCHUP_LOG_ERROR ? kWorseLogReserve
                                                                                 : 0);
  if (!Post(header, text.substr(0, kMaxLogText), keep_free, PostHow::kIfIntact)) {
    const MutexLock lock(&post_mutex_);
    OwnWord& dropped = lines_dropped_[level];
    (void)Write(&dropped, &outcomes().log_lines_dropped[level], dropped.number() + 1,
                std::memory_order_relaxed, kPostedDamage);
  }
}

void RunnerEnd::SignalHost() const {
  const std::uint64_t one = 1;
  // Fails only with a full counter, when a wake-up is pending anyway.
  (void)!write(host_wake_, &one, sizeof one);
}

}  // namespace catchup
