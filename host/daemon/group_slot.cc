#include "host/daemon/group_slot.h"

#include <utility>

#include "host/base/check.h"

namespace catchup {

GroupSlot::GroupSlot(const GroupConfig& config, GroupServices services, bool stop_on_caught_up)
    : config_(config),
      services_(std::move(services)),
      stop_on_caught_up_(stop_on_caught_up),
      group_(std::make_unique<Group>(config_, services_, stop_on_caught_up_)) {}

void GroupSlot::Start() {
  if (std::exchange(started_, true)) {
    CATCHUP_CHECK(group_->Glance().finished);
    // The one before first lets go of its checkpoint.
    group_.reset();
    group_ = std::make_unique<Group>(config_, services_, stop_on_caught_up_);
  }
  group_->Start();
}

}  // namespace catchup
