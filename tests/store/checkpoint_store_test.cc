#include "host/store/checkpoint_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "host/store/bytes.h"
#include "host/store/checkpoint_file.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

using testing::HasSubstr;

const EventFilter kFilter{EventFilter::Match::kEventType, {"order-"}};

class CheckpointStoreTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<CheckpointStore>> TryOpen(const EventFilter& filter = kFilter,
                                                   const std::string& group = "g") {
    return CheckpointStore::Open(folder_.path(), group, filter);
  }

  std::unique_ptr<CheckpointStore> Open() {
    auto store = TryOpen();
    EXPECT_TRUE(store.ok()) << store.status().message();
    return store.ok() ? *std::move(store) : nullptr;
  }

  Result<CheckpointStore::Inspection> Inspect(const EventFilter& filter = kFilter) {
    return CheckpointStore::Inspect(folder_.path(), "g", filter);
  }

  Status Save(CheckpointStore* store, Position position) {
    CheckpointRecord record = store->record();
    record.checkpoint = position;
    return store->Save(record);
  }

  static std::string WayOut() {
    return "; restore the file from a backup, or begin anew: catchup reset g --to beginning";
  }

  // Of what belongs to somebody else.
  std::string ForeignWayOut(const std::string& group = "g") const {
    return "; restore the file from a backup, or begin anew: stop the host and move the folder " +
           (folder_.path() / group).string() + " away";
  }

  std::filesystem::path file() const { return folder_.path() / "g" / "checkpoint"; }

  TemporaryFolder folder_;
};

TEST_F(CheckpointStoreTest, CreatesAGroupWithoutACheckpoint) {
  const auto store = Open();
  EXPECT_FALSE(store->record().checkpoint.has_value());
  EXPECT_EQ(store->record().token, 0u);
  EXPECT_EQ(store->record().start.kind, RecordedStart::Kind::kUnknown);
  EXPECT_EQ(store->desired(), DesiredState::kRunning);
  EXPECT_EQ(store->warning(), "");
  EXPECT_EQ(store->file(), file());
  EXPECT_TRUE(std::filesystem::is_directory(folder_.path() / "g" / "data"));
}

TEST_F(CheckpointStoreTest, KeepsARecordOverReopening) {
  {
    const auto store = Open();
    CheckpointRecord record = store->record();
    record.checkpoint = Position{12, 7};
    record.start = {RecordedStart::Kind::kPosition, {1, 1}};
    record.witnesses.push_back({{12, 7}, Uuid{{1, 2, 3}}, 4, "order-1"});
    record.last_event = Position{11, 6};
    record.plugin_digest.fill(9);
    ASSERT_TRUE(store->Save(record).ok());
  }
  const auto store = Open();
  EXPECT_EQ(store->record().checkpoint, (Position{12, 7}));
  EXPECT_EQ(store->record().start.kind, RecordedStart::Kind::kPosition);
  EXPECT_EQ(store->record().start.position, (Position{1, 1}));
  ASSERT_EQ(store->record().witnesses.size(), 1u);
  EXPECT_EQ(store->record().witnesses[0].stream, "order-1");
  EXPECT_EQ(store->record().last_event, (Position{11, 6}));
  EXPECT_EQ(store->record().plugin_digest[31], 9);
  EXPECT_EQ(store->record().number, 1u);
  EXPECT_GT(store->record().time_ticks, 0);
}

TEST_F(CheckpointStoreTest, KeepsTheLastOfManySaves) {
  {
    const auto store = Open();
    for (std::uint64_t i = 1; i <= 101; ++i) {
      ASSERT_TRUE(Save(store.get(), {i, i}).ok());
    }
  }
  const auto store = Open();
  EXPECT_EQ(store->record().checkpoint, (Position{101, 101}));
  EXPECT_EQ(store->record().number, 101u);
}

