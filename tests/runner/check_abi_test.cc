#include <gtest/gtest.h>

#include "host/runner/plugin_library.h"

namespace catchup {
namespace {

constexpr catchup_header kCurrent = CATCHUP_HEADER;

TEST(CheckAbiTest, AcceptsTheCurrentHeader) { EXPECT_TRUE(CheckAbi(kCurrent).ok()); }

TEST(CheckAbiTest, AcceptsALongerDescriptorOfALaterMinorThatNeedsNone) {
  catchup_header longer = kCurrent;
  longer.struct_size += 64;
  EXPECT_TRUE(CheckAbi(longer).ok());
}

TEST(CheckAbiTest, RefusesAnotherMagicBeforeAllElse) {
  catchup_header other = kCurrent;
  other.magic = 0x7f454c46;
  other.abi_major = 9;

  const Status status = CheckAbi(other);

  EXPECT_EQ(status.code(), Status::Code::kIncompatible);
  EXPECT_EQ(status.message(), "not a catchup plugin: its magic is 7f454c46, wanted 50555443");
}

TEST(CheckAbiTest, RefusesAShortDescriptorBeforeItsVersion) {
  catchup_header small = kCurrent;
  small.struct_size = 8;
  small.abi_major = 9;
  EXPECT_EQ(CheckAbi(small).message(), "its descriptor has 8 bytes, wanted at least " +
                                           std::to_string(sizeof(catchup_plugin)));
}

TEST(CheckAbiTest, RefusesAnotherMajorAndSaysBothVersions) {
  for (const int major : {0, 2}) {
    catchup_header other = kCurrent;
    other.abi_major = static_cast<std::uint16_t>(major);
    EXPECT_EQ(CheckAbi(other).message(),
              "built for ABI " + std::to_string(major) + ".x, host has 1.0");
  }
}

// A plugin for a newer host may call what this host does not have, so it must fail to load, not
// crash on the first event.
TEST(CheckAbiTest, RefusesANewerMinorAndSaysBothVersions) {
  catchup_header newer = kCurrent;
  newer.abi_minor = CATCHUP_ABI_MINOR + 1;
  EXPECT_EQ(CheckAbi(newer).message(), "needs ABI 1.1, host has 1.0");
}

}  // namespace
}  // namespace catchup
