#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "host/base/position.h"
#include "host/engine/input.h"

namespace catchup {

// Where the deliveries of a group begin, whose word that place is, and whether it was seen to lie
// in the log that there is. It is chosen once, when the first runner has said what its plugin
// holds, and anew where a later one's plugin is found somewhere else.
class Origin {
 public:
  enum class Whose : std::uint8_t { kStart, kCheckpoint, kPlugin };

  struct Choice {
    std::optional<Position> place;  // Null is the beginning of the log.
    Whose whose = Whose::kStart;
    std::optional<Position> durable;  // What counts as the durable checkpoint from now on,
    std::optional<Position> covered;  // and what needs no writing.
    // What the plugin holds lies before the checkpoint, as after a reset.
    bool plugin_behind = false;
  };

  // Of a plugin that keeps no position: the checkpoint, else the recorded start. One that keeps its
  // own wins over the checkpoint, whether it is ahead or behind, since `loaded` was stored together
  // with the effects; where it holds none, the recorded start counts.
  static Choice Choose(const StartPoint& start, bool position_mode,
                       const std::optional<Position>& loaded);

  // Where a plugin stands that keeps its own position and holds `loaded`.
  static std::optional<Position> Stands(const StartPoint& start,
                                        const std::optional<Position>& loaded) {
    return loaded ? loaded : start.recorded_start;
  }

  void Begin(const Choice& choice);

  // The plugin is at `place` now; `whose` word that is.
  void Move(const std::optional<Position>& place, Whose whose);

  // The place, or one behind it, was seen to lie in this log. Until then nothing of this log is
  // written as checkpoint.
  void OnSeen() { seen_ = true; }

  bool begun() const { return begun_; }
  bool seen() const { return seen_; }

  // Whether `reached`, from where a subscription is to go on, is the group's `start`.
  bool IsStart(const std::optional<Position>& reached) const {
    return reached == place_ && whose_ == Whose::kStart;
  }

  // For people, of `reached`, from where a subscription is to go on and cannot: whose place that
  // is, and what is wrong about it.
  std::string Describe(const std::optional<Position>& reached) const;

 private:
  bool begun_ = false;
  bool seen_ = false;
  Whose whose_ = Whose::kStart;
  std::optional<Position> place_;
};

}  // namespace catchup
