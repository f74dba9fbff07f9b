#include "host/daemon/group_slot.h"

#include <utility>

#include "host/base/check.h"

namespace catchup {

GroupSlot::GroupSlot(const GroupConfig& config, GroupServices services, bool stop_on_caught_up)
    : config_(config), services_(std::move(services)), stop_on_caught_up_(stop_on_caught_up) {}

void GroupSlot::Start() {
  CATCHUP_CHECK(group_ == nullptr || group_->Glance().finished);
  // The one before first lets go of its checkpoint.
  group_.reset();
  group_ = std::make_unique<Group>(config_, services_, stop_on_caught_up_);
  group_->Start();
}

void GroupSlot::Stop() {
  if (group_ != nullptr) {
    group_->Stop();
  }
}

void GroupSlot::Close() {
  if (group_ != nullptr) {
    group_->Close();
  }
}

GroupStatus GroupSlot::Glance() {
  if (group_ != nullptr) {
    return group_->Glance();
  }
  GroupStatus status;
  status.name = config_.name;
  return status;
}

void GroupSlot::SetHead(const std::optional<Position>& head) {
  if (group_ != nullptr) {
    group_->SetHead(head);
  }
}

bool GroupSlot::CheckpointSafe() { return group_ == nullptr || group_->CheckpointSafe(); }

}  // namespace catchup