TEST_F(CheckpointStoreTest, NeverGrowsTheFile) {
  const auto store = Open();
  const auto size = std::filesystem::file_size(file());
  for (std::uint64_t i = 1; i <= 50; ++i) {
    ASSERT_TRUE(Save(store.get(), {i << 50, i}).ok());
  }
  EXPECT_EQ(std::filesystem::file_size(file()), size);
  EXPECT_EQ(size, kCheckpointFileBytes);
}

TEST_F(CheckpointStoreTest, RaisesTheTokenAndKeepsTheCheckpoint) {
  {
    const auto store = Open();
    ASSERT_TRUE(Save(store.get(), {5, 5}).ok());
    EXPECT_EQ(*store->RaiseToken(), 1u);
    EXPECT_EQ(*store->RaiseToken(), 2u);
  }
  const auto store = Open();
  EXPECT_EQ(store->record().token, 2u);
  EXPECT_EQ(store->record().checkpoint, (Position{5, 5}));
  EXPECT_EQ(*store->RaiseToken(), 3u);
}

// A start that a foreign store's fence refused must not come nearer to passing it, but by a word.
TEST_F(CheckpointStoreTest, KeepsAFenceUntilItIsTakenOver) {
  {
    const auto store = Open();
    ASSERT_TRUE(Save(store.get(), {5, 5}).ok());
    ASSERT_EQ(*store->RaiseToken(), 1u);
    ASSERT_TRUE(store->SetFence(57).ok());
  }
  {
    const auto store = Open();
    EXPECT_EQ(store->fence(), 57u);
    EXPECT_EQ(store->record().token, 1u);
    ASSERT_TRUE(store->TakeOver().ok());
  }
  const auto store = Open();
  EXPECT_EQ(store->fence(), 0u);
  EXPECT_EQ(*store->RaiseToken(), 58u);
  EXPECT_EQ(store->record().checkpoint, (Position{5, 5}));
}

TEST_F(CheckpointStoreTest, AResetToAPositionKeepsTheEventsThatItIsGiven) {
  {
    const auto store = Open();
    CheckpointRecord record = store->record();
    record.checkpoint = Position{9, 9};
    record.last_event = Position{8, 8};
    record.witnesses = {{{8, 8}, {}, 1, "s"}, {{3, 3}, {}, 0, "s"}};
    ASSERT_TRUE(store->Save(record).ok());
    ASSERT_TRUE(store->RaiseToken().ok());
    ASSERT_TRUE(store->Reset(Position{5, 4}, {record.witnesses[1]}).ok());
  }
  {
    const auto store = Open();
    EXPECT_EQ(store->record().checkpoint, (Position{5, 4}));
    EXPECT_EQ(store->record().last_event, (Position{3, 3}));
    ASSERT_EQ(store->record().witnesses.size(), 1u);
    EXPECT_EQ(store->record().witnesses.front().position, (Position{3, 3}));
    EXPECT_EQ(store->record().token, 1u);
    ASSERT_TRUE(store->reset().has_value());
    EXPECT_TRUE(store->reset()->pending);
    EXPECT_EQ(store->reset()->to, (Position{5, 4}));
    ASSERT_TRUE(store->FinishReset().ok());
  }
  EXPECT_FALSE(Open()->reset().has_value());
}

// Without a checkpoint only the order tells a later start that the beginning is meant.
TEST_F(CheckpointStoreTest, AResetToTheBeginningIsRememberedUntilThereIsACheckpoint) {
  {
    const auto store = Open();
    ASSERT_TRUE(Save(store.get(), {9, 9}).ok());
    ASSERT_TRUE(store->Reset(std::nullopt, {}).ok());
    ASSERT_TRUE(store->FinishReset().ok());
  }
  const auto store = Open();
  EXPECT_FALSE(store->record().checkpoint.has_value());
  EXPECT_EQ(store->record().start.kind, RecordedStart::Kind::kBeginning);
  ASSERT_TRUE(store->reset().has_value());
  EXPECT_FALSE(store->reset()->pending);
  ASSERT_TRUE(Save(store.get(), {1, 1}).ok());
  EXPECT_FALSE(store->reset().has_value());
}

