#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "host/base/position.h"
#include "host/base/status.h"
#include "host/engine/group_state.h"

namespace catchup {

// What an operator may ask of a group that is not to be undone by a restart.

struct StartOrder {
  bool accept_filter = false;  // Go on from the checkpoint though prefixes or match have changed.
  bool take_over = false;      // Raise the fencing token above the one that refused ours.
};

// Where a reset goes to.
struct ResetTarget {
  enum class Kind : std::uint8_t { kBeginning, kLastGood, kPosition };
  Kind kind = Kind::kBeginning;
  Position position;  // kPosition.
};

// Reads "beginning", "last-good" or "commit:prepare". kInvalid: anything else.
Result<ResetTarget> ParseResetTarget(std::string_view text);

// What became of a command.
struct ControlAnswer {
  enum class Kind : std::uint8_t {
    kDone,
    kNoSuchGroup,
    kRefused,   // Not in this state, or not so.
    kFailed,    // It cannot be done now: a disk, a machine.
    kTimedOut,  // Not done within its limit; it goes on.
    kEnding,    // The host is ending, or only beginning.
  };
  Kind kind = Kind::kDone;
  std::string text;       // Why not; or what else is to be said.
  bool expected = false;  // Trouble that needs nobody's attention.
  std::string group;
  GroupState state = GroupState::kIdle;  // Of the group afterwards, as the next.
  std::string reason;
};

// Called once, on any thread; must not block.
using ControlReply = std::function<void(const ControlAnswer&)>;

// What a front end may ask of a running host. Any thread; nothing blocks. Every command has a limit
// of time, after which it is answered whatever has become of it.
//
// `by` says for the log who asks.
class HostControl {
 public:
  virtual ~HostControl() = default;

  // Drains the group, for this run and those to come. One that has ended stays so.
  virtual void StopGroup(const std::string& group, const std::string& by, ControlReply reply) = 0;
  // Begins it again: one that was stopped, has ended, failed, was given up or halted.
  virtual void StartGroup(const std::string& group, const StartOrder& order, const std::string& by,
                          ControlReply reply) = 0;
  // Puts the place to go on from elsewhere, while the group does not run.
  virtual void ResetGroup(const std::string& group, const ResetTarget& target,
                          const std::string& by, ControlReply reply) = 0;
};

}  // namespace catchup
