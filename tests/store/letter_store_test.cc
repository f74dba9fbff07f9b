#include "host/store/letter_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "host/base/sqlite.h"
#include "tests/store/letters.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

class LetterStoreTest : public ::testing::Test {
 protected:
  void Reopen(const LetterStore::Options& options = {}) {
    store_.reset();
    store_ = OpenLetters(folder_.path(), options);
    ASSERT_NE(store_, nullptr);
  }
  void SetUp() override { Reopen(); }

  Status Insert(Letter letter) { return InsertOne(store_.get(), std::move(letter)); }
  std::vector<Position> Found() { return Positions(&store_->reader()); }

  TemporaryFolder folder_;
  std::unique_ptr<LetterStore> store_;
};

void ExpectSame(const Letter& found, const Letter& wanted) {
  EXPECT_EQ(found.head.position, wanted.head.position);
  EXPECT_EQ(found.head.stream, wanted.head.stream);
  EXPECT_EQ(found.head.type, wanted.head.type);
  EXPECT_EQ(found.head.event_id, wanted.head.event_id);
  EXPECT_EQ(found.head.revision, wanted.head.revision);
  EXPECT_EQ(found.head.created_ticks, wanted.head.created_ticks);
  EXPECT_EQ(found.head.is_json, wanted.head.is_json);
  EXPECT_EQ(found.head.state, wanted.head.state);
  EXPECT_EQ(found.head.letter_class, wanted.head.letter_class);
  EXPECT_EQ(found.head.written_ticks, wanted.head.written_ticks);
  EXPECT_EQ(found.head.since_ticks, wanted.head.since_ticks);
  EXPECT_EQ(found.head.due_ticks, wanted.head.due_ticks);
  EXPECT_EQ(found.head.step, wanted.head.step);
  EXPECT_EQ(found.head.attempts, wanted.head.attempts);
  EXPECT_EQ(found.head.first_failed_ticks, wanted.head.first_failed_ticks);
  EXPECT_EQ(found.head.last_failed_ticks, wanted.head.last_failed_ticks);
  EXPECT_EQ(found.cause.reason, wanted.cause.reason);
  ASSERT_EQ(found.cause.calls.size(), wanted.cause.calls.size());
  for (std::size_t i = 0; i < wanted.cause.calls.size(); ++i) {
    EXPECT_EQ(found.cause.calls[i].time_ticks, wanted.cause.calls[i].time_ticks);
    EXPECT_EQ(found.cause.calls[i].letter_class, wanted.cause.calls[i].letter_class);
    EXPECT_EQ(found.cause.calls[i].text, wanted.cause.calls[i].text);
  }
  EXPECT_EQ(found.cause.plugin, wanted.cause.plugin);
  EXPECT_EQ(found.cause.plugin_version, wanted.cause.plugin_version);
  EXPECT_EQ(found.cause.plugin_digest, wanted.cause.plugin_digest);
  EXPECT_EQ(found.cause.token, wanted.cause.token);
  EXPECT_EQ(found.cause.trace_id, wanted.cause.trace_id);
  EXPECT_EQ(found.cause.span_id, wanted.cause.span_id);
  EXPECT_EQ(found.data, wanted.data);
  EXPECT_EQ(found.metadata, wanted.metadata);
}