// What a command does not decide about stays undecided.
TEST_F(CheckpointStoreTest, ACommandAloneDoesNotAcceptAChangedFilter) {
  const EventFilter other{EventFilter::Match::kEventType, {"invoice-"}};
  ASSERT_TRUE(Save(Open().get(), {5, 5}).ok());
  {
    auto store = CheckpointStore::OpenForCommand(folder_.path(), "g", other);
    ASSERT_TRUE(store.ok()) << store.status().message();
    EXPECT_TRUE((*store)->filter_changed());
    ASSERT_TRUE((*store)->SetDesired(DesiredState::kStopped).ok());
    EXPECT_TRUE((*store)->filter_changed());
  }
  EXPECT_EQ(CheckpointStore::Open(folder_.path(), "g", other).status().code(),
            Status::Code::kInvalid);
  {
    auto store = CheckpointStore::OpenForCommand(folder_.path(), "g", other);
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE((*store)->AcceptFilter().ok());
  }
  const auto store = CheckpointStore::Open(folder_.path(), "g", other);
  ASSERT_TRUE(store.ok()) << store.status().message();
  EXPECT_EQ((*store)->record().checkpoint, (Position{5, 5}));
  EXPECT_EQ((*store)->desired(), DesiredState::kStopped);
}

TEST_F(CheckpointStoreTest, AResetDecidesForTheNewFilter) {
  const EventFilter other{EventFilter::Match::kEventType, {"invoice-"}};
  ASSERT_TRUE(Save(Open().get(), {5, 5}).ok());
  {
    auto store = CheckpointStore::OpenForCommand(folder_.path(), "g", other);
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE((*store)->Reset(std::nullopt, {}).ok());
    EXPECT_FALSE((*store)->filter_changed());
  }
  EXPECT_TRUE(CheckpointStore::Open(folder_.path(), "g", other).ok());
}

TEST_F(CheckpointStoreTest, ALostStoreIsReplacedAndTheBadFileKept) {
  (void)Open();
  WriteFile(file(), "nothing of ours");
  ASSERT_EQ(CheckpointStore::Open(folder_.path(), "g", kFilter).status().code(),
            Status::Code::kCorrupt);
  {
    auto store = CheckpointStore::Replace(folder_.path(), "g", kFilter);
    ASSERT_TRUE(store.ok()) << store.status().message();
    ASSERT_TRUE((*store)->Reset(Position{7, 7}, {}).ok());
  }
  EXPECT_EQ(Open()->record().checkpoint, (Position{7, 7}));
  EXPECT_EQ(ReadFile(file().string() + ".bad"), "nothing of ours");
  std::filesystem::remove(file());
  EXPECT_TRUE(CheckpointStore::Replace(folder_.path(), "g", kFilter).ok());
}

TEST_F(CheckpointStoreTest, ANewFilterIsNotedUntilThereIsACheckpoint) {
  const EventFilter other{EventFilter::Match::kEventType, {"invoice-"}};
  {
    const auto store = Open();
    EXPECT_FALSE(store->filter_changed());
    ASSERT_TRUE(store->RaiseToken().ok());  // From here on a plugin may hold a position.
  }
  for (int start = 0; start < 2; ++start) {
    const auto store = TryOpen(other);
    ASSERT_TRUE(store.ok()) << store.status().message();
    EXPECT_TRUE((*store)->filter_changed());
    ASSERT_TRUE((*store)->RaiseToken().ok());
  }
  EXPECT_FALSE(Open()->filter_changed()) << "the old filter is still that of the file";
  {
    const auto store = TryOpen(other);
    ASSERT_TRUE(Save(store->get(), {5, 5}).ok());
  }
  EXPECT_FALSE((*TryOpen(other))->filter_changed());
  EXPECT_EQ(TryOpen().status().code(), Status::Code::kInvalid);
}

