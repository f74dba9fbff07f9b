#include "host/engine/engine_parts.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace catchup {

EngineParts::EngineParts(const EngineOptions& of_group, const EventNames* of_events)
    : options(of_group),
      many(of_group.lanes > 1),
      ledger(many),
      names(of_events),
      pacer(std::max<std::uint32_t>(of_group.checkpoint_batch_size, 1),
            of_group.checkpoint_interval, of_group.checkpoint_batch_size + of_group.window_events),
      breaker(of_group.breaker),
      doubt(of_group.budget),
      book(of_group.letter_order, of_group.max_letters, of_group.max_letter_bytes),
      letter_writes(of_group.letter_order) {
  const LaneNumber lanes = std::max<LaneNumber>(of_group.lanes, 1);
  seats.reserve(lanes);
  for (LaneNumber lane = 0; lane < lanes; ++lane) {
    seats.emplace_back(lane);
  }
}

// --- Lanes. ---

Seat* EngineParts::SeatOf(SpawnNumber spawn) {
  for (Seat& seat : seats) {
    if (seat.lane.Is(spawn)) [[likely]] {
      return &seat;
    }
  }
  return nullptr;
}

bool EngineParts::AnyLives() const {
  return std::any_of(seats.begin(), seats.end(),
                     [](const Seat& seat) { return seat.lane.alive(); });
}

bool EngineParts::AnyPlace() const {
  return std::any_of(seats.begin(), seats.end(),
                     [](const Seat& seat) { return seat.place.sequence != 0; });
}

bool EngineParts::HasEventToCall() const {
  return AnyPlace() || ledger.on_lane() > 0 || (many ? streams.Next() != 0 : ledger.waits());
}

std::chrono::nanoseconds EngineParts::NextInPlace() const {
  std::optional<std::chrono::nanoseconds> next;
  for (const Seat& seat : seats) {
    if (seat.place.sequence != 0 && (!next || seat.place.not_before < *next)) {
      next = seat.place.not_before;
    }
  }
  return next.value_or(std::chrono::nanoseconds(0));
}

bool EngineParts::IsIdle(const Seat& seat) const {
  return seat.lane.takes() && seat.has.empty() && !CallsLetter(seat);
}

bool EngineParts::Has(const Seat& seat, Sequence sequence) const {
  return many ? std::find(seat.has.begin(), seat.has.end(), sequence) != seat.has.end()
              : ledger.IsOnLane(sequence);
}

bool EngineParts::StreamIsCalled(std::string_view stream) const {
  return std::any_of(seats.begin(), seats.end(), [&](const Seat& seat) {
    return std::any_of(seat.has.begin(), seat.has.end(),
                       [&](Sequence one) { return NameOf(one).stream == stream; });
  });
}

std::string EngineParts::Given(const Seat& seat) const {
  if (!many) {
    return fmt::format("event {} to {}", ledger.settled() + 1, ledger.handed_out());
  }
  return seat.has.empty() ? "none, since it has no event"
                          : fmt::format("one of {} events from {} to {}", seat.has.size(),
                                        seat.has.front(), seat.has.back());
}

Sequence EngineParts::ChargedTo(SpawnNumber spawn, Sequence charged) const {
  const auto seat = std::find_if(seats.begin(), seats.end(),
                                 [&](const Seat& one) { return one.lane.spawn() == spawn; });
  if (seat == seats.end()) {
    return charged;
  }
  Suspects::Had had;
  had.events = many ? seat->has.size() : ledger.on_lane();
  if (had.events > 0) {
    had.first = many ? seat->has.front() : ledger.FirstOnLane();
  }
  had.letter = CallsLetter(*seat);
  if (seat->hang) {
    had.hung = seat->hang->sequence;
  }
  return Suspects::ChargedTo(had, charged);
}

void EngineParts::Press(Lane::Force force, std::chrono::nanoseconds patience,
                        const std::string& why) {
  for (Seat& seat : seats) {
    seat.lane.Press(force, patience, why);
  }
}

const std::string& EngineParts::LaneTrouble() const {
  static const std::string kNone;
  const bool all = std::all_of(seats.begin(), seats.end(),
                               [](const Seat& seat) { return !seat.lane.trouble().empty(); });
  return all ? seats.front().lane.trouble() : kNone;
}

// --- Events and letters. ---

EventName EngineParts::NameOf(Sequence sequence) const {
  if (arriving && arriving->first == sequence) {
    return arriving->second;
  }
  return names == nullptr ? EventName{} : names->NameOf(sequence);
}

bool EngineParts::HasRoom() const {
  if (ledger.events() >= options.window_events || ledger.bytes() >= options.window_bytes) {
    return false;
  }
  return WithinDuplicateBound();
}

bool EngineParts::WithinDuplicateBound() const {
  // It needs no help in position mode: there is no duplicate to bound.
  return position_mode || pacer.undurable_events() + ledger.events() <
                              options.checkpoint_batch_size + options.window_events;
}

std::uint64_t EngineParts::LetterBytesOf(Sequence sequence, std::string_view reason) const {
  return ledger.BytesOf(sequence) + options.letter_overhead + reason.size();
}

// Letters that were due when the group had caught up, and what they hand on, have a call each
// before it ends. An open breaker is not waited for.
bool EngineParts::CallsDueLetters() const {
  const auto next = book.NextAt(std::chrono::nanoseconds::min());
  return breaker.closed() && (CallsLetter() || (next && *next <= letters_until));
}

// --- The end. ---

void EngineParts::End(GroupState final_state, std::string reason, Lane::Force force,
                      std::chrono::nanoseconds patience) {
  if (!life.ending()) {
    pacer.Hurry();
    checkpoint_wait.Hurry();
  }
  life.End(final_state, std::move(reason));
  Press(force, patience);
}

// A runner that reports what cannot be is not asked to do anything more. Whoever wrote that may as
// well have written what was believed before, so what is not durable by now is handled again.
void EngineParts::BreakContract(const std::string& text) {
  distrusted = true;
  End(GroupState::kFailed,
      "contract broken: " + text +
          "; what this runner had reported and was not durable yet comes again once the plugin is "
          "mended and the group started again (catchup start)",
      Lane::Force::kKill, {});
}

}  // namespace catchup
