#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>

#include "host/store/checkpoint_slot.h"
#include "host/store/checkpoint_store.h"
#include "tests/test_files.h"

// Whatever happens to the bytes of a file: the older slot is used or the group fails. Never a
// position that was not written, never one ahead, never a start from nothing.

namespace catchup {
namespace {

constexpr std::size_t kPage = 4096;
constexpr Position kOlder{10, 10};
constexpr Position kNewer{20, 20};
const EventFilter kFilter{EventFilter::Match::kEventType, {"order-"}};

class DamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);
    ASSERT_TRUE(store.ok()) << store.status().message();
    for (const Position position : {kOlder, kNewer}) {
      CheckpointRecord record = (*store)->record();
      record.checkpoint = position;
      ASSERT_TRUE((*store)->Save(record).ok());
    }
    store->reset();
    good_ = ReadFile(file());
    ASSERT_EQ(good_.size(), 4 * kPage);
  }

  std::filesystem::path file() const { return folder_.path() / "g" / "checkpoint.db"; }

  enum class Outcome { kNewest, kOlderSlot, kFailed };

  // Opens the store over these bytes and checks what must hold whatever they are.
  Outcome OpenOver(const std::string& bytes) {
    std::filesystem::remove(file().string() + "-journal");
    WriteFile(file(), bytes);
    auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);
    if (!store.ok()) {
      EXPECT_EQ(store.status().message().rfind(file().string(), 0), 0u) << store.status().message();
      return Outcome::kFailed;
    }
    const CheckpointRecord& record = (*store)->record();
    EXPECT_TRUE(record.checkpoint == kOlder || record.checkpoint == kNewer);
    if (record.checkpoint == kNewer) {
      return Outcome::kNewest;
    }
    EXPECT_NE((*store)->warning(), "");
    EXPECT_GT(record.token, 0u);  // The lost write may have raised it.
    return Outcome::kOlderSlot;
  }

  // Where the bytes of a slot lie in the file.
  std::size_t FindSlot(std::uint8_t slot, Position position) {
    for (std::size_t at = 0; at + kSlotBytes <= good_.size(); ++at) {
      const auto read = DecodeSlot(slot, std::string_view(good_).substr(at, kSlotBytes));
      if (read.ok() && read->record.checkpoint == position) {
        return at;
      }
    }
    ADD_FAILURE() << "the slot is not in the file";
    return 0;
  }

  TemporaryFolder folder_;
  std::string good_;
};

TEST_F(DamageTest, OpensWhatIsWhole) { EXPECT_EQ(OpenOver(good_), Outcome::kNewest); }

// The second save went to slot 0, the first to slot 1.
TEST_F(DamageTest, UsesTheOlderSlotForAFlipAnywhereInTheNewer) {
  const std::size_t start = FindSlot(0, kNewer);
  for (std::size_t at = 0; at < kSlotBytes; at += 37) {
    std::string bytes = good_;
    bytes[start + at] = static_cast<char>(bytes[start + at] ^ (1 << (at % 8)));
    EXPECT_EQ(OpenOver(bytes), Outcome::kOlderSlot) << at;
  }
}

TEST_F(DamageTest, UsesTheNewerSlotForAFlipAnywhereInTheOlderAndSaysSo) {
  const std::size_t start = FindSlot(1, kOlder);
  for (std::size_t at = 0; at < kSlotBytes; at += 37) {
    std::string bytes = good_;
    bytes[start + at] = static_cast<char>(bytes[start + at] ^ (1 << (at % 8)));
    EXPECT_EQ(OpenOver(bytes), Outcome::kNewest) << at;
    std::filesystem::remove(file().string() + "-journal");
    WriteFile(file(), bytes);
    auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);
    ASSERT_TRUE(store.ok());
    EXPECT_EQ((*store)->warning(),
              file().string() +
                  ": slot 2 of 2 is bad (its check sum does not fit its content), the other one is "
                  "used: some events may come again");
  }
}

TEST_F(DamageTest, HealsABadSlotAtOpen) {
  std::string bytes = good_;
  bytes[FindSlot(0, kNewer)] ^= 1;
  ASSERT_EQ(OpenOver(bytes), Outcome::kOlderSlot);
  auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ((*store)->warning(), "");
  EXPECT_EQ((*store)->record().checkpoint, kOlder);
}

