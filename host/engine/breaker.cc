#include "host/engine/breaker.h"

#include <algorithm>

#include "host/engine/backoff.h"

namespace catchup {
namespace {

// More in flight than any window holds, so a limit of it is none.
constexpr std::uint64_t kRampEnd = 4096;

}  // namespace

bool Breaker::OnInfrastructure(std::chrono::nanoseconds now, std::uint64_t random) {
  pristine_ = false;
  ++failures_;
  if (!failing_since_) {
    failing_since_ = now;
  }
  if (failures_ < options_.failures && now - *failing_since_ < kFailingFor) {
    return false;
  }
  Open(now, random);
  return true;
}

void Breaker::Open(std::chrono::nanoseconds now, std::uint64_t random) {
  open_for_ = options_.open;
  opened_at_ = now;
  wrote_ = false;
  OpenFor(open_for_, now, random);
}

void Breaker::Reopen(std::chrono::nanoseconds now, std::uint64_t random) {
  open_for_ = std::min(open_for_ * 2, std::max(options_.max_open, options_.open));
  OpenFor(open_for_, now, random);
}

void Breaker::OpenFor(std::chrono::nanoseconds duration, std::chrono::nanoseconds now,
                      std::uint64_t random) {
  state_ = State::kOpen;
  pristine_ = false;
  successes_ = 0;
  // ±25 %, also above the cap: many groups that wait for one database must not come back together.
  open_until_ = now + Backoff{duration, duration + duration / 4}.Delay(0, random);
}

bool Breaker::TryOut(std::chrono::nanoseconds now) {
  if (!open() || now < open_until_) {
    return false;
  }
  state_ = State::kHalfOpen;
  successes_ = 0;
  return true;
}

void Breaker::Hasten(std::chrono::nanoseconds now) { open_until_ = std::min(open_until_, now); }

void Breaker::CountSuccess(std::uint64_t count) {
  failures_ = 0;
  failing_since_.reset();
  for (; count > 0 && most_in_flight_ != kNoLimit; --count) {
    most_in_flight_ = most_in_flight_ * 2 >= kRampEnd ? kNoLimit : most_in_flight_ * 2;
  }
  pristine_ = closed() && most_in_flight_ == kNoLimit;
}

bool Breaker::OnProbeSuccess() {
  if (++successes_ < kSuccessesToClose) {
    return false;
  }
  state_ = State::kClosed;
  failures_ = 0;
  failing_since_.reset();
  most_in_flight_ = 1;
  return true;
}

bool Breaker::TakeWrote() {
  const bool wrote = wrote_;
  wrote_ = false;
  return wrote;
}

}  // namespace catchup
