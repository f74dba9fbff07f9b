#include "host/engine/store_wait.h"

#include "host/base/time_text.h"
#include "host/engine/engine_text.h"

namespace catchup {

void StoreWait::OnExhausted(Notice notice, std::string_view text, Turn& turn) {
  const std::chrono::nanoseconds delay = kRetry.Delay(tries_++, turn.random);
  retry_at_ = turn.now + delay;
  std::string what = OneLine(text);
  trouble_ = what + std::string(kNextTryIn) + FormatDuration(delay);
  if (what != what_) {
    what_ = std::move(what);
    turn.TellTry(notice, trouble_, true, tries_, delay);
  }
}

void StoreWait::OnDone(Turn& turn) {
  if (!trouble_.empty()) {
    turn.Tell(Notice::kWaitOver, what_, true);
    Clear();
  }
}

void StoreWait::Clear() {
  what_.clear();
  trouble_.clear();
  tries_ = 0;
  retry_at_.reset();
}

void StoreWait::Hurry() {
  if (retry_at_) {
    retry_at_ = std::chrono::nanoseconds::min();
  }
}

}  // namespace catchup
