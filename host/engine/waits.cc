#include "host/engine/waits.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "host/base/time_text.h"
#include "host/engine/engine_text.h"

namespace catchup {

void Waits::OpenBreaker(const std::string& why, const InPlace& place, Turn& turn) {
  parts_.breaker.Open(turn.now, turn.random);
  parts_.trouble.SetOpened(why);
  SetTrouble(fmt::format("breaker open, {}; last: {}{}{}", why, place.text, kNextTryIn,
                         FormatDuration(*parts_.breaker.open_until() - turn.now)),
             place, turn);
}

void Waits::ReopenBreaker(const std::string& last, Turn& turn) {
  if (parts_.life.ending()) {
    return;
  }
  parts_.breaker.Reopen(turn.now, turn.random);
  SetTrouble(fmt::format("breaker open, {}; the call that was to try it failed; last: {}{}{}",
                         parts_.trouble.opened(), last, kNextTryIn,
                         FormatDuration(*parts_.breaker.open_until() - turn.now)),
             {}, turn);
}

void Waits::WaitToRetry(InPlace* place, std::chrono::nanoseconds delay, Turn& turn) {
  place->not_before = turn.now + delay;
  SetTrouble(place->text + std::string(kNextTryIn) + FormatDuration(delay), *place, turn);
}

void Waits::SetTrouble(std::string text, const InPlace& place, Turn& turn) {
  if (parts_.trouble.Wait(text)) {
    const auto until = parts_.breaker.open() ? *parts_.breaker.open_until() : place.not_before;
    turn.TellTry(Notice::kCallsWait, std::move(text), false,
                 std::max<std::uint32_t>(place.calls, 1),
                 std::max(until - turn.now, std::chrono::nanoseconds(0)));
    if (place.sequence != 0) {
      turn.out->back().failure = place.failure;
      turn.out->back().from = parts_.ledger.PositionOf(place.sequence);
    }
  }
}

}  // namespace catchup
