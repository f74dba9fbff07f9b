#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>

#include "host/store/checkpoint_file.h"
#include "host/store/checkpoint_store.h"
#include "tests/test_files.h"

// Whatever happens to the bytes of a file: the older slot is used or the group fails. Never a
// position that was not written, never one ahead, never a start from nothing.

namespace catchup {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kSlot1 = kHeaderBytes;
constexpr std::size_t kSlot2 = kHeaderBytes + kSlotBytes;
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
    ASSERT_EQ(good_.size(), kCheckpointFileBytes);
  }

  std::filesystem::path file() const { return folder_.path() / "g" / "checkpoint"; }

  enum class Outcome { kNewest, kOlderSlot, kFailed };

  // Opens the store over these bytes and checks what must hold whatever they are.
  Outcome OpenOver(const std::string& bytes) {
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

  TemporaryFolder folder_;
  std::string good_;
};

TEST_F(DamageTest, OpensWhatIsWhole) { EXPECT_EQ(OpenOver(good_), Outcome::kNewest); }

// The second save went to slot 0, the first to slot 1.
TEST_F(DamageTest, UsesTheOlderSlotForAFlipAnywhereInTheNewer) {
  const std::size_t start = kSlot1;
  for (std::size_t at = 0; at < kSlotBytes; at += 37) {
    std::string bytes = good_;
    bytes[start + at] = static_cast<char>(bytes[start + at] ^ (1 << (at % 8)));
    EXPECT_EQ(OpenOver(bytes), Outcome::kOlderSlot) << at;
  }
}

TEST_F(DamageTest, UsesTheNewerSlotForAFlipAnywhereInTheOlderAndSaysSo) {
  const std::size_t start = kSlot2;
  for (std::size_t at = 0; at < kSlotBytes; at += 37) {
    std::string bytes = good_;
    bytes[start + at] = static_cast<char>(bytes[start + at] ^ (1 << (at % 8)));
    EXPECT_EQ(OpenOver(bytes), Outcome::kNewest) << at;
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
  bytes[kSlot1] ^= 1;
  ASSERT_EQ(OpenOver(bytes), Outcome::kOlderSlot);
  auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ((*store)->warning(), "");
  EXPECT_EQ((*store)->record().checkpoint, kOlder);
}

TEST_F(DamageTest, FailsWhenBothSlotsAreBad) {
  std::string bytes = good_;
  bytes[kSlot1 + 24] ^= 1;
  bytes[kSlot2 + 100] ^= 1;
  WriteFile(file(), bytes);

  const auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);

  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), Status::Code::kCorrupt);
  EXPECT_EQ(
      store.status().message(),
      file().string() +
          ": both slots are bad (its check sum does not fit its content; its check sum does "
          "not fit its content), wanted at least one; restore the file from a backup, or begin "
          "anew: catchup reset g --to beginning");
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

// The slots say by themselves what they are.
TEST_F(DamageTest, NeedsNoHeaderAndSaysThatItIsBad) {
  for (std::size_t at = 0; at < kHeaderBytes; at += 61) {
    std::string bytes = good_;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
    WriteFile(file(), bytes);
    auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);
    ASSERT_TRUE(store.ok()) << store.status().message();
    EXPECT_EQ((*store)->record().checkpoint, kNewer);
    EXPECT_EQ((*store)->warning(), file().string() + ": its header is bad");
    store->reset();
    store = CheckpointStore::Open(folder_.path(), "g", kFilter);
    EXPECT_EQ((*store)->warning(), "") << "it is written anew";
  }
}

TEST_F(DamageTest, SurvivesZeroedPages) {
  const Outcome wanted[] = {Outcome::kNewest, Outcome::kOlderSlot, Outcome::kOlderSlot,
                            Outcome::kNewest, Outcome::kNewest};
  for (std::size_t page = 0; page < 5; ++page) {
    std::string bytes = good_;
    bytes.replace(page * kPage, kPage, kPage, '\0');
    EXPECT_EQ(OpenOver(bytes), wanted[page]) << page;
  }
}

