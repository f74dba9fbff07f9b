#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <vector>

#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// The step deliver of the plan where there are several lanes, and what they settle.

namespace catchup {
namespace {

// Events of one call at the most: what a lane holds, no other can take.
constexpr std::uint64_t kMostAtOnce = 256;

}  // namespace

bool Engine::Has(const Seat& seat, Sequence sequence) const {
  return many_ ? std::find(seat.has.begin(), seat.has.end(), sequence) != seat.has.end()
               : ledger_.IsOnLane(sequence);
}

// For people: which events a failure of it could be about.
std::string Engine::Given(const Seat& seat) const {
  if (!many_) {
    return fmt::format("event {} to {}", ledger_.settled() + 1, ledger_.handed_out());
  }
  return seat.has.empty() ? "none, since it has no event"
                          : fmt::format("one of {} events from {} to {}", seat.has.size(),
                                        seat.has.front(), seat.has.back());
}

// --- What lanes settle. ---

void Engine::SettledOn(Seat& seat, Sequence last, Turn& turn) {
  const auto found = std::find(seat.has.begin(), seat.has.end(), last);
  if (found == seat.has.end()) {
    Hear(&seat, Breach{fmt::format("settled up to event {}, wanted {}", last, Given(seat))});
    return;
  }
  SettleFirst(seat, static_cast<std::size_t>(found - seat.has.begin()) + 1, turn);
}

void Engine::SettleFirst(Seat& seat, std::size_t count, Turn& turn) {
  if (count == 0) {
    return;
  }
  CountSuccessesOn(seat, count, turn);
  for (; count > 0; --count) {
    seat.settled = seat.has.front();
    seat.has.pop_front();
    ledger_.Settle(seat.settled);
    streams_.Done(seat.settled);
  }
  seat.lane.OnSettled();
  settled_at_ = turn.now;
}

// Whether events were settled of late, on whichever lane: then the plugin can work.
bool Engine::SettledLately(std::chrono::nanoseconds now) const {
  return many_ && settled_at_ && now - *settled_at_ <= RunnerPacing::kDeathPeriod;
}

std::chrono::nanoseconds Engine::NextInPlace() const {
  std::optional<std::chrono::nanoseconds> next;
  for (const Seat& seat : seats_) {
    if (seat.place.sequence != 0 && (!next || seat.place.not_before < *next)) {
      next = seat.place.not_before;
    }
  }
  return next.value_or(std::chrono::nanoseconds(0));
}

// --- What is called next. ---

// Its runner takes something and has nothing.
bool Engine::IsIdle(const Seat& seat) const {
  return seat.lane.takes() && seat.has.empty() && !CallsLetter(seat);
}

Seat* Engine::IdleSeat(bool with_place) {
  for (Seat& seat : seats_) {
    if (IsIdle(seat) && (seat.place.sequence != 0) == with_place) {
      return &seat;
    }
  }
  return nullptr;
}

void Engine::DeliverToLanes(Turn& turn) {
  ParkAsked(turn);
  if (life_.ending()) {
    return;
  }
  if (IdleSeat(false) != nullptr || IdleSeat(true) != nullptr) {
    room_wanted_ = false;  // It is found out again.
  }
  const auto is_calling = [this] { return ledger_.on_lane() > 0 || CallsLetter(); };
  if (breaker_.open() && (is_calling() || !breaker_.TryOut(turn.now))) {
    return;
  }
  while (!life_.ending() && !breaker_.open() &&
         (breaker_.half_open() ? !is_calling() && CallProbeOnLanes(turn) : CallOnLanes(turn))) {
  }
}

// Closed: what is in place first, then letters and events by turns. False: nothing more is called
// now.
bool Engine::CallOnLanes(Turn& turn) {
  const std::uint64_t calling = ledger_.on_lane() + (CallsLetter() ? 1 : 0);
  if (calling >= breaker_.most_in_flight()) {
    return false;
  }
  for (Seat& seat : seats_) {
    const Sequence in_place = seat.place.sequence;
    if (in_place != 0 && IsIdle(seat) &&
        !(CallsLetter() && NameOf(in_place).stream == letter_stream_) &&
        (CallInPlace(seat, turn) || seat.place.sequence != in_place)) {
      return true;
    }
  }
  std::optional<LetterBook::Id> letter;
  if (!letter_writes_.full() && !CallsLetter()) {
    letter = NextLetter(turn.now);
  }
  if (!letter_was_last_ && CallLetterOnLanes(letter, turn)) {
    return true;
  }
  if (Seat* const seat = IdleSeat(false); seat != nullptr) {
    const bool trouble = !breaker_.pristine() || AnyPlace();
    const std::uint64_t most = trouble ? 1 : std::min<std::uint64_t>(seat->batch, kMostAtOnce);
    if (CallNextOn(*seat, most, turn)) {
      letter_was_last_ = false;
      return true;
    }
  }
  // Asked again: what has become a letter on the way may have taken the last room.
  return !letter_writes_.full() && CallLetterOnLanes(NextLetter(turn.now), turn);
}

// Half-open, and nothing is called: the oldest event in place is the probe.
bool Engine::CallProbeOnLanes(Turn& turn) {
  Seat* oldest = nullptr;
  for (Seat& seat : seats_) {
    const bool older = oldest == nullptr || seat.place.sequence < oldest->place.sequence;
    if (seat.place.sequence != 0 && IsIdle(seat) && older) {
      oldest = &seat;
    }
  }
  const auto call_letter = [&] {
    return !letter_writes_.full() && CallLetterOnLanes(LetterToProbeWith(), turn);
  };
  const bool full =
      oldest != nullptr && book_.IsFull(LetterBytesOf(oldest->place.sequence, oldest->place.text));
  if (full && !letter_probed_last_ && call_letter()) {
    letter_probed_last_ = true;
    return true;
  }
  if (oldest != nullptr) {
    const Sequence in_place = oldest->place.sequence;
    if (CallInPlace(*oldest, turn) || oldest->place.sequence != in_place) {
      letter_probed_last_ = false;
      return true;
    }
  } else if (Seat* const seat = IdleSeat(false); seat != nullptr && CallNextOn(*seat, 1, turn)) {
    letter_probed_last_ = false;
    return true;
  }
  return call_letter();
}

// Hands `seat` the next event whose stream is free, or up to `most` for one call. Those before it
// that need no call are done on the way. False: there is none.
bool Engine::CallNextOn(Seat& seat, std::uint64_t most, Turn& turn) {
  std::vector<Sequence> own;  // The next of each stream that this lane has taken.
  while (!life_.ending() && seat.has.size() < most) {
    Sequence next = streams_.Next();
    const auto behind = std::min_element(own.begin(), own.end());
    if (behind != own.end() && (next == 0 || *behind < next)) {
      next = *behind;
      own.erase(behind);
    }
    const bool solo = suspects_.Has(next);
    if (next == 0 || (solo && !seat.has.empty())) {
      break;
    }
    const Route route = RouteOf(next, turn);
    if (route == Route::kWait) {
      break;
    }
    if (life_.ending()) {
      break;
    }
    streams_.Take(next);
    if (route == Route::kCall) {
      HandOutOn(seat, next, 1, solo, turn);
    }
    const Sequence after = streams_.NextOfItsStream(next);
    if (route == Route::kGone) {
      const bool whole_stream_is_free = !HasStreamOf(seat, next);
      streams_.Done(next);
      if (whole_stream_is_free) {
        continue;  // Whoever is next of it is ready.
      }
    }
    if (after != 0) {
      own.push_back(after);
    }
    if (solo) {
      break;
    }
  }
  return !seat.has.empty();
}

bool Engine::HasStreamOf(const Seat& seat, Sequence sequence) const {
  return std::any_of(seat.has.begin(), seat.has.end(),
                     [&](Sequence one) { return streams_.OfOneStream(one, sequence); });
}

// Whether a lane is in a call with an event of it, or may be.
bool Engine::StreamIsCalled(std::string_view stream) const {
  return std::any_of(seats_.begin(), seats_.end(), [&](const Seat& seat) {
    return std::any_of(seat.has.begin(), seat.has.end(),
                       [&](Sequence one) { return NameOf(one).stream == stream; });
  });
}

// A letter occupies its stream, so it waits until no lane has an event of it; but not for one in
// place, which may wait for the room that the letter takes.
bool Engine::CallLetterOnLanes(const std::optional<LetterBook::Id>& letter, Turn& turn) {
  if (!letter || CallsLetter() || life_.ending() || StreamIsCalled(book_.StreamOf(*letter))) {
    return false;
  }
  Seat* seat = IdleSeat(false);
  if (seat == nullptr) {
    seat = IdleSeat(true);  // Its event waits.
  }
  if (seat == nullptr) {
    return false;
  }
  CallLetter(*seat, *letter, turn);
  return true;
}

void Engine::HandOutOn(Seat& seat, Sequence sequence, std::uint32_t attempt, bool alone,
                       Turn& turn) {
  ledger_.HandOutOne(sequence);
  seat.has.push_back(sequence);
  Tell(seat.lane.number(), sequence, attempt, alone, turn);
}

}  // namespace catchup
