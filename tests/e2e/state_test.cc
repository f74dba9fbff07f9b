#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "host/base/position.h"
#include "host/store/checkpoint_file.h"
#include "host/store/checkpoint_slot.h"
#include "host/store/checkpoint_store.h"
#include "tests/e2e/dev_server.h"
#include "tests/e2e/harness.h"

// What the host keeps in its state directory, and what it does when something of that goes.

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

CheckpointRecord RecordOf(const Site& site, const std::string& group) {
  auto store = CheckpointStore::Open(site.file("state/groups"), group,
                                     {.match = EventFilter::Match::kEventType, .prefixes = {"x"}});
  EXPECT_TRUE(store.ok()) << store.status().message();
  return store.ok() ? (*store)->record() : CheckpointRecord();
}

// The position that jsonl wrote for its n-th event.
Position PositionOf(const Site& site, std::size_t n) {
  const JsonObject event = ParseJsonObject(ReadLines(site.data("one", "out.jsonl")).at(n));
  return {std::stoull(event.at("commit")), std::stoull(event.at("prepare"))};
}

// By these a later start recognises the log, and finds a place where an event lies.
TEST(StateTest, TheRecordNamesTheLastHandledEventAndItsWitnesses) {
  Site site;
  site.Append({EventLine("s", "x-1"), EventLine("t", "hidden"), EventLine("s", "x-2"),
               EventLine("t", "hidden"), EventLine("t", "hidden")});
  site.Configure(JsonlGroup("one", "prefixes = [\"x\"]"));
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  const JsonObject last = ParseJsonObject(ReadLines(site.data("one", "out.jsonl")).at(1));

  const CheckpointRecord record = RecordOf(site, "one");

  EXPECT_EQ(record.last_event, PositionOf(site, 1));
  ASSERT_FALSE(record.witnesses.empty());
  const Witness& newest = record.witnesses.front();
  EXPECT_EQ(newest.position, PositionOf(site, 1));
  EXPECT_EQ(FormatUuid(newest.event_id), last.at("id"));
  EXPECT_EQ(newest.stream, "s");
  EXPECT_EQ(newest.revision, 1u);

  site.Append({EventLine("t", "hidden")});
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(RecordOf(site, "one").last_event, PositionOf(site, 1)) << "kept without a new event";
  site.Append({EventLine("u", "x-3")});
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(RecordOf(site, "one").last_event, PositionOf(site, 2));
  EXPECT_EQ(RecordOf(site, "one").witnesses.at(1).position, PositionOf(site, 1));
}

// A host whose group has caught up with two events. The log is another process's, so that the host
// alone feels what is done to it.
class RunningStateTest : public ::testing::Test {
 protected:
  RunningStateTest() {
    site_.UseTestProgram(10);
    server_.Serve();
    site_.Append({EventLine("s", "x-1"), EventLine("s", "x-2")});
    // A folder of its own, so that a test may take a plugin away.
    fs::create_directory(site_.file("plugins"));
    fs::copy_file(fs::path(PLUGIN_DIRECTORY) / "jsonl.so", plugin());
    site_.Configure(JsonlGroup("one"), server_.uri());
    const std::string toml = ReadFile(site_.file("host.toml"));
    const std::string key = "directories = [";
    const std::size_t at = toml.find(key);
    EXPECT_NE(at, std::string::npos);
    WriteFile(
        site_.file("host.toml"),
        std::string(toml).insert(at + key.size(), "\"" + site_.file("plugins").string() + "\", "));
    host_ = site_.Start({"run", "host.toml"});
    EXPECT_TRUE(WaitUntil([&] { return State() == "caught up"; })) << host_->Errors();
  }

  fs::path plugin() const { return site_.file("plugins") / "jsonl.so"; }

  std::string State() const { return host_->Log().Last("State changed", "one", "state"); }
  std::string Reason() const { return host_->Log().Last("State changed", "one", "reason"); }

  // Until the n-th runner has loaded the plugin: before that it reads the copy.
  void WaitForRunner(std::size_t n) {
    ASSERT_TRUE(WaitUntil([&] { return host_->Log().With("Projection started").size() == n; }))
        << host_->Errors();
  }

  // Kills the runner and waits for what the host makes of it.
  void KillRunner() {
    const pid_t pid = std::stoi(host_->Log().Last("Runner started", "one", "pid"));
    const std::size_t ended = host_->Log().With("Runner ended").size();
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    ASSERT_TRUE(WaitUntil([&] { return host_->Log().With("Runner ended").size() > ended; }));
  }

  bool WaitForEvents(std::size_t count) {
    return WaitUntil([&] { return Written(site_, "one").size() == count; });
  }

