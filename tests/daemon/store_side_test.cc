#include "host/daemon/store/store_side.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

class StoreSideTest : public testing::Test {
 protected:
  void SetUp() override {
    side_ = std::make_unique<StoreSide>(
        shop_.config,
        StoreSide::Services{shop_.pool.get(), &*shop_.state, &shop_.plugin_directories}, gate_);
  }
  void TearDown() override {
    Close();
    shop_.CloseShop();
  }

  void Close() {
    gate_->Close([] {});
    side_.reset();
  }
  StoreSide::Wanted Wanted() {
    return [this] { return wanted_; };
  }
  void Prepare(Told<Status>* told) {
    gate_->Enter(
        [&] { side_->Prepare(Wanted(), [told](const Status& status) { told->Tell(status); }); });
  }
  bool Prepared() {
    Told<Status> told;
    Prepare(&told);
    const auto status = told.Await();
    return status.has_value() && status->ok();
  }
  std::optional<Status> Save(Position position, bool names_plugin = true) {
    Told<Status> told;
    gate_->Enter([&] {
      StoreSide::Checkpoint checkpoint;
      checkpoint.position = position;
      checkpoint.witness = Witness{position, {}, 7, "stream"};
      checkpoint.names_plugin = names_plugin;
      side_->Save(std::move(checkpoint), Wanted(),
                  [&](const Status& status) { told.Tell(status); });
    });
    return told.Await();
  }
  std::pair<std::uint64_t, Status> PrepareSpawn() {
    Told<std::pair<std::uint64_t, Status>> told;
    gate_->Enter([&] {
      side_->PrepareSpawn(0, Wanted(), [&](std::uint64_t token, const Status& status) {
        told.Tell({token, status});
      });
    });
    return told.Await().value_or(std::pair(0, Status::Internal("nothing came")));
  }
  // What a restart would find.
  CheckpointRecord OnDisk() {
    Close();
    Result<std::unique_ptr<CheckpointStore>> store = Status::Internal("not tried");
    EXPECT_TRUE(Becomes([&] {
      store = CheckpointStore::Open(shop_.state->groups(), "group", shop_.config.filter);
      return store.ok();
    })) << store.status().message();
    return store.ok() ? (*store)->record() : CheckpointRecord();
  }

  Workshop shop_;
  bool wanted_ = true;  // Inside turns.
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>([] {});
  std::unique_ptr<StoreSide> side_;
};

TEST_F(StoreSideTest, WritesACheckpointWithTheLastEventAsItsWitness) {
  ASSERT_TRUE(Prepared());

  const auto saved = Save({900, 900});

  ASSERT_TRUE(saved.has_value());
  EXPECT_TRUE(saved->ok()) << saved->message();
  const CheckpointRecord record = OnDisk();
  EXPECT_EQ(record.checkpoint, (Position{900, 900}));
  ASSERT_EQ(record.witnesses.size(), 1u);
  EXPECT_EQ(record.witnesses[0].stream, "stream");
}

// Another start would not find out again that it is a new one.
TEST_F(StoreSideTest, NamesThePluginsFileOnlyInACheckpointThatMay) {
  ASSERT_TRUE(Prepared());
  ASSERT_TRUE(Save({900, 900}, false).has_value());
  gate_->Enter([&] { EXPECT_EQ(side_->record().plugin_digest, Digest32{}); });
  ASSERT_TRUE(Save({901, 901}).has_value());
  EXPECT_NE(OnDisk().plugin_digest, Digest32{});
}

TEST_F(StoreSideTest, DoesNotTryWhatIsNotWantedAnyMore) {
  ASSERT_TRUE(Prepared());
  gate_->Enter([&] { wanted_ = false; });

  const auto saved = Save({900, 900});

  ASSERT_TRUE(saved.has_value());
  EXPECT_EQ(saved->code(), Status::Code::kCancelled);
  EXPECT_EQ(OnDisk().checkpoint, std::nullopt);
}

// As after a restart that was faster than the end of the host before. When to try again is for
// whoever asked: nothing waits in here.
TEST_F(StoreSideTest, SaysThatWhatFailedMayPassAndDoesItWhenAskedAgain) {
  auto other = CheckpointStore::Open(shop_.state->groups(), "group", shop_.config.filter);
  ASSERT_TRUE(other.ok());
  Told<Status> first;
  Prepare(&first);
  const auto refused = first.Await();
  ASSERT_TRUE(refused.has_value());
  EXPECT_TRUE(refused->may_pass());
  EXPECT_EQ(refused->message().rfind("checkpoint not opened: ", 0), 0u) << refused->message();

  (*other).reset();

  EXPECT_TRUE(Prepared());
}

