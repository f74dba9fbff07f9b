#include "host/engine/settle.h"

#include <fmt/core.h>

#include <algorithm>

#include "host/engine/engine_text.h"
#include "host/engine/letters.h"

namespace catchup {

void Settling::SettledOn(Seat& seat, Sequence last, Turn& turn) {
  const auto found = std::find(seat.has.begin(), seat.has.end(), last);
  if (found == seat.has.end()) {
    parts_.Hear(&seat, ContractBreach{fmt::format("settled up to event {}, wanted {}", last,
                                                  parts_.Given(seat))});
    return;
  }
  SettleFirst(seat, static_cast<std::size_t>(found - seat.has.begin()) + 1, turn);
}

void Settling::SettleFirst(Seat& seat, std::size_t count, Turn& turn) {
  if (count == 0) {
    return;
  }
  CountSuccessesOn(seat, count, turn);
  for (; count > 0; --count) {
    seat.settled = seat.has.front();
    seat.has.pop_front();
    parts_.ledger.Settle(seat.settled);
    parts_.streams.Done(seat.settled);
  }
  seat.lane.OnSettled();
  parts_.settled_at = turn.now;
}

void Settling::CountSuccesses(Sequence last, Turn& turn) {
  std::uint64_t count = last - parts_.ledger.settled();
  if (!parts_.Plain() || parts_.doubt.watches()) [[unlikely]] {
    count = 0;
    for (Sequence sequence = parts_.ledger.settled() + 1; sequence <= last; ++sequence) {
      if (parts_.ledger.IsOnLane(sequence)) {
        ++count;
        if (!parts_.ledger.AdvanceAt(sequence)) {
          TypeSucceeded(parts_.NameOf(sequence).type, true, turn);
        }
      }
    }
  } else {
    parts_.doubt.OnSuccesses(count);
  }
  if (count > 0) {
    CallSucceeded(count, turn);
  }
}

// The first `count` events that the lane's runner has.
void Settling::CountSuccessesOn(const Seat& seat, std::size_t count, Turn& turn) {
  for (std::size_t i = 0; parts_.doubt.watches() && i < count; ++i) {
    TypeSucceeded(parts_.NameOf(seat.has[i]).type, true, turn);
  }
  if (!parts_.doubt.watches()) {
    parts_.doubt.OnSuccesses(count);
  }
  CallSucceeded(count, turn);
}

void Settling::TypeSucceeded(std::string_view type, bool live, Turn& turn) {
  const Doubt::Ended ended = parts_.doubt.OnSuccess(type, live);
  if (ended.hold) {
    parts_.book.EndHold(type);
    turn.Add(Command::Kind::kEndHold).text = std::string(type);
    turn.Tell(Notice::kTypeFreed,
              "events of type " + QuotedName(type) + " are not held any more: one succeeded", true);
    Letters::StoreDue(parts_.book.MakeTypeDue(type, turn.now), turn);
  } else if (ended.streak != 0) {
    Letters::StoreDue(parts_.book.MakeStreakDue(type, ended.streak, turn.now), turn);
  }
}

// Half-open there is one call, the probe. Open, a call may end on another lane that had begun
// before.
void Settling::CallSucceeded(std::uint64_t count, Turn& turn) {
  // Beyond so many there is nothing to be gained by a bound.
  constexpr std::uint64_t kMostAhead = 4096;
  for (std::uint64_t i = 0; i < count && parts_.ahead != Breaker::kNoLimit; ++i) {
    parts_.ahead = parts_.ahead >= kMostAhead ? Breaker::kNoLimit : parts_.ahead * 2;
  }
  if (parts_.breaker.open()) {
    return;
  }
  if (!parts_.breaker.half_open()) {
    parts_.breaker.OnSuccess(count);
  } else if (parts_.breaker.OnProbeSuccess()) {
    if (parts_.breaker.TakeWrote()) {
      Letters::StoreDue(parts_.book.MakeAllDue(turn.now), turn);
    }
  }
}

}  // namespace catchup
