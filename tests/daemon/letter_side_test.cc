#include "host/daemon/letters/letter_side.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "host/base/time_text.h"
#include "host/store/checkpoint_store.h"
#include "tests/daemon/workshop.h"
#include "tests/store/failing_vfs.h"

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
  void OnLetterStored(Position) override { ++stored_; }
  void OnPluginNoted() override { ++plugins_noted_; }
  void OnLettersWait(const std::string&, bool writes) override {
    waits_ = true;
    writes_wait_ = writes_wait_ || writes;
  }
  void OnLettersWaitEnds() override { waits_ = false; }
  bool Waits() {
    return gate_->Inspect([&] { return waits_; });
  }
  void OnLettersNotBegun() override { ++not_begun_; }
  void OnLettersFailed(const std::string& text) override { ADD_FAILURE() << text; }
  bool MayWriteLetters() const override { return believed_; }

  void Believe(bool believed) {
    gate_->Enter([&] { believed_ = believed; });
  }
  void Park(Sequence sequence, std::string_view data = {}) {
    gate_->Enter([&] { ParkInTurn(sequence, data); });
  }
  void ParkInTurn(Sequence sequence, std::string_view data = {}) {
    EventView event;
    event.data = data;
    event.position = {sequence * 10, sequence * 10};
    event.stream = "order-1";
    event.type = "order-placed";
    auto change = std::make_shared<LetterChange>();
    change->position = event.position;
    change->step = 3;
    Command command;
    command.first = command.last = sequence;
    command.letter = std::move(change);
    side_->Park(command, event);
  }
  void Change(Command::Kind kind, Sequence sequence = 1, bool by_hand = false) {
    gate_->Enter([&] { ChangeInTurn(kind, sequence, by_hand); });
  }
  void ChangeInTurn(Command::Kind kind, Sequence sequence = 1, bool by_hand = false) {
    Command command;
    command.kind = kind;
    command.from = Position{sequence * 10, sequence * 10};
    command.text = "order-placed";
    command.expected = by_hand;
    auto change = std::make_shared<LetterChange>();
    change->position = *command.from;
    change->called = true;
    command.letter = std::move(change);
    command.letters = std::make_shared<const std::vector<Position>>(1, *command.from);
    command.at = kDue;
    side_->Change(command);
  }
  static constexpr std::chrono::hours kDue{48};  // Longer than what is due else.
  static bool IsMadeDue(const LetterHead& letter) {
    constexpr std::int64_t kTicksInDay = std::int64_t{24} * 3600 * 10'000'000;
    return letter.step == 0 && letter.due_ticks > NowTicks() + kTicksInDay;
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
    return OnTheDisk();
  }
  // What is written by now.
  Found OnTheDisk() {
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
  bool waits_ = false;
  std::vector<Sequence> durable_;
  int stored_ = 0;
  std::uint64_t bytes_ = 0;  // Of the letter written last.
  int not_begun_ = 0;
  int plugins_noted_ = 0;
  bool writes_wait_ = false;
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

TEST_F(LetterSideTest, WhatWaitsTogetherSharesACommit) {
  Park(1);
  Park(2);
  ASSERT_EQ(Stored().letters.size(), 2u);
  const auto changes = [&] { return gate_->Inspect([&] { return side_->mark()->changes; }); };
  const std::uint64_t before = changes();
  gate_->Enter([&] {  // Inside it no write begins.
    ChangeInTurn(Command::Kind::kRemoveLetter, 1);
    ChangeInTurn(Command::Kind::kUpdateLetter, 2);
    ParkInTurn(3);
    ChangeInTurn(Command::Kind::kHold);
    ParkInTurn(4);
  });
  EXPECT_EQ(Stored().letters.size(), 3u);
  EXPECT_EQ(changes(), before + 1);
  gate_->Enter([&] {
    EXPECT_EQ(stored_, 2);
    EXPECT_EQ(durable_, (std::vector<Sequence>{1, 2, 3, 4}));
  });
}

// What was read ahead is the letter as it lies there when its turn comes.
TEST_F(LetterSideTest, ALetterThatIsCalledNextHasBeenReadWithTheOneBefore) {
  for (Sequence sequence = 1; sequence <= 4; ++sequence) {
    Park(sequence, "data " + std::to_string(sequence));
  }
  ASSERT_EQ(Stored().letters.size(), 4u);
  using Read = std::unique_ptr<LetterFrame>;
  const auto read_first = [&] {
    Told<bool> told;
    gate_->Enter([&] {
      const auto next = [] { return std::vector<Position>{{20, 20}, {30, 30}, {40, 40}}; };
      side_->Read({10, 10}, next, [&](const Read& letter) { told.Tell(letter != nullptr); });
    });
    return told.Await();
  };
  const auto read_at_once = [&](Sequence sequence) {
    // Outlives this function: where it was not read before, the answer comes later.
    const auto found = std::make_shared<Read>();
    gate_->Enter([&] {
      side_->Read(
          {sequence * 10, sequence * 10}, [] { return std::vector<Position>(); },
          [found](Read letter) { *found = std::move(letter); });
    });
    return gate_->Inspect([&] { return std::move(*found); });
  };
  ASSERT_EQ(read_first(), true);
  const Read second = read_at_once(2);
  ASSERT_NE(second, nullptr) << "it was read before";
  EXPECT_EQ(second->event.data, "data 2");
  const Read third = read_at_once(3);
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(third->attempt(), 1u);

  const auto reads = [&](Sequence sequence) {
    auto told = std::make_shared<Told<std::uint32_t>>();
    gate_->Enter([&] {
      side_->Read(
          {sequence * 10, sequence * 10}, [] { return std::vector<Position>(); },
          [told](const Read& letter) { told->Tell(letter ? letter->attempt() : 0); });
    });
    return told->Await();
  };
  ASSERT_EQ(read_first(), true);
  Change(Command::Kind::kUpdateLetter, 2);
  Change(Command::Kind::kRemoveLetters, 3);
  Stored();
  EXPECT_EQ(reads(2), 2u);
  EXPECT_EQ(reads(4), 0u);
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

// Of a new plugin file it is said when it is durable; a letter that is gone does not matter.
TEST_F(LetterSideTest, MakesLettersDueInTheStore) {
  Park(1);
  Park(2);
  Change(Command::Kind::kMakeDue, 2);
  Change(Command::Kind::kMakeDue, 3);
  const Found found = Stored();
  ASSERT_EQ(found.letters.size(), 2u);
  EXPECT_FALSE(IsMadeDue(found.letters[0]));
  EXPECT_TRUE(IsMadeDue(found.letters[1]));
  gate_->Enter([&] { EXPECT_EQ(plugins_noted_, 0); });

  Change(Command::Kind::kMakeDue, 1, true);
  EXPECT_TRUE(IsMadeDue(Stored().letters.at(0)));
  gate_->Enter([&] { EXPECT_EQ(plugins_noted_, 1); });
}

TEST_F(LetterSideTest, IsDrainedOnceWhatWasDecidedIsWritten) {
  Park(1);
  ASSERT_EQ(Stored().letters.size(), 1u);
  Told<bool> drained;
  gate_->Enter([&] {
    ChangeInTurn(Command::Kind::kMakeDue);
    ChangeInTurn(Command::Kind::kHold);
    side_->Drain([&] { drained.Tell(true); });
  });
  EXPECT_EQ(drained.Await(), true);
  const Found found = OnTheDisk();
  EXPECT_TRUE(IsMadeDue(found.letters.at(0)));
  EXPECT_EQ(found.holds, 1u);
}

TEST_F(LetterSideTest, IsDrainedAtOnceWhereNothingIsToBeWritten) {
  bool drained = false;
  gate_->Enter([&] { side_->Drain([&] { drained = true; }); });
  EXPECT_TRUE(drained);
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
  Change(Command::Kind::kMakeDue, 1, true);
  Change(Command::Kind::kRemoveLetters, 0);
  Change(Command::Kind::kEndHold);

  const Found found = Stored();
  ASSERT_EQ(found.letters.size(), 1u);
  EXPECT_EQ(found.letters[0].position, (Position{10, 10}));
  EXPECT_EQ(found.letters[0].attempts, attempts);
  EXPECT_FALSE(IsMadeDue(found.letters[0]));
  EXPECT_EQ(found.holds, 1u);
  gate_->Enter([&] {
    EXPECT_EQ(durable_, (std::vector<Sequence>{1}));
    EXPECT_EQ(stored_, 0);
    EXPECT_EQ(plugins_noted_, 0);
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

class LetterReadTest : public LetterSideTest {
 protected:
  void SetUp() override {
    FailingVfs::Install();
    LetterSideTest::SetUp();
  }
  void TearDown() override {
    FailingVfs::Disarm();
    LetterSideTest::TearDown();
  }
};

// Though nothing is written meanwhile that could tell, and nobody may want the letter any more.
TEST_F(LetterReadTest, ALetterThatCouldNotBeReadIsNotWaitedForOnceItIs) {
  const std::string more_than_is_kept_in_memory(8u << 20, 'x');
  Park(1, more_than_is_kept_in_memory);
  ASSERT_EQ(Stored().letters.size(), 1u);
  FailingVfs::Arm(FailingVfs::kRead, ENOMEM, 1, true);
  Told<bool> read;
  gate_->Enter([&] {
    side_->Read(
        {10, 10}, [] { return std::vector<Position>(); },
        [&](const std::unique_ptr<LetterFrame>& letter) { read.Tell(letter != nullptr); });
  });
  ASSERT_TRUE(Becomes([&] { return Waits(); }));

  FailingVfs::Disarm();

  EXPECT_EQ(read.Await(), true);
  EXPECT_FALSE(Waits());
  gate_->Enter([&] {
    EXPECT_FALSE(writes_wait_);
    EXPECT_EQ(side_->GiveUp(), 0u);
  });
}

// That the call of a letter broke the contract is no word of the runner's.
TEST_F(LetterSideTest, WritesWhatTheHostKnowsByItselfWhateverTheRunnersSaid) {
  Park(1);
  const std::uint32_t attempts = Stored().letters.at(0).attempts;
  Believe(false);
  Change(Command::Kind::kUpdateLetter, 1, true);
  EXPECT_EQ(Stored().letters.at(0).attempts, attempts + 1);
  gate_->Enter([&] { EXPECT_EQ(stored_, 1); });
}

// The process may write no file longer than the letters' is by now.
class NoMoreRoom {
 public:
  explicit NoMoreRoom(std::uintmax_t size) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit limit{size, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~NoMoreRoom() {
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before_), 0);
    std::signal(SIGXFSZ, handler_);
  }
  NoMoreRoom(const NoMoreRoom&) = delete;
  NoMoreRoom& operator=(const NoMoreRoom&) = delete;

 private:
  rlimit before_{};
  void (*const handler_)(int);
};

// A drop and a call that heals make the room that a letter waits for, and wait for nothing.
TEST_F(LetterSideTest, WhatMakesRoomGoesBeforeWhatWaitsForIt) {
  const std::string large(300'000, 'x');
  for (Sequence n = 1; n <= 10; ++n) {
    Park(n, large);
  }
  ASSERT_EQ(Stored().letters.size(), 10u);
  const NoMoreRoom no_room(std::filesystem::file_size(shop_.state->group("group") / "letters.db"));
  Sequence last = 10;
  // Each is durable, or the first that waits.
  while (!Waits()) {
    ASSERT_LT(last, 30u);
    Park(++last, large);
    ASSERT_TRUE(Becomes([&] {
      bool done = false;
      gate_->Enter([&] { done = waits_ || durable_.back() == last; });
      return done;
    }));
  }
  Park(++last, large);
  bool drained = false;
  gate_->Enter([&] { side_->Drain([&] { drained = true; }); });
  EXPECT_TRUE(drained) << "what waits for room is not waited for";

  Told<bool> found;
  Told<bool> dropped;
  gate_->Enter([&] {
    side_->Find({20, 20}, [&](const auto& letter) { found.Tell(letter.ok()); });
    side_->Drop({10, 10}, "no use", "me", [&](const auto& letter) { dropped.Tell(letter.ok()); });
  });
  EXPECT_EQ(found.Await(), true);
  EXPECT_EQ(dropped.Await(), true);
  const auto durable = [this](Sequence sequence) {
    return Becomes([&] {
      bool done = false;
      gate_->Enter([&] { done = durable_.back() == sequence; });
      return done;
    });
  };
  EXPECT_TRUE(durable(last - 1)) << "in its room";
  EXPECT_TRUE(Waits()) << "the next one";
  Change(Command::Kind::kRemoveLetter, 2);
  EXPECT_TRUE(durable(last));
  EXPECT_FALSE(Waits());
}

}  // namespace
}  // namespace catchup
