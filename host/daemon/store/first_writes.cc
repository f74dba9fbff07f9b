#include "host/daemon/store/first_writes.h"

namespace catchup {

FirstWrites::Step FirstWrites::OnReady(const Ready& runner, bool refused) {
  if (refused) {
    return Step::kTell;
  }
  if (writing_) {
    waiting_.push_back(runner);
    return Step::kWait;
  }
  if (filter_changed_ && !runner.outcome.loaded.has_value()) {
    // Nothing was handled under the old filter; the new one is durable before its first event is,
    // so that no position of the plugin's is taken for the old one's.
    writing_ = true;
    return Step::kFilter;
  }
  if (reset_.has_value()) {
    // The runner has put the plugin's own position where it is to be, or the plugin keeps none.
    writing_ = true;
    return Step::kReset;
  }
  return Step::kTell;
}

void FirstWrites::OnWritten(Step step) {
  writing_ = false;
  if (step == Step::kFilter) {
    filter_changed_ = false;
  } else {
    reset_.reset();
  }
}

std::vector<FirstWrites::Ready> FirstWrites::TakeWaiting() {
  writing_ = false;
  return std::exchange(waiting_, {});
}

}  // namespace catchup
