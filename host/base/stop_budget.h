#pragma once

#include <chrono>

// What a stop may take, from the first SIGTERM on. Each part is spent by another: the drain and the
// force by a group's engine, the rest by the host.
namespace catchup {

// The promise: a host has ended this long after it was told to stop.
inline constexpr std::chrono::milliseconds kStopLimit{10'000};

// The most a group may ask for, so that its runner finishes what it was handed.
inline constexpr std::chrono::milliseconds kMaxDrainTimeout{5'000};

// The time from SIGABRT to SIGKILL, in which a report is written.
inline constexpr std::chrono::milliseconds kStopPatience{3'000};

// The time in which processes are reaped, checkpoints written and files closed; what has not ended
// by then is left to itself.
inline constexpr std::chrono::milliseconds kStopMargin{1'500};

// The very last word, in case a disk or a library holds up the end itself. Nothing can be lost by
// it: what is durable is durable, and runners die with the host.
inline constexpr std::chrono::milliseconds kStopAbandon{400};

static_assert(kMaxDrainTimeout + kStopPatience + kStopMargin + kStopAbandon <= kStopLimit);

}  // namespace catchup
