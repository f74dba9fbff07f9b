#include "host/daemon/text/hold_text.h"

#include <fmt/core.h>

#include <charconv>

#include "host/base/nearest.h"
#include "host/base/text.h"
#include "host/engine/engine_text.h"

namespace catchup {

std::string StoppedByCommand(std::string_view group) {
  return fmt::format("stopped by command; catchup start {} lets it run again", group);
}

std::string FencedText(std::string_view group, std::uint64_t seen, std::uint64_t ours) {
  return fmt::format(
      "fenced: token {} seen, ours {}: another host, or an earlier state directory of this one, "
      "has "
      "written to the plugin's store; where that one is gone for good, catchup start {} "
      "--take-over "
      "raises ours above it",
      seen, ours, group);
}

std::string ToBeParkedText(Position position, std::string_view waits) {
  return fmt::format("the event at {} becomes a dead letter when its turn comes: {}",
                     FormatPosition(position), waits);
}

std::string IsLetterText(std::string_view group, Position position) {
  return fmt::format("the event at {1} is a dead letter already: `catchup dlq show {0} {1}`", group,
                     FormatPosition(position));
}

std::string TypeParkedText(std::string_view type) {
  return fmt::format(
      "events of type {} are parked without a call until catchup dlq unpark, or another plugin "
      "file",
      QuotedName(type));
}

std::string SeeHeldText(std::string_view group) {
  return fmt::format(": `catchup dlq list {} --held` shows which are", group);
}

std::string TypeUnparkedText(std::string_view type) {
  return fmt::format("events of type {} are called again", QuotedName(type));
}

std::string ResetText(const PositionReset& reset) {
  return reset.to.has_value() ? FormatPosition(*reset.to) : "the beginning";
}

std::string NoSuchGroup(std::string_view group, const std::vector<std::string>& names) {
  const auto nearest = NearestName(group, names);
  std::string text = "no such group: " + Quoted(group, kMaxShown) + ", ";
  if (nearest.has_value()) {
    return text + "the nearest is " + *nearest;
  }
  text += names.size() > 1 ? "wanted one of " : "wanted ";
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return text;
}

std::optional<std::uint64_t> FindSeenToken(std::string_view text) {
  constexpr std::string_view kBefore = "fenced: token ";
  constexpr std::string_view kBehind = " seen";
  const std::size_t at = text.find(kBefore);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  const char* begin = text.data() + at + kBefore.size();
  const char* end = text.data() + text.size();
  std::uint64_t seen = 0;
  const auto [rest, error] = std::from_chars(begin, end, seen);
  const std::string_view behind(rest, static_cast<std::size_t>(end - rest));
  if (error != std::errc() || seen == 0 || behind.substr(0, kBehind.size()) != kBehind) {
    return std::nullopt;
  }
  return seen;
}

}  // namespace catchup
