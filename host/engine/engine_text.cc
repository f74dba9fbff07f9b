#include "host/engine/engine_text.h"

#include <fmt/core.h>

#include <algorithm>

#include "host/base/text.h"

namespace catchup {
namespace {

// A status page shows one line; the whole text is the runner's log's business.
constexpr std::size_t kMaxLineBytes = 1024;

// Around the number in AtEvent, and before what StopsBefore says.
constexpr std::string_view kEvent = " (event ";
constexpr std::string_view kOfThisRun = " of this run)";
constexpr std::string_view kStops = "; the group stops";

std::string_view ExitWords(ExitClass exit_class) {
  switch (exit_class) {
    case ExitClass::kClean:
      return "ended without being asked to";
    case ExitClass::kSetup:
      return "could not be set up";
    case ExitClass::kContract:
      return "broke the plugin contract";
    case ExitClass::kFatal:
      return "was told by the plugin that it cannot go on (FATAL)";
    case ExitClass::kCrash:
      return "died by a signal";
    case ExitClass::kExit:
      return "was ended by the plugin";
    case ExitClass::kHung:
      return "hung and was killed";
    case ExitClass::kMemory:
      return "was killed for its memory";
    case ExitClass::kKilled:
      break;
  }
  return "ended";
}

}  // namespace

std::string OneLine(std::string_view text) { return OneLine(text, kMaxLineBytes); }

std::string WithTimeLeft(std::string_view reason, std::string_view left) {
  for (const std::string_view end : {kRestartIn, kNextTryIn}) {
    const std::size_t at = reason.rfind(end);
    if (at == std::string_view::npos) {
      continue;
    }
    return std::string(reason.substr(0, left.empty() ? at : at + end.size())).append(left);
  }
  return std::string(reason);
}

std::string WithAdvice(std::string_view reason, std::string_view advice) {
  std::size_t at = reason.size();
  for (const std::string_view end : {kRestartIn, kNextTryIn}) {
    at = std::min(at, reason.rfind(end));
  }
  return std::string(reason.substr(0, at)).append(advice).append(reason.substr(at));
}

std::string NeedsOneLane(std::size_t lanes) {
  return fmt::format(
      "lanes = {}, and the plugin keeps its own position (catchup.position/1): wanted lanes = 1, "
      "since one position says nothing about what other lanes have",
      lanes);
}

std::string Place(const std::optional<Position>& position) {
  return position ? FormatPosition(*position) : "the beginning";
}

std::string NoPlace(Position position) {
  return FormatPosition(position) + " is no place in a log: wanted prepare <= commit < 2^63";
}

std::string LoadedNoPlace(Position position) {
  return "load_position returned " + NoPlace(position) + "; the plugin's store is to be put right";
}

std::string PluginStatusName(std::int32_t status) {
  switch (status) {
    case 0:
      return "OK";
    case 1:
      return "RETRY";
    case 2:
      return "REJECT";
    case 3:
      return "FAILED";
    case 4:
      return "FATAL";
    default:
      return fmt::format("status {} (unknown)", status);
  }
}

std::string QuotedName(std::string_view name) {
  constexpr std::size_t kMostBytes = 128;
  return Quoted(name, kMostBytes);
}

std::string NotHeldText(std::string_view type) {
  return "events of type " + QuotedName(type) + " are not held";
}

std::string AtEvent(Sequence sequence) {
  return sequence == 0 || sequence == kLetterCall
             ? std::string()
             : fmt::format("{}{}{}", kEvent, sequence, kOfThisRun);
}

std::string StopsBefore(Sequence sequence) {
  return std::string(kStops).append(sequence == 0 ? "" : ", its checkpoint stays before that");
}

std::string ShortReason(std::string_view reason) {
  const std::size_t end = reason.rfind(kOfThisRun);
  const std::size_t begin =
      end == std::string_view::npos ? end : reason.substr(0, end).rfind(kEvent);
  if (begin == std::string_view::npos) {
    return std::string(reason);
  }
  std::string_view what = reason.substr(0, begin);
  std::string text;
  // "handle of EVENT returned FAILED", "handle of EVENT hung".
  for (const std::string_view verb : {std::string_view(" returned "), std::string_view(" hung")}) {
    const std::size_t at = what.rfind(verb);
    const std::size_t of = what.find(" of ");
    if (at != std::string_view::npos && of < at) {
      text = std::string(what.substr(0, of));
      what.remove_prefix(at);
      break;
    }
  }
  text += what;
  const std::string_view rest = reason.substr(end + kOfThisRun.size());
  return text.append(rest.substr(0, rest.rfind(kStops)));
}

std::string DescribeExit(ExitClass exit_class, Sequence charged, std::string_view text) {
  std::string words = "the runner ";
  words += ExitWords(exit_class);
  words += AtEvent(charged);
  if (!text.empty()) {
    words += ": " + OneLine(text);
  }
  return words;
}

std::string DescribeOutcome(const BadOutcome& outcome) {
  return fmt::format("{} returned {}{}{}", OneLine(outcome.call), PluginStatusName(outcome.status),
                     AtEvent(outcome.sequence),
                     outcome.text.empty() ? " and said nothing" : ": " + OneLine(outcome.text));
}

std::string_view GroupStateName(GroupState state) {
  switch (state) {
    case GroupState::kIdle:
      return "idle";
    case GroupState::kStarting:
      return "starting";
    case GroupState::kCatchingUp:
      return "catching up";
    case GroupState::kCaughtUp:
      return "caught up";
    case GroupState::kWaiting:
      return "waiting";
    case GroupState::kDraining:
      return "draining";
    case GroupState::kStopped:
      return "stopped";
    case GroupState::kFailed:
      return "failed";
    case GroupState::kHalted:
      return "halted";
    case GroupState::kGivenUp:
      break;
  }
  return "given up";
}

std::string_view ExitClassName(ExitClass exit_class) {
  switch (exit_class) {
    case ExitClass::kClean:
      return "clean";
    case ExitClass::kSetup:
      return "setup";
    case ExitClass::kContract:
      return "contract";
    case ExitClass::kFatal:
      return "fatal";
    case ExitClass::kCrash:
      return "crash";
    case ExitClass::kExit:
      return "exit";
    case ExitClass::kHung:
      return "hung";
    case ExitClass::kMemory:
      return "memory";
    case ExitClass::kKilled:
      break;
  }
  return "killed";
}

}  // namespace catchup