TEST_F(LetterStoreTest, AGroupWithoutALetterHasNoFile) {
  ASSERT_TRUE(store_->SetToken(3).ok());
  ASSERT_TRUE(store_->EndHold(3, "order-placed").ok());
  ASSERT_TRUE(store_->RemoveBeyond(3, std::nullopt).ok());
  EXPECT_EQ(store_->RemoveHealed(3, At(1)).code(), Status::Code::kNotFound);
  EXPECT_TRUE(Found().empty());
  EXPECT_EQ(store_->totals(), LetterTotals());
  store_.reset();
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

// To make a file longer costs several times as much as all the rest of a commit.
TEST_F(LetterStoreTest, AFewCommitsAmongManyMakeTheFileLonger) {
  std::set<std::uintmax_t> sizes;
  for (std::uint64_t n = 1; n <= 200; ++n) {
    Letter letter = MakeLetter(n);
    letter.data = std::string(1000, 'x');
    ASSERT_TRUE(Insert(std::move(letter)).ok());
    sizes.insert(std::filesystem::file_size(folder_.path() / "letters.db"));
  }
  EXPECT_LE(sizes.size(), 10u);
}

TEST_F(LetterStoreTest, AStoreThatWasClosedInGoodOrderLeavesOnlyItsFileAndJournal) {
  ASSERT_TRUE(Insert(MakeLetter(1)).ok());
  store_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    const std::string name = entry.path().filename();
    EXPECT_TRUE(name == "letters.db" || name == "letters.db-journal") << name;
    EXPECT_EQ(entry.status().permissions() & std::filesystem::perms::others_all,
              std::filesystem::perms::none);
  }
}

TEST_F(LetterStoreTest, ALetterComesBackToTheLastByte) {
  Letter odd = MakeLetter(1);
  odd.head.stream = std::string("a\0b'\"\xff", 6);
  odd.head.type = "\xe2\x82\xac";
  odd.head.position = Position{std::uint64_t{1} << 62, 3};
  odd.head.revision = 1u << 31;
  odd.head.is_json = false;
  odd.head.step = 4;
  odd.data = std::string("\0\1\2\xff", 4);
  odd.metadata = "";
  odd.cause.reason = std::string("first\0second\n", 13);
  odd.cause.calls.push_back({5, StoredClass::kInfrastructure, std::string("\0", 1)});
  ASSERT_TRUE(Insert(odd).ok());
  ASSERT_TRUE(Insert(MakeLetter(2)).ok());
  for (const bool reopened : {false, true}) {
    if (reopened) {
      Reopen();
    }
    const auto found = store_->reader().Read(odd.head.position);
    ASSERT_TRUE(found.ok() && *found) << found.status().message();
    ExpectSame(**found, odd);
    const auto plain = store_->reader().Read(At(2));
    ASSERT_TRUE(plain.ok() && *plain);
    ExpectSame(**plain, MakeLetter(2));
  }
}

TEST_F(LetterStoreTest, TheLargestEventFits) {
  Letter large = MakeLetter(1);
  large.data = std::string(16u << 20, 'x');
  ASSERT_TRUE(Insert(large).ok());
  Reopen();
  const auto found = store_->reader().Read(At(1));
  ASSERT_TRUE(found.ok() && *found);
  EXPECT_EQ((*found)->data, large.data);
}

TEST_F(LetterStoreTest, ARedeliveryParksOnce) {
  ASSERT_TRUE(Insert(MakeLetter(1)).ok());
  Letter again = MakeLetter(1);
  again.cause.reason = "another one";
  ASSERT_TRUE(Insert(again).ok());
  std::vector<Letter> both = {MakeLetter(1), MakeLetter(2)};
  ASSERT_TRUE(store_->Insert(0, both).ok());
  EXPECT_EQ(Found(), (std::vector{At(1), At(2)}));
  EXPECT_EQ(store_->totals().healing, 2u);
  EXPECT_EQ((*store_->reader().Read(At(1)))->cause.reason, "no such article");
}

// A log may hold one id twice; positions differ.
TEST_F(LetterStoreTest, OneEventIdIsParkedTwice) {
  Letter twin = MakeLetter(2);
  twin.head.event_id = MakeLetter(1).head.event_id;
  ASSERT_TRUE(Insert(MakeLetter(1)).ok());
  ASSERT_TRUE(Insert(twin).ok());
  EXPECT_EQ(Found(), (std::vector{At(1), At(2)}));
}

