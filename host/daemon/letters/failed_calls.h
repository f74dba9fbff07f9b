#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/engine/command.h"
#include "host/engine/failure.h"
#include "host/store/letter.h"

namespace catchup {

// The calls that failed last, of the event that each lane calls and of the letter that is called:
// what is stored with the letter that comes of them.
class FailedCalls {
 public:
  struct Calls {
    Sequence sequence = 0;  // Of the event, or kLetterCall.
    std::int64_t first_ticks = 0;
    std::vector<LetterCall> calls;  // The last ones of them.
    std::string text;               // Of the last one, up to kMaxLetterReason.
  };

  explicit FailedCalls(LaneNumber lanes) : calls_(lanes + 1) {}

  // One more, at `now_ticks`. A letter's call begins anew each time, since those before are stored.
  void Note(LaneNumber lane, Sequence sequence, FailureClass failure, std::string_view text,
            std::int64_t now_ticks);

  // Null where none is known.
  const Calls* Find(Sequence sequence) const;

  const Calls& of_letter() const { return calls_.back(); }
  const std::string& last_text() const { return last_text_; }  // Of all.

 private:
  std::vector<Calls> calls_;  // Of each lane, and of the letter.
  std::string last_text_;
};

}  // namespace catchup
