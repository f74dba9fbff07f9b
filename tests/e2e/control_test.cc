#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "host/store/checkpoint_file.h"
#include "host/store/checkpoint_slot.h"
#include "host/store/checkpoint_store.h"
#include "tests/e2e/harness.h"

// Commands to a host that runs, and to what is stored where none does.

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65'534;

std::vector<std::string> Lines(std::size_t count, std::string_view type = "ok") {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    lines.push_back(EventLine("s-" + std::to_string(i % 20), type));
  }
  return lines;
}

void ExpectSays(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << "wanted: " << part << "\nfound: " << text;
  }
}

// The newest record on the disk, host or no host.
std::optional<SlotContent> Stored(const Site& site, const std::string& group) {
  const auto image = CheckpointFile::Read(site.group(group) / "checkpoint");
  std::optional<SlotContent> newest;
  for (std::uint8_t slot = 0; image.ok() && slot < kSlots; ++slot) {
    auto content = DecodeSlot(slot, image->slots[slot]);
    if (content.ok() && (!newest || content->record.number >= newest->record.number)) {
      newest = *std::move(content);
    }
  }
  return newest;
}

class ControlTest : public ::testing::Test {
 protected:
  // Starts `catchup run` and waits until each group has said its first state.
  void Run(const std::vector<std::string>& groups) {
    host_ = site_.Start({"run", "host.toml"});
    for (const std::string& group : groups) {
      ASSERT_TRUE(WaitUntil([&] {
        return host_->Log().Has("State changed", group) || host_->Log().Has("Group ended", group);
      })) << host_->Errors();
    }
    ASSERT_TRUE(WaitUntil([&] { return fs::exists(site_.file("state/admin.sock")); }));
  }

  Finished Ask(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--config", "host.toml"});
    return site_.Catchup(arguments);
  }

  // One that ends a group: until it has, which takes a moment more.
  bool WaitForState(const std::string& group, const std::string& state) {
    const bool ends = state == "halted" || state == "failed";
    return WaitUntil([&] {
      const HostLog log = host_->Log();
      return log.Last("State changed", group, "state") == state &&
             (!ends || log.Last("Group ended", group, "state") == state);
    });
  }

  void End() {
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
  }

  void Kill() {
    host_->Signal(SIGKILL);
    host_->Wait();
  }

  Site site_;
  std::unique_ptr<Process> host_;
};

TEST_F(ControlTest, AStoppedGroupStaysSoOverARestartUntilItIsStarted) {
  site_.Append(Lines(3));
  site_.Configure(JsonlGroup("one") + JsonlGroup("two"));
  Run({"one", "two"});
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "one").size() == 3; })) << host_->Errors();
  const Finished stop = Ask({"stop", "one"});
  EXPECT_EQ(stop.exit, 0) << stop.err;
  EXPECT_EQ(stop.out, "one: stopped\n");
  EXPECT_EQ(Stored(site_, "one")->desired, DesiredState::kStopped);
  EXPECT_EQ(Ask({"stop", "one"}).out, "one: stopped\n") << "it is so already";
  site_.Append(Lines(3));
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "two").size() == 6; })) << host_->Errors();
  End();

  Run({"one", "two"});
  ASSERT_TRUE(WaitForState("two", "caught up")) << host_->Errors();
  EXPECT_EQ(host_->Log().Last("Group ended", "one", "state"), "stopped");
  ExpectSays(host_->Log().Last("Group ended", "one", "reason"), {"catchup start one"});
  EXPECT_FALSE(host_->Log().Has("Runner started", "one"));
  EXPECT_EQ(Written(site_, "one").size(), 3u);

  const Finished start = Ask({"start", "one"});
  EXPECT_EQ(start.exit, 0) << start.err;
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "one").size() == 6; })) << host_->Errors();
  EXPECT_EQ(Stored(site_, "one")->desired, DesiredState::kRunning);
  EXPECT_EQ(host_->Log().With("Runner started", "two").size(), 1u) << "the other group noticed";
  End();
}

