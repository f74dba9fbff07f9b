#include "host/daemon/letters/failed_calls.h"

#include <algorithm>

#include "host/base/text.h"
#include "host/daemon/letters/letter_classes.h"

namespace catchup {

void FailedCalls::Note(LaneNumber lane, Sequence sequence, FailureClass failure,
                       std::string_view text, std::int64_t now_ticks) {
  Calls& failed = sequence == kLetterCall ? calls_.back() : calls_[lane];
  if (failed.sequence != sequence || sequence == kLetterCall) {
    failed = {.sequence = sequence, .first_ticks = now_ticks, .calls = {}, .text = {}};
  }
  if (failed.calls.size() == kMaxLetterCalls) {
    failed.calls.erase(failed.calls.begin());
  }
  failed.calls.push_back({now_ticks, ClassOf(failure), CutText(text, kMaxLetterCallText)});
  failed.text = last_text_ = CutText(text, kMaxLetterReason);
}

const FailedCalls::Calls* FailedCalls::Find(Sequence sequence) const {
  const auto found = std::find_if(calls_.begin(), calls_.end(),
                                  [&](const Calls& failed) { return failed.sequence == sequence; });
  return found == calls_.end() ? nullptr : &*found;
}

}  // namespace catchup