TEST_F(LetterStoreTest, PositionsAreOrderedByCommitAndThenByPrepare) {
  for (const Position position : {Position{20, 5}, Position{10, 10}, Position{20, 20}}) {
    Letter letter = MakeLetter(1);
    letter.head.position = position;
    ASSERT_TRUE(Insert(letter).ok());
  }
  EXPECT_EQ(Found(), (std::vector{Position{10, 10}, Position{20, 5}, Position{20, 20}}));
  Letter nowhere = MakeLetter(1);
  nowhere.head.position = kEndOfLog;
  EXPECT_FALSE(Insert(nowhere).ok());
  ASSERT_TRUE(Insert(MakeLetter(9)).ok());
}

TEST_F(LetterStoreTest, TextsAreCutToTheirBounds) {
  Letter wordy = MakeLetter(1);
  wordy.cause.reason = std::string(100'000, 'r');
  wordy.cause.calls.clear();
  for (int i = 0; i < 20; ++i) {
    wordy.cause.calls.push_back({i, StoredClass::kUnknown, std::string(1000, 'c')});
  }
  ASSERT_TRUE(Insert(wordy).ok());
  const auto found = *store_->reader().Read(At(1));
  EXPECT_EQ(found->cause.reason.size(), kMaxLetterReason);
  ASSERT_EQ(found->cause.calls.size(), kMaxLetterCalls);
  EXPECT_EQ(found->cause.calls.front().time_ticks, 4);
  EXPECT_EQ(found->cause.calls.back().text.size(), kMaxLetterCallText);
}

TEST_F(LetterStoreTest, AnUpdateReplacesEverythingButTheEvent) {
  ASSERT_TRUE(Insert(MakeLetter(1)).ok());
  Letter wanted = MakeLetter(1);
  wanted.head.state = StoredState::kDead;
  wanted.head.letter_class = StoredClass::kDomain;
  wanted.head.due_ticks = 0;
  wanted.head.attempts = 5;
  wanted.cause.reason = "cannot be";
  wanted.cause.calls.push_back({6, StoredClass::kDomain, "cannot be"});
  wanted.cause.plugin_version = "1.3.0";
  ASSERT_TRUE(store_->Update(0, {wanted.head, wanted.cause, {}}).ok());
  EXPECT_EQ(store_->totals().dead, 1u);
  EXPECT_EQ(store_->totals().healing, 0u);
  Reopen();
  ExpectSame(**store_->reader().Read(At(1)), wanted);
  EXPECT_EQ(store_->totals().dead, 1u);
  LetterHead absent = wanted.head;
  absent.position = At(2);
  const Status refused = store_->Update(0, {absent, wanted.cause, {}});
  EXPECT_EQ(refused.message(), NoLetterText("g", At(2)));
}

// What is dead waits for a person, and what is gone needs no call.
TEST_F(LetterStoreTest, LettersThatHealBecomeDueAndTheirDelaysBeginAnew) {
  Letter dead = MakeLetter(3);
  dead.head.state = StoredState::kDead;
  dead.head.due_ticks = 0;
  Letter late = MakeLetter(1);
  late.head.step = 7;
  ASSERT_TRUE(Insert(late).ok());
  ASSERT_TRUE(Insert(MakeLetter(2)).ok());
  ASSERT_TRUE(Insert(dead).ok());
  const std::vector<Position> letters = {At(1), At(3), At(4)};

  ASSERT_TRUE(store_->MakeDue(0, letters, 5).ok());

  Reopen();
  Letter wanted = late;
  wanted.head.due_ticks = 5;
  wanted.head.step = 0;
  ExpectSame(**store_->reader().Read(At(1)), wanted);
  ExpectSame(**store_->reader().Read(At(2)), MakeLetter(2));
  ExpectSame(**store_->reader().Read(At(3)), dead);
}

TEST_F(LetterStoreTest, ARemovedLetterLeavesNothing) {
  ASSERT_TRUE(Insert(MakeLetter(1)).ok());
  ASSERT_TRUE(Insert(MakeLetter(2)).ok());
  ASSERT_TRUE(store_->RemoveHealed(0, At(1)).ok());
  EXPECT_EQ(store_->RemoveHealed(0, At(1)).code(), Status::Code::kNotFound);
  EXPECT_EQ(Found(), (std::vector{At(2)}));
  EXPECT_FALSE(*store_->reader().Read(At(1)));
  ASSERT_TRUE(store_->Drop(0, At(2), "a test", "user 0").ok());
  EXPECT_EQ(store_->totals(), LetterTotals());
}

TEST_F(LetterStoreTest, ChangesShareATransaction) {
  ASSERT_TRUE(Insert(MakeLetter(1)).ok());
  ASSERT_TRUE(Insert(MakeLetter(2)).ok());
  const std::uint64_t before = store_->mark()->changes;
  const Status together = store_->Together([&]() -> Status {
    EXPECT_TRUE(Insert(MakeLetter(3)).ok());
    EXPECT_TRUE(store_->RemoveHealed(0, At(1)).ok());
    EXPECT_EQ(store_->RemoveHealed(0, At(1)).code(), Status::Code::kNotFound);
    Letter letter = MakeLetter(2);
    letter.head.attempts = 9;
    return store_->Update(0, {letter.head, letter.cause, {}});
  });
  ASSERT_TRUE(together.ok()) << together.message();
  EXPECT_EQ(store_->mark()->changes, before + 1);
  Reopen();
  EXPECT_EQ(Found(), (std::vector{At(2), At(3)}));
  EXPECT_EQ((**store_->reader().Read(At(2))).head.attempts, 9u);
  EXPECT_EQ(store_->totals().letters(), 2u);
}

TEST_F(LetterStoreTest, NothingOfATransactionIsLeftWhereOneOfItsChangesFails) {
  LetterStore::Options options;
  options.bounds.max_letters = 2;
  Reopen(options);
  ASSERT_TRUE(Insert(MakeLetter(1)).ok());
  const LetterTotals before = store_->totals();
  const Status full = store_->Together([&] {
    EXPECT_TRUE(Insert(MakeLetter(2)).ok());
    EXPECT_EQ(Insert(MakeLetter(3)).code(), Status::Code::kExhausted);
    EXPECT_EQ(store_->RemoveHealed(0, At(1)).code(), Status::Code::kExhausted);
    return Status();
  });
  EXPECT_EQ(full.code(), Status::Code::kExhausted);
  const Status refused = store_->Together([&] {
    EXPECT_TRUE(store_->RemoveHealed(0, At(1)).ok());
    return Status::Cancelled("not so");
  });
  EXPECT_EQ(refused.message(), "not so");
  EXPECT_EQ(store_->totals(), before);
  EXPECT_EQ(Found(), (std::vector{At(1)}));
  ASSERT_TRUE(Insert(MakeLetter(2)).ok()) << "the store works as before";
}

TEST_F(LetterStoreTest, AResetTakesWhatLiesBeyondIt) {
  for (std::uint64_t n = 1; n <= 5; ++n) {
    ASSERT_TRUE(Insert(n % 2 == 0 ? MakeFollower(n) : MakeLetter(n)).ok());
  }
  ASSERT_TRUE(store_->RemoveBeyond(0, At(3)).ok());
  EXPECT_EQ(Found(), (std::vector{At(1), At(2), At(3)}));
  EXPECT_EQ(store_->totals().letters(), 3u);
  EXPECT_EQ(store_->totals().followers, 1u);
  ASSERT_TRUE(store_->RemoveBeyond(0, At(3)).ok());
  ASSERT_TRUE(store_->RemoveBeyond(0, std::nullopt).ok());
  EXPECT_EQ(store_->totals(), LetterTotals());
  ASSERT_TRUE(Insert(MakeLetter(4)).ok());
}

TEST_F(LetterStoreTest, CountsAreThoseOfTheRowsWhateverWasDone) {
  for (std::uint64_t n = 1; n <= 20; ++n) {
    Letter letter = n % 3 == 0 ? MakeFollower(n) : MakeLetter(n);
    letter.data.append(n * 100, 'x');
    ASSERT_TRUE(Insert(letter).ok());
  }
  for (std::uint64_t n = 1; n <= 20; n += 4) {
    Letter letter = MakeLetter(n);
    letter.cause.reason.append(n, '!');
    letter.head.state = n % 8 == 1 ? StoredState::kDead : StoredState::kHealing;
    ASSERT_TRUE(store_->Update(0, {letter.head, letter.cause, {}}).ok());
  }
  ASSERT_TRUE(store_->RemoveHealed(0, At(5)).ok());
  const LetterTotals counted = store_->totals();
  std::uint64_t bytes = 0;
  for (const Position position : Found()) {
    bytes += LetterBytes(**store_->reader().Read(position));
  }
  EXPECT_EQ(counted.bytes, bytes);
  EXPECT_EQ(counted.letters(), 19u);
  Reopen();
  EXPECT_EQ(store_->totals(), counted);
}

TEST_F(LetterStoreTest, FullMeansThatNothingIsTakenUntilThereIsRoom) {
  LetterStore::Options options;
  options.bounds.max_letters = 2;
  Reopen(options);
  ASSERT_TRUE(Insert(MakeLetter(1)).ok());
  std::vector<Letter> two = {MakeLetter(2), MakeLetter(3)};
  EXPECT_FALSE(store_->HasRoomFor(two));
  const Status full = store_->Insert(0, two);
  EXPECT_EQ(full.code(), Status::Code::kExhausted);
  EXPECT_EQ(full.message().rfind("dead letters full: 1 of 2 letters, ", 0), 0u) << full.message();
  EXPECT_EQ(Found(), (std::vector{At(1)}));
  ASSERT_TRUE(Insert(MakeLetter(2)).ok());
  EXPECT_EQ(Insert(MakeLetter(3)).code(), Status::Code::kExhausted);
  ASSERT_TRUE(Insert(MakeLetter(2)).ok());  // It is there already and takes no room.
  ASSERT_TRUE(store_->RemoveHealed(0, At(1)).ok());
  ASSERT_TRUE(Insert(MakeLetter(3)).ok());

  options.bounds.max_letters = 100;
  options.bounds.max_bytes = store_->totals().bytes + LetterBytes(MakeLetter(4));
  Reopen(options);
  Letter larger = MakeLetter(4);
  larger.data += ' ';
  EXPECT_FALSE(store_->HasRoomFor({&larger, 1}));
  EXPECT_EQ(Insert(larger).code(), Status::Code::kExhausted);
  ASSERT_TRUE(Insert(MakeLetter(4)).ok());
  EXPECT_EQ(store_->totals().bytes, options.bounds.max_bytes);
}

TEST_F(LetterStoreTest, AWriterOfAnEarlierSpawnChangesNothing) {
  ASSERT_TRUE(store_->SetToken(5).ok());
  std::vector<Letter> letters = {MakeLetter(1)};
  EXPECT_EQ(store_->Insert(4, letters).code(), Status::Code::kDenied);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "letters.db"));
  ASSERT_TRUE(store_->Insert(5, letters).ok());
  ASSERT_TRUE(store_->SetHold(5, {"t", LetterHold::By::kHost, 1, "r"}).ok());
  ASSERT_TRUE(store_->SetToken(6).ok());
  for (const bool reopened : {false, true}) {
    if (reopened) {
      Reopen();
    }
    EXPECT_EQ(store_->token(), 6u);
    const Letter stale = MakeLetter(1);
    std::vector<Letter> other = {MakeLetter(2)};
    for (const Status& refused :
         {store_->Insert(5, other), store_->Update(5, {stale.head, stale.cause, {}}),
          store_->MakeDue(5, {&stale.head.position, 1}, 5), store_->RemoveHealed(5, At(1)),
          store_->RemoveBeyond(5, std::nullopt),
          store_->SetHold(5, {"u", LetterHold::By::kHost, 1, ""}), store_->EndHold(5, "t"),
          store_->SetToken(5)}) {
      EXPECT_EQ(refused.code(), Status::Code::kDenied) << refused.message();
      EXPECT_EQ(refused.message().find((folder_.path() / "letters.db").string() + ": fenced: "), 0u)
          << refused.message();
    }
    EXPECT_EQ(Found(), (std::vector{At(1)}));
    int holds = 0;
    ASSERT_TRUE(store_->reader().ScanHolds([&](const LetterHold&) { ++holds; }).ok());
    EXPECT_EQ(holds, 1);
  }
}

