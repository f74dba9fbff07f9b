#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace catchup::embedded {

// The message of a line `send` or `recv` of a recording, with all its bytes. Of one of more than
// 64 KiB the recorder kept the head: the rest is the fill of the event's data, and behind it, in an
// answer, the frame's position. (The recorded SHA-256 says that this is so.)
std::string RecordedMessage(const nlohmann::json& line);

// Whether our answer to a call of `method` (without its service) says what the recorded one says,
// but for what may differ by nature.
testing::AssertionResult SameFrame(const std::string& method, const std::string& found,
                                   const std::string& wanted);

}  // namespace catchup::embedded
