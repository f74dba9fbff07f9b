#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "host/base/position.h"

namespace catchup {

// The contiguous watermark of one group: entries in order of arrival, each done or not; what is
// done at the front is popped, and the last position popped is the watermark. So no announcement
// overtakes an unfinished event, in whatever order events finish.
//
// An entry is an event to be handled, a position passed without one (an announcement, or an event
// skipped by rule), or an advance (such a position that is handed to the plugin to be stored).
// Passed positions next to each other are one entry, so there are never more than two entries for
// each event that is not settled.
//
// The watermark never goes back, except when an announcement is withdrawn. An entry whose position
// lies before that of the entry in front of it (an event that came behind an announcement which was
// wrong and had been handed to the plugin) stands where that one stands.
//
// With `hold_passed`, for a plugin that stores its position, a passed position waits until
// something behind it that the plugin stores is settled.
class Watermark {
 public:
  struct Popped {
    std::uint64_t events = 0;
    std::uint64_t entries = 0;
  };

  // Empties the list and puts the watermark at `start`; null is the beginning of the log. `event`
  // is the position of the last event at or before it, where it is known.
  void Reset(std::optional<Position> start, bool hold_passed, std::optional<Position> event = {});

  // `sequence` is greater than every one before it.
  void AddEvent(std::uint64_t sequence, Position position, std::uint64_t bytes);
  // `is_event`: an event that needs no handling lies there, so a server knows the place.
  Popped AddPassed(Position position, bool is_event = false);

  // The server has contradicted itself: what was passed beyond `to`, the last event received,
  // counts no more. An advance does, for the plugin has it or may have it.
  void Withdraw(std::optional<Position> to);

  // Marks events and advances up to `sequence` as done and pops.
  Popped SettleThrough(std::uint64_t sequence);

  // The plugin holds `position`: settles the event or advance that it stores there and everything
  // before it. *last becomes that one's sequence. False when there is none.
  bool SettleAt(Position position, std::uint64_t* last, Popped* popped);

  // Whether a plugin that holds `position` may hold it by something already here: an event at the
  // same place could not be told from that.
  bool IsTaken(Position position) const;

  // The passed position that could be handed to the plugin now: nothing is pending and it lies
  // beyond the watermark.
  std::optional<Position> Passable() const;

  // Turns the passable position into an advance.
  void MakeAdvance(std::uint64_t sequence);
  std::optional<Position> AdvanceAt(std::uint64_t sequence) const;

  const std::optional<Position>& position() const { return position_; }

  // The position of the last event or advance under the watermark, or the start: what the plugin
  // stores, which lies before the watermark after a wrong announcement.
  const std::optional<Position>& stored() const { return stored_; }

  // The last event under the watermark, or the one given to Reset.
  const std::optional<Position>& last_event() const { return last_event_; }

  // Events and advances that are not under the watermark.
  bool idle() const { return pending_events_ == 0 && advance_ == 0; }
  std::uint64_t pending_events() const { return pending_events_; }
  std::uint64_t pending_bytes() const { return pending_bytes_; }

  // Entries in the list, for tests of its bound.
  std::size_t size() const { return entries_.size(); }

 private:
  enum class Kind : std::uint8_t { kEvent, kPassed, kAdvance };

  struct Entry {
    Position place;  // In the watermark.
    Position position;
    std::uint64_t sequence = 0;     // A passed position has that of the entry before it.
    std::optional<Position> event;  // The last event in it.
    std::uint64_t bytes = 0;
    Kind kind = Kind::kEvent;
    bool done = false;
  };

  void Append(Entry entry);
  Popped Pop();
  Popped Pop(std::size_t count);

  std::deque<Entry> entries_;
  std::optional<Position> position_;
  std::optional<Position> stored_;
  std::optional<Position> last_event_;
  std::uint64_t pending_events_ = 0;
  std::uint64_t pending_bytes_ = 0;
  std::uint64_t advance_ = 0;  // The advance that is not settled; there is at most one.
  bool hold_passed_ = false;
};

}  // namespace catchup
