#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/digest.h"
#include "host/base/event_filter.h"
#include "host/base/status.h"
#include "host/store/checkpoint_file.h"
#include "host/store/checkpoint_store.h"

namespace catchup {

// The layout of a slot, part of the file format. Little-endian:
//
//   0      u32   kCheckpointFormat
//   4      u16   slot, 0 or 1; tells a slot from a copy of the other one
//   6      u16   bytes of the fields
//   8            fields, each u16 type, u16 length, value; zeros behind them
//   8160   32    BLAKE2b of all before
//
// A field of a type that this version does not know is kept and written again, so that a newer
// version may add some without a new format, up to kSpareBytes, and go back. Known types
// (checkpoint_slot.cc) are never reused, and their values never change length or meaning.
inline constexpr std::size_t kSpareBytes = 512;

// The longest name of a group that a slot has room for.
inline constexpr std::size_t kMaxSlotGroup = 63;

// A slot's content: the record and what the store keeps beside it.
struct SlotContent {
  CheckpointRecord record;
  std::string group;
  DesiredState desired = DesiredState::kRunning;
  std::optional<ResetOrder> reset;
  std::uint64_t fence = 0;
  Digest32 filter_digest{};
  std::string filter_text;
  std::string unknown;  // Fields of a newer version, as they stand.
};

// kSlotBytes bytes for slot `slot` (0 or 1). A text longer than its place is cut.
std::string EncodeSlot(std::uint8_t slot, const SlotContent& content);

// kCorrupt when size, check sum or any field is not what EncodeSlot writes for `slot`;
// kIncompatible for another format under a good check sum.
Result<SlotContent> DecodeSlot(std::uint8_t slot, std::string_view bytes);

// Order and repetition of prefixes mean nothing, so neither changes the digest or the text.
// Everything else in a filter does.
Digest32 FilterDigest(const EventFilter& filter);
// As 'event_type with system_events "order-", "invoice-"', cut with … to what a slot holds.
std::string FilterText(const EventFilter& filter);

}  // namespace catchup
