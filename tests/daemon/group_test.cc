#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/daemon/group/group_slot.h"
#include "host/store/letter_reader.h"
#include "tests/daemon/full_disk.h"
#include "tests/daemon/scripted_source.h"
#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// A whole group: a scripted source, real runners, a real store.
class GroupTest : public testing::Test {
 protected:
  void SetUp() override {
    services_.reactor = shop_.reactor.get();
    services_.pool = shop_.pool.get();
    services_.runner = &*shop_.binary;
    services_.state = &*shop_.state;
    services_.plugin_directories = &shop_.plugin_directories;
    services_.source.address = [this] { return server_.address; };
    services_.source.open = [this](const std::string&, const std::string&) {
      return Result<std::unique_ptr<Source>>(std::make_unique<ScriptedSource>(&server_));
    };
    services_.source.retire = [this](std::shared_ptr<Source> source) {
      shop_.pool->Post([source = std::move(source)]() mutable { source.reset(); });
    };
    services_.on_runner_gone = [](const std::string&) {};
    services_.on_finished = [this] { finished_.Tell(true); };
    shop_.config.checkpoint_interval = std::chrono::milliseconds(10);
    shop_.config.retry_delay = std::chrono::milliseconds(100);
  }

  void TearDown() override {
    if (slot_ != nullptr) {
      slot_->Close();
    }
    slot_.reset();
    shop_.CloseShop();
  }

  GroupSlot& Slot(bool stop_on_caught_up = false) {
    slot_ = std::make_unique<GroupSlot>(shop_.config, services_, stop_on_caught_up);
    return *slot_;
  }
  bool Handles(std::uint64_t events) {
    return Becomes([&] { return slot_->Glance().processed >= events; });
  }
  bool Reaches(GroupState state) {
    return Becomes([&] { return slot_->Glance().state == state; });
  }
  std::string Reason() { return slot_->Glance().reason; }
  // What the plugin was called for, one line an event.
  std::string Called() const { return ReadFile(shop_.data() / "called"); }
  std::optional<Position> Stored() {
    Result<std::unique_ptr<CheckpointStore>> store = Status::Internal("not tried");
    // The job that closes it may still be on its way out.
    EXPECT_TRUE(Becomes([&] {
      store = CheckpointStore::Open(shop_.state->groups(), shop_.config.name, shop_.config.filter);
      return store.ok();
    })) << store.status().message();
    return store.ok() ? (*store)->record().checkpoint : std::nullopt;
  }
  // Of a group that has let go of them.
  std::vector<Letter> Letters() {
    std::vector<Letter> letters;
    Result<LetterReader> reader = Status::Internal("not tried");
    // As above.
    EXPECT_TRUE(Becomes([&] {
      reader = LetterReader::Open(shop_.state->groups() / shop_.config.name, shop_.config.name);
      return reader.ok();
    })) << reader.status().message();
    if (!reader.ok()) {
      return letters;
    }
    std::vector<Position> positions;
    EXPECT_TRUE(
        reader->Scan([&](const LetterHead& head) { positions.push_back(head.position); }).ok());
    for (const Position position : positions) {
      letters.push_back(**reader->Read(position));
    }
    return letters;
  }

  Workshop shop_;
  ScriptedServer server_;
  GroupServices services_;
  Told<bool> finished_;
  std::unique_ptr<GroupSlot> slot_;
};

TEST_F(GroupTest, HandlesWhatTheSourceHasAndEndsWithItsPlaceOnTheDisk) {
  for (int i = 0; i < 20; ++i) {
    server_.Append("ok");
  }
  Slot(true).Start();

  ASSERT_TRUE(finished_.Await().has_value());

  EXPECT_EQ(slot_->Glance().state, GroupState::kStopped);
  EXPECT_EQ(slot_->Glance().processed, 20u);
  EXPECT_TRUE(slot_->CheckpointSafe());
  slot_.reset();
  EXPECT_EQ(Stored(), (Position{2000, 2000}));
}

