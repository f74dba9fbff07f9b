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
// With `hold_passed`, a passed position waits until something behind it that the plugin stores is
// settled: the watermark is then always a position that the plugin's own store holds.
class Watermark {
 public:
  struct Popped {
    std::uint64_t events = 0;
    std::uint64_t entries = 0;
  };

  // Empties the list and puts the watermark at `start`; null is the beginning of the log.
  void Reset(std::optional<Position> start, bool hold_passed);

  // `sequence` is greater than every one before it.
  void AddEvent(std::uint64_t sequence, Position position, std::uint64_t bytes);
  Popped AddPassed(Position position);

  // Marks events and advances up to `sequence` as done and pops.
  Popped SettleThrough(std::uint64_t sequence);

  // The plugin holds `position`: marks everything up to it as done, pops, and takes it as the
  // watermark. *last becomes the greatest sequence settled by it, or stays.
  Popped SettleAt(Position position, std::uint64_t* last);

  // The passed position that could be handed to the plugin now: nothing is pending and it lies
  // beyond the watermark.
  std::optional<Position> Passable() const;

  // Turns the passable position into an advance.
  void MakeAdvance(std::uint64_t sequence);
  std::optional<Position> AdvanceAt(std::uint64_t sequence) const;

  const std::optional<Position>& position() const { return position_; }

  // Events and advances that are not under the watermark.
  bool idle() const { return pending_events_ == 0 && advance_ == 0; }
  std::uint64_t pending_events() const { return pending_events_; }
  std::uint64_t pending_bytes() const { return pending_bytes_; }

  // Entries in the list, for tests of its bound.
  std::size_t size() const { return entries_.size(); }

 private:
  enum class Kind : std::uint8_t { kEvent, kPassed, kAdvance };

  struct Entry {
    Position position;
    std::uint64_t sequence = 0;  // A passed position has that of the entry before it.
    std::uint64_t bytes = 0;
    Kind kind = Kind::kEvent;
    bool done = false;
  };

  Popped Pop();

  std::deque<Entry> entries_;
  std::optional<Position> position_;
  std::uint64_t pending_events_ = 0;
  std::uint64_t pending_bytes_ = 0;
  std::uint64_t advance_ = 0;  // The advance that is not settled; there is at most one.
  bool hold_passed_ = false;
};

}  // namespace catchup
