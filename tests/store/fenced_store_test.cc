#include "host/store/fenced_store.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "host/store/checkpoint_store.h"
#include "tests/test_files.h"

// What every backend of FencedStore owes. A new one is added to kBackends and passes all of it.

namespace catchup {
namespace {

const EventFilter kFilter{EventFilter::Match::kEventType, {"order-"}};
const EventFilter kOtherFilter{EventFilter::Match::kEventType, {"invoice-"}};

// The place where one group's record lies, for as long as a test runs.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual Result<std::unique_ptr<FencedStore>> Open(const EventFilter& filter) = 0;
};

class FileBackend final : public Backend {
 public:
  Result<std::unique_ptr<FencedStore>> Open(const EventFilter& filter) override {
    auto store = CheckpointStore::Open(folder_.path(), "group", filter);
    if (!store.ok()) {
      return store.status();
    }
    return std::unique_ptr<FencedStore>(*std::move(store));
  }

 private:
  TemporaryFolder folder_;
};

struct BackendKind {
  const char* name;
  std::function<std::unique_ptr<Backend>()> make;
};

const BackendKind kBackends[] = {
    {"File", [] { return std::make_unique<FileBackend>(); }},
};

class FencedStoreTest : public testing::TestWithParam<BackendKind> {
 protected:
  void SetUp() override { Reopen(); }

  // As another process would, after the one before has ended.
  void Reopen(const EventFilter& filter = kFilter) {
    store_.reset();
    auto opened = backend_->Open(filter);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store_ = *std::move(opened);
  }
  CheckpointRecord At(Position position) const {
    CheckpointRecord record = store_->record();
    record.checkpoint = position;
    return record;
  }

