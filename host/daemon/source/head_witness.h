#pragma once

#include <optional>
#include <utility>

#include "host/base/position.h"
#include "host/base/witness.h"

namespace catchup {

// The newest event of the log as it was when somebody looked. Once a group's checkpoint has passed
// it, it witnesses the log as a handled event does, for a group whose filter has brought nothing
// for a long time as well. One thread.
class HeadWitness {
 public:
  // Kept until it is passed, and no newer one before that: a group that lags behind a busy log
  // would never pass the newest. What a checkpoint has passed already is not taken: whoever looks
  // at a server that has another log by now sees that before the group does.
  void Saw(const std::optional<Witness>& head) {
    if (!waiting_.has_value() && PlaceOf(head) > passed_) {
      waiting_ = head;
    }
  }

  // The group connects anew, perhaps to another log.
  void Forget() { waiting_.reset(); }

  // What a checkpoint at `place` is known by: `handled`, or the one that was seen where that lies
  // between them.
  std::optional<Witness> PassedAt(Position place, const std::optional<Witness>& handled) {
    passed_ = place;
    if (PlaceOf(waiting_) > place) {
      return handled;
    }
    const auto seen = std::exchange(waiting_, std::nullopt);
    return PlaceOf(seen) > PlaceOf(handled) ? seen : handled;
  }

 private:
  std::optional<Witness> waiting_;
  std::optional<Position> passed_;  // The place of the last checkpoint.
};

}  // namespace catchup
