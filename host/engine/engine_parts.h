#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "host/base/position.h"
#include "host/engine/breaker.h"
#include "host/engine/catch_up.h"
#include "host/engine/checkpoint_pacer.h"
#include "host/engine/counts.h"
#include "host/engine/doubt.h"
#include "host/engine/frontier.h"
#include "host/engine/heard.h"
#include "host/engine/input.h"
#include "host/engine/lane.h"
#include "host/engine/ledger.h"
#include "host/engine/letter_book.h"
#include "host/engine/letter_calls.h"
#include "host/engine/letter_writes.h"
#include "host/engine/lifecycle.h"
#include "host/engine/lineage.h"
#include "host/engine/liveness.h"
#include "host/engine/origin.h"
#include "host/engine/seat.h"
#include "host/engine/source_link.h"
#include "host/engine/store_wait.h"
#include "host/engine/streams.h"
#include "host/engine/suspects.h"
#include "host/engine/trouble.h"

namespace catchup {

// The parts of one group's engine, none of which knows another, and the facts that lie between
// them. The engine owns them; its inputs record in them, and the steps of the plan (judge.h …
// plan.h) read and change them. A step has no state of its own: it is made over the parts where it
// is needed.
//
// The functions answer what takes more than one part to know, and decide nothing, but for the last
// two.
struct EngineParts {
  static constexpr auto kNever = std::chrono::nanoseconds::max();

  EngineParts(const EngineOptions& of_group, const EventNames* of_events);
  EngineParts(const EngineParts&) = delete;
  EngineParts& operator=(const EngineParts&) = delete;

  // --- The group. ---

  const EngineOptions options;
  StartPoint start;
  Lifecycle life;
  Origin origin;
  Counts counts;
  bool position_mode = false;
  bool distrusted = false;                    // A runner broke the contract: see ContractBroken.
  std::optional<Position> halted_before;      // It ended there, where LetterOrder is kHalt.
  std::chrono::nanoseconds wake_at = kNever;  // As the adapter was asked last.

  // --- Its runners. ---

  std::vector<Seat> seats;  // By number.
  const bool many;          // More than one.
  SpawnNumber spawns = 0;
  StoreWait spawn_wait;
  Heard heard;
  Seat* heard_of = nullptr;  // Whose runner.

  // --- Its events. ---

  Ledger ledger;
  Streams streams;  // Where there are many lanes.
  Sequence released = 0;
  std::chrono::nanoseconds next_advance{};
  std::optional<std::chrono::nanoseconds> settled_at;  // With several lanes: something on one.
  // The most that one runner has at a time while calls are made with care: few behind a failure,
  // twice as many with each success.
  std::uint64_t ahead = Breaker::kNoLimit;
  const EventNames* const names;
  std::optional<std::pair<Sequence, EventName>> arriving{};  // Not in the adapter's window yet.

  // --- Its source. ---

  SourceLink link;
  Liveness liveness;  // Of the call.
  Frontier frontier;
  CatchUp catch_up;
  Witnesses witnesses;

  // --- Its checkpoint. ---

  CheckpointPacer pacer;
  StoreWait checkpoint_wait;
  bool store_failed = false;
  // With so many events pending a plan is due though only an event in the plain path came.
  std::uint64_t crowded_at = std::numeric_limits<std::uint64_t>::max();

  // --- Calls that fail. ---

  Breaker breaker;
  Doubt doubt;
  Suspects suspects;
  Trouble trouble;
  bool room_wanted = false;  // What comes next is a letter that finds no room.

  // --- Letters. ---

  LetterBook book;
  LetterCalls letter_calls;
  LetterWrites letter_writes;
  bool letters_passed = false;  // Events that are letters already, just now.
  struct Parking {
    LetterBook::Id id;
    std::shared_ptr<const LetterChange> change;
  };
  std::unordered_map<Sequence, Parking> parking;  // That are being written.
  bool letters_given_up = false;  // What is being written of letters: nobody waits for it.
  bool letters_refused = false;   // The same, of what runners have reported.
  std::set<Position> park_asked;  // Events that an operator wants parked.
  // When the group had caught up first.
  std::chrono::nanoseconds letters_until = kNever;

  // --- Lanes. ---

  // Whose runner it is; null where that is gone.
  Seat* SeatOf(SpawnNumber spawn);
  bool AnyLives() const;
  bool AnyPlace() const;        // Whether a lane has an event in place.
  bool HasEventToCall() const;  // Or one that is called.
  // When the first event in place may be called again.
  std::chrono::nanoseconds NextInPlace() const;
  // Its runner takes something and has nothing.
  bool IsIdle(const Seat& seat) const;
  bool Has(const Seat& seat, Sequence sequence) const;
  // Whether a lane is in a call with an event of it, or may be.
  bool StreamIsCalled(std::string_view stream) const;
  // For people: which events a failure of its runner could be about.
  std::string Given(const Seat& seat) const;
  Sequence ChargedTo(SpawnNumber spawn, Sequence charged) const;
  // Of all lanes.
  void Press(Lane::Force force, std::chrono::nanoseconds patience, const std::string& why = {});
  // A group waits for its runners while none of them works.
  const std::string& LaneTrouble() const;
  // For judge.h, in the plan that follows.
  void Hear(Seat* seat, Heard what) {
    heard = std::move(what);
    heard_of = seat;
  }

  // --- Events and letters. ---

  // Nothing has failed, and no letter is there, called or on its way out of the store: what waits
  // is handed out, in order and without a look.
  bool Plain() const {
    return book.empty() && letter_writes.empty() && !CallsLetter() && breaker.pristine() &&
           !AnyPlace() && doubt.holds() == 0 && suspects.none_beyond(ledger.settled()) &&
           park_asked.empty();
  }
  EventName NameOf(Sequence sequence) const;
  // Whether the window has room for another event.
  bool HasRoom() const;
  // See Engine::wants_frames.
  bool WantsFrames() const { return link.open() && HasRoom(); }
  bool WithinDuplicateBound() const;
  // What the event takes as a letter, as near as can be told before it is written.
  std::uint64_t LetterBytesOf(Sequence sequence, std::string_view reason) const;
  bool CallsLetter() const { return letter_calls.called().has_value(); }
  bool CallsLetter(const Seat& seat) const { return letter_calls.On(seat.lane.number()); }
  // Whether letters are to be called before a group that has caught up ends.
  bool CallsDueLetters() const;
  // No restart would repeat what was settled.
  bool settled_is_durable() const {
    return (origin.begun() && !origin.seen()) || pacer.Covers(ledger.watermark());
  }

  // --- The end. ---

  // Begins to end, or tells an end under way something worse.
  void End(GroupState final_state, std::string reason, Lane::Force force,
           std::chrono::nanoseconds patience);
  // The same, by what no runner may do.
  void BreakContract(const std::string& text);
};

}  // namespace catchup
