#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/position.h"

namespace catchup {

// Why a group does not run, and the command that changes it.
std::string StoppedByCommand(std::string_view group);
std::string FencedText(std::string_view group, std::uint64_t seen, std::uint64_t ours);

// What an operator's decision about events comes to: they become letters, or are called again.
// `waits` says what the event waits for until then.
std::string ToBeParkedText(Position position, std::string_view waits);
// Why an event is not parked that is a letter.
std::string IsLetterText(std::string_view group, Position position);
std::string TypeParkedText(std::string_view type);
std::string TypeUnparkedText(std::string_view type);
// Behind what says that a type is not held.
std::string SeeHeldText(std::string_view group);

// "the beginning", or the position.
std::string ResetText(const PositionReset& reset);

// The answer to a command that names none of `names`: the nearest of them, or all.
std::string NoSuchGroup(std::string_view group, const std::vector<std::string>& names);

// The token that a plugin's store has seen, by the text of its refusal as the ABI asks for it:
// "fenced: token 57 seen, ours 1". None: the text says something else.
std::optional<std::uint64_t> FindSeenToken(std::string_view text);

}  // namespace catchup
