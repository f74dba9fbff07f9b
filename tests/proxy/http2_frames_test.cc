#include "tests/proxy/http2_frames.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace catchup {
namespace {

using Streams = std::set<std::uint32_t>;

constexpr char kData = 0;
constexpr char kHeaders = 1;
constexpr char kNothing = 0;
constexpr char kEndStream = 1;

std::string Frame(char type, char flags, char stream, const std::string& payload) {
  std::string frame = {0, 0, static_cast<char>(payload.size()), type, flags, 0, 0, 0, stream};
  return frame + payload;
}

TEST(Http2FramesTest, KnowsBetweenAnyTwoBytesHowMuchOfAFrameIsLeft) {
  const std::string frame = Frame(kData, kNothing, 3, "abc");
  Http2Frames frames;
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(frames.left(), 0u);
    for (std::size_t i = 0; i + 1 < frame.size(); ++i) {
      frames.Take(frame.substr(i, 1));
      // Before the head is whole nobody knows how long the frame is.
      EXPECT_EQ(frames.left(), i < 8 ? 8 - i : 11 - i);
    }
    frames.Take(frame.substr(frame.size() - 1));
  }
  frames.Take(frame + frame + frame.substr(0, 10));
  EXPECT_EQ(frames.left(), 2u);
}

TEST(Http2FramesTest, KnowsWhichCallsAreBeingAnswered) {
  Http2Frames frames;
  frames.Take(Frame(kHeaders, kNothing, 1, "h") + Frame(kHeaders, kNothing, 3, "h") +
              Frame(kHeaders, kNothing, 5, "h") + Frame(kHeaders, kEndStream, 7, "h") +
              Frame(kData, kNothing, 1, "d"));
  EXPECT_EQ(frames.answered(), (Streams{1, 3, 5}));
  frames.Take(Frame(kHeaders, kEndStream, 3, "t") + Frame(kData, kEndStream, 5, "d"));
  EXPECT_EQ(frames.answered(), Streams{1});
  frames.Take(Http2Frames::Reset(1, 8));
  EXPECT_EQ(frames.answered(), Streams());
  EXPECT_EQ(frames.left(), 0u);
}

}  // namespace
}  // namespace catchup
