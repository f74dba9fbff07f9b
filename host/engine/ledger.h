#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "host/base/fifo.h"
#include "host/base/position.h"
#include "host/engine/command.h"

namespace catchup {

// The events of one group that are not under its watermark, oldest first, and the watermark itself:
// what is done at the front is popped, and the last position popped is the watermark. So no
// announcement overtakes an unfinished event, in whatever order events finish.
//
// An item is an event to be handled, or an advance: a position without an event that is handed to
// the plugin to be stored. It is in exactly one state,
//
//   waiting ──HandOut──► on a lane ──Settle──► done ──Pop──► gone
//    │ ▲ └──────── SettleAt, Skip ──────────────▲
//    │ └────── TakeBack ────────┘               │
//    └──Park──► parking ──SettleParked──────────┘
//
// With one lane items are handed out in their order; with several, `in_any_order`, each by itself,
// and whoever hands them out knows which lane has which.
//
// Parking is an event that becomes a letter, until that is durable. Where the plugin stores its
// position, PassParked then makes it wait again, as an advance to its place. What an event is
// (stream, type, id, data) stays with whoever holds its buffers, by sequence; here is only what
// decides about its place.
//
// Between two items there may be a passed position: an announcement, or an event skipped by rule.
// Several next to each other are one, so there is never more than one for each item, and one in
// front of all.
//
// The watermark never goes back, except when an announcement is withdrawn: an item that lies before
// what stands in front of it (an event that came behind an announcement which was wrong and had
// been handed to the plugin) leaves it where it is.
//
// With `hold_passed`, for a plugin that stores its position, a passed position waits until
// something behind it that the plugin stores is settled.
class Ledger {
 public:
  explicit Ledger(bool in_any_order = false) : in_any_order_(in_any_order) {}

  enum class State : std::uint8_t { kWaiting, kOnLane, kParking, kDone };

  // Items next to each other; none when `first` is 0.
  struct Range {
    Sequence first = 0;
    Sequence last = 0;
  };

  struct Popped {
    std::uint64_t events = 0;
    std::uint64_t parked = 0;  // Of these: letters.
    std::uint64_t places = 0;  // Items and passed positions.
  };

  // Forgets every item and puts the watermark at `start`; null is the beginning of the log. `event`
  // is the position of the last event at or before it, where it is known. Sequences go on.
  void Reset(std::optional<Position> start, bool hold_passed, std::optional<Position> event = {});

  // --- What comes in. ---

  // Returns the sequence that names it from now on.
  Sequence AddEvent(Position position, std::uint64_t bytes) {
    // No server sends one of 4 GiB.
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
    const auto counted = static_cast<std::uint32_t>(std::min(bytes, kMost));
    if (EndsPassed() && passed_.back().position >= position) [[unlikely]] {
      TrimPassed();  // Announced as sent, and here it is: nothing beyond it is passed before it.
    }
    items_.push_back({.position = position, .bytes = counted});
    ++events_;
    bytes_ += counted;
    return last();
  }

  // `is_event`: an event that needs no handling lies there, so a server knows the place.
  void AddPassed(Position position, bool is_event = false);

  // The server has contradicted itself: what was passed beyond `to`, the last event received,
  // counts no more. An advance does, for the plugin has it or may have it.
  void Withdraw(std::optional<Position> to);

  // The passed position that could be handed to the plugin now: nothing is pending and it lies
  // beyond the watermark.
  std::optional<Position> Passable() const;

  // Turns the passable position into an advance, which waits.
  void MakeAdvance();

  // --- What becomes of it. ---

  // Puts the next items that wait on a lane, as many as lie side by side, but at most `most`.
  Range HandOut(std::uint64_t most = std::numeric_limits<std::uint64_t>::max());

  // The first that waits; 0 when none does.
  Sequence NextWaiting() const;

  // In any order: one that waits goes on a lane, and comes back from it.
  void HandOutOne(Sequence sequence);
  void TakeBackOne(Sequence sequence);

  // One that waits, in order the first, becomes a letter; is one already, so it is done.
  void Park(Sequence sequence);
  void Skip(Sequence sequence);
  // Its letter is durable. Nothing where it is gone.
  void SettleParked(Sequence sequence);
  void PassParked(Sequence sequence);