  void SetLimit(__rlimit_resource resource, rlim_t value) {
    rlimit limit{};
    ASSERT_EQ(prlimit(host_->pid(), resource, nullptr, &limit), 0);
    limit.rlim_cur = value;
    ASSERT_EQ(prlimit(host_->pid(), resource, &limit, nullptr), 0);
  }

  // Whether the durable record names the n-th event as the last one handled.
  bool RecordIsAt(std::size_t n) {
    const auto image = CheckpointFile::Read(site_.group("one") / "checkpoint");
    if (!image.ok()) {
      return false;
    }
    const Position wanted = PositionOf(site_, n - 1);
    for (std::uint8_t slot = 0; slot < kSlots; ++slot) {
      const auto content = DecodeSlot(slot, image->slots[slot]);
      if (content.ok() && content->record.last_event == wanted) {
        return true;
      }
    }
    return false;
  }

  void ExpectOrderlyEnd() {
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
  }

  Site site_;
  DevServer server_{&site_};
  std::unique_ptr<Process> host_;
};

// A plugin that has lost the ground under its feet says so of an event that is not to blame.
TEST_F(RunningStateTest, AWorkingDirectoryThatIsGoneIsMadeAgainWithoutACommand) {
  fs::remove_all(site_.group("one") / "data");
  site_.Append({EventLine("s", "x-3")});
  EXPECT_TRUE(WaitForEvents(1)) << host_->Errors();
  EXPECT_TRUE(host_->Log().Has("Working directory made again", "one"));
  ExpectOrderlyEnd();
}

// Found without any event, so that the next one does not go where nobody looks for it. The host
// asked for that runner's end, so it is no error.
TEST_F(RunningStateTest, AnIdleGroupWhoseWorkingDirectoryIsMovedAwayGetsANewOneAndARunnerInIt) {
  WaitForRunner(1);
  fs::rename(site_.group("one") / "data", site_.file("away"));
  WaitForRunner(2);
  EXPECT_TRUE(host_->Log().Has("Working directory made again", "one"));
  EXPECT_EQ(host_->Log().Last("Runner ended", "one", "exitClass"), "killed");
  EXPECT_EQ(host_->Log().Last("Runner ended", "one", "level"), "info");
  EXPECT_EQ(host_->Log().Last("Runner restarts", "one", "expected"), "true");
  EXPECT_THAT(host_->Log().Last("Runner restarts", "one", "reason"),
              HasSubstr("removed or moved away"))
      << host_->Errors();
  site_.Append({EventLine("s", "x-3")});
  EXPECT_TRUE(WaitForEvents(1)) << host_->Errors();
  ExpectOrderlyEnd();
  EXPECT_EQ(host_->Log().Last("Group ended", "one", "errorCount"), "0");
}

TEST_F(RunningStateTest, ARunnerFollowsItsWorkingDirectoryToAnotherPlace) {
  WaitForRunner(1);
  const fs::path data = site_.group("one") / "data";
  fs::rename(data, site_.file("away"));
  fs::create_directory(data);
  WaitForRunner(2);
  EXPECT_THAT(host_->Log().Last("Runner restarts", "one", "reason"),
              HasSubstr("another one has its name"))
      << host_->Errors();
  site_.Append({EventLine("s", "x-3")});
  EXPECT_TRUE(WaitForEvents(1)) << host_->Errors();
  ExpectOrderlyEnd();
}

TEST_F(RunningStateTest, AFileInPlaceOfTheWorkingDirectoryFailsTheGroupAndIsNamed) {
  const fs::path data = site_.group("one") / "data";
  fs::rename(data, site_.file("away"));
  WriteFile(data, "");
  EXPECT_EQ(host_->Wait(), 1) << host_->Errors();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(Reason(),
              HasSubstr(data.string() + ": it is no directory, wanted the working directory"));
}

TEST_F(RunningStateTest, AWorkingDirectoryThatIsGoneIsMadeAgainForTheNextRunner) {
  WaitForRunner(1);
  fs::remove_all(site_.group("one") / "data");
  const pid_t pid = std::stoi(host_->Log().Last("Runner started", "one", "pid"));
  (void)kill(pid, SIGKILL);  // Unless the host was faster.
  EXPECT_TRUE(host_->WaitForLog("Working directory made again", "one"));
  site_.Append({EventLine("s", "x-3")});
  EXPECT_TRUE(WaitForEvents(1)) << host_->Errors();
  ExpectOrderlyEnd();
}

TEST_F(RunningStateTest, AWorkingDirectoryThatIsGoneIsMadeAgainAtStart) {
  ExpectOrderlyEnd();
  fs::remove_all(site_.group("one") / "data");
  site_.Append({EventLine("s", "x-3")});
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(run.Log().Last("Working directory made again", "one", "directory"),
            (site_.group("one") / "data").string());
  EXPECT_EQ(Written(site_, "one").size(), 1u);
}