TEST_F(GroupTest, FollowsALiveLogUntilItIsStopped) {
  Slot().Start();
  ASSERT_TRUE(Reaches(GroupState::kCaughtUp));
  server_.Append("ok");
  ASSERT_TRUE(Handles(1));
  server_.Append("ok");
  ASSERT_TRUE(Handles(2));

  slot_->Stop();

  ASSERT_TRUE(finished_.Await().has_value());
  EXPECT_TRUE(slot_->CheckpointSafe());
}

// More than the ring holds at once, so that the source is paused and asked again.
TEST_F(GroupTest, HandsAllOfALongLogToItsRunnerThoughItsWindowIsShort) {
  shop_.config.window_events = 8;
  for (int i = 0; i < 3'000; ++i) {
    server_.Append("ok");
  }
  Slot(true).Start();

  ASSERT_TRUE(finished_.Await().has_value());
  EXPECT_EQ(slot_->Glance().processed, 3'000u);
}

TEST_F(GroupTest, HandsToAFreshRunnerWhatADeadOneHadNotHandled) {
  for (const char* type : {"ok", "die-once", "ok"}) {
    server_.Append(type);
  }
  Slot(true).Start();

  ASSERT_TRUE(finished_.Await().has_value());

  EXPECT_EQ(slot_->Glance().state, GroupState::kStopped);
  EXPECT_EQ(slot_->Glance().restarts, 1u);
  EXPECT_EQ(Called(), "stream@0 ok\nstream@1 die-once\nstream@1 die-once\nstream@2 ok\n");
}

TEST_F(GroupTest, FailsAtWhatCannotBeHandledWithItsPlaceBefore) {
  for (const char* type : {"ok", "fatal", "ok"}) {
    server_.Append(type);
  }
  Slot().Start();

  ASSERT_TRUE(finished_.Await().has_value());

  EXPECT_EQ(slot_->Glance().state, GroupState::kFailed);
  EXPECT_THAT(slot_->Glance().reason, HasSubstr("the schema is too new"));
  slot_.reset();
  EXPECT_EQ(Stored(), (Position{100, 100}));
}

TEST_F(GroupTest, FailsWithoutItsPlugin) {
  shop_.config.plugin = "none.so";
  Slot().Start();

  ASSERT_TRUE(finished_.Await().has_value());
  EXPECT_EQ(slot_->Glance().state, GroupState::kFailed);
  EXPECT_THAT(slot_->Glance().reason, HasSubstr("none.so"));
  EXPECT_TRUE(slot_->CheckpointSafe());
}

// The slot stays while a group in it ends; the next one goes on where that stopped.
TEST_F(GroupTest, BeginsAgainWhereItEnded) {
  server_.Append("ok");
  Slot(true).Start();
  ASSERT_TRUE(finished_.Await(0).has_value());
  server_.Append("ok");

  Told<ControlAnswer> told;
  shop_.reactor->Post([&] {
    slot_->StartByCommand({}, "a test", [&](const ControlAnswer& answer) { told.Tell(answer); });
  });

  const auto answer = told.Await();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->kind, ControlAnswer::Kind::kDone) << answer->text;
  ASSERT_TRUE(finished_.Await(1).has_value());
  EXPECT_EQ(slot_->Glance().processed, 1u);
  EXPECT_EQ(Called(), "stream@0 ok\nstream@1 ok\n");
}

// The same places, with other events: whatever is appended would be handled as if it came behind
// what was read.
TEST_F(GroupTest, HaltsBeforeAnyEventWhereTheLogIsNotTheOneThatItHasRead) {
  for (const char* type : {"ok", "ok"}) {
    server_.Append(type);
  }
  Slot(true).Start();
  ASSERT_TRUE(finished_.Await(0).has_value());
  slot_->Close();
  server_.SetOtherLog();
  server_.Append("ok");

  Slot().Start();

  ASSERT_TRUE(finished_.Await(1).has_value());
  EXPECT_EQ(slot_->Glance().state, GroupState::kHalted);
  EXPECT_TRUE(slot_->Glance().held) << "it waits for a command";
  EXPECT_EQ(slot_->Glance().processed, 0u);
  EXPECT_THAT(Reason(), StartsWith("lineage diverged: event "));
  EXPECT_THAT(Reason(), HasSubstr("lay at 200:200, and in this log event "));
  EXPECT_THAT(Reason(), HasSubstr("catchup reset group --to beginning"));
  slot_.reset();
  EXPECT_EQ(Stored(), (Position{200, 200}));
}

