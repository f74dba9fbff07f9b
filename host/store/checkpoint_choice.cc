#include "host/store/checkpoint_choice.h"

#include <fmt/core.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "host/base/position.h"
#include "host/base/time_text.h"

namespace catchup {
namespace {

std::string WayOut(const std::filesystem::path& folder) {
  return fmt::format(
      "; restore the file from a backup, or begin anew: catchup reset {} --to beginning",
      folder.filename().string());
}

// The way out where a file is whole, and not ours to replace.
std::string ForeignWayOut(const std::filesystem::path& folder) {
  return fmt::format(
      "; restore the file from a backup, or begin anew: stop the host and move the folder {} away",
      folder.string());
}

// What can be told from two good slots about the disk: numbers are given out in turn, and
// EqualSlots writes two equal ones.
std::string LostWrite(std::uint64_t older, std::uint64_t newer) {
  if (newer - older <= 1) {
    return {};
  }
  return fmt::format(
      "a slot holds write {} where {} was wanted: the disk has lost a write that it had confirmed",
      older, newer - 1);
}

// Does what ChooseSlot() does, for whatever group.
Result<CheckpointChoice> Choose(const CheckpointFile::Image& image,
                                const std::filesystem::path& file) {
  std::array<std::optional<SlotContent>, kSlots> slots;
  std::array<std::string, kSlots> faults;
  for (std::uint8_t i = 0; i < slots.size(); ++i) {
    auto decoded = DecodeSlot(i, image.slots[i]);
    if (decoded.ok()) {
      slots[i] = *std::move(decoded);
    } else if (decoded.status().code() == Status::Code::kIncompatible) {
      return decoded.status().Within(file.string());
    } else {
      faults[i] = decoded.status().message();
    }
  }
  if (!slots[0] && !slots[1]) {
    const std::string whole = image.fault.empty() ? "" : image.fault + ", and ";
    return Status::Corrupt(fmt::format("{}: {}both slots are bad ({}; {}), wanted at least one",
                                       file.string(), whole, faults[0], faults[1]));
  }
  CheckpointChoice found;
  const std::size_t newest =
      !slots[0] || (slots[1] && slots[1]->record.number > slots[0]->record.number) ? 1 : 0;
  found.content = *slots[newest];
  if (slots[0] && slots[1]) {
    const std::string lost =
        LostWrite(slots[1 - newest]->record.number, slots[newest]->record.number);
    const std::string& fault = image.fault.empty() ? lost : image.fault;
    found.warning = fault.empty() ? "" : fmt::format("{}: {}", file.string(), fault);
    return found;
  }
  found.warning =
      fmt::format("{}: slot {} of 2 is bad ({}), the other one is used: some events may come again",
                  file.string(), slots[0] ? "2" : "1", slots[0] ? faults[1] : faults[0]);
  // The bad slot may have been the newer one, and a token is raised by one write. Never give a
  // token out twice.
  ++found.content.record.token;
  ++found.content.record.number;
  return found;
}

}  // namespace

SlotContent NewContent(const std::string& group, const EventFilter& filter) {
  SlotContent content;
  content.group = group;
  content.filter_digest = FilterDigest(filter);
  content.filter_text = FilterText(filter);
  content.record.time_ticks = NowTicks();
  return content;
}

CheckpointFile::Slots EqualSlots(const SlotContent& content) {
  CheckpointFile::Slots slots;
  for (std::uint8_t slot = 0; slot < slots.size(); ++slot) {
    slots[slot] = EncodeSlot(slot, content);
  }
  return slots;
}

Result<CheckpointChoice> ChooseSlot(const CheckpointFile::Image& image, const SlotContent& wanted,
                                    const std::filesystem::path& file) {
  CATCHUP_ASSIGN_OR_RETURN(auto found, Choose(image, file));
  if (found.content.group != wanted.group) {
    return Status::Incompatible(fmt::format("{}: it belongs to group {}, wanted that of group {}",
                                            file.string(), found.content.group, wanted.group));
  }
  return found;
}

Status CheckFilter(const SlotContent& found, const SlotContent& wanted,
                   const std::filesystem::path& file) {
  const auto& checkpoint = found.record.checkpoint;
  if (found.filter_digest == wanted.filter_digest || !checkpoint) {
    return {};
  }
  return Status::Invalid(fmt::format(
      "{}: the filter of the group has changed: checkpoint {} was made with {}, the configuration "
      "says {}; older events of the new filter would be lost, so wanted the old filter, another "
      "group name for the new one, or a word for it: catchup start {} --accept-filter goes on from "
      "there, catchup reset {} --to beginning reads all",
      file.string(), FormatPosition(*checkpoint), found.filter_text, wanted.filter_text,
      wanted.group, wanted.group));
}

Status WithWayOut(const Status& failure, const std::filesystem::path& folder) {
  switch (failure.code()) {
    case Status::Code::kCorrupt:
      return {failure.code(), failure.message() + WayOut(folder)};
    case Status::Code::kIncompatible:
      return {failure.code(), failure.message() + ForeignWayOut(folder)};
    case Status::Code::kDenied:
      return Status::Unavailable(failure.message());
    default:
      return failure;
  }
}

}  // namespace catchup