TEST_F(ControlTest, StopsAndStartsUnderLoadLoseAndRepeatNothing) {
  constexpr std::size_t kEvents = 20'000;
  site_.Append(Lines(kEvents));
  site_.Configure(JsonlGroup("one") + JsonlGroup("two"));
  Run({"one", "two"});
  for (int round = 0; round < 5; ++round) {
    const Finished stop = Ask({"stop", "one"});
    ASSERT_EQ(stop.exit, 0) << stop.err;
    const std::size_t written = Written(site_, "one").size();
    const Finished start = Ask({"start", "one"});
    ASSERT_EQ(start.exit, 0) << start.err;
    ASSERT_TRUE(WaitUntil([&] {
      const std::size_t now = Written(site_, "one").size();
      return now > written || now == kEvents;
    })) << host_->Errors();
  }
  for (const char* group : {"one", "two"}) {
    ASSERT_TRUE(WaitUntil([&] { return Written(site_, group).size() >= kEvents; }));
  }
  End();
  const std::vector<std::string> written = Written(site_, "one");
  EXPECT_EQ(written.size(), kEvents);
  EXPECT_EQ(written, Written(site_, "two")) << "the order of the log";
  EXPECT_EQ(host_->Log().With("Runner started", "two").size(), 1u) << "the other group noticed";
}

TEST_F(ControlTest, StartingARunningGroupIsRefusedAsExpected) {
  site_.Configure(JsonlGroup("one"));
  Run({"one"});
  const Finished start = Ask({"start", "one"});
  EXPECT_EQ(start.exit, 1);
  EXPECT_EQ(start.err, "catchup start: Catch-up subscription already running\n");
  const Finished json = Ask({"start", "one", "--json"});
  EXPECT_EQ(json.exit, 1);
  const JsonObject answer = ParseJsonObject(json.out.substr(0, json.out.find('\n')));
  EXPECT_EQ(answer.at("error"), "Catch-up subscription already running");
  EXPECT_EQ(answer.at("expected"), "true");
  EXPECT_EQ(answer.at("group"), "one");
  ASSERT_TRUE(host_->WaitForLog("Catch-up subscription already running", "one"));
  const JsonObject line = host_->Log().With("Catch-up subscription already running").front();
  EXPECT_EQ(line.at("level"), "warn");
  EXPECT_EQ(line.at("expected"), "true");
  End();
}

TEST_F(ControlTest, ResetIsForAGroupThatDoesNotRunAndBringsItsEventsAgain) {
  site_.Append(Lines(4));
  site_.Configure(JsonlGroup("one"));
  Run({"one"});
  ASSERT_TRUE(WaitForState("one", "caught up")) << host_->Errors();
  const Finished refused = Ask({"reset", "one", "--to", "beginning"});
  EXPECT_EQ(refused.exit, 1);
  ExpectSays(refused.err, {"group one is caught up", "wanted stopped, halted or failed",
                           "catchup stop one first"});
  ASSERT_EQ(Ask({"stop", "one"}).exit, 0);
  const JsonObject second = ParseJsonObject(ReadLines(site_.data("one", "out.jsonl")).at(1));
  const std::string place = second.at("commit") + ":" + second.at("prepare");

  const Finished reset = Ask({"reset", "one", "--to", place});
  EXPECT_EQ(reset.exit, 0) << reset.err;
  ExpectSays(reset.out, {"one: stopped; from ", " to " + place});
  EXPECT_EQ(Written(site_, "one").size(), 4u) << "a reset lets nothing run";
  ASSERT_EQ(Ask({"start", "one"}).exit, 0);
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "one").size() == 6; })) << host_->Errors();

  ASSERT_EQ(Ask({"stop", "one"}).exit, 0);
  ASSERT_EQ(Ask({"reset", "one", "--to", "beginning"}).exit, 0);
  ASSERT_EQ(Ask({"start", "one"}).exit, 0);
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "one").size() == 10; })) << host_->Errors();
  EXPECT_EQ(host_->Log().With("Checkpoint reset", "one").size(), 2u);
  EXPECT_EQ(host_->Log().With("Reset done", "one").size(), 2u);
  End();
}

// Of a group that is to begin at the end, too.
TEST_F(ControlTest, ResetToTheBeginningIsNotOverruledByTheConfiguredStart) {
  site_.Append(Lines(4));
  site_.Configure(JsonlGroup("one", "prefixes = [\"\"]\nstart = \"end\""));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  ASSERT_EQ(Ask({"reset", "one", "--to", "beginning"}).exit, 0);
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(site_, "one").size(), 4u);
}

std::string TotalsGroup(const Site& site) {
  return "[groups.totals]\nplugin = \"order_totals.so\"\nprefixes = [\"order-\"]\n"
         "config = { database = \"" +
         site.file("totals.db").string() + "\" }\n";
}

