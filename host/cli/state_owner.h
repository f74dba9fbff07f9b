#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "host/base/status.h"

namespace catchup {

// How a command asks for a host: more than one takes for anything that it answers, and for one that
// has its state directory and not yet its socket, or neither any more.
inline constexpr std::chrono::seconds kAnswerLimit{30};
inline constexpr std::chrono::seconds kHostPatience{5};
inline constexpr std::chrono::milliseconds kAskHostAgain{50};

// Who asks, in words for what is stored where no host runs.
std::string AskedHere();

// "no host runs on state directory DIRECTORY".
std::string NoHostOn(const std::filesystem::path& directory);

// For an answer of a host that says nothing of what was asked.
std::string StrangeAnswer(int http_status);

// Whether what this process writes below a state directory can be read by its host, which is of the
// user that owns it. kDenied tells how to run `catchup COMMAND ...` as that user.
Status CheckStateOwner(const std::filesystem::path& directory, const std::string& command);

}  // namespace catchup
