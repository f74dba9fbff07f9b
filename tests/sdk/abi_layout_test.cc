#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "catchup/plugin.h"
#include "tests/sdk/plugin_harness.h"

extern "C" const catchup_plugin* abi_layout_c11_plugin(void);

namespace catchup::test {
namespace {

TEST(AbiLayoutTest, EveryFieldLiesWhereItWasReleased) {
#define ABI_STRUCT(type, bytes)                         \
  EXPECT_EQ(sizeof(type), std::size_t{bytes}) << #type; \
  EXPECT_TRUE(std::is_standard_layout_v<type>&& std::is_trivial_v<type>) << #type;
#define ABI_FIELD(type, field, offset, bytes)                                \
  EXPECT_EQ(offsetof(type, field), std::size_t{offset}) << #type "." #field; \
  EXPECT_EQ(sizeof(static_cast<type*>(nullptr)->field), std::size_t{bytes}) << #type "." #field;
#include "abi_layout.inc"
#undef ABI_STRUCT
#undef ABI_FIELD
}

TEST(AbiLayoutTest, ConstantsKeepTheirValues) {
  EXPECT_EQ(CATCHUP_MAGIC, 0x50555443u);
  EXPECT_EQ(CATCHUP_ABI_MAJOR, 1);
  EXPECT_EQ(CATCHUP_OK, 0);
  EXPECT_EQ(CATCHUP_RETRY, 1);
  EXPECT_EQ(CATCHUP_REJECT, 2);
  EXPECT_EQ(CATCHUP_FAILED, 3);
  EXPECT_EQ(CATCHUP_FATAL, 4);
  EXPECT_EQ(CATCHUP_MAX_EVENT_BYTES, 17u << 20);
  EXPECT_EQ(CATCHUP_EVENT_JSON, 1u);
  EXPECT_EQ(CATCHUP_EVENT_SYSTEM, 2u);
  EXPECT_EQ(CATCHUP_LOG_DEBUG, 0);
  EXPECT_EQ(CATCHUP_LOG_INFO, 1);
  EXPECT_EQ(CATCHUP_LOG_WARN, 2);
  EXPECT_EQ(CATCHUP_LOG_ERROR, 3);
  EXPECT_EQ(CATCHUP_CONFIG_ABSENT, 0);
  EXPECT_EQ(CATCHUP_CONFIG_TEXT, 1);
  EXPECT_EQ(CATCHUP_CONFIG_NUMBER, 2);
  EXPECT_EQ(CATCHUP_CONFIG_BOOLEAN, 3);
  EXPECT_EQ(CATCHUP_CONFIG_TABLE, 4);
  EXPECT_EQ(CATCHUP_CONFIG_LIST, 5);
  EXPECT_EQ(CATCHUP_CONFIG_OK, 0);
  EXPECT_EQ(CATCHUP_CONFIG_BAD_PATH, -1);
  EXPECT_EQ(CATCHUP_CONFIG_REFUSED, -2);
  EXPECT_STREQ(CATCHUP_EXT_BATCH, "catchup.batch/1");
  EXPECT_STREQ(CATCHUP_EXT_POSITION, "catchup.position/1");
}

TEST(AbiLayoutTest, AHeaderBuiltInCNeedsMinorZero) {
  const catchup_header& header = abi_layout_c11_plugin()->header;

  EXPECT_EQ(header.magic, CATCHUP_MAGIC);
  EXPECT_EQ(header.struct_size, sizeof(catchup_plugin));
  EXPECT_EQ(header.abi_major, 1);
  EXPECT_EQ(header.abi_minor, 0);
}

// The header without comments and blanks, so that only what the compiler sees counts.
std::string Code(const std::string& header) {
  std::string code;
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (header.compare(i, 2, "/*") == 0) {
      i = header.find("*/", i) + 1;
    } else if (header[i] > ' ') {
      code += header[i];
    }
  }
  return code;
}

// FNV-1a of 64 bits.
std::uint64_t Hash(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// Catches what the table above cannot: a retyped parameter, a new struct, a changed macro. Whoever
// changes the header on purpose checks that old plugins still load, raises the minor if the change
// adds something, and writes the new value here.
TEST(AbiLayoutTest, TheHeaderDoesNotChangeInSilence) {
  const std::string code = Code(ReadFile(CATCHUP_PLUGIN_HEADER));

  ASSERT_FALSE(code.empty());
  EXPECT_EQ(Hash(code), UINT64_C(0x25c0188bf9ee7a75)) << "found hash 0x" << std::hex << Hash(code);
}

}  // namespace
}  // namespace catchup::test
