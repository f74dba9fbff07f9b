#include "host/engine/runner_pacing.h"

#include "host/engine/backoff.h"

namespace catchup {
namespace {

constexpr Backoff kRespawn{std::chrono::seconds(1), std::chrono::seconds(60)};

}  // namespace

RunnerPacing::Verdict RunnerPacing::OnDeath(std::chrono::nanoseconds now, std::uint64_t random) {
  if (settled_since_death_) {
    settled_since_death_ = false;
    attempt_ = 0;
    deaths_.assign(1, now);
    return {};
  }
  while (!deaths_.empty() && now - deaths_.front() > kDeathPeriod) {
    deaths_.pop_front();
  }
  deaths_.push_back(now);
  if (deaths_.size() > kMaxDeaths) {
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
