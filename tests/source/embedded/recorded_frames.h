#pragma once

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace catchup::embedded {

// The message of a line `send` or `recv` of a recording, with all its bytes. Of one of more than
// 64 KiB the recorder kept the head: the rest is the fill of the event's data, and behind it, in an
// answer, the frame's position. (The recorded SHA-256 says that this is so.)
std::string RecordedMessage(const nlohmann::json& line);

// The trailers of a line `trailer`, without what is an HTTP header in truth: grpc-js shows the
// headers of an answer without a body as trailers, and bare HTTP/2 the status.
std::map<std::string, std::string> RecordedTrailers(const nlohmann::json& line);

// This status the recording client made by itself: it cancelled, its deadline was over, or (on bare
// HTTP/2) it reset the stream.
bool IsOfTheClient(int code);

// Whether our answer to a call of `method` (without its service) says what the recorded one says,
// but for what may differ by nature.
testing::AssertionResult SameFrame(const std::string& method, const std::string& found,
                                   const std::string& wanted);

}  // namespace catchup::embedded
