#include <gtest/gtest.h>

#include <cstring>

#include "host/runner/copy_table.h"
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
  EXPECT_EQ(CheckAbi(small).message(), "its descriptor has 8 bytes, wanted at least 64");
}

// The size of ABI 1.0 as a number: it must not follow the struct when that grows.
TEST(CheckAbiTest, AcceptsTheDescriptorOfTheFirstAbiAndNothingShorter) {
  catchup_header first = kCurrent;
  first.struct_size = 64;
  EXPECT_TRUE(CheckAbi(first).ok());
  first.struct_size = 63;
  EXPECT_FALSE(CheckAbi(first).ok());
}

// A table as it is today, and as a later minor may have it.
struct Today {
  std::uint32_t struct_size;
  std::uint32_t number;
};
struct Later {
  std::uint32_t struct_size;
  std::uint32_t number;
  const void* appended;
};

TEST(CopyTableTest, ReadsWhatAnOlderTableLacksAsZero) {
  // Behind the older table lies something that is not its own.
  struct {
    Today table;
    const void* neighbour;
  } const memory{{sizeof(Today), 5}, &memory};
  Later copy;
  std::memset(&copy, 0xff, sizeof copy);

  CopyTable(&memory, &copy);

  EXPECT_EQ(copy.number, 5u);
  EXPECT_EQ(copy.appended, nullptr);
}

TEST(CopyTableTest, LeavesOutWhatOnlyANewerTableHas) {
  const Later newer{sizeof(Later), 6, &newer};
  struct {
    Today copy;
    std::uint64_t behind;
  } memory{{}, 42};

  CopyTable(&newer, &memory.copy);

  EXPECT_EQ(memory.copy.number, 6u);
  EXPECT_EQ(memory.behind, 42u);
}

// The descriptor has its size behind its magic.
TEST(CopyTableTest, TakesTheSizeFromElsewhere) {
  struct LaterPlugin {
    catchup_plugin first;
    const void* appended;
  };
  const catchup_plugin older = {CATCHUP_HEADER, CATCHUP_LITERAL("older"), CATCHUP_LITERAL("1"), 1,
                                nullptr};
  LaterPlugin copy;
  std::memset(static_cast<void*>(&copy), 0xff, sizeof copy);

  CopyTable(&older, older.header.struct_size, &copy);

  EXPECT_EQ(copy.first.name.data, older.name.data);
  EXPECT_EQ(copy.appended, nullptr);
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