// The second page of a slot holds its sum at least, and the whole of it only when it is full.
TEST_F(DamageTest, SurvivesAWriteThatWasTornBetweenAnyTwoSectors) {
  constexpr std::size_t kSector = 512;
  std::string next = good_;
  {
    WriteFile(file(), good_);
    auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);
    CheckpointRecord record = (*store)->record();
    record.checkpoint = Position{30, 30};
    record.witnesses.assign(kMaxWitnesses, Witness{{30, 30}, {}, 1, std::string(256, 's')});
    ASSERT_TRUE((*store)->Save(record).ok());
    next = ReadFile(file());
  }
  const std::string older = good_.substr(kSlot2, kSlotBytes);
  const std::string newer = next.substr(kSlot2, kSlotBytes);
  ASSERT_NE(older, newer);
  for (std::size_t at = kSector; at < kSlotBytes; at += kSector) {
    for (const bool front : {true, false}) {
      std::string bytes = next;
      bytes.replace(
          kSlot2, kSlotBytes,
          front ? newer.substr(0, at) + older.substr(at) : older.substr(0, at) + newer.substr(at));
      if (bytes == next) {
        continue;
      }
      WriteFile(file(), bytes);
      auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);
      ASSERT_TRUE(store.ok()) << store.status().message();
      EXPECT_EQ((*store)->record().checkpoint, kNewer) << at;
    }
  }
}

// Nothing tells one write that the disk has dropped from one that was never made: it costs the
// events of that one. Two in a row show.
TEST_F(DamageTest, GoesOnFromTheWriteBeforeALostOneAndSaysWhatItSees) {
  WriteFile(file(), good_);
  auto store = CheckpointStore::Open(folder_.path(), "g", kFilter);
  const std::string opened = ReadFile(file());
  for (std::uint64_t i = 30; i <= 60; i += 10) {
    CheckpointRecord record = (*store)->record();
    record.checkpoint = Position{i, i};
    ASSERT_TRUE((*store)->Save(record).ok());
  }
  store->reset();
  std::string bytes = ReadFile(file());  // 50 and 60
  bytes.replace(kSlot2, kSlotBytes, opened.substr(kSlot2, kSlotBytes));
  WriteFile(file(), bytes);

  store = CheckpointStore::Open(folder_.path(), "g", kFilter);

  ASSERT_TRUE(store.ok()) << store.status().message();
  EXPECT_EQ((*store)->record().checkpoint, (Position{60, 60}));
  EXPECT_EQ((*store)->warning(),
            file().string() +
                ": a slot holds write 2 where 5 was wanted: the disk has lost a write that it had "
                "confirmed");
}

TEST_F(DamageTest, SurvivesTruncation) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{512}, kPage - 1, kPage,
                                 kPage + 1, kSlot2 - 1}) {
    EXPECT_EQ(OpenOver(good_.substr(0, size)), Outcome::kFailed) << size;
  }
  for (const std::size_t size : {kSlot2, kSlot2 + kPage, kCheckpointFileBytes - 1}) {
    EXPECT_EQ(OpenOver(good_.substr(0, size)), Outcome::kNewest) << size;
  }
  EXPECT_EQ(OpenOver(good_ + "more"), Outcome::kNewest);
}

TEST_F(DamageTest, FailsForWhatIsNoCheckpoint) {
  EXPECT_EQ(OpenOver(std::string(good_.size(), 'x')), Outcome::kFailed);
  EXPECT_EQ(OpenOver(std::string(good_.size(), '\0')), Outcome::kFailed);
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
  bytes.replace(kSlot1, kSlotBytes, std::string_view(good_).substr(kSlot2, kSlotBytes));
  EXPECT_EQ(OpenOver(bytes), Outcome::kOlderSlot);
}

}  // namespace
}  // namespace catchup
