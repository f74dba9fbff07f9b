#include "host/engine/runner_pacing.h"

#include <utility>

#include "host/engine/backoff.h"

namespace catchup {
namespace {

constexpr Backoff kRespawn{std::chrono::seconds(1), RunnerPacing::kSlowest};

}  // namespace

RunnerPacing::Verdict RunnerPacing::OnDeath(std::chrono::nanoseconds now, std::uint64_t random,
                                            bool charged) {
  const auto begun_at = std::exchange(begun_at_, std::nullopt);
  if (settled_since_death_) {
    settled_since_death_ = false;
    attempt_ = 0;
    never_begun_ = 0;
    deaths_.assign(1, now);
    return {};
  }
  while (!deaths_.empty() && now - deaths_.front() > kDeathPeriod) {
    deaths_.pop_front();
  }
  deaths_.push_back(now);
  never_begun_ = begun_at ? 0 : never_begun_ + 1;
  on_probation_ = on_probation_ && !charged && !(begun_at && now - *begun_at >= kDeathPeriod);
  if (!charged && (on_probation_ || deaths_.size() > kMaxDeaths || never_begun_ > kMaxDeaths)) {
    return {.give_up = true, .delay = {}};
  }
  return {.give_up = false, .delay = kRespawn.Delay(attempt_++, random)};
}

void RunnerPacing::Forgive(std::uint64_t deaths) {
  for (; deaths > 0 && !deaths_.empty(); --deaths) {
    deaths_.pop_back();
  }
  attempt_ = 0;
}

}  // namespace catchup
