#include <gtest/gtest.h>

#include <string>

#include "host/runner/probe.h"

namespace catchup {
namespace {

constexpr pid_t kSender = 4711;

TEST(ProbeRecordTest, ComesBackAsItWas) {
  std::string bytes = EncodeProbeRecord({true, "orders 1.2.0"}, kSender);
  bytes += EncodeProbeRecord({false, ""}, kSender);
  const auto first = TakeProbeRecord(&bytes, kSender);
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(first->ok);
  EXPECT_EQ(first->text, "orders 1.2.0");
  const auto second = TakeProbeRecord(&bytes, kSender);
  ASSERT_TRUE(second.has_value());
  EXPECT_FALSE(second->ok);
  EXPECT_FALSE(TakeProbeRecord(&bytes, kSender).has_value());
}

TEST(ProbeRecordTest, CountsOnlyAsAWhole) {
  const std::string whole = EncodeProbeRecord({true, "orders 1.2.0"}, kSender);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::string bytes = whole.substr(0, size);
    EXPECT_FALSE(TakeProbeRecord(&bytes, kSender).has_value()) << size;
    bytes += whole.substr(size);
    EXPECT_TRUE(TakeProbeRecord(&bytes, kSender).has_value()) << size;
  }
}

// A plugin may write there too.
TEST(ProbeRecordTest, StrangeBytesAroundOneCostNothing) {
  const std::string whole = EncodeProbeRecord({true, "orders"}, kSender);
  std::string bytes = "CTPR a banner CTPR" + whole.substr(0, 20) + whole + "and more";
  const auto record = TakeProbeRecord(&bytes, kSender);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->text, "orders");
  EXPECT_EQ(bytes, "and more");
}

TEST(ProbeRecordTest, EveryDamagedByteIsNoticed) {
  const std::string whole = EncodeProbeRecord({true, "orders"}, kSender);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    EXPECT_FALSE(TakeProbeRecord(&bytes, kSender).has_value()) << at;
  }
}

TEST(ProbeRecordTest, AnotherProcessDoesNotAnswerForTheOneThatWasAsked) {
  std::string bytes = EncodeProbeRecord({true, "orders"}, kSender + 1);
  EXPECT_FALSE(TakeProbeRecord(&bytes, kSender).has_value());
}

TEST(ProbeRecordTest, ALongTextIsCut) {
  std::string bytes = EncodeProbeRecord({true, std::string(100'000, 'x')}, kSender);
  const auto record = TakeProbeRecord(&bytes, kSender);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->text.size(), kMaxProbeText);
}

}  // namespace
}  // namespace catchup