// What is written to a file that nobody will find again is lost.
TEST_F(LetterStoreTest, AFileThatWasMovedAwayEndsAllChanges) {
  ASSERT_TRUE(Insert(MakeLetter(1)).ok());
  const auto file = folder_.path() / "letters.db";
  std::filesystem::rename(file, folder_.path() / "aside");
  const Status moved = Insert(MakeLetter(2));
  EXPECT_EQ(moved.message(),
            file.string() +
                ": it was removed or moved away while the group ran, so no letter can "
                "be kept; put the file back as it was and restart the host");
  EXPECT_FALSE(moved.may_pass());
  std::filesystem::rename(folder_.path() / "aside", file);
  EXPECT_EQ(Insert(MakeLetter(2)).message(), moved.message());
  Reopen();
  EXPECT_EQ(Found(), (std::vector{At(1)}));
}

// As by an operator who restores it without stopping the host.
TEST_F(LetterStoreTest, AFileThatIsThereAtTheFirstLetterIsNotReplaced) {
  ASSERT_TRUE(Insert(MakeLetter(1)).ok());
  store_.reset();
  std::filesystem::rename(folder_.path() / "letters.db", folder_.path() / "aside");
  Reopen();
  ASSERT_TRUE(store_->SetToken(4).ok());
  std::filesystem::rename(folder_.path() / "aside", folder_.path() / "letters.db");
  ASSERT_TRUE(Insert(MakeLetter(2)).ok());
  EXPECT_EQ(Found(), (std::vector{At(1), At(2)}));
  EXPECT_EQ(store_->totals().healing, 2u);
  Reopen();
  EXPECT_EQ(store_->token(), 4u);
}