TEST_F(GroupTest, BeginsAtTheEndOfTheLogAsItWasThen) {
  server_.Append("ok");
  server_.Append("ok");
  shop_.config.start.kind = GroupStart::Kind::kEnd;
  Slot().Start();
  ASSERT_TRUE(Reaches(GroupState::kCaughtUp));
  server_.Append("ok");

  ASSERT_TRUE(Handles(1));
  EXPECT_EQ(Called(), "stream@2 ok\n");
}

TEST_F(GroupTest, WaitsForAServerAndEndsWhenItIsStoppedMeanwhile) {
  shop_.config.start.kind = GroupStart::Kind::kEnd;
  server_.unreachable = EndOfCall{.text = "nobody is there"};
  Slot().Start();
  ASSERT_TRUE(Reaches(GroupState::kWaiting));
  EXPECT_EQ(slot_->Glance().reason,
            "head of the log not read, where the group is to start: nobody is there");

  slot_->Stop();

  ASSERT_TRUE(finished_.Await().has_value());
  EXPECT_EQ(slot_->Glance().state, GroupState::kStopped);
}

TEST_F(GroupTest, EndsAtOnceWhenItIsStoppedBeforeItsStoreCouldBeOpened) {
  const auto other = CheckpointStore::Open(shop_.state->groups(), "group", shop_.config.filter);
  ASSERT_TRUE(other.ok());
  Slot().Start();
  ASSERT_TRUE(Reaches(GroupState::kWaiting));
  EXPECT_THAT(Reason(), StartsWith("checkpoint not opened: "));

  slot_->Stop();

  ASSERT_TRUE(finished_.Await().has_value());
  EXPECT_EQ(slot_->Glance().state, GroupState::kStopped);
}

TEST_F(GroupTest, GoesOnByItselfOnceItsStoreCanBeOpened) {
  auto other = CheckpointStore::Open(shop_.state->groups(), "group", shop_.config.filter);
  ASSERT_TRUE(other.ok());
  Slot().Start();
  ASSERT_TRUE(Reaches(GroupState::kWaiting));

  (*other).reset();

  EXPECT_TRUE(Reaches(GroupState::kCaughtUp));
}

TEST_F(GroupTest, WaitsForRoomForItsCheckpointAndSaysSo) {
  Slot().Start();
  ASSERT_TRUE(Reaches(GroupState::kCaughtUp));
  auto full = std::make_unique<FullDisk>();
  server_.Append("ok");
  ASSERT_TRUE(Reaches(GroupState::kWaiting));
  EXPECT_THAT(Reason(), StartsWith("checkpoint not written: "));
  EXPECT_THAT(Reason(), HasSubstr("No space left on device; next try in "));

  full.reset();

  ASSERT_TRUE(Reaches(GroupState::kCaughtUp));
  slot_->Stop();
  ASSERT_TRUE(finished_.Await().has_value());
  slot_.reset();
  EXPECT_EQ(Stored(), (Position{100, 100}));
}

TEST_F(GroupTest, WaitsForRoomForTheTokenOfItsNextRunner) {
  Slot().Start();
  ASSERT_TRUE(Reaches(GroupState::kCaughtUp));
  auto full = std::make_unique<FullDisk>();
  server_.Append("die-once");
  ASSERT_TRUE(Becomes([&] { return Reason().rfind("fencing token not written: ", 0) == 0; }))
      << Reason();
  EXPECT_EQ(slot_->Glance().state, GroupState::kWaiting);
  EXPECT_TRUE(slot_->Glance().retry_at.has_value());

  full.reset();

  ASSERT_TRUE(Handles(1));
  EXPECT_EQ(slot_->Glance().restarts, 1u);
}

