#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "host/base/status.h"
#include "host/config/config.h"
#include "host/store/checkpoint_store.h"

namespace catchup {

// The layout of a slot: fixed width, so that an update never grows the file, and small enough to
// lie whole on one page of the database, so that a bad page costs one slot. Little-endian. It is
// part of the file format: a change needs a new kSlotFormat and a reader for the old one.
//
//   0     u32  kSlotFormat
//   4     u8   slot, 0 or 1; tells a slot from a copy of the other one
//   5     u8   1 when there is a checkpoint
//   6     u8   RecordedStart::Kind
//   7     u8   number of witnesses
//   8     u64  running number        16   u64  fencing token
//   24    2 × u64  checkpoint        40   2 × u64  recorded start
//   56    i64  time in 100 ns since 1970
//   64    32   plugin digest         96   32   filter digest
//   128   64   group: u8 length and text
//   192   1024 filter as text: u16 length and text
//   1216  8 × 304  witnesses, newest first: 2 × u64 position, 16 id, u64 revision, u16 length of
//   the
//              stream name, 256 name (zero when it is longer), 6 zero
//   3648  128  zero
//   3776  32   BLAKE2b of all before
inline constexpr std::uint32_t kSlotFormat = 1;
inline constexpr std::size_t kSlotBytes = 3808;

using Digest32 = std::array<std::uint8_t, 32>;

// A slot's content: the record and what the store keeps beside it.
struct SlotContent {
  CheckpointRecord record;
  std::string group;
  Digest32 filter_digest{};
  std::string filter_text;
};

// kSlotBytes bytes for slot `slot` (0 or 1). A text longer than its place is cut.
std::string EncodeSlot(std::uint8_t slot, const SlotContent& content);

// kCorrupt when size, check sum or any field is not what EncodeSlot writes for `slot`;
// kIncompatible for another format under a good check sum.
Result<SlotContent> DecodeSlot(std::uint8_t slot, std::string_view body);

// The row of the desired state: state, time and a check sum.
inline constexpr std::size_t kDesiredBytes = 48;
std::string EncodeDesired(DesiredState desired, std::int64_t time_ticks);
Result<DesiredState> DecodeDesired(std::string_view body);

// Order and repetition of prefixes mean nothing, so neither changes the digest or the text.
// Everything else in a filter does.
Digest32 FilterDigest(const EventFilter& filter);
// As 'event_type with system_events "order-", "invoice-"', cut to what a slot holds.
std::string FilterText(const EventFilter& filter);

}  // namespace catchup