TEST_F(RunningStateTest, ACopyOfAPluginThatIsGoneOrChangedIsMadeAgain) {
  for (const bool gone : {true, false}) {
    WaitForRunner(gone ? 1 : 2);
    for (const auto& folder : fs::directory_iterator(site_.file("state/plugins"))) {
      const fs::path copy = folder.path() / "jsonl.so";
      fs::remove(copy);
      if (!gone) {
        WriteFile(copy, "something else");
      }
    }
    KillRunner();
    ASSERT_TRUE(WaitUntil([&] {
      return host_->Log().With("Plugin copied again", "one").size() == (gone ? 1 : 2);
    })) << host_->Errors();
  }
  EXPECT_THAT(host_->Log().Last("Plugin copied again", "one", "reason"), HasSubstr("has changed"));
  site_.Append({EventLine("s", "x-3")});
  EXPECT_TRUE(WaitForEvents(3)) << host_->Errors();
  ExpectOrderlyEnd();
}

// Nothing but what the group has run so far may be loaded in its place.
TEST_F(RunningStateTest, ACopyThatIsGoneWithItsPluginChangedFailsTheGroup) {
  fs::remove_all(site_.file("state/plugins"));
  fs::remove(plugin());
  fs::copy_file(fs::path(PLUGIN_DIRECTORY) / "order_totals.so", plugin());
  KillRunner();
  EXPECT_EQ(host_->Wait(), 1) << host_->Errors();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(Reason(), HasSubstr("restart the host to take the new one"));
}

// Checkpoints that go on in a removed file are gone with the next start.
TEST_F(RunningStateTest, AGroupWhoseFolderIsGoneFailsAndSaysSo) {
  fs::rename(site_.group("one"), site_.file("away"));
  EXPECT_EQ(host_->Wait(), 1) << host_->Errors();
  EXPECT_EQ(State(), "failed");
  EXPECT_THAT(Reason(), HasSubstr("was removed or moved away while the group ran"));
}

TEST_F(RunningStateTest, ALockThatIsGoneIsMadeAgain) {
  fs::remove(site_.file("state/lock"));
  EXPECT_TRUE(host_->WaitForLog("Lock of the state directory made again: it was removed"));
  const Finished second = site_.Catchup({"run", "host.toml"});
  EXPECT_EQ(second.exit, 1);
  EXPECT_THAT(second.err, HasSubstr("is in use by pid " + std::to_string(host_->pid())));
  ExpectOrderlyEnd();
}

// The host finds it, or the group finds its own part of it: whichever looks first.
TEST_F(RunningStateTest, AStateDirectoryThatIsGoneEndsTheHost) {
  fs::rename(site_.file("state"), site_.file("away"));
  EXPECT_EQ(host_->Wait(), 1) << host_->Errors();
  EXPECT_THAT(host_->Errors(), HasSubstr("removed or moved away while the"));
}

// A shortage is no verdict on the copy, and says what it waits for.
TEST_F(RunningStateTest, WithoutDescriptorsANewRunnerIsWaitedFor) {
  SetLimit(RLIMIT_NOFILE, 3);
  KillRunner();
  EXPECT_TRUE(host_->WaitForLog("Runner waits to be started", "one"));
  EXPECT_THAT(host_->Log().Last("Runner waits to be started", "one", "reason"),
              HasSubstr("Too many open files"));
  EXPECT_EQ(State(), "waiting");
  SetLimit(RLIMIT_NOFILE, 1024);
  EXPECT_TRUE(host_->WaitForLog("Wait over", "one"));
  site_.Append({EventLine("s", "x-3")});
  EXPECT_TRUE(WaitForEvents(3)) << host_->Errors();
  ExpectOrderlyEnd();
}

// A limit of the file's size stands for a disk that is full: in the middle of the second slot.
TEST_F(RunningStateTest, WithoutRoomACheckpointIsWaitedFor) {
  SetLimit(RLIMIT_FSIZE, 16u << 10);
  std::size_t events = 2;
  while (State() != "waiting" && events < 12) {
    site_.Append({EventLine("s", "x-more")});
    ++events;
    ASSERT_TRUE(WaitForEvents(events)) << host_->Errors();
    const auto has_moved = [&] { return State() == "waiting" || RecordIsAt(events); };
    ASSERT_TRUE(WaitUntil(has_moved)) << host_->Errors();
  }
  EXPECT_EQ(State(), "waiting");
  EXPECT_THAT(Reason(), HasSubstr("checkpoint not written"));
  EXPECT_THAT(Reason(), HasSubstr("File too large"));
  SetLimit(RLIMIT_FSIZE, RLIM_INFINITY);
  EXPECT_TRUE(host_->WaitForLog("Wait over", "one"));
  ExpectOrderlyEnd();
  EXPECT_TRUE(RecordIsAt(events));
}

}  // namespace
}  // namespace catchup::e2e