TEST_F(GroupTest, StoppedWhileTheDiskIsFullItEndsOnceThereIsRoom) {
  Slot().Start();
  ASSERT_TRUE(Reaches(GroupState::kCaughtUp));
  auto full = std::make_unique<FullDisk>();
  server_.Append("ok");
  ASSERT_TRUE(Reaches(GroupState::kWaiting));

  slot_->Stop();
  ASSERT_TRUE(Becomes([&] { return Reason().rfind("stopped; checkpoint not written: ", 0) == 0; }))
      << Reason();
  EXPECT_FALSE(slot_->CheckpointSafe());
  full.reset();

  ASSERT_TRUE(finished_.Await().has_value());
  EXPECT_TRUE(slot_->CheckpointSafe());
  slot_.reset();
  EXPECT_EQ(Stored(), (Position{100, 100}));
}

// ---- Calls that fail.

TEST_F(GroupTest, WaitsInPlaceWhileWhatItsPluginDependsOnIsAway) {
  server_.Append("retry-until-mended");
  server_.Append("ok");
  Slot(true).Start();
  ASSERT_TRUE(Reaches(GroupState::kWaiting));
  EXPECT_THAT(slot_->Glance().reason, HasSubstr("the database is away"));

  WriteFile(shop_.data() / "mended", "");

  ASSERT_TRUE(finished_.Await().has_value());
  EXPECT_EQ(slot_->Glance().state, GroupState::kStopped);
  EXPECT_EQ(slot_->Glance().processed, 2u);
  EXPECT_EQ(slot_->Glance().restarts, 0u);
  slot_.reset();
  EXPECT_EQ(Stored(), (Position{200, 200}));
  EXPECT_EQ(Letters().size(), 0u);
}

// Later events of its stream queue behind it, also those that come after a restart.
TEST_F(GroupTest, MakesALetterOfWhatItsPluginRejectsAndGoesOn) {
  for (const char* type : {"ok", "reject", "ok"}) {
    server_.Append(type);
  }
  Slot(true).Start();
  ASSERT_TRUE(finished_.Await(0).has_value());
  EXPECT_EQ(slot_->Glance().state, GroupState::kStopped);
  slot_.reset();
  server_.Append("ok");
  Slot(true).Start();
  ASSERT_TRUE(finished_.Await(1).has_value());
  slot_.reset();

  EXPECT_EQ(Called(), "stream@0 ok\nstream@1 reject\n");
  EXPECT_EQ(Stored(), (Position{400, 400}));
  const std::vector<Letter> letters = Letters();
  ASSERT_EQ(letters.size(), 3u);
  EXPECT_EQ(letters[0].head.position, (Position{200, 200}));
  EXPECT_EQ(letters[0].head.state, StoredState::kDead);
  EXPECT_EQ(letters[0].head.letter_class, StoredClass::kDomain);
  EXPECT_EQ(letters[0].head.attempts, 1u);
  EXPECT_EQ(letters[0].head.stream, "stream");
  EXPECT_EQ(letters[0].head.type, "reject");
  EXPECT_EQ(letters[0].data, "{}");
  EXPECT_EQ(letters[0].cause.reason, "no such customer");
  ASSERT_EQ(letters[0].cause.calls.size(), 1u);
  EXPECT_EQ(letters[0].cause.calls[0].letter_class, StoredClass::kDomain);
  EXPECT_NE(letters[0].cause.plugin_digest, Digest32{});
  EXPECT_NE(letters[0].cause.token, 0u);
  for (std::size_t i : {1u, 2u}) {
    EXPECT_EQ(letters[i].head.state, StoredState::kFollower);
    EXPECT_EQ(letters[i].head.position, (Position{(i + 2) * 100, (i + 2) * 100}));
  }
}

