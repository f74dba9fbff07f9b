#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "host/base/signals.h"
#include "host/daemon/group/group_status.h"

namespace catchup {

// How a run of the host ends: what happened to it is noted here as it comes, and the exit code
// follows from that and from how each group ended. Pure; one thread.
class Verdict {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // What a signal that asks for the end means. Whoever stops a process may signal it twice, alone
  // and with its process group; two within 50 ms count as one.
  enum class Wish : std::uint8_t { kStop, kForce, kSaidBefore };
  Wish Told(const ReceivedSignal& signal, TimePoint at);

  // Waiting for the log's end, or for the groups to stop, was given up.
  void GaveUpWaiting() { gave_up_ = true; }
  // Somebody removed or took the state directory.
  void LostState() { lost_state_ = true; }

  struct GroupEnd {
    GroupStatus status;
    bool checkpoint_safe = false;  // Everything that was handled is durable.
  };
  // EXIT_SUCCESS or EXIT_FAILURE. A stop asked for by a signal is a success once nothing handled
  // can be lost, whatever a group's own end was; without one, no group may wait for a command. One
  // that had to be forced, or that a limit of the system brought about, is none.
  int ExitCode(const std::vector<GroupEnd>& groups) const;

  // A final state that is no good end: failed, given up.
  static bool IsFailure(GroupState state);

 private:
  std::optional<TimePoint> told_at_;  // First.
  int wishes_ = 0;
  bool limit_reached_ = false;  // Told to stop by the system, not by a person.
  bool gave_up_ = false;
  bool lost_state_ = false;
};

}  // namespace catchup
