#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "host/base/status.h"
#include "host/daemon/store/preparation.h"
#include "host/engine/group_state.h"

namespace catchup {

// The way of a group to its engine's start, step by step, and how it can end before:
//
//   open source ─► prepare ─► open letters ─► start engine
//                   ▲   │
//                   │   ▼  where a new group is to start at the end of the log
//                  read head
//
// What may pass is waited for and the step tried again; a stop ends the way at the next word of any
// step. Says what is next; whoever asks does it.
class StartPath {
 public:
  enum class Step : std::uint8_t { kOpenSource, kPrepare, kReadHead, kOpenLetters, kStartEngine };

  struct Next {
    enum class What : std::uint8_t {
      kStep,   // `step`.
      kLater,  // The same after a pause; `reason` is what is waited for meanwhile.
      kEnd,    // In `state`, by `reason`. No step follows.
      kHold,   // The same, but by a word of earlier: it is not to start before a command says so.
    };
    What what = What::kStep;
    Step step = Step::kOpenSource;
    GroupState state = GroupState::kStopped;
    std::string reason;
    bool refused = false;  // kLater: the server has answered with a refusal, and is not pressed.
  };

  // What else a step found.
  struct Found {
    std::optional<Hold> hold;  // kPrepare, where it succeeded.
    bool needs_head = false;   // The same.
    bool refused = false;      // kReadHead: the server has refused it,
    bool of_access = false;    // because of who the host is.
  };

  Next Begin() const;
  // `step` is over with `result`.
  Next After(Step step, const Status& result) const { return After(step, result, Found()); }
  Next After(Step step, const Status& result, const Found& found) const;

  // The group is to stop.
  void Stop() { stopping_ = true; }
  bool stopping() const { return stopping_; }

 private:
  bool stopping_ = false;
};

}  // namespace catchup
