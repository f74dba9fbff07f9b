#include "host/daemon/letter_side.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "host/store/checkpoint_store.h"
#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

class LetterSideTest : public testing::Test, public LetterListener {
 protected:
  void SetUp() override {
    // The folder of the group is the checkpoint's to make.
    ASSERT_TRUE(CheckpointStore::Open(shop_.state->groups(), "group", shop_.config.filter).ok());
    side_ = std::make_unique<LetterSide>(
        shop_.config,
        LetterSide::Services{shop_.pool.get(), shop_.reactor.get(), &*shop_.state, nullptr}, gate_,
        [] { return std::chrono::seconds(1); }, this);
    Told<Status> opened;
    gate_->Enter([&] {
      side_->Open({},
                  [&](const Status& status, const LetterSide::Contents&) { opened.Tell(status); });
    });
    const auto status = opened.Await();
    ASSERT_TRUE(status.has_value() && status->ok());
  }
  void TearDown() override {
    gate_->Close([] {});
    side_.reset();
    shop_.CloseShop();
  }

  void OnLetterSized(std::string_view, Position, std::uint64_t bytes) override { bytes_ = bytes; }
  void OnLetterDurable(Sequence sequence) override { durable_.push_back(sequence); }
  void OnLetterStored() override { ++stored_; }
  void OnLettersWait(const std::string&) override {}
  void OnLettersWaitEnds() override {}
  void OnLettersNotBegun() override { ++not_begun_; }
  void OnLettersFailed(const std::string& text) override { ADD_FAILURE() << text; }
  bool MayWriteLetters() const override { return believed_; }

  void Believe(bool believed) {
    gate_->Enter([&] { believed_ = believed; });
  }
  void Park(Sequence sequence) {
    EventView event;
    event.position = {sequence * 10, sequence * 10};
    event.stream = "order-1";
    event.type = "order-placed";
    auto change = std::make_shared<LetterChange>();
    change->position = event.position;
    Command command;
    command.first = command.last = sequence;
    command.letter = std::move(change);
    gate_->Enter([&] { side_->Park(command, event); });
  }
  void Change(Command::Kind kind, Sequence sequence = 1, bool by_hand = false) {
    Command command;
    command.kind = kind;
    command.from = Position{sequence * 10, sequence * 10};
    command.text = "order-placed";
    command.expected = by_hand;
    auto change = std::make_shared<LetterChange>();
    change->position = *command.from;
    change->called = true;
    command.letter = std::move(change);
    gate_->Enter([&] { side_->Change(command); });
  }
  // What everything asked for so far has come to.
  struct Found {
    std::vector<LetterHead> letters;
    std::size_t holds = 0;
  };
  Found Stored() {
    Told<bool> synced;
    gate_->Enter([&] { side_->Sync([&] { synced.Tell(true); }); });
    EXPECT_TRUE(synced.Await().has_value());
    Told<Found> told;
    gate_->Enter([&] {
      side_->Visit([&](LetterReader* reader) {
        Found found;
        EXPECT_TRUE(
            reader->Scan([&](const LetterHead& head) { found.letters.push_back(head); }).ok());
        EXPECT_TRUE(reader->ScanHolds([&](const LetterHold&) { ++found.holds; }).ok());
        told.Tell(found);
      });
    });
    return told.Await().value_or(Found());
  }

  Workshop shop_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>([] {});
  std::unique_ptr<LetterSide> side_;
  // Inside turns.
  bool believed_ = true;
  std::vector<Sequence> durable_;
  int stored_ = 0;
  std::uint64_t bytes_ = 0;  // Of the letter written last.
  int not_begun_ = 0;
};

TEST_F(LetterSideTest, WritesWhatTheEngineDecides) {
  Park(1);
  Change(Command::Kind::kHold);
  EXPECT_EQ(Stored().letters.size(), 1u);
  EXPECT_EQ(Stored().holds, 1u);
  Change(Command::Kind::kRemoveLetter);
  Change(Command::Kind::kEndHold);
  EXPECT_TRUE(Stored().letters.empty());
  EXPECT_EQ(Stored().holds, 0u);
  gate_->Enter([&] {
    EXPECT_EQ(durable_, (std::vector<Sequence>{1}));
    EXPECT_EQ(stored_, 1);
  });
}

// The bound in bytes counts at once what it would count after a restart.
TEST_F(LetterSideTest, SaysWhatALetterTakesInTheStoreEachTimeItIsWritten) {
  std::uint64_t last = 0;
  const auto note = [&](std::size_t length) {
    gate_->Enter([&] {
      side_->NoteFailedCall(0, kLetterCall, FailureClass::kUnknown, std::string(length, 'x'));
    });
  };
  Park(1);
  for (const std::size_t length : {10u, 5'000u}) {
    const std::uint64_t stored = Stored().letters.at(0).bytes;
    gate_->Enter([&] { EXPECT_EQ(bytes_, stored); });
    EXPECT_GT(stored, last);
    last = stored;
    note(length);
    Change(Command::Kind::kUpdateLetter);
  }
  EXPECT_GT(Stored().letters.at(0).bytes, last);
}

// A runner that has broken the contract may have said anything before: that an event failed, that a
// letter is healed, that its type works again.
TEST_F(LetterSideTest, BeginsNoWriteOfWhatRunnersSaidOnceOneIsNotBelieved) {
  Park(1);
  Change(Command::Kind::kHold);
  const std::uint32_t attempts = Stored().letters.at(0).attempts;

  Believe(false);
  Park(2);
  Change(Command::Kind::kUpdateLetter);
  Change(Command::Kind::kRemoveLetter);
  Change(Command::Kind::kRemoveLetters, 0);
  Change(Command::Kind::kEndHold);

  const Found found = Stored();
  ASSERT_EQ(found.letters.size(), 1u);
  EXPECT_EQ(found.letters[0].position, (Position{10, 10}));
  EXPECT_EQ(found.letters[0].attempts, attempts);
  EXPECT_EQ(found.holds, 1u);
  gate_->Enter([&] {
    EXPECT_EQ(durable_, (std::vector<Sequence>{1}));
    EXPECT_EQ(stored_, 0);
    EXPECT_GT(not_begun_, 0) << "the engine does not wait for it";
  });
}

TEST_F(LetterSideTest, WritesWhatAnOperatorDecidesWhateverTheRunnersSaid) {
  Park(1);
  Park(2);
  Change(Command::Kind::kHold, 1, true);
  ASSERT_EQ(Stored().holds, 1u);

  Believe(false);
  Change(Command::Kind::kEndHold, 1, true);
  Told<bool> dropped;
  gate_->Enter([&] {
    side_->Drop({10, 10}, "a duplicate", "me",
                [&](const Result<LetterHead>& letter) { dropped.Tell(letter.ok()); });
  });

  EXPECT_EQ(dropped.Await(), true);
  EXPECT_EQ(Stored().letters.size(), 1u);
  EXPECT_EQ(Stored().holds, 0u);
}

}  // namespace
}  // namespace catchup
