#include "host/engine/doubt.h"

#include <algorithm>
#include <bit>

namespace catchup {
namespace {

constexpr std::uint32_t kHistoryMask = (1u << Doubt::kBudgetWindow) - 1;

}  // namespace

const Doubt::Type* Doubt::Find(std::string_view type) const {
  const auto found = types_.find(type);
  return found == types_.end() ? nullptr : &found->second;
}

Doubt::Type& Doubt::Of(std::string_view type, std::chrono::nanoseconds now) {
  auto found = types_.find(type);
  if (found == types_.end()) {
    if (types_.size() >= kMaxTypes) {
      const auto oldest = std::min_element(types_.begin(), types_.end(), [](auto& a, auto& b) {
        // Held ones last: a hold is forgotten only by what ends it.
        return std::pair(a.second.hold, a.second.failed_at) <
               std::pair(b.second.hold, b.second.failed_at);
      });
      holds_ -= oldest->second.hold == Hold::kNone ? 0 : 1;
      types_.erase(oldest);
    }
    found = types_.try_emplace(std::string(type)).first;
  }
  found->second.failed_at = now;
  return found->second;
}

void Doubt::Fail(Type* type, std::chrono::nanoseconds now) {
  type->failed_at = now;
  if (!type->failing) {
    type->failing = true;
    type->successes_then = successes_;
  }
}

Doubt::Ended Doubt::OnSuccess(std::string_view type, bool live) {
  ++successes_;
  const auto found = types_.find(type);
  if (found == types_.end()) {
    return {};
  }
  Type& record = found->second;
  Ended ended;
  ended.streak = record.streak > 0 ? record.streak_number : 0;
  ended.hold = record.hold == Hold::kByItself;
  record.streak = record.failed_probes = 0;
  record.failing = false;
  if (live) {
    record.history = (record.history << 1) & kHistoryMask;
  }
  if (ended.hold) {
    record.hold = Hold::kNone;
    --holds_;
  }
  if (record.history == 0 && record.hold == Hold::kNone) {
    types_.erase(found);
  }
  return ended;
}

bool Doubt::Opens(std::string_view type) const {
  const Type* record = Find(type);
  return record != nullptr && record->streak + 1 >= kStreakThatOpens;
}

std::uint32_t Doubt::OnParked(std::string_view type, std::chrono::nanoseconds now) {
  Type& record = Of(type, now);
  Fail(&record, now);
  if (record.streak++ == 0) {
    record.streak_number = ++streaks_;
  }
  record.history = (record.history << 1) & kHistoryMask;
  return record.streak_number;
}

bool Doubt::OnProbeFailed(std::string_view type, std::chrono::nanoseconds now) {
  Type& record = Of(type, now);
  Fail(&record, now);
  ++record.failed_probes;
  return record.hold == Hold::kNone && record.failed_probes >= kProbesThatHold &&
         successes_ - record.successes_then >= kSuccessesOfOthers;
}

bool Doubt::OverBudget(std::string_view type) const {
  const Type* record = Find(type);
  if (budget_ == 0 || record == nullptr) {
    return false;
  }
  const std::uint32_t then = ((record->history << 1) | 1) & kHistoryMask;
  return static_cast<std::uint32_t>(std::popcount(then)) > budget_;
}

void Doubt::OnTextLetter(std::string_view type, std::chrono::nanoseconds now) {
  Type& record = Of(type, now);
  Fail(&record, now);
  record.history = ((record.history << 1) | 1) & kHistoryMask;
}

bool Doubt::SetHold(std::string_view type, Hold hold, std::chrono::nanoseconds now) {
  if (Find(type) == nullptr && holds_ >= kMaxTypes) {
    return false;
  }
  Type& record = Of(type, now);
  holds_ += record.hold == Hold::kNone ? 1 : 0;
  record.hold = hold;
  return true;
}

bool Doubt::EndHold(std::string_view type) {
  const auto found = types_.find(type);
  if (found == types_.end() || found->second.hold == Hold::kNone) {
    return false;
  }
  --holds_;
  types_.erase(found);
  return true;
}

Doubt::Hold Doubt::HoldOf(std::string_view type) const {
  const Type* record = Find(type);
  return record == nullptr ? Hold::kNone : record->hold;
}

std::uint32_t Doubt::streak(std::string_view type) const {
  const Type* record = Find(type);
  return record == nullptr ? 0 : record->streak;
}

void Doubt::Forget() {
  types_.clear();
  holds_ = 0;
}

}  // namespace catchup
