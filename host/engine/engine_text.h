#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/position.h"
#include "host/engine/engine.h"

namespace catchup {

// Words for people about what the engine meets.

// `text` on one line and of bounded length: a plugin may say anything, of any size.
std::string OneLine(std::string_view text);

// "commit:prepare", or "the beginning".
std::string Place(const std::optional<Position>& position);

// For a position that is none: "18446744073709551615:0 is no place in a log: wanted …".
std::string NoPlace(Position position);

// For one that a plugin's load_position returned.
std::string LoadedNoPlace(Position position);

// A plugin's status by name; "status 17 (unknown)" when it has none.
std::string PluginStatusName(std::int32_t status);

// A stream's or type's name in quotes, on one line and of bounded length.
std::string QuotedName(std::string_view name);

// For who wants no more of a hold that is not there.
std::string NotHeldText(std::string_view type);

// " (event 17 of this run)", or nothing when no event is to blame. Which one that is in the log is
// the adapter's to say, in the texts that it hands in.
std::string AtEvent(Sequence sequence);

// What that means for the group: it stops, and where it was an event, its checkpoint stays before
// it.
std::string StopsBefore(Sequence sequence);

// What happened, for the log and the group's reason: "the runner died by a signal (event 17 of
// this run): SIGSEGV".
std::string DescribeExit(ExitClass exit_class, Sequence charged, std::string_view text);

// Why a group ends that was to end once it has caught up.
inline constexpr std::string_view kCaughtUpReason = "caught up";

// What a group's reason ends with while it waits for a time; the duration follows.
inline constexpr std::string_view kRestartIn = "; restart in ";
inline constexpr std::string_view kNextTryIn = "; next try in ";

// `reason` with `advice` behind it, in front of that end.
std::string WithAdvice(std::string_view reason, std::string_view advice);

// `reason` with `left` in place of the duration it ends with, which was true when it was written;
// without that end where `left` is empty.
std::string WithTimeLeft(std::string_view reason, std::string_view left);

// `reason` for a place that has no room for all of it: without the event, of which the log tells
// more, and without what it means for the group, so that the cause is what remains. A reason that
// names no event stays as it is.
std::string ShortReason(std::string_view reason);

// Why a group of several lanes cannot have a plugin that keeps its own position.
std::string NeedsOneLane(std::size_t lanes);

// For a group that fails on a plugin's answer.
std::string DescribeOutcome(const BadOutcome& outcome);

}  // namespace catchup