std::vector<std::string> Orders(std::size_t count) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    lines.push_back(EventLine(
        "order-" + std::to_string(i), "order-placed",
        R"({"orderId":")" + std::to_string(i) + R"(","customerId":"c","amountCents":5})"));
  }
  return lines;
}

// The plugin's position would win over a checkpoint that alone was put back.
TEST_F(ControlTest, ResetPutsThePositionThatAPluginKeepsToTheSamePlace) {
  site_.Append(Orders(3));
  site_.Configure(TotalsGroup(site_));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  ASSERT_EQ(Ask({"reset", "totals", "--to", "beginning"}).exit, 0);
  EXPECT_TRUE(Stored(site_, "totals")->reset.value_or(ResetOrder{{}, false}).pending);

  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(run.Log().Last("Group ended", "totals", "processedCount"), "3");
  EXPECT_EQ(run.Log().Last("Reset done", "totals", "pluginKeepsPosition"), "true");
  EXPECT_FALSE(Stored(site_, "totals")->reset.has_value());
  EXPECT_EQ(site_.RunUntilCaughtUp().Log().Last("Group ended", "totals", "processedCount"), "0");
}

// The state directory is lost, and with it the token; the plugin's store knows a higher one.
TEST_F(ControlTest, AFencedGroupWaitsUntilItIsTakenOver) {
  site_.Append(Orders(2));
  site_.Configure(TotalsGroup(site_) + JsonlGroup("other"));
  for (int start = 0; start < 3; ++start) {
    ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  }
  fs::rename(site_.group("totals"), site_.file("old-totals"));
  Run({"totals", "other"});
  ASSERT_TRUE(WaitForState("totals", "halted")) << host_->Errors();
  ExpectSays(host_->Log().Last("Group ended", "totals", "reason"),
             {"fenced: token 3 seen, ours 1", "catchup start totals --take-over"});
  const Finished refused = Ask({"start", "totals"});
  EXPECT_EQ(refused.exit, 1);
  ExpectSays(refused.err, {"fenced: token 3 seen, ours 1", "--take-over"});
  End();

  Run({"totals", "other"});
  ASSERT_TRUE(WaitForState("totals", "halted")) << host_->Errors();
  EXPECT_FALSE(host_->Log().Has("Runner started", "totals")) << "each try would raise the token";
  const Finished taken = Ask({"start", "totals", "--take-over"});
  EXPECT_EQ(taken.exit, 0) << taken.err;
  ExpectSays(taken.out, {"token raised from 1 above 3"});
  ASSERT_TRUE(host_->WaitForLog("Took over", "totals"));
  ASSERT_TRUE(WaitForState("totals", "caught up")) << host_->Errors();
  EXPECT_EQ(host_->Log().Last("Runner started", "totals", "token"), "4");
  End();
}

TEST_F(ControlTest, TakingOverWhatIsNotFencedIsRefused) {
  site_.Configure(JsonlGroup("one"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  const Finished start = Ask({"start", "one", "--take-over"});
  EXPECT_EQ(start.exit, 1);
  ExpectSays(start.err, {"group one is not fenced"});
}

TEST_F(ControlTest, AChangedFilterIsAcceptedByAWord) {
  site_.Append({EventLine("s", "b-1"), EventLine("s", "a-1")});
  site_.Configure(JsonlGroup("one", "prefixes = [\"a-\"]") + JsonlGroup("other"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  site_.Configure(JsonlGroup("one", "prefixes = [\"a-\", \"b-\"]") + JsonlGroup("other"));
  Run({"one", "other"});
  ASSERT_TRUE(WaitForState("one", "failed")) << host_->Errors();
  const Finished refused = Ask({"start", "one"});
  EXPECT_EQ(refused.exit, 1);
  ExpectSays(refused.err, {"the filter of the group has changed", "--accept-filter"});
  const Finished accepted = Ask({"start", "one", "--accept-filter"});
  EXPECT_EQ(accepted.exit, 0) << accepted.err;
  ExpectSays(accepted.out, {R"(event_type "a-", "b-" in place of event_type "a-")"});
  site_.Append({EventLine("s", "b-2")});
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "one").size() == 2; })) << host_->Errors();
  EXPECT_EQ(Written(site_, "one").back(), "s@2 b-2");
  EXPECT_TRUE(host_->Log().Has("Changed filter accepted", "one"));
  End();
}

