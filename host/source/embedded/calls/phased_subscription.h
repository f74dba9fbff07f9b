#pragma once

#include "host/source/embedded/calls/read_source.h"

namespace catchup::embedded {

// The course of every subscription: it starts, catches up from the log, and goes on live; back to
// catching up when it falls so far behind that its live buffer overflows.
class PhasedSubscription : public ReadSource {
 public:
  Step Fill(FrameBuffer* out) final {
    switch (phase_) {
      case Phase::kStarting:
        return Start(out);
      case Phase::kCatchingUp:
        return CatchUp(out);
      case Phase::kLive:
        return Live(out);
    }
    return {};
  }

 protected:
  enum class Phase { kStarting, kCatchingUp, kLive };

  // Each appends frames as Fill does, and sets the phase of the next step.
  virtual Step Start(FrameBuffer* out) = 0;
  virtual Step CatchUp(FrameBuffer* out) = 0;
  virtual Step Live(FrameBuffer* out) = 0;

  Phase phase_ = Phase::kStarting;
};

}  // namespace catchup::embedded
