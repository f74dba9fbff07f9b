#include "host/daemon/group/group_slot.h"

#include <algorithm>
#include <string>
#include <utility>

#include "host/base/time_text.h"
#include "host/daemon/text/hold_text.h"
#include "host/engine/engine_text.h"

namespace catchup {

GroupSlot::GroupSlot(const GroupConfig& config, GroupServices services, bool stop_on_caught_up)
    : config_(config),
      services_(std::move(services)),
      stop_on_caught_up_(stop_on_caught_up),
      group_(std::make_unique<Group>(config_, services_, stop_on_caught_up_)) {
  last_.name = config_.name;
  last_.finished = true;
}

GroupSlot::~GroupSlot() {
  Close();
  gate_->Close([] {});
}

void GroupSlot::Start() {
  const MutexLock lock(&mutex_);
  group_->Start();
}

void GroupSlot::Stop() {
  bool first = false;
  {
    const MutexLock lock(&mutex_);
    first = !std::exchange(ending_, true);
    // A drain that a command has begun is not to be forced by the first word.
    if (group_ != nullptr && !std::exchange(drains_, false)) {
      group_->Stop();
    }
  }
  if (first) {
    services_.reactor->Post(Gate::Wrap(gate_, [this] {
      on_reactor_.AssertHeld();
      if (asked_ != nullptr) {
        asked_->Shutdown();
      }
      if (command_.has_value()) {
        Finish(ControlAnswer::Kind::kEnding,
               "the host is ending; what it has stored of the command stays");
      }
    }));
  }
}

void GroupSlot::Close() {
  std::unique_ptr<Group> old;
  {
    const MutexLock lock(&mutex_);
    ending_ = true;
    while (ordering_) {
      changed_.Wait(&mutex_);
    }
  }
  LetGo();
}

// The host ends, so no command takes the group away meanwhile.
void GroupSlot::SettleSinks(Clock::time_point deadline) {
  Group* group = nullptr;
  {
    const MutexLock lock(&mutex_);
    ending_ = true;
    while (ordering_) {
      changed_.Wait(&mutex_);
    }
    group = group_.get();
  }
  if (group != nullptr) {
    group->SettleSinks(deadline);
  }
}

GroupStatus GroupSlot::Glance() {
  const MutexLock lock(&mutex_);
  GroupStatus status = group_ != nullptr ? group_->Glance() : last_;
  status.held = status.held || commanded_;
  if (status.state == GroupState::kGivenUp && retry_at_.has_value()) {
    const auto left = std::max<Clock::duration>(*retry_at_ - Clock::now(), {});
    status.reason += std::string(kNextTryIn) + FormatDuration(left);
    status.retry_at = retry_at_;
  }
  if (status.finished && stopped_by_command_) {
    status.held = true;
    const bool well = status.state == GroupState::kStopped || status.reason.empty();
    status.reason =
        StoppedByCommand(config_.name) +
        (well ? ""
              : "; it was " + std::string(GroupStateName(status.state)) + ": " + status.reason);
    status.state = GroupState::kStopped;
  }
  return status;
}

bool GroupSlot::CheckpointSafe() {
  const MutexLock lock(&mutex_);
  return group_ != nullptr ? group_->CheckpointSafe() : last_safe_;
}

void GroupSlot::SetHead(const std::optional<Witness>& head) {
  const MutexLock lock(&mutex_);
  if (group_ != nullptr) {
    group_->SetHead(head);
  }
}

void GroupSlot::AccessChanged() {
  const MutexLock lock(&mutex_);
  if (group_ != nullptr) {
    group_->AccessChanged();
  }
}

void GroupSlot::LeaveNode(const std::string& from, const std::string& to) {
  const MutexLock lock(&mutex_);
  if (group_ != nullptr) {
    group_->LeaveNode(from, to);
  }
}

bool GroupSlot::Running() {
  const MutexLock lock(&mutex_);
  return group_ != nullptr && !group_->Glance().finished;
}

}  // namespace catchup
