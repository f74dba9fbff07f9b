#include "host/base/uuid.h"

#include <gtest/gtest.h>

#include <string>

namespace catchup {
namespace {

constexpr char kText[] = "00112233-4455-6677-8899-aabbccddeeff";

TEST(UuidTest, ReadsWhatItWrites) {
  const auto uuid = ParseUuid(kText);
  ASSERT_TRUE(uuid.has_value());
  EXPECT_EQ(FormatUuid(*uuid), kText);
  EXPECT_EQ(uuid->bytes[0], 0x00);
  EXPECT_EQ(uuid->bytes[15], 0xff);
}

TEST(UuidTest, ReadsUpperCase) {
  EXPECT_EQ(ParseUuid("00112233-4455-6677-8899-AABBCCDDEEFF"), ParseUuid(kText));
}

TEST(UuidTest, HasBigEndianHalves) {
  const Uuid uuid = *ParseUuid(kText);
  EXPECT_EQ(uuid.most_significant(), 0x0011223344556677u);
  EXPECT_EQ(uuid.least_significant(), 0x8899aabbccddeeffu);
  EXPECT_EQ(Uuid::FromHalves(0x0011223344556677u, 0x8899aabbccddeeffu), uuid);
}

TEST(UuidTest, RefusesEverythingElse) {
  for (const std::string text :
       {"", "00112233445566778899aabbccddeeff", "{00112233-4455-6677-8899-aabbccddeeff}",
        "00112233-4455-6677-8899-aabbccddeefg", "00112233-4455-6677-8899-aabbccddeef",
        "001122334-455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff "}) {
    EXPECT_FALSE(ParseUuid(text).has_value()) << text;
  }
}

// Ids made from names are stored in logs, so they may never change.
TEST(UuidTest, GivesOneNameOneIdForEver) {
  EXPECT_EQ(NameUuid("a"), NameUuid("a"));
  EXPECT_NE(NameUuid("a"), NameUuid("b"));
  EXPECT_EQ(FormatUuid(NameUuid("")).substr(14, 1), "5");
}

TEST(UuidTest, DrawsVersionFour) {
  const Uuid one = RandomUuid();
  EXPECT_NE(one, RandomUuid());
  EXPECT_EQ(FormatUuid(one).substr(14, 1), "4");
  EXPECT_FALSE(one.is_zero());
  EXPECT_TRUE(Uuid{}.is_zero());
}

}  // namespace
}  // namespace catchup
