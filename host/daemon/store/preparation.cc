#include "host/daemon/store/preparation.h"

#include <utility>

#include "host/base/log.h"
#include "host/daemon/text/hold_text.h"
#include "host/store/checkpoint_slot.h"

namespace catchup {
namespace {

static_assert(kMaxGroupName <= kMaxSlotGroup, "a checkpoint keeps the name of its group");

// Whether `found` is what `wanted` was written down as, so that it stands. An "end" that was the
// end of an empty log must stand: read anew it would skip what has come since.
bool Matches(const RecordedStart& found, const GroupStart& wanted) {
  const bool was_empty =
      found.kind == RecordedStart::Kind::kBeginning && found.position == kEndOfLog;
  switch (wanted.kind) {
    case GroupStart::Kind::kBeginning:
      return found.kind == RecordedStart::Kind::kBeginning && !was_empty;
    case GroupStart::Kind::kPosition:
      return found.kind == RecordedStart::Kind::kPosition && found.position == wanted.position;
    case GroupStart::Kind::kEnd:
      return was_empty;
  }
  return false;
}

}  // namespace

Status Preparation::Run() {
  if (step_ == Step::kOpen) {
    CATCHUP_RETURN_IF_ERROR(OpenStore());
    hold_ = FindHold();
    step_ = hold_.has_value() ? Step::kHeld : Step::kStage;
  }
  if (step_ == Step::kStage) {
    CATCHUP_RETURN_IF_ERROR(StagePluginFile());
    step_ = Step::kLookAtStart;
  }
  if (step_ == Step::kLookAtStart) {
    CATCHUP_RETURN_IF_ERROR(LookAtStart());
  }
  if (step_ == Step::kWriteStart) {
    CATCHUP_RETURN_IF_ERROR(store_->Save(record_));
    step_ = Step::kDone;
  }
  return {};
}

std::string_view Preparation::what() const {
  switch (step_) {
    case Step::kOpen:
      return "checkpoint not opened";
    case Step::kStage:
      return "plugin not copied";
    case Step::kHeld:
    case Step::kLookAtStart:
    case Step::kAwaitHead:
    case Step::kWriteStart:
    case Step::kDone:
      break;
  }
  return "start not written";
}

Status Preparation::OpenStore() {
  CATCHUP_ASSIGN_OR_RETURN(store_,
                           CheckpointStore::Open(state_.groups(), config_.name, config_.filter));
  if (!store_->warning().empty()) {
    Log(LogLevel::kWarn, "Checkpoint store damaged", "Group.Start", config_.name,
        {{"reason", store_->warning()}});
  }
  return {};
}

std::optional<Hold> Preparation::FindHold() const {
  if (store_->desired() != DesiredState::kRunning) {
    return Hold{GroupState::kStopped, StoppedByCommand(config_.name)};
  }
  if (store_->fence() != 0) {
    return Hold{GroupState::kHalted,
                FencedText(config_.name, store_->fence(), store_->record().token)};
  }
  return std::nullopt;
}

Status Preparation::StagePluginFile() {
  CATCHUP_ASSIGN_OR_RETURN(const auto file, FindPlugin(plugin_directories_, config_.plugin));
  CATCHUP_ASSIGN_OR_RETURN(plugin_, StagePlugin(file, state_.plugins(), config_.sha256));
  return {};
}

// A new group's start is written down before its first event: a plugin that keeps its own position
// may ask for it again at any time, and "end" means the end as it was then. While there is no
// checkpoint, another start in the configuration takes its place.
Status Preparation::LookAtStart() {
  record_ = store_->record();
  const bool is_new = record_.start.kind == RecordedStart::Kind::kUnknown;
  if (store_->reset().has_value()) {
    // An operator said so, whom the configuration does not overrule.
    record_.start.kind = is_new ? RecordedStart::Kind::kBeginning : record_.start.kind;
    step_ = is_new ? Step::kWriteStart : Step::kDone;
    return {};
  }
  if (!is_new && (record_.checkpoint.has_value() || Matches(record_.start, config_.start))) {
    step_ = Step::kDone;
    return {};
  }
  if (!is_new) {
    Log(LogLevel::kInfo, "Start changed", "Group.Start", config_.name,
        {{"reason", "there is no checkpoint yet, and the configuration names another start"}});
  }
  record_.start = {RecordedStart::Kind::kBeginning, {}};
  step_ = Step::kWriteStart;
  if (config_.start.kind == GroupStart::Kind::kPosition) {
    record_.start = {RecordedStart::Kind::kPosition, config_.start.position};
  }
  if (config_.start.kind == GroupStart::Kind::kEnd) {
    record_.start.position = kEndOfLog;
    step_ = Step::kAwaitHead;
  }
  return {};
}

void Preparation::SetHead(std::optional<Position> head) {
  if (head.has_value()) {
    record_.start = {RecordedStart::Kind::kPosition, *head};
    record_.checkpoint = head;
  }
  step_ = Step::kWriteStart;
}

}  // namespace catchup
