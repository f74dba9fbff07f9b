#pragma once

#include <chrono>
#include <string>

#include "host/source/client/appender.h"

namespace catchup::bench {

using Clock = std::chrono::steady_clock;

// Appends one event whose data is `time`, in nanoseconds of CLOCK_MONOTONIC as text, as
// latency_plugin reads it. Returns once it is in the log, or not.
Status AppendTimed(Appender* appender, const std::string& stream, const std::string& type,
                   Clock::time_point time);

}  // namespace catchup::bench
