#pragma once

#include <algorithm>
#include <optional>

#include "host/base/position.h"

namespace catchup {

// How far the group has received, and which announced positions may be believed.
//
// An announcement (a checkpoint frame, a caught-up position) says that everything matching up to it
// has been sent. Servers have sent wrong ones, so each is held until a later frame is strictly
// greater: frames come in log order, which then proves it. The last one stays unproven, which costs
// a restart one interval of scanning.
class Frontier {
 public:
  // Everything up to `start` counts as received; null is the beginning of the log. `event` is a
  // place at or before it where an event is known to lie. Forgets what is held.
  void Reset(std::optional<Position> start, std::optional<Position> event) {
    reached_ = start;
    received_ = start;
    event_ = event;
    held_.reset();
  }

  // No announcement counts any more, not even those proven: what was received is the events.
  void StepBack() {
    reached_ = received_;
    held_.reset();
  }

  // A new call repeats what it has to say; nothing of the old call may prove it.
  void ForgetHeld() { held_.reset(); }

  // Whether an event lies behind every one received. One that does not came before.
  bool IsNew(Position position) const { return !received_ || position > *received_; }

  // Whether an event that IsNew lies where everything was said to have been sent: a server that
  // does this is not to be believed again.
  bool Contradicts(Position position) const { return reached_ && position <= *reached_; }

  // An event that IsNew. Returns the announcement that it proves, which lies before it.
  std::optional<Position> OnEvent(Position position) {
    std::optional<Position> proven;
    if (held_) [[unlikely]] {
      // An event at or before what was announced shows the announcement to be wrong.
      if (position > *held_) {
        proven = held_;
      }
      held_.reset();
    }
    received_ = position;
    event_ = position;
    reached_ = reached_ ? std::max(*reached_, position) : position;
    return proven;
  }

  // Returns the earlier announcement that this one proves. Ignores what is not new, and the end of
  // the log, which is no place.
  std::optional<Position> OnAnnouncement(Position position) {
    if (position == kEndOfLog || (reached_ && position <= *reached_)) {
      return std::nullopt;
    }
    std::optional<Position> proven;
    if (held_ && position > *held_) {
      proven = held_;
      reached_ = held_;
    }
    // Two that contradict each other: the lower one promises less.
    held_ = position;
    return proven;
  }

  // The greatest of start, events received and announcements proven: where to resume.
  const std::optional<Position>& reached() const { return reached_; }

  // The last place up to it where an event is known to lie; null when none is known.
  const std::optional<Position>& event() const { return event_; }

 private:
  std::optional<Position> reached_;
  std::optional<Position> received_;  // The last event, or the start.
  std::optional<Position> event_;
  std::optional<Position> held_;
};

}  // namespace catchup
