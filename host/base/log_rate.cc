#include "host/base/log_rate.h"

#include <algorithm>
#include <utility>

namespace catchup {
namespace {

constexpr std::chrono::seconds kSecond{1};
constexpr std::chrono::milliseconds kBetweenLooks{200};

}  // namespace

LogRate::Budget& LogRate::Find(const Key& key, std::uint32_t burst, Time now) {
  auto found = budgets_.find({std::string(key.msg), std::string(key.group), key.level});
  if (found == budgets_.end()) {
    const bool full = budgets_.size() >= kMaxBudgets;
    auto own = full ? std::tuple(std::string(), std::string(), key.level)
                    : std::tuple(std::string(key.msg), std::string(key.group), key.level);
    found = budgets_.try_emplace(std::move(own), Budget{burst, burst, now, 0, {}, {}, {}}).first;
  }
  Refill(&found->second, now);
  return found->second;
}

void LogRate::Refill(Budget* budget, Time now) const {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now - budget->refilled);
  if (seconds >= kSecond) {
    const auto more = static_cast<std::uint64_t>(seconds.count()) * lines_per_second_;
    budget->left =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(budget->burst, budget->left + more));
    budget->refilled += seconds;
  }
}

bool LogRate::Admit(const Key& key, std::uint32_t burst, Time now, std::string_view position) {
  Budget& budget = Find(key, burst, now);
  if (budget.left > 0) {
    --budget.left;
    return true;
  }
  AddLeftOut(key, 1, burst, now);
  if (!position.empty()) {
    if (budget.first_position.empty()) {
      budget.first_position = position;
    }
    budget.last_position = position;
  }
  return false;
}

void LogRate::AddLeftOut(const Key& key, std::uint64_t count, std::uint32_t burst, Time now) {
  Budget& budget = Find(key, burst, now);
  if (budget.left_out == 0) {
    budget.left_out_since = now;
  }
  budget.left_out += count;
}

std::vector<LogRate::LeftOut> LogRate::TakeLeftOut(Time now, bool all) {
  std::vector<LeftOut> told;
  if (!all && now < next_look_) {
    return told;
  }
  next_look_ = now + kBetweenLooks;
  for (auto at = budgets_.begin(); at != budgets_.end();) {
    Budget& budget = at->second;
    if (budget.left_out > 0 && (all || now - budget.left_out_since >= kSecond)) {
      const auto& [msg, group, level] = at->first;
      told.push_back({msg, group, level, budget.left_out, std::move(budget.first_position),
                      std::move(budget.last_position)});
      budget.left_out = 0;
      budget.first_position.clear();
      budget.last_position.clear();
    }
    Refill(&budget, now);
    // A full budget is as good as none.
    const bool is_spent = budget.left < budget.burst || budget.left_out > 0;
    at = is_spent ? std::next(at) : budgets_.erase(at);
  }
  return told;
}

}  // namespace catchup