TEST_F(DamageTest, FailsWhenBothSlotsAreBad) {
  std::string bytes = good_;
  bytes[FindSlot(0, kNewer) + 24] ^= 1;
  bytes[FindSlot(1, kOlder) + 100] ^= 1;
  WriteFile(file(), bytes);

  const auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);

  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), Status::Code::kCorrupt);
  EXPECT_EQ(
      store.status().message(),
      file().string() +
          ": both slots are bad (its check sum does not fit its content; its check sum does "
          "not fit its content), wanted at least one; restore the file from a backup, or begin "
          "anew: move the folder groups/g away while no host runs");
  EXPECT_EQ(ReadFile(file()), bytes);  // Nothing is repaired that was not understood.
}

TEST_F(DamageTest, SurvivesAnyFlippedBit) {
  std::mt19937 random(20261124);
  int outcomes[3] = {};
  for (int i = 0; i < 400; ++i) {
    const std::size_t bit = random() % (8 * good_.size());
    std::string bytes = good_;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    ++outcomes[static_cast<int>(OpenOver(bytes))];
  }
  EXPECT_GT(outcomes[0], 0);
  EXPECT_GT(outcomes[1], 0);
}

// Headers and cell pointers are where SQLite itself can be led astray.
TEST_F(DamageTest, SurvivesAFlipOfEveryBitOfEveryPageHeader) {
  for (std::size_t page = 0; page < 4; ++page) {
    for (std::size_t bit = 0; bit < 8 * (page == 0 ? 120 : 16); ++bit) {
      std::string bytes = good_;
      const std::size_t at = page * kPage + bit / 8;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << (bit % 8)));
      OpenOver(bytes);
    }
  }
}

TEST_F(DamageTest, SurvivesZeroedPages) {
  for (std::size_t page = 0; page < 4; ++page) {
    std::string bytes = good_;
    bytes.replace(page * kPage, kPage, kPage, '\0');
    const Outcome outcome = OpenOver(bytes);
    const Outcome wanted[] = {Outcome::kFailed, Outcome::kOlderSlot, Outcome::kNewest,
                              Outcome::kFailed};
    EXPECT_EQ(outcome, wanted[page]) << page;
  }
}

TEST_F(DamageTest, SurvivesTruncation) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{99}, std::size_t{100},
                                 std::size_t{512}, kPage - 1, kPage, kPage + 1, 2 * kPage - 1,
                                 2 * kPage, 3 * kPage - 100, 3 * kPage, 4 * kPage - 1}) {
    EXPECT_EQ(OpenOver(good_.substr(0, size)), Outcome::kFailed) << size;
  }
}

TEST_F(DamageTest, FailsForWhatIsNoDatabase) {
  EXPECT_EQ(OpenOver(std::string(good_.size(), 'x')), Outcome::kFailed);
  EXPECT_EQ(OpenOver("12:7\n"), Outcome::kFailed);
  std::string noise(good_.size(), '\0');
  std::mt19937 random(7);
  for (char& c : noise) {
    c = static_cast<char>(random());
  }
  EXPECT_EQ(OpenOver(noise), Outcome::kFailed);
}

TEST_F(DamageTest, TakesNoCopyOfOneSlotForTheOther) {
  std::string bytes = good_;
  bytes.replace(FindSlot(0, kNewer), kSlotBytes,
                std::string_view(good_).substr(FindSlot(1, kOlder), kSlotBytes));
  EXPECT_EQ(OpenOver(bytes), Outcome::kOlderSlot);
}

TEST_F(DamageTest, FailsForABadDesiredState) {
  std::string bytes = good_;
  // The row is the last thing on its page.
  bytes[4 * kPage - 1] ^= 1;
  WriteFile(file(), bytes);
  const auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(
      store.status().message(),
      file().string() +
          ": the desired state is bad: its check sum does not fit its content; restore the "
          "file from a backup, or begin anew: move the folder groups/g away while no host runs");
}

}  // namespace
}  // namespace catchup