// Nothing was handled under the old one, so it is as if it had never been.
TEST_F(CheckpointStoreTest, ANewFilterIsAcceptedForGoodWithoutACheckpoint) {
  const EventFilter other{EventFilter::Match::kEventType, {"invoice-"}};
  ASSERT_TRUE(Open()->RaiseToken().ok());
  {
    const auto store = TryOpen(other);
    ASSERT_TRUE((*store)->AcceptFilter().ok());
    EXPECT_FALSE((*store)->filter_changed());
    EXPECT_FALSE((*store)->record().checkpoint.has_value());
  }
  EXPECT_FALSE((*TryOpen(other))->filter_changed());
  EXPECT_TRUE(Open()->filter_changed()) << "the old filter is the new one's other now";
}

TEST_F(CheckpointStoreTest, FencesAWriterOfAnEarlierSpawn) {
  const auto store = Open();
  ASSERT_TRUE(store->RaiseToken().ok());
  CheckpointRecord stale = store->record();
  stale.checkpoint = Position{9, 9};
  ASSERT_TRUE(store->RaiseToken().ok());

  const Status status = store->Save(stale);

  EXPECT_EQ(status.code(), Status::Code::kDenied);
  EXPECT_EQ(status.message(), file().string() + ": fenced: token 1, wanted 2");
  EXPECT_FALSE(store->record().checkpoint.has_value());
  EXPECT_TRUE(Save(store.get(), {9, 9}).ok());
}

TEST_F(CheckpointStoreTest, NeverGoesBackByItself) {
  const auto store = Open();
  ASSERT_TRUE(Save(store.get(), {5, 5}).ok());
  EXPECT_TRUE(Save(store.get(), {5, 5}).ok());

  EXPECT_EQ(Save(store.get(), {5, 4}).message(),
            file().string() + ": checkpoint 5:4 lies before the present one, wanted 5:5 or later");
  CheckpointRecord none = store->record();
  none.checkpoint.reset();
  EXPECT_EQ(store->Save(none).message(),
            file().string() + ": checkpoint none lies before the present one, wanted 5:5 or later");
  EXPECT_EQ(store->record().checkpoint, (Position{5, 5}));
}

TEST_F(CheckpointStoreTest, GoesBackOnCommand) {
  {
    const auto store = Open();
    ASSERT_TRUE(Save(store.get(), {5, 5}).ok());
    CheckpointRecord back = store->record();
    back.checkpoint = Position{2, 2};
    ASSERT_TRUE(store->Rewind(back).ok());
  }
  EXPECT_EQ(Open()->record().checkpoint, (Position{2, 2}));
}

TEST_F(CheckpointStoreTest, KeepsTheDesiredStateOverReopening) {
  {
    const auto store = Open();
    ASSERT_TRUE(Save(store.get(), {5, 5}).ok());
    ASSERT_TRUE(store->SetDesired(DesiredState::kStopped).ok());
    EXPECT_EQ(store->desired(), DesiredState::kStopped);
  }
  const auto store = Open();
  EXPECT_EQ(store->desired(), DesiredState::kStopped);
  EXPECT_EQ(store->record().checkpoint, (Position{5, 5}));
}

TEST_F(CheckpointStoreTest, RefusesAChangedFilterAndNamesBoth) {
  {
    const auto store = Open();
    ASSERT_TRUE(Save(store.get(), {12, 7}).ok());
  }
  const auto changed = TryOpen({EventFilter::Match::kStreamName, {"order-", "a"}});

  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.status().code(), Status::Code::kInvalid);
  EXPECT_EQ(
      changed.status().message(),
      file().string() +
          ": the filter of the group has changed: checkpoint 12:7 was made with event_type "
          "\"order-\", the configuration says stream_name \"a\", \"order-\"; older events of "
          "the new filter would be lost, so wanted the old filter, another group name for the new "
          "one, or a word for it: catchup start g --accept-filter goes on from there, catchup "
          "reset "
          "g --to beginning reads all");
  EXPECT_EQ(Open()->record().checkpoint, (Position{12, 7}));
}