TEST_F(ControlTest, AResetIsTheWayOutOfALostCheckpoint) {
  site_.Append(Lines(3));
  site_.Configure(JsonlGroup("one") + JsonlGroup("other"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  WriteFile(site_.group("one") / "checkpoint", std::string(100, 'x'));
  Run({"one", "other"});
  ASSERT_TRUE(WaitForState("one", "failed")) << host_->Errors();
  ExpectSays(host_->Log().Last("Group ended", "one", "reason"), {"catchup reset one"});
  EXPECT_EQ(Ask({"start", "one"}).exit, 1) << "nothing has changed";
  const Finished reset = Ask({"reset", "one", "--to", "beginning"});
  EXPECT_EQ(reset.exit, 0) << reset.err;
  ExpectSays(reset.out, {"checkpoint.bad"});
  EXPECT_EQ(ReadFile(site_.group("one") / "checkpoint.bad"), std::string(100, 'x'));
  ASSERT_EQ(Ask({"start", "one"}).exit, 0);
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "one").size() == 6; })) << host_->Errors();
  End();
}

TEST_F(ControlTest, AFailedGroupBeginsAgainOnceItsPluginIsThere) {
  site_.Append(Lines(2));
  site_.Configure(
      "[groups.late]\nplugin = \"late.so\"\nprefixes = [\"\"]\n"
      "config = { file = \"out.jsonl\" }\n" +
      JsonlGroup("other"));
  Run({"late", "other"});
  ASSERT_TRUE(WaitForState("late", "failed")) << host_->Errors();
  const Finished vain = Ask({"start", "late"});
  EXPECT_EQ(vain.exit, 1);
  ExpectSays(vain.err, {"late.so"});
  fs::copy_file(fs::path(PLUGIN_DIRECTORY) / "jsonl.so", site_.file("plugins/late.so"));
  const Finished start = Ask({"start", "late"});
  EXPECT_EQ(start.exit, 0) << start.err;
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "late").size() == 2; })) << host_->Errors();
  End();
}

// A call that does not return is cut when the drain is over, and then the group has ended.
TEST_F(ControlTest, AStopHasItsDeadline) {
  site_.Append({EventLine("s", "hang")});
  site_.Configure(ScriptedGroup("stuck", "prefixes = [\"\"]\ndrain_timeout = \"100ms\"") +
                  JsonlGroup("other"));
  Run({"stuck", "other"});
  ASSERT_TRUE(WaitUntil([&] { return Called(site_, "stuck").size() == 1; })) << host_->Errors();
  const Finished stop = Ask({"stop", "stuck"});
  EXPECT_EQ(stop.exit, 0) << stop.err;
  EXPECT_EQ(stop.out, "stuck: stopped\n");
  EXPECT_EQ(host_->Log().With("Runner started", "other").size(), 1u);
  End();
}

// A host whose groups are all stopped waits for a command.
TEST_F(ControlTest, AHostWhoseGroupsAreAllStoppedStaysUp) {
  site_.Append(Lines(2));
  site_.Configure(JsonlGroup("one"));
  Run({"one"});
  ASSERT_EQ(Ask({"stop", "one"}).exit, 0);
  ASSERT_EQ(Ask({"reset", "one", "--to", "beginning"}).exit, 0) << "the host has ended";
  End();

  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 1) << "it has not caught up";
  EXPECT_EQ(run.Log().Last("Group not run", "one", "state"), "stopped");

  Run({"one"});
  ASSERT_TRUE(host_->WaitForLog("Group ended", "one"));
  EXPECT_EQ(Ask({"start", "one"}).exit, 0) << host_->Errors();
  EXPECT_TRUE(WaitForState("one", "caught up")) << host_->Errors();
  End();
}

