#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "host/base/position.h"
#include "host/engine/command.h"
#include "host/ring/host_end.h"

namespace catchup {

// What the store of a group is to hold before its first event is handled, and which runners wait
// for that: a filter that is not the one of an earlier run, and an operator's reset, which the
// plugin has been told of by then. Says what is to be written; whoever asks writes it.
class FirstWrites {
 public:
  enum class Step : std::uint8_t {
    kTell,    // Nothing is missing: the engine may be told that the runner is ready.
    kWait,    // Something is being written: TakeWaiting names it again.
    kFilter,  // To be written now; OnWritten or TakeWaiting end that.
    kReset,
  };
  struct Ready {
    SpawnNumber spawn = 0;
    Outcome outcome;
  };

  // Before the first spawn.
  void Set(bool filter_changed, const std::optional<PositionReset>& reset) {
    filter_changed_ = filter_changed;
    reset_ = reset;
  }

  // A runner is ready. `refused`: the engine ends the group by it, whatever the store holds.
  Step OnReady(const Ready& runner, bool refused);

  // What `step` named is durable.
  void OnWritten(Step step);

  // Nobody writes any more. Each of those that waited is ready anew; one may be gone meanwhile.
  std::vector<Ready> TakeWaiting();

  // What a runner is to tell its plugin, until that is durable.
  const std::optional<PositionReset>& reset() const { return reset_; }

 private:
  bool filter_changed_ = false;
  std::optional<PositionReset> reset_;
  bool writing_ = false;
  std::vector<Ready> waiting_;
};

}  // namespace catchup
