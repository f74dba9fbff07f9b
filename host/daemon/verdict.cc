#include "host/daemon/verdict.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>

namespace catchup {
namespace {

constexpr std::chrono::milliseconds kSameWish{50};

}  // namespace

Verdict::Wish Verdict::Told(const ReceivedSignal& signal, TimePoint at) {
  if (told_at_.has_value() && at - *told_at_ < kSameWish) {
    return Wish::kSaidBefore;
  }
  limit_reached_ = limit_reached_ || signal.number == SIGXCPU;
  ++wishes_;
  if (told_at_.has_value()) {
    return Wish::kForce;
  }
  told_at_ = at;
  return Wish::kStop;
}

int Verdict::ExitCode(const std::vector<GroupEnd>& groups) const {
  const bool forced = wishes_ > 1;
  const bool asked = wishes_ > 0;
  const bool failed = gave_up_ || lost_state_ || forced || limit_reached_ ||
                      std::any_of(groups.begin(), groups.end(), [asked](const GroupEnd& group) {
                        return !group.checkpoint_safe ||
                               (!asked && (IsFailure(group.status.state) || group.status.held));
                      });
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

bool Verdict::IsFailure(GroupState state) {
  return state == GroupState::kFailed || state == GroupState::kGivenUp;
}

}  // namespace catchup