// What a kill leaves is what was before or what was ordered; what was answered is stored.
TEST_F(ControlTest, AKillBetweenWordAndDeedLeavesOneOfBoth) {
  site_.Append(Lines(2'000));
  site_.Configure(JsonlGroup("one") + JsonlGroup("two"));
  std::mt19937 random(20'261);
  bool stopped = false;
  for (int round = 0; round < 8; ++round) {
    Run({"one", "two"});
    const auto command = site_.Start({stopped ? "start" : "stop", "one", "--config", "host.toml"});
    usleep(static_cast<useconds_t>(random() % 60'000));
    Kill();
    const bool answered = command->Wait() == 0;
    ASSERT_TRUE(Stored(site_, "one").has_value());
    const bool now = Stored(site_, "one")->desired == DesiredState::kStopped;
    EXPECT_TRUE(!answered || now != stopped) << "an answer was not true; round " << round;
    stopped = now;
  }
  if (stopped) {
    ASSERT_EQ(Ask({"start", "one"}).exit, 0);
  }
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  std::vector<std::string> written = Written(site_, "one");
  std::sort(written.begin(), written.end());
  written.erase(std::unique(written.begin(), written.end()), written.end());
  EXPECT_EQ(written.size(), 2'000u) << "an event was lost";
}

// The order is stored before the drain ends, so that a kill in it does not undo it.
TEST_F(ControlTest, AKillInTheDrainKeepsTheStop) {
  site_.Append({EventLine("s", "hang")});
  site_.Configure(ScriptedGroup("stuck"));
  Run({"stuck"});
  ASSERT_TRUE(WaitUntil([&] { return Called(site_, "stuck").size() == 1; })) << host_->Errors();
  const auto stop = site_.Start({"stop", "stuck", "--config", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    return Stored(site_, "stuck").value_or(SlotContent{}).desired == DesiredState::kStopped;
  })) << host_->Errors();
  Kill();
  EXPECT_EQ(stop->Wait(), 1);
  ExpectSays(stop->Errors(), {"the host ended before it answered"});
  Run({"stuck"});
  ASSERT_TRUE(host_->WaitForLog("Group ended", "stuck"));
  EXPECT_FALSE(host_->Log().Has("Runner started", "stuck"));
  End();
}

TEST_F(ControlTest, AResetThatAKillCutOffIsFinishedByTheNextStart) {
  site_.Append(Orders(3));
  site_.Configure(TotalsGroup(site_) + JsonlGroup("other"));
  Run({"totals", "other"});
  ASSERT_TRUE(WaitForState("totals", "caught up")) << host_->Errors();
  ASSERT_EQ(Ask({"stop", "totals"}).exit, 0);
  ASSERT_EQ(Ask({"reset", "totals", "--to", "beginning"}).exit, 0);
  Kill();
  EXPECT_TRUE(Stored(site_, "totals")->reset.has_value());
  ASSERT_EQ(Ask({"start", "totals"}).exit, 0);
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(run.Log().Last("Group ended", "totals", "processedCount"), "3");
}

// A stop of the host while a group drains by command is the first word to that group, not the one
// that forces.
TEST_F(ControlTest, AStopOfTheHostLeavesADrainItsTime) {
  site_.Append({EventLine("s", "ok"), EventLine("s", "until-stop"), EventLine("s", "ok")});
  site_.Configure(ScriptedGroup("polite"));
  Run({"polite"});
  ASSERT_TRUE(WaitUntil([&] { return Called(site_, "polite").size() == 2; })) << host_->Errors();
  const auto stop = site_.Start({"stop", "polite", "--config", "host.toml"});
  ASSERT_TRUE(host_->WaitForLog("Command", "polite"));
  End();
  (void)stop->Wait();
  EXPECT_EQ(host_->Log().Last("Group ended", "polite", "processedCount"), "2");
}

TEST_F(ControlTest, WithoutAHostOrdersAreStoredForTheNextRun) {
  site_.Append(Lines(3));
  site_.Configure(JsonlGroup("one"));
  const Finished stop = Ask({"stop", "one"});
  EXPECT_EQ(stop.exit, 1);
  ExpectSays(stop.err, {"no host runs on state directory " + site_.file("state").string(),
                        "nothing to stop"});
  EXPECT_FALSE(fs::exists(site_.file("state"))) << "it was made by a question";
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  const Finished reset = Ask({"reset", "one", "--to", "beginning", "--json"});
  EXPECT_EQ(reset.exit, 0) << reset.err;
  const JsonObject answer = ParseJsonObject(reset.out.substr(0, reset.out.find('\n')));
  EXPECT_EQ(answer.at("group"), "one");
  EXPECT_EQ(answer.at("stored"), "true");
  const Finished start = Ask({"start", "one"});
  EXPECT_EQ(start.out, "one: stored for the next run\n") << start.err;
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(site_, "one").size(), 6u);
}

TEST_F(ControlTest, WrongWordsAreNamedWithWhatWasWanted) {
  site_.Configure(JsonlGroup("orders") + JsonlGroup("stock"));
  for (const bool running : {false, true}) {
    if (running) {
      Run({"orders", "stock"});
    }
    const Finished near = Ask({"start", "order"});
    EXPECT_EQ(near.exit, 2);
    ExpectSays(near.err, {"no such group: \"order\"", "the nearest is orders"});
    const Finished far = Ask({"reset", "x/../y", "--to", "beginning"});
    EXPECT_EQ(far.exit, 2);
    ExpectSays(far.err, {"wanted one of orders, stock"});
    for (const char* to : {"end", "-1", "5:6", "1:2:3", "18446744073709551615:0"}) {
      const Finished reset = Ask({"reset", "orders", "--to=" + std::string(to)});
      EXPECT_EQ(reset.exit, 2) << to;
      ExpectSays(reset.err, {"wanted beginning, last-good or a position"});
    }
  }
  const Finished good = Ask({"reset", "orders", "--to", "last-good"});
  EXPECT_EQ(good.exit, 1);
  End();
  ExpectSays(site_.Catchup({"stop"}).err, {"GROUP"});
  EXPECT_EQ(site_.Catchup({"stop", "orders", "--config", "none.toml"}).exit, 78);
}

TEST_F(ControlTest, AStateDirectoryOfALongPathIsServed) {
  const std::string deep = "state/" + std::string(100, 'a') + "/" + std::string(100, 'b');
  site_.Configure(JsonlGroup("one"), "embedded:log", deep);
  host_ = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return fs::exists(site_.file(deep) / "admin.sock"); }));
  ASSERT_TRUE(host_->WaitForLog("Host started"));
  EXPECT_EQ(Ask({"stop", "one"}).out, "one: stopped\n");
  End();
  EXPECT_FALSE(fs::exists(site_.file(deep) / "admin.sock")) << "it goes with its host";
}

// A killed host leaves its socket; who comes next takes its place.
TEST_F(ControlTest, TheSocketOfADeadHostIsReplaced) {
  site_.Configure(JsonlGroup("one"));
  Run({"one"});
  Kill();
  ASSERT_TRUE(fs::exists(site_.file("state/admin.sock")));
  EXPECT_EQ(Ask({"start", "one"}).exit, 0) << "nobody listens there, so the order is stored";
  host_ = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitForState("one", "caught up")) << host_->Errors();
  EXPECT_EQ(Ask({"stop", "one"}).out, "one: stopped\n");
  End();
}

