#pragma once

#include <filesystem>
#include <string>

#include "host/base/event_filter.h"
#include "host/base/status.h"
#include "host/store/checkpoint_file.h"
#include "host/store/checkpoint_slot.h"

namespace catchup {

// What the two slots of a checkpoint's file amount to, and what is said of it. Pure, but for the
// wall clock in NewContent().

// The content that is believed.
struct CheckpointChoice {
  SlotContent content;
  std::string warning;  // What is wrong and does no harm, naming the file; empty if nothing.
};

// The content of a group that has handled nothing yet.
SlotContent NewContent(const std::string& group, const EventFilter& filter);

// Both slots say the same, so that damage to one of them costs nothing at all.
CheckpointFile::Slots EqualSlots(const SlotContent& content);

// Chooses the valid slot with the higher number. Where the other one is bad, the token counts one
// more than the slot says, since the bad one may have been newer, and no token is given out twice.
//
// kCorrupt: both are bad. kIncompatible: another format, or not of the group of `wanted`.
Result<CheckpointChoice> ChooseSlot(const CheckpointFile::Image& image, const SlotContent& wanted,
                                    const std::filesystem::path& file);

// kInvalid: there is a checkpoint, made with another filter than that of `wanted`.
Status CheckFilter(const SlotContent& found, const SlotContent& wanted,
                   const std::filesystem::path& file);

// A failure to open the store of the group that has `folder`, as it is told to callers: with the
// way out where the file is lost or foreign, and as one that may pass where only a right is
// missing, which an operator gives while the group waits.
Status WithWayOut(const Status& failure, const std::filesystem::path& folder);

}  // namespace catchup
