#include "host/daemon/text/trace_ids.h"

#include <gtest/gtest.h>

#include <string>

namespace catchup {
namespace {

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr const char* kSpan = "b7ad6b7169203331";

std::string Found(const std::string& metadata) {
  const TraceIds ids = TraceIdsOf(metadata);
  return ids.trace + "/" + ids.span;
}

const std::string kBoth = std::string(kTrace) + "/" + kSpan;

TEST(TraceIdsTest, AreReadFromEachOfTheirNames) {
  EXPECT_EQ(Found(R"({"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})"),
            kBoth);
  EXPECT_EQ(Found(R"( {"a":[1,{"b":2}],"$traceId":"0AF7651916CD43DD8448EB211C80319C",)"
                  R"("$spanId":"b7ad6b7169203331"} )"),
            kBoth);
  EXPECT_EQ(
      Found(R"({"trace-id":"0af7651916cd43dd8448eb211c80319c","span-id":"b7ad6b7169203331"})"),
      kBoth);
}

TEST(TraceIdsTest, TheFirstValidOneCounts) {
  EXPECT_EQ(Found(R"({"trace-id":"11111111111111111111111111111111","span-id":"1111111111111111",)"
                  R"("traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})"),
            kBoth);
  EXPECT_EQ(Found(R"({"traceparent":"nonsense","$traceId":"0af7651916cd43dd8448eb211c80319c",)"
                  R"("$spanId":"b7ad6b7169203331"})"),
            kBoth);
}

// So that a team finds out that its ids are lost on the way.
TEST(TraceIdsTest, WhatIsNamedATraceAndIsNoIdIsInvalid) {
  EXPECT_TRUE(TraceIdsOf(R"({"traceparent":"nonsense"})").invalid);
  EXPECT_TRUE(TraceIdsOf(R"({"$traceId":"0af7","$spanId":"b7ad6b7169203331"})").invalid);
  EXPECT_FALSE(TraceIdsOf("").invalid);
  EXPECT_FALSE(TraceIdsOf(R"({"user":"me"})").invalid);
  EXPECT_FALSE(
      TraceIdsOf(R"({"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})")
          .invalid);
}

TEST(TraceIdsTest, WhatIsNoIdIsNone) {
  for (const std::string& metadata : {
           std::string(),
           std::string("no json"),
           std::string("[]"),
           std::string("{"),
           std::string(R"({"traceparent":7})"),
           std::string(
               R"({"traceparent":"00-00000000000000000000000000000000-b7ad6b7169203331-01"})"),
           std::string(
               R"({"traceparent":"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"})"),
           std::string(
               R"({"traceparent":"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})"),
           std::string(
               R"({"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x"})"),
           std::string(R"({"$traceId":"0af7651916cd43dd8448eb211c80319c"})"),
           std::string(R"({"$traceId":"0af7","$spanId":"b7ad6b7169203331"})"),
       }) {
    EXPECT_EQ(Found(metadata), "/") << metadata;
  }
}

TEST(TraceIdsTest, LargeMetadataIsNotLookedInto) {
  const std::string ids =
      R"({"trace-id":"0af7651916cd43dd8448eb211c80319c","span-id":"b7ad6b7169203331","x":")";
  const std::string end = "\"}";
  EXPECT_EQ(Found(ids + std::string(kMaxTracedMetadata - ids.size() - 2, 'x') + end), kBoth);
  EXPECT_EQ(Found(ids + std::string(kMaxTracedMetadata - ids.size() - 1, 'x') + end), "/");
}

}  // namespace
}  // namespace catchup
