#include "host/engine/origin.h"

#include <fmt/core.h>

#include "host/engine/engine_text.h"

namespace catchup {

Origin::Choice Origin::Choose(const StartPoint& start, bool position_mode,
                              const std::optional<Position>& loaded) {
  Choice choice;
  choice.durable = start.checkpoint;
  if (!position_mode) {
    choice.place = start.checkpoint ? start.checkpoint : start.recorded_start;
    choice.whose = start.checkpoint ? Whose::kCheckpoint : Whose::kStart;
    choice.covered = choice.place;
    return choice;
  }
  choice.place = Stands(start, loaded);
  choice.whose = loaded ? Whose::kPlugin : Whose::kStart;
  choice.plugin_behind = choice.place < start.checkpoint;
  if (choice.plugin_behind) {
    choice.durable = choice.place;  // And nothing is covered: it is written, so that it follows.
  } else {
    choice.covered = choice.durable;
  }
  return choice;
}

void Origin::Begin(const Choice& choice) {
  begun_ = true;
  whose_ = choice.whose;
  place_ = choice.place;
}

void Origin::Move(const std::optional<Position>& place, Whose whose) {
  whose_ = whose;
  place_ = place;
  seen_ = false;
}

std::string Origin::Describe(const std::optional<Position>& reached) const {
  const bool began = reached == place_;
  if (IsStart(reached)) {
    return Place(reached) + ", the group's `start`: wanted the position of an event of this log";
  }
  const char* whose = !began                         ? "up to where it was read before"
                      : whose_ == Whose::kCheckpoint ? "where the group's checkpoint stands"
                                                     : "the position that the plugin holds";
  return fmt::format("{}, {}: this log is not the one that was read before, or has less in it",
                     Place(reached), whose);
}

}  // namespace catchup
