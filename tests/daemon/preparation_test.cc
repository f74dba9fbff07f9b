#include "host/daemon/store/preparation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

using testing::HasSubstr;

class PreparationTest : public testing::Test {
 protected:
  std::unique_ptr<Preparation> Make() {
    return std::make_unique<Preparation>(shop_.config, *shop_.state, shop_.plugin_directories);
  }
  // The record that a whole preparation ends with.
  CheckpointRecord Prepare(GroupStart::Kind kind, Position position = {}) {
    shop_.config.start = {kind, position};
    const auto preparation = Make();
    EXPECT_TRUE(preparation->Run().ok());
    EXPECT_TRUE(preparation->done());
    const auto store = preparation->TakeStore();
    return store == nullptr ? CheckpointRecord() : store->record();
  }

  Workshop shop_;
};

TEST_F(PreparationTest, OpensTheStoreCopiesThePluginAndWritesTheStartDown) {
  const auto preparation = Make();

  const Status prepared = preparation->Run();

  ASSERT_TRUE(prepared.ok()) << prepared.message();
  ASSERT_TRUE(preparation->done());
  EXPECT_TRUE(std::filesystem::exists(preparation->plugin().path));
  EXPECT_EQ(preparation->TakeStore()->record().start.kind, RecordedStart::Kind::kBeginning);
}

TEST_F(PreparationTest, FailsForGoodWithoutThePlugin) {
  shop_.config.plugin = "none.so";
  const auto preparation = Make();

  const Status prepared = preparation->Run();

  EXPECT_FALSE(prepared.ok());
  EXPECT_FALSE(prepared.may_pass());
  EXPECT_THAT(prepared.message(), HasSubstr("none.so"));
  EXPECT_EQ(preparation->what(), "plugin not copied");
}

// What may pass is tried again from where it stopped, not from the beginning.
TEST_F(PreparationTest, GoesOnWhereItStopped) {
  const auto other = CheckpointStore::Open(shop_.state->groups(), "group", shop_.config.filter);
  ASSERT_TRUE(other.ok());
  const auto preparation = Make();
  const Status in_use = preparation->Run();
  EXPECT_TRUE(in_use.may_pass()) << in_use.message();
  EXPECT_EQ(preparation->what(), "checkpoint not opened");

  const_cast<std::unique_ptr<CheckpointStore>&>(*other).reset();

  EXPECT_TRUE(preparation->Run().ok());
  EXPECT_TRUE(preparation->done());
}

TEST_F(PreparationTest, AsksForTheHeadToStartAtTheEndAndStoresIt) {
  shop_.config.start.kind = GroupStart::Kind::kEnd;
  const auto preparation = Make();
  ASSERT_TRUE(preparation->Run().ok());
  ASSERT_TRUE(preparation->needs_head());

  preparation->SetHead(Position{700, 700});
  ASSERT_TRUE(preparation->Run().ok());

  ASSERT_TRUE(preparation->done());
  const auto store = preparation->TakeStore();
  EXPECT_EQ(store->record().checkpoint, (Position{700, 700}));
  EXPECT_EQ(store->record().start.position, (Position{700, 700}));
}

// "end" means the end as it was then, so it is asked for once.
TEST_F(PreparationTest, DoesNotReadTheEndOfAnEmptyLogAnew) {
  shop_.config.start.kind = GroupStart::Kind::kEnd;
  auto preparation = Make();
  ASSERT_TRUE(preparation->Run().ok());
  preparation->SetHead(std::nullopt);
  ASSERT_TRUE(preparation->Run().ok());
  preparation.reset();

  preparation = Make();
  ASSERT_TRUE(preparation->Run().ok());

  EXPECT_FALSE(preparation->needs_head());
  EXPECT_TRUE(preparation->done());
}

TEST_F(PreparationTest, TakesAnotherStartWhileThereIsNoCheckpoint) {
  Prepare(GroupStart::Kind::kBeginning);

  const CheckpointRecord record = Prepare(GroupStart::Kind::kPosition, {300, 300});

  EXPECT_EQ(record.start.kind, RecordedStart::Kind::kPosition);
  EXPECT_EQ(record.start.position, (Position{300, 300}));
}

TEST_F(PreparationTest, KeepsTheStartOnceThereIsACheckpoint) {
  {
    const auto preparation = Make();
    ASSERT_TRUE(preparation->Run().ok());
    const auto store = preparation->TakeStore();
    CheckpointRecord record = store->record();
    record.checkpoint = Position{500, 500};
    ASSERT_TRUE(store->Save(record).ok());
  }

  const CheckpointRecord record = Prepare(GroupStart::Kind::kPosition, {300, 300});

  EXPECT_EQ(record.start.kind, RecordedStart::Kind::kBeginning);
  EXPECT_EQ(record.checkpoint, (Position{500, 500}));
}

}  // namespace
}  // namespace catchup
