#include "host/engine/lifecycle.h"

#include <utility>

namespace catchup {

void Lifecycle::End(GroupState final_state, std::string reason) {
  const bool worse =
      final_state_ == GroupState::kStopped && final_state != GroupState::kStopped && !finished_;
  if (!ending_ || worse) {
    final_state_ = final_state;
    final_reason_ = std::move(reason);
  }
  ending_ = true;
}

bool Lifecycle::Show(GroupState state, const std::string& reason) {
  if (state == state_ && reason == reason_) [[likely]] {
    return false;
  }
  state_ = state;
  reason_ = reason;
  return true;
}

bool Lifecycle::Report(const Signs& signs) {
  static const std::string kNothing;
  if (finished_) {
    return Show(final_state_, final_reason_);
  }
  if (ending_) {
    return signs.store_trouble.empty()
               ? Show(GroupState::kDraining, final_reason_)
               : Show(GroupState::kDraining, final_reason_ + "; " + signs.store_trouble);
  }
  if (!started_) {
    return false;
  }
  if (!signs.runner_trouble.empty()) {
    return Show(GroupState::kWaiting, signs.runner_trouble);
  }
  if (!signs.call_trouble.empty()) {
    return Show(GroupState::kWaiting, signs.call_trouble);
  }
  if (!signs.store_trouble.empty()) {
    return Show(GroupState::kWaiting, signs.store_trouble);
  }
  if (!signs.source_trouble.empty()) {
    return Show(GroupState::kWaiting, signs.source_trouble);
  }
  if (!signs.begun || !signs.been_live) {
    return Show(GroupState::kStarting, kNothing);
  }
  return Show(signs.caught_up ? GroupState::kCaughtUp : GroupState::kCatchingUp, kNothing);
}

std::string_view Lifecycle::CheckInvariants() const {
  const bool is_final = state_ == GroupState::kStopped || state_ == GroupState::kFailed ||
                        state_ == GroupState::kGivenUp;
  if (is_final != finished_) {
    return "a final state that is not the end, or an end in another state";
  }
  if (!finished_ && ending_ != (state_ == GroupState::kDraining)) {
    return "a group that ends shows another state than draining";
  }
  return {};
}

}  // namespace catchup