TEST_F(StoreSideTest, RaisesTheTokenBeforeEachSpawn) {
  ASSERT_TRUE(Prepared());
  const auto [first, first_status] = PrepareSpawn();
  const auto [second, second_status] = PrepareSpawn();

  EXPECT_TRUE(first_status.ok() && second_status.ok());
  EXPECT_EQ(second, first + 1);
  EXPECT_EQ(OnDisk().token, second);
}

// A refused start ends the group, and perhaps the host with it.
TEST_F(StoreSideTest, KeepsARefusalThoughTheGroupEnds) {
  ASSERT_TRUE(Prepared());
  const auto [token, status] = PrepareSpawn();
  ASSERT_TRUE(status.ok());

  gate_->Enter([&] { side_->StoreFence(57); });

  EXPECT_EQ(OnDisk().token, token);
  const auto store = CheckpointStore::Open(shop_.state->groups(), "group", shop_.config.filter);
  ASSERT_TRUE(store.ok()) << store.status().message();
  EXPECT_EQ((*store)->fence(), 57u);
}

TEST_F(StoreSideTest, HoldsAGroupThatWasStopped) {
  ASSERT_TRUE(Prepared());
  Told<Status> stored;
  gate_->Enter([&] {
    side_->StoreDesired(DesiredState::kStopped, [&](const Status& told) { stored.Tell(told); });
  });
  ASSERT_TRUE(stored.Await().value_or(Status::Internal("nothing came")).ok());
  (void)OnDisk();

  gate_ = std::make_shared<Gate>([] {});
  SetUp();

  ASSERT_TRUE(Prepared());
  ASSERT_TRUE(side_->hold().has_value());
  EXPECT_EQ(side_->hold()->state, GroupState::kStopped);
}

TEST_F(StoreSideTest, CopiesAPluginThatWasTakenAwayAgain) {
  ASSERT_TRUE(Prepared());
  const std::filesystem::path copy = side_->plugin().path;
  std::filesystem::remove_all(copy.parent_path());

  const auto [token, status] = PrepareSpawn();

  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(std::filesystem::exists(copy));
}

TEST_F(StoreSideTest, SaysThatTheTokenWasRaisedThoughThePluginIsLost) {
  ASSERT_TRUE(Prepared());
  std::filesystem::remove_all(side_->plugin().path.parent_path());
  std::filesystem::remove_all(shop_.plugin_directories[0]);

  const auto [token, status] = PrepareSpawn();

  EXPECT_NE(token, 0u);
  EXPECT_FALSE(status.ok());
}

TEST_F(StoreSideTest, FindsOutThatTheCheckpointWasRemoved) {
  ASSERT_TRUE(Prepared());
  std::filesystem::remove(shop_.state->group("group") / "checkpoint");
  Told<Status> told;

  gate_->Enter(
      [&] { side_->CheckFiles({}, [&](const Status& status, bool) { told.Tell(status); }); });

  const auto there = told.Await();
  ASSERT_TRUE(there.has_value());
  EXPECT_FALSE(there->ok());
}

TEST_F(StoreSideTest, FindsOutThatTheWorkingDirectoryIsAnotherOne) {
  ASSERT_TRUE(Prepared());
  const auto data = shop_.state->EnsureGroupData("group");
  ASSERT_TRUE(data.ok());
  Told<bool> told;
  const auto look = [&] {
    gate_->Enter([&] {
      side_->CheckFiles(*data, [&](const Status&, bool has_data) { told.Tell(has_data); });
    });
  };

  look();
  EXPECT_EQ(told.Await(0), true);
  std::filesystem::rename(shop_.data(), shop_.state->group("group") / "elsewhere");
  std::filesystem::create_directory(shop_.data());
  look();
  EXPECT_EQ(told.Await(1), false);
}

TEST_F(StoreSideTest, CallsNobodyBackOnceItsGateIsClosed) {
  ASSERT_TRUE(Prepared());
  Told<Status> told;
  gate_->Enter([&] {
    for (int i = 0; i < 100; ++i) {
      side_->CheckFiles({}, [&](const Status& status, bool) { told.Tell(status); });
    }
  });
  Close();
  const std::size_t before = told.size();

  shop_.pool.reset();  // Runs what there is.

  EXPECT_EQ(told.size(), before);
}

}  // namespace
}  // namespace catchup