TEST_F(ControlTest, OnlyRootTheServiceUserAndTheGroupMayCommand) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "asking as another user takes root";
  }
  site_.Configure(JsonlGroup("one"));
  Run({"one"});
  const auto ask_as = [&](const std::vector<std::string>& who) {
    std::vector<std::string> arguments = {"/usr/bin/setpriv"};
    arguments.insert(arguments.end(), who.begin(), who.end());
    arguments.insert(arguments.end(), {CATCHUP_EXECUTABLE, "stop", "one", "--config",
                                       site_.file("host.toml").string()});
    Process process(std::move(arguments), {site_.path(), {}, ""});
    const int exit = process.Wait();
    return Finished{exit, process.Output(), process.Errors()};
  };
  const std::string nobody = std::to_string(kNobody);
  const std::vector<std::string> stranger = {"--reuid", nobody, "--regid", nobody,
                                             "--clear-groups"};
  chmod(site_.path().c_str(), 0755);
  if (ask_as({"--reuid", nobody, "--regid", nobody, "--clear-groups"})
          .err.find("may not reach it") == std::string::npos) {
    GTEST_SKIP() << "another user cannot run this executable";
  }
  chmod(site_.file("state").c_str(), 0755);
  ExpectSays(ask_as(stranger).err, {"may not reach it"});
  // Were the mode of the socket changed, the host would still ask the kernel who it is.
  chmod(site_.file("state/admin.sock").c_str(), 0666);
  const Finished refused = ask_as(stranger);
  EXPECT_EQ(refused.exit, 1);
  ExpectSays(refused.err, {"user " + nobody + " may give no commands here"});
  EXPECT_FALSE(host_->Log().Has("Command", "one"));
  chmod(site_.file("state/admin.sock").c_str(), 0660);
  const Finished member = ask_as({"--reuid", nobody, "--regid", nobody, "--groups", "0"});
  EXPECT_EQ(member.exit, 0) << member.err;
  EXPECT_EQ(member.out, "one: stopped\n");
  End();
}

}  // namespace
}  // namespace catchup::e2e