  // The one lane's runner is gone: what it had and did not finish waits again.
  void TakeBack();

  // One item that is on a lane is done; others before it may not be.
  void Settle(Sequence sequence);
  // Every item on the lane up to it.
  void SettleThrough(Sequence sequence);

  // The plugin holds `position`: what it stores there and everything before it is done. False when
  // nothing here is stored there.
  bool SettleAt(Position position);

  // Whether a plugin that holds `position` may hold it by something already here: an event at the
  // same place could not be told from that.
  bool IsTaken(Position position) const;

  // Takes the done prefix off.
  Popped Pop();

  // --- Questions. ---

  const std::optional<Position>& watermark() const { return watermark_; }

  // The position of the last event or advance under the watermark, or the start: what the plugin
  // stores, which lies before the watermark after a wrong announcement.
  const std::optional<Position>& stored() const { return stored_; }

  // The last event under the watermark, or the one given to Reset.
  const std::optional<Position>& last_event() const { return last_event_; }

  // The position of an advance; null when `sequence` is an event or gone.
  std::optional<Position> AdvanceAt(Sequence sequence) const;

  Sequence last() const { return first_ + items_.size() - 1; }  // Given out.
  Sequence popped() const { return first_ - 1; }                // It and all before it are gone.
  Sequence handed_out() const { return handed_out_; }           // None after it is on a lane.
  bool waits() const { return handed_out_ != last(); }  // In order: is something to hand out.
  bool idle() const { return items_.empty(); }
  // What the lane settled last, or everything up to there is gone.
  Sequence settled() const { return std::max(settled_, popped()); }
  Sequence settled_on_lane() const { return settled_; }  // The first of these two alone.
  bool IsOnLane(Sequence sequence) const {
    return sequence > popped() && sequence <= handed_out_ && At(sequence).state == State::kOnLane;
  }
  // 0 when nothing is.
  Sequence FirstOnLane() const;
  Sequence LastOnLaneBefore(Sequence sequence) const;
  // Neither done nor gone.
  bool IsPending(Sequence sequence) const {
    return sequence >= first_ && sequence <= last() && At(sequence).state != State::kDone;
  }
  std::uint64_t on_lane() const { return on_lane_; }
  std::uint64_t parking() const { return parking_; }
  Position PositionOf(Sequence sequence) const { return At(sequence).position; }
  std::uint64_t BytesOf(Sequence sequence) const { return At(sequence).bytes; }
  std::uint64_t events() const { return events_; }
  std::uint64_t bytes() const { return bytes_; }

  // The event that lies there, done or not; 0 where none does.
  Sequence FindEvent(Position position) const;

  // Items and passed positions, for tests of their bound.
  std::size_t size() const { return items_.size() + passed_.size(); }

  // What is wrong in here; empty when nothing is. For tests: it walks through everything.
  std::string_view CheckInvariants() const;

 private:
  struct Item {
    Position position;
    std::uint32_t bytes = 0;
    State state = State::kWaiting;
    bool is_advance = false;
    bool parked = false;
  };

  struct Passed {
    Sequence after = 0;  // The item that it stands behind.
    Position position;
    std::optional<Position> event;  // The last one in it.
  };

  Item& At(Sequence sequence) { return items_[sequence - first_]; }
  const Item& At(Sequence sequence) const { return items_[sequence - first_]; }
  bool EndsPassed() const { return !passed_.empty() && passed_.back().after == last(); }
  void TakePassed();
  void TrimPassed();

  Fifo<Item> items_;
  Fifo<Passed> passed_;
  Sequence first_ = 1;  // Of items_, or of the next one.
  Sequence handed_out_ = 0;
  Sequence settled_ = 0;
  std::uint64_t on_lane_ = 0;
  std::uint64_t parking_ = 0;

  std::optional<Position> watermark_;
  std::optional<Position> stored_;
  std::optional<Position> last_event_;
  std::optional<Position> advance_event_;  // In the advance that is here; there is at most one.
  std::uint64_t events_ = 0;
  std::uint64_t bytes_ = 0;
  bool hold_passed_ = false;
  bool in_any_order_;
};

}  // namespace catchup
