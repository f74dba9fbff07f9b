#pragma once

namespace catchup {

// Descriptors under which a runner inherits its rings; 0 is null, 1 and 2 are pipes to the host.
inline constexpr int kEventRingFd = 3;
inline constexpr int kOutcomeRingFd = 4;
inline constexpr int kLargeRegionFd = 5;
inline constexpr int kRunnerWakeFd = 6;
inline constexpr int kHostWakeFd = 7;
inline constexpr int kRunnerLockFd = 8;
inline constexpr int kFirstFreeFd = 9;

// Under which a runner that only looks at a plugin inherits where it answers.
inline constexpr int kProbeAnswerFd = 3;

}  // namespace catchup
