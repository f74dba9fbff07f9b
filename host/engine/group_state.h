#pragma once

#include <cstdint>
#include <string_view>

namespace catchup {

enum class GroupState : std::uint8_t {
  kIdle,      // Start() has not come yet.
  kStarting,  // Runner or subscription is not there yet for the first time.
  kCatchingUp,
  kCaughtUp,  // Live; everything before caught_up was settled and durable.
  kWaiting,   // For the source, for a runner, or for room on the disk: the reason says which.
  kDraining,  // A stop was asked for; calls in flight are finishing.
  kStopped,   // Ended well: stopped, or caught up with stop_on_caught_up. Final.
  kFailed,    // Ended with a reason; the checkpoint is untouched by what failed. Final.
  kGivenUp,   // The runner died too often. Final; another incarnation tries again now and then.
  kHalted,    // Going on might do harm, so an operator decides. No state of the engine's own.
};

std::string_view GroupStateName(GroupState state);

struct Transition {
  GroupState from;
  GroupState to;
  std::uint8_t causes;  // Of Transitions::Cause.
};

// All that there are; the simulation meets each of them and no other. A final state is left for
// good, and one that needs nothing finished before it is entered at once.
struct Transitions {
  // By whose word. Time alone ends a wait, or a call that is silent, and no more.
  enum Cause : std::uint8_t {
    kOperator = 1,  // Start, Stop, and what is said about letters.
    kRunner = 2,    // Ready, settled, failed, hung, gone.
    kSource = 4,    // Whatever a subscription brings, and its end.
    kStore = 8,     // Durable, not begun, exhausted, failed.
    kClock = 16,
  };

  using enum GroupState;
  static constexpr Transition kTable[] = {
      {kIdle, kStarting, kOperator},
      {kIdle, kStopped, kOperator},
      {kIdle, kFailed, kOperator},  // Nothing can begin where it is recorded to.
      {kStarting, kCatchingUp, kSource},
      {kStarting, kCaughtUp, kSource},  // Nothing was there to catch up with.
      {kStarting, kWaiting, kRunner | kSource | kStore | kClock},
      {kStarting, kDraining, kOperator | kRunner | kSource | kStore},
      {kStarting, kFailed, kRunner},     // By a letter's call, before a subscription is there.
      {kStarting, kGivenUp, kRunner},    // It was tried again, and nothing has changed; as the two
      {kCatchingUp, kGivenUp, kRunner},  // of these that come later.
      {kCaughtUp, kGivenUp, kRunner},
      {kCatchingUp, kCaughtUp, kRunner | kSource | kStore},
      {kCatchingUp, kWaiting, kOperator | kRunner | kSource | kStore | kClock},
      {kCatchingUp, kDraining, kOperator | kRunner | kSource | kStore},
      {kCatchingUp, kFailed, kRunner},    // It ended with a verdict, and all is written.
      {kCaughtUp, kCatchingUp, kRunner},  // Put back while its runner was replaced.
      {kCaughtUp, kWaiting, kOperator | kRunner | kSource | kStore | kClock},
      {kCaughtUp, kDraining, kOperator | kRunner | kSource | kStore},
      {kCaughtUp, kFailed, kRunner},
      {kWaiting, kStarting, kRunner | kSource | kStore},
      {kWaiting, kCatchingUp, kOperator | kRunner | kSource | kStore | kClock},
      {kWaiting, kCaughtUp, kOperator | kRunner | kSource | kStore | kClock},
      {kWaiting, kDraining, kOperator | kRunner | kSource | kStore},
      {kWaiting, kStopped, kOperator},
      {kWaiting, kFailed, kRunner | kSource | kStore},
      {kWaiting, kGivenUp, kRunner},
      {kDraining, kStopped, kRunner | kStore},
      {kDraining, kFailed, kRunner | kStore},
      {kDraining, kGivenUp, kStore},
  };
};

}  // namespace catchup