TEST_F(CheckpointStoreTest, TakesAChangedFilterWhileThereIsNoCheckpoint) {
  const EventFilter other{EventFilter::Match::kEventType, {"b"}};
  EXPECT_EQ(*Open()->RaiseToken(), 1u);
  {
    auto store = TryOpen(other);
    ASSERT_TRUE(store.ok());
    EXPECT_EQ((*store)->record().token, 1u);
    ASSERT_TRUE(Save(store->get(), {1, 1}).ok());
  }
  EXPECT_FALSE(TryOpen(kFilter).ok());
  EXPECT_TRUE(TryOpen(other).ok());
}

TEST_F(CheckpointStoreTest, HasOneOwner) {
  const auto store = Open();
  const auto second = TryOpen();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), Status::Code::kInUse);
  EXPECT_EQ(second.status().message(), file().string() + ": another process has it open");
  EXPECT_TRUE(Save(store.get(), {1, 1}).ok());
}

TEST_F(CheckpointStoreTest, FailsWhenTheFileIsGoneButTheFolderIsThere) {
  Open();
  std::filesystem::remove(file());

  const auto store = TryOpen();

  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), Status::Code::kCorrupt);
  EXPECT_EQ(store.status().message(),
            file().string() +
                ": the file is gone while the folder of group g is there; without it nobody knows "
                "what was handled" +
                WayOut());
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(CheckpointStoreTest, FailsWhenAFileOrFolderStandsInItsPlace) {
  WriteFile(folder_.path() / "g", "");
  EXPECT_EQ(TryOpen().status().message(),
            (folder_.path() / "g").string() + ": it is no directory, wanted the folder of group g");
  std::filesystem::remove(folder_.path() / "g");
  std::filesystem::create_directories(file());
  EXPECT_EQ(TryOpen().status().message(),
            file().string() + ": it is no regular file, wanted a checkpoint" + WayOut());
}

TEST_F(CheckpointStoreTest, RefusesTheFileOfAnotherGroup) {
  Open();
  std::filesystem::copy(folder_.path() / "g", folder_.path() / "h",
                        std::filesystem::copy_options::recursive);
  const auto store = TryOpen(kFilter, "h");
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), Status::Code::kIncompatible);
  EXPECT_EQ(store.status().message(), (folder_.path() / "h" / "checkpoint").string() +
                                          ": it belongs to group g, wanted that of group h" +
                                          ForeignWayOut("h"));
}

TEST_F(CheckpointStoreTest, IgnoresWhatAnInterruptedCreationLeft) {
  std::filesystem::create_directories(folder_.path() / ".g.new" / "data");
  WriteFile(folder_.path() / ".g.new" / "checkpoint", "half");
  EXPECT_FALSE(Open()->record().checkpoint.has_value());
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / ".g.new"));
}

TEST_F(CheckpointStoreTest, IgnoresWhatAnInterruptedOpenLeft) {
  {
    const auto store = Open();
    ASSERT_TRUE(Save(store.get(), {3, 3}).ok());
  }
  WriteFile(file().string() + ".new", "half");
  EXPECT_EQ(Open()->record().checkpoint, (Position{3, 3}));
}

// Each open puts the rows into a new file, so that pages an earlier run could not sync are not
// trusted.
TEST_F(CheckpointStoreTest, MovesIntoANewFileAtEveryOpen) {
  Open();
  std::filesystem::create_hard_link(file(), folder_.path() / "old");
  Open();
  EXPECT_EQ(std::filesystem::hard_link_count(folder_.path() / "old"), 1u);
}

// Also one whose slots nobody here could read.
TEST_F(CheckpointStoreTest, RefusesAnotherFormatAndNamesBoth) {
  Open();
  std::string bytes = ReadFile(file());
  bytes[16] = 3;
  bytes.resize(kHeaderBytes - 32);
  AppendSum(&bytes);
  bytes.resize(3 * kHeaderBytes, 'x');
  WriteFile(file(), bytes);

  const auto store = TryOpen();

  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), Status::Code::kIncompatible);
  EXPECT_EQ(store.status().message(),
            file().string() + ": format 3, this version reads 2" + ForeignWayOut());
  EXPECT_EQ(ReadFile(file()), bytes);
}

