#include "host/engine/prober.h"

#include "host/engine/backoff.h"

namespace catchup {
namespace {

// Short enough that nobody waits for it, and a call that fails twice a second disturbs nobody.
constexpr Backoff kPace{std::chrono::milliseconds(500), std::chrono::seconds(1)};
constexpr Backoff kSlowPace{std::chrono::seconds(1), std::chrono::seconds(2)};
constexpr std::chrono::nanoseconds kLongGone = std::chrono::seconds(60);

// All that were woken would otherwise connect in the same instant to a server that has only begun.
constexpr std::chrono::nanoseconds kSpread = std::chrono::milliseconds(200);

}  // namespace

void Prober::OnLost(Member member, std::chrono::nanoseconds now, std::uint64_t random) {
  bool& misses = members_[member];
  if (misses) {
    return;
  }
  misses = true;
  if (++missing_ == 1) {
    since_ = now;
    Schedule(now, random);
  }
}

Prober::Wakes Prober::OnFound(Member member, std::chrono::nanoseconds now, std::uint64_t random) {
  Leave(member);
  return WakeAll(now, random);
}

void Prober::Leave(Member member) {
  const auto found = members_.find(member);
  if (found == members_.end()) {
    return;
  }
  missing_ -= found->second ? 1 : 0;
  members_.erase(found);
}

std::optional<std::chrono::nanoseconds> Prober::next_try() const {
  return missing_ != 0 && !begun_ ? std::optional(next_) : std::nullopt;
}

void Prober::OnTryBegun(std::chrono::nanoseconds now) { begun_ = now; }

// A try that took longer than the pace is followed by the next one at once.
Prober::Wakes Prober::OnTryEnded(bool answers, std::chrono::nanoseconds now, std::uint64_t random) {
  const std::chrono::nanoseconds begun = begun_.value_or(now);
  begun_.reset();
  if (answers) {
    return WakeAll(now, random);
  }
  Schedule(begun, random);
  return {};
}

Prober::Wakes Prober::WakeAll(std::chrono::nanoseconds now, std::uint64_t random) {
  Wakes wakes;
  std::chrono::nanoseconds at = now + std::chrono::nanoseconds(random % 1000) *
                                          (kSpread.count() / 1000) /
                                          static_cast<std::int64_t>(missing_ + 1);
  for (auto& [member, misses] : members_) {
    if (misses) {
      misses = false;
      wakes.push_back({member, at});
      at += kSpread / static_cast<std::int64_t>(missing_ + 1);
    }
  }
  missing_ = 0;
  return wakes;
}

void Prober::Schedule(std::chrono::nanoseconds after, std::uint64_t random) {
  const bool long_gone = since_ && after - *since_ >= kLongGone;
  next_ = after + (long_gone ? kSlowPace : kPace).Delay(0, random);
}

}  // namespace catchup
