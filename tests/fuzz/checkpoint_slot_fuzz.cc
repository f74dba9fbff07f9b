// Any bytes as a slot of a checkpoint file, with the check sum that fits: what a newer version may
// have written, or a bug. What is accepted can be written again and reads the same.
#include <string>

#include "host/base/check.h"
#include "host/store/bytes.h"
#include "host/store/checkpoint_slot.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace catchup;
  // A whole slot that is broken off or too long, without a sum of ours.
  (void)DecodeSlot(0, fuzz::AsText(bytes, size));
  std::string slot(fuzz::AsText(bytes, size).substr(0, kSlotBytes - kSumBytes));
  slot.resize(kSlotBytes - kSumBytes);
  AppendSum(&slot);
  const auto content = DecodeSlot(0, slot);
  if (!content.ok()) {
    CATCHUP_CHECK(fuzz::IsOneLine(content.status().message()));
    return 0;
  }
  const std::string again = EncodeSlot(0, *content);
  const auto same = DecodeSlot(0, again);
  CATCHUP_CHECK(same.ok() && EncodeSlot(0, *same) == again);
  return 0;
}
