#include "host/engine/prober.h"

namespace catchup {
namespace {

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
    tries_ = 0;
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

void Prober::OnTryBegun(std::chrono::nanoseconds now) {
  begun_ = now;
  ++tries_;
}

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
  const bool long_gone =
      tries_ >= pace_.quick_tries || (since_ && after - *since_ >= pace_.quick_for);
  next_ = after + (long_gone ? pace_.slow : pace_.quick).Delay(0, random);
}

}  // namespace catchup