TEST_F(LetterStoreTest, HoldsAreKeptWithSinceAndByWhom) {
  ASSERT_TRUE(store_->SetHold(0, {"b", LetterHold::By::kHost, 11, "text"}).ok());
  ASSERT_TRUE(store_->SetHold(0, {"a", LetterHold::By::kHost, 12, ""}).ok());
  ASSERT_TRUE(store_->SetHold(0, {"a", LetterHold::By::kOperator, 13, "by hand"}).ok());
  Reopen();
  std::map<std::string, LetterHold> holds;
  ASSERT_TRUE(
      store_->reader().ScanHolds([&](const LetterHold& hold) { holds[hold.type] = hold; }).ok());
  ASSERT_EQ(holds.size(), 2u);
  EXPECT_EQ(holds["a"].by, LetterHold::By::kOperator);
  EXPECT_EQ(holds["a"].since_ticks, 13);
  EXPECT_EQ(holds["a"].reason, "by hand");
  EXPECT_EQ(holds["b"].by, LetterHold::By::kHost);
  ASSERT_TRUE(store_->EndHold(0, "a").ok());
  ASSERT_TRUE(store_->EndHold(0, "never held").ok());
  holds.clear();
  ASSERT_TRUE(
      store_->reader().ScanHolds([&](const LetterHold& hold) { holds[hold.type] = hold; }).ok());
  EXPECT_EQ(holds.size(), 1u);
}