TEST_F(GroupTest, PassesALetterAloneWhereItsOrderIsThatOfEvents) {
  shop_.config.dead_letters.order = DeadLettersConfig::Order::kEvent;
  for (const char* type : {"reject", "ok"}) {
    server_.Append(type);
  }
  Slot(true).Start();
  ASSERT_TRUE(finished_.Await().has_value());
  slot_.reset();

  EXPECT_EQ(Called(), "stream@0 reject\nstream@1 ok\n");
  EXPECT_EQ(Letters().size(), 1u);
}

TEST_F(GroupTest, StopsBeforeWhatWouldBeALetterWhereItsOrderIsToHalt) {
  shop_.config.dead_letters.order = DeadLettersConfig::Order::kHalt;
  for (const char* type : {"ok", "reject", "ok"}) {
    server_.Append(type);
  }
  Slot(true).Start();
  ASSERT_TRUE(finished_.Await().has_value());

  EXPECT_EQ(slot_->Glance().state, GroupState::kHalted);
  EXPECT_THAT(slot_->Glance().reason, HasSubstr("no such customer"));
  slot_.reset();
  EXPECT_EQ(Stored(), (Position{100, 100}));
  EXPECT_EQ(Letters().size(), 0u);
}

// Without a command, and what queued behind it follows in order.
TEST_F(GroupTest, HealsALetterOnceItsEventCanBeHandled) {
  shop_.config.max_retries = 1;
  for (const char* type : {"fail-until-mended", "ok"}) {
    server_.Append(type);
  }
  Slot().Start();
  ASSERT_TRUE(Reaches(GroupState::kCaughtUp));
  EXPECT_EQ(Called(), "stream@0 fail-until-mended\nstream@0 fail-until-mended\n");

  WriteFile(shop_.data() / "mended", "");

  ASSERT_TRUE(Becomes([&] { return Called().find("stream@1 ok") != std::string::npos; }));
  server_.Append("ok");
  ASSERT_TRUE(Handles(1));
  slot_->Stop();
  ASSERT_TRUE(finished_.Await().has_value());
  slot_.reset();
  EXPECT_EQ(Called(),
            "stream@0 fail-until-mended\nstream@0 fail-until-mended\n"
            "stream@0 fail-until-mended\nstream@1 ok\nstream@2 ok\n");
  EXPECT_EQ(Letters().size(), 0u);
  EXPECT_EQ(Stored(), (Position{300, 300}));
}

TEST_F(GroupTest, MakesALetterOfWhatKillsItsRunnersAlone) {
  shop_.config.max_crashes = 1;
  for (const char* type : {"ok", "abort", "ok"}) {
    server_.Append(type);
  }
  Slot(true).Start();
  ASSERT_TRUE(finished_.Await().has_value());
  EXPECT_EQ(slot_->Glance().restarts, 2u);
  slot_.reset();

  EXPECT_EQ(Called(), "stream@0 ok\nstream@1 abort\nstream@1 abort\n");
  const std::vector<Letter> letters = Letters();
  ASSERT_EQ(letters.size(), 2u);
  EXPECT_EQ(letters[0].head.state, StoredState::kHealing);
  EXPECT_EQ(letters[0].head.letter_class, StoredClass::kCrash);
  EXPECT_EQ(letters[0].head.attempts, 2u);
  EXPECT_EQ(letters[0].cause.calls.size(), 2u);
  EXPECT_THAT(letters[0].cause.reason, HasSubstr("SIGABRT"));
  EXPECT_EQ(letters[1].head.state, StoredState::kFollower);
}

// Whatever is under way: its runner, a call, a timer.
TEST_F(GroupTest, IsGoneAtOnceWhenItIsClosed) {
  server_.Append("hang");
  Slot().Start();
  ASSERT_TRUE(Becomes([&] { return !Called().empty(); }));

  slot_->Close();
  slot_.reset();

  const auto lock = RunnerLock::TryTake(shop_.state->runner_lock(shop_.config.name, 0));
  EXPECT_TRUE(lock.ok()) << lock.status().message();
}

}  // namespace
}  // namespace catchup