TEST_F(CheckpointStoreTest, RefusesAnEmptyFile) {
  Open();
  WriteFile(file(), "");

  const auto store = TryOpen();

  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), Status::Code::kCorrupt);
  EXPECT_EQ(store.status().message(),
            file().string() +
                ": 0 bytes, wanted 20480, and both slots are bad (0 bytes, wanted 8192; 0 bytes, "
                "wanted 8192), wanted at least one" +
                WayOut());
  EXPECT_EQ(ReadFile(file()), "");
}

// What goes on in the removed file would be gone with the next start.
TEST_F(CheckpointStoreTest, StopsWhenItsFileIsNoLongerThere) {
  for (const bool whole_folder : {true, false}) {
    auto store = Open();
    ASSERT_TRUE(Save(store.get(), {6, 6}).ok());
    const std::filesystem::path away = folder_.path() / "away";
    std::filesystem::rename(whole_folder ? folder_.path() / "g" : file(), away);

    const Status status = Save(store.get(), {6, 6});

    EXPECT_EQ(status.code(), Status::Code::kNotFound);
    EXPECT_EQ(status.message(),
              file().string() +
                  ": it was removed or moved away while the group ran, so no checkpoint can be "
                  "kept; " +
                  (whole_folder ? "put the folder of the group back as it was and restart the "
                                  "host, without it the group begins anew"
                                : "put the file back as it was and restart the host"));
    EXPECT_FALSE(store->RaiseToken().ok());
    store.reset();
    std::filesystem::rename(away, whole_folder ? folder_.path() / "g" : file());
    EXPECT_EQ(Open()->record().checkpoint, (Position{6, 6}));
  }
}

TEST_F(CheckpointStoreTest, StopsWhenAnotherFileHasTakenItsPlace) {
  const auto store = Open();
  ASSERT_TRUE(Save(store.get(), {5, 5}).ok());
  const std::string bytes = ReadFile(file());
  std::filesystem::rename(file(), folder_.path() / "away");
  WriteFile(file(), bytes);

  const Status status = Save(store.get(), {6, 6});

  EXPECT_EQ(status.code(), Status::Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("another file was put in its place"));
}

// A look from outside says what an open would say, and leaves every byte where it is.
TEST_F(CheckpointStoreTest, InspectsWithoutATrace) {
  EXPECT_EQ(Inspect()->warning, "");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  const auto store = Open();
  ASSERT_TRUE(Save(store.get(), {12, 7}).ok());
  const std::string before = ReadFile(file());
  // Also while a host has it.
  EXPECT_EQ(Inspect()->warning, "");
  EXPECT_EQ(Inspect({EventFilter::Match::kEventType, {"invoice-"}}).status().code(),
            Status::Code::kInvalid);
  EXPECT_EQ(ReadFile(file()), before);
  ASSERT_TRUE(Save(store.get(), {13, 8}).ok());
}

TEST_F(CheckpointStoreTest, InspectsDamage) {
  Open();
  const std::string good = ReadFile(file());
  std::string bytes = good;
  bytes[kHeaderBytes + 100] ^= 1;
  WriteFile(file(), bytes);
  EXPECT_EQ(Inspect()->warning,
            file().string() +
                ": slot 1 of 2 is bad (its check sum does not fit its content), the "
                "other one is used: some events may come again");
  EXPECT_EQ(ReadFile(file()), bytes);
  WriteFile(file(), "");
  EXPECT_EQ(Inspect().status().code(), Status::Code::kCorrupt);
  std::filesystem::remove(file());
  EXPECT_EQ(Inspect().status().code(), Status::Code::kCorrupt);
}

}  // namespace
}  // namespace catchup