  const std::unique_ptr<Backend> backend_ = GetParam().make();
  std::unique_ptr<FencedStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Backends, FencedStoreTest, testing::ValuesIn(kBackends),
                         [](const auto& backend) { return std::string(backend.param.name); });

TEST_P(FencedStoreTest, BeginsWithoutACheckpointAndWithoutAToken) {
  EXPECT_EQ(store_->record().checkpoint, std::nullopt);
  EXPECT_EQ(store_->record().token, 0u);
  EXPECT_FALSE(store_->filter_changed());
}

TEST_P(FencedStoreTest, LoadsWhatWasCommittedLast) {
  ASSERT_TRUE(store_->RaiseToken().ok());
  CheckpointRecord record = At({20, 10});
  record.last_event = Position{15, 15};
  record.start = {RecordedStart::Kind::kPosition, {1, 1}};
  record.witnesses = {{{15, 15}, Uuid{{1, 2, 3}}, 7, "order-1"}};
  record.plugin_digest.fill(9);
  ASSERT_TRUE(store_->Save(At({10, 10})).ok());
  ASSERT_TRUE(store_->Save(record).ok());

  Reopen();

  const CheckpointRecord& found = store_->record();
  EXPECT_EQ(found.checkpoint, (Position{20, 10}));
  EXPECT_EQ(found.token, 1u);
  EXPECT_EQ(found.last_event, (Position{15, 15}));
  EXPECT_EQ(found.start.kind, RecordedStart::Kind::kPosition);
  EXPECT_EQ(found.start.position, (Position{1, 1}));
  ASSERT_EQ(found.witnesses.size(), 1u);
  EXPECT_EQ(found.witnesses[0].event_id, (Uuid{{1, 2, 3}}));
  EXPECT_EQ(found.witnesses[0].revision, 7u);
  EXPECT_EQ(found.plugin_digest, record.plugin_digest);
}

// A lease and a kill both leave room for a writer that was only paused: the compare does not.
TEST_P(FencedStoreTest, AWriterOfAnEarlierTokenChangesNothing) {
  ASSERT_TRUE(store_->RaiseToken().ok());
  ASSERT_TRUE(store_->Save(At({10, 10})).ok());
  const CheckpointRecord stale = At({20, 20});
  ASSERT_TRUE(store_->RaiseToken().ok());

  EXPECT_EQ(store_->Save(stale).code(), Status::Code::kDenied);
  EXPECT_EQ(store_->Rewind(stale).code(), Status::Code::kDenied);

  EXPECT_EQ(store_->record().checkpoint, (Position{10, 10}));
  Reopen();
  EXPECT_EQ(store_->record().checkpoint, (Position{10, 10}));
  EXPECT_EQ(store_->record().token, 2u);
}

TEST_P(FencedStoreTest, AWriterOfATokenThatNobodyWasGivenChangesNothing) {
  CheckpointRecord record = At({10, 10});
  record.token = 1;

  EXPECT_EQ(store_->Save(record).code(), Status::Code::kDenied);

  Reopen();
  EXPECT_EQ(store_->record().checkpoint, std::nullopt);
  EXPECT_EQ(store_->record().token, 0u);
}

TEST_P(FencedStoreTest, ATokenIsDurableOnceItIsGivenAndGreaterThanEveryOneBefore) {
  std::uint64_t last = 0;
  for (int i = 0; i < 4; ++i) {
    const auto token = store_->RaiseToken();
    ASSERT_TRUE(token.ok()) << token.status().message();
    EXPECT_GT(*token, last);
    last = *token;
    Reopen();
    EXPECT_EQ(store_->record().token, last);
  }
}

// As after a restore from a backup: something else of the group remembers more.
TEST_P(FencedStoreTest, ATokenIsGreaterThanOneThatIsRememberedElsewhere) {
  ASSERT_TRUE(store_->RaiseToken().ok());
  EXPECT_EQ(*store_->RaiseTokenAbove(57), 58u);
  EXPECT_EQ(*store_->RaiseTokenAbove(3), 59u);
  Reopen();
  EXPECT_EQ(store_->record().token, 59u);
}

TEST_P(FencedStoreTest, ARaisedTokenLeavesTheCheckpointWhereItIs) {
  ASSERT_TRUE(store_->Save(At({10, 10})).ok());
  ASSERT_TRUE(store_->RaiseToken().ok());
  Reopen();
  EXPECT_EQ(store_->record().checkpoint, (Position{10, 10}));
}

// No token is ever handed out twice, whatever became of the runner that had it.
TEST_P(FencedStoreTest, ARefusalLeavesTheTokenWhereItIs) {
  ASSERT_TRUE(store_->RaiseToken().ok());
  ASSERT_TRUE(store_->SetFence(57).ok());
  Reopen();
  EXPECT_EQ(store_->record().token, 1u);
}

TEST_P(FencedStoreTest, ACommitDoesNotGoBackUnlessItIsToldTo) {
  ASSERT_TRUE(store_->Save(At({10, 10})).ok());
  CheckpointRecord none = store_->record();
  none.checkpoint.reset();

  EXPECT_EQ(store_->Save(At({10, 9})).code(), Status::Code::kInvalid);
  EXPECT_EQ(store_->Save(none).code(), Status::Code::kInvalid);
  EXPECT_EQ(store_->record().checkpoint, (Position{10, 10}));
  EXPECT_TRUE(store_->Save(At({10, 10})).ok());

  EXPECT_TRUE(store_->Rewind(At({5, 5})).ok());
  Reopen();
  EXPECT_EQ(store_->record().checkpoint, (Position{5, 5}));
  EXPECT_TRUE(store_->Rewind(none).ok());
  Reopen();
  EXPECT_EQ(store_->record().checkpoint, std::nullopt);
}

TEST_P(FencedStoreTest, IsNotOpenedWithAnotherFilterThanThatOfItsCheckpoint) {
  ASSERT_TRUE(store_->Save(At({10, 10})).ok());
  store_.reset();

  const auto opened = backend_->Open(kOtherFilter);

  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), Status::Code::kInvalid);
  EXPECT_NE(opened.status().message().find("10:10"), std::string::npos);
  Reopen();
}

TEST_P(FencedStoreTest, KeepsTheOldFilterUntilTheNewOneIsAccepted) {
  ASSERT_TRUE(store_->RaiseToken().ok());
  Reopen(kOtherFilter);
  EXPECT_TRUE(store_->filter_changed());
  Reopen(kFilter);
  EXPECT_FALSE(store_->filter_changed());

  Reopen(kOtherFilter);
  EXPECT_TRUE(store_->AcceptFilter().ok());

  EXPECT_FALSE(store_->filter_changed());
  Reopen(kOtherFilter);
  EXPECT_FALSE(store_->filter_changed());
  EXPECT_EQ(store_->record().checkpoint, std::nullopt);
}

TEST_P(FencedStoreTest, TheFirstCheckpointAcceptsTheFilter) {
  ASSERT_TRUE(store_->RaiseToken().ok());
  Reopen(kOtherFilter);
  ASSERT_TRUE(store_->Save(At({10, 10})).ok());
  EXPECT_FALSE(store_->filter_changed());
  Reopen(kOtherFilter);
}

TEST_P(FencedStoreTest, IsWhereTheNextStartLooksForIt) {
  EXPECT_TRUE(store_->CheckStillThere().ok());
}

}  // namespace
}  // namespace catchup
