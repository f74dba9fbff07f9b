#include "host/base/number.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace catchup {
namespace {

TEST(ParseNumberTest, ReadsWhatFitsToItsLastDigit) {
  EXPECT_EQ(ParseNumber<std::uint64_t>("0"), 0u);
  EXPECT_EQ(ParseNumber<std::uint64_t>("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(ParseNumber<std::int64_t>("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(ParseNumber<std::uint16_t>("065535"), 65'535);
}

TEST(ParseNumberTest, FindsNoneWhereAnythingElseStands) {
  for (const char* text : {"", "-", "+1", " 1", "1 ", "1.0", "0x1", "1e3", "one"}) {
    EXPECT_EQ(ParseNumber<std::int64_t>(text), std::nullopt) << '"' << text << '"';
  }
  EXPECT_EQ(ParseNumber<std::uint64_t>("-1"), std::nullopt);
}

TEST(ParseNumberTest, FindsNoneInWhatIsTooLarge) {
  EXPECT_EQ(ParseNumber<std::uint64_t>("18446744073709551616"), std::nullopt);
  EXPECT_EQ(ParseNumber<std::uint16_t>("65536"), std::nullopt);
  EXPECT_EQ(ParseNumber<std::int64_t>("-9223372036854775809"), std::nullopt);
}

}  // namespace
}  // namespace catchup
