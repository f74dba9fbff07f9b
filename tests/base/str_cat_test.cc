#include "host/base/str_cat.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace catchup {
namespace {

TEST(StrCatTest, JoinsTextOfEveryKind) {
  const std::string owned = "an owned text, longer than what a string keeps inside";
  EXPECT_EQ(StrCat("literal, ", owned, ", ", std::string_view("view")),
            "literal, an owned text, longer than what a string keeps inside, view");
}

TEST(StrCatTest, KeepsZeroBytes) {
  EXPECT_EQ(StrCat(std::string_view("a\0b", 3), "c"), std::string("a\0bc", 4));
}

TEST(StrCatTest, WritesIntegersInDecimalDigits) {
  EXPECT_EQ(StrCat("from ", std::numeric_limits<std::int64_t>::min(), " to ",
                   std::numeric_limits<std::uint64_t>::max()),
            "from -9223372036854775808 to 18446744073709551615");
}

TEST(StrCatTest, TakesAByteForANumber) {
  EXPECT_EQ(StrCat("status ", std::uint8_t{65}), "status 65");
}

TEST(StrCatTest, MakesNothingOfNothing) { EXPECT_EQ(StrCat("", std::string()), ""); }

}  // namespace
}  // namespace catchup