TEST_F(LetterStoreTest, AStreamIsWalkedInOrder) {
  ASSERT_TRUE(Insert(MakeLetter(3, "a")).ok());
  ASSERT_TRUE(Insert(MakeFollower(5, "a")).ok());
  ASSERT_TRUE(Insert(MakeLetter(4, "ab")).ok());
  LetterReader& reader = store_->reader();
  EXPECT_EQ((*reader.FirstOf("a"))->position, At(3));
  EXPECT_EQ((*reader.NextOf("a", At(3)))->position, At(5));
  EXPECT_FALSE(*reader.NextOf("a", At(5)));
  EXPECT_FALSE(*reader.FirstOf("b"));
  EXPECT_FALSE(*reader.FirstOf(""));
}

TEST_F(LetterStoreTest, ListsWhatAFilterMeansPageByPage) {
  for (std::uint64_t n = 1; n <= 6; ++n) {
    Letter letter = n == 4 ? MakeFollower(n, "a") : MakeLetter(n, n < 4 ? "a" : "b");
    letter.head.written_ticks = static_cast<std::int64_t>(n * 100);
    if (n == 2) {
      letter.head.state = StoredState::kDead;
      letter.head.letter_class = StoredClass::kDomain;
      letter.head.type = "other";
    }
    ASSERT_TRUE(Insert(letter).ok());
  }
  const auto list = [&](const LetterFilter& filter) {
    std::vector<std::uint64_t> found;
    const Status listed =
        store_->reader().List(filter, [&](const LetterHead& head, const LetterCause&) {
          found.push_back(head.position.commit / 10);
          return Status();
        });
    EXPECT_TRUE(listed.ok()) << listed.message();
    return found;
  };
  using Numbers = std::vector<std::uint64_t>;
  EXPECT_EQ(list({}), (Numbers{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(list({.state = StoredState::kDead}), (Numbers{2}));
  EXPECT_EQ(list({.state = StoredState::kFollower}), (Numbers{4}));
  EXPECT_EQ(list({.letter_class = StoredClass::kUnknown}), (Numbers{1, 3, 5, 6}));
  EXPECT_EQ(list({.stream = "a"}), (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(list({.type = "other"}), (Numbers{2}));
  EXPECT_EQ(list({.stream = "b", .type = "other"}), (Numbers{}));
  EXPECT_EQ(list({.written_before = 300}), (Numbers{1, 2}));
  EXPECT_EQ(list({.written_after = 300}), (Numbers{4, 5, 6}));
  EXPECT_EQ(list({.limit = 2}), (Numbers{1, 2}));
  EXPECT_EQ(list({.after = At(2), .limit = 2}), (Numbers{3, 4}));
  EXPECT_EQ(list({.after = At(6)}), (Numbers{}));
}

// What a checkpoint says of the file it was written beside, and whether the next start finds that.
class LettersMarkTest : public LetterStoreTest {
 protected:
  void SetUp() override {
    LetterStoreTest::SetUp();
    ASSERT_TRUE(Insert(MakeLetter(1)).ok());
    backup_ = ReadFile(file());
    ASSERT_TRUE(Insert(MakeLetter(2)).ok());
    known_.known.mark = store_->mark();
    known_.known.checkpoint = At(2);
    ASSERT_EQ(known_.known.mark->letters, 2u);
    store_.reset();
  }
  std::filesystem::path file() const { return folder_.path() / "letters.db"; }
  Status Open() { return LetterStore::Open(folder_.path(), "g", known_).status(); }
  void ExpectRefused(const std::string& how) {
    const Status refused = Open();
    EXPECT_EQ(refused.code(), Status::Code::kInvalid) << refused.message();
    for (const std::string& part :
         {file().string() + ": " + how, std::string("the file held 2 letters"),
          std::string("catchup reset g --to 20:20"), std::string("catchup start g")}) {
      EXPECT_NE(refused.message().find(part), std::string::npos) << refused.message();
    }
  }

  std::string backup_;
  LetterStore::Options known_;
};

TEST_F(LettersMarkTest, TheFileItKnowsIsOpenedAndSoIsALaterStateOfIt) {
  EXPECT_TRUE(Open().ok()) << Open().message();
  Reopen(known_);
  ASSERT_TRUE(store_->RemoveHealed(store_->token(), At(1)).ok());
  EXPECT_EQ(store_->mark()->letters, 1u);
  EXPECT_GT(store_->mark()->changes, known_.known.mark->changes);
  store_.reset();
  EXPECT_TRUE(Open().ok()) << Open().message();
}

TEST_F(LettersMarkTest, AFileThatIsGoneIsMissed) {
  std::filesystem::remove(file());
  ExpectRefused("it is gone");
  EXPECT_FALSE(std::filesystem::exists(file())) << "nothing takes its place";
}

TEST_F(LettersMarkTest, AnEarlierStateOfTheFileIsRefused) {
  WriteFile(file(), backup_);
  std::filesystem::remove(file().string() + "-journal");
  ExpectRefused("it is an earlier state of itself");
}

TEST_F(LettersMarkTest, AnotherFileIsRefused) {
  const TemporaryFolder other;
  {
    auto store = OpenLetters(other.path());
    for (std::uint64_t n = 1; n < 20; ++n) {
      ASSERT_TRUE(InsertOne(store.get(), MakeLetter(n)).ok());
    }
  }
  std::filesystem::copy_file(other.path() / "letters.db", file(),
                             std::filesystem::copy_options::overwrite_existing);
  ExpectRefused("it is another file");
}

// As of a version that did not write one yet.
TEST_F(LettersMarkTest, AFileWithoutAMarkIsAnotherOne) {
  auto connection = Connection::Open(file(), Connection::Mode::kWrite, "test");
  ASSERT_TRUE(connection.ok() && connection->Execute("DROP TABLE mark").ok());
  connection = Status::NotFound("closed");
  ExpectRefused("it is another file");
  known_.known.mark.reset();
  EXPECT_TRUE(Open().ok()) << Open().message();
}

TEST_F(LettersMarkTest, AFileThatHeldNoLetterMayGoAndTheNextOneGoesOnFromIt) {
  Reopen(known_);
  ASSERT_TRUE(store_->RemoveHealed(store_->token(), At(1)).ok());
  ASSERT_TRUE(store_->RemoveHealed(store_->token(), At(2)).ok());
  known_.known.mark = store_->mark();
  store_.reset();
  const std::string emptied = ReadFile(file());
  std::filesystem::remove(file());
  Reopen(known_);
  EXPECT_NE(store_->warning().find("it is gone"), std::string::npos) << store_->warning();
  ASSERT_TRUE(Insert(MakeLetter(3)).ok());
  EXPECT_EQ(store_->mark()->file, known_.known.mark->file);
  EXPECT_GT(store_->mark()->changes, known_.known.mark->changes);
  known_.known.mark = store_->mark();
  store_.reset();

  WriteFile(file(), emptied);
  std::filesystem::remove(file().string() + "-journal");
  EXPECT_EQ(Open().code(), Status::Code::kInvalid) << "the one that was gone comes back too late";
}

TEST_F(LettersMarkTest, WithoutAWordOfTheCheckpointWhateverIsThereCounts) {
  known_ = {};
  WriteFile(file(), backup_);
  std::filesystem::remove(file().string() + "-journal");
  EXPECT_TRUE(Open().ok()) << Open().message();
  std::filesystem::remove(file());
  EXPECT_TRUE(Open().ok()) << Open().message();
}

}  // namespace
}  // namespace catchup
