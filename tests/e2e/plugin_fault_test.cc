#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "tests/e2e/harness.h"

// One plugin's trouble stays its own: its group stops with a message, its checkpoint stays where it
// was, and the group beside it goes on.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

using Strings = std::vector<std::string>;

// The group stops where it would write a letter.
constexpr char kHalts[] = "prefixes = [\"\"]\ndead_letters.order = \"halt\"";

// Three events of which the plugin does not like the second, and a group beside.
struct Fault {
  explicit Fault(const std::string& type, std::string_view keys = kHalts) {
    site.Append({EventLine("s", "ok"), EventLine("s", type), EventLine("s", "ok")});
    site.Configure(ScriptedGroup("bad", keys) + JsonlGroup("good"));
    run = site.RunUntilCaughtUp();
  }

  // The group ended for a reason that says all of `words`, and the other one did not care.
  void ExpectEnded(const std::string& state, const Strings& words) const {
    EXPECT_EQ(run.exit, 1) << run.err;
    const HostLog log = run.Log();
    EXPECT_EQ(log.Last("Group ended", "bad", "state"), state) << run.err;
    for (const std::string& word : words) {
      EXPECT_THAT(log.Last("Group ended", "bad", "reason"), HasSubstr(word));
    }
    EXPECT_EQ(log.Last("Group ended", "good", "state"), "stopped") << run.err;
    EXPECT_EQ(Written(site, "good").size(), 3u);
  }

  Site site;
  Finished run;
};

class StatusTest : public testing::TestWithParam<std::vector<std::string>> {};

// The event that was not applied is the first one of the next run.
TEST_P(StatusTest, StopsTheGroupWithItsTextAndLeavesTheCheckpointBeforeTheEvent) {
  const std::string& type = GetParam()[0];
  Fault fault(type);
  fault.ExpectEnded(type == "fatal" ? "failed" : "halted", {GetParam()[1], GetParam()[2]});
  const HostLog log = fault.run.Log();
  EXPECT_EQ(log.Last("Group ended", "bad", "processedCount"), "1");

  const Finished again = fault.site.RunUntilCaughtUp();

  EXPECT_EQ(again.exit, 1);
  EXPECT_EQ(again.Log().Last("Group starting", "bad", "checkpoint"),
            log.Last("Group ended", "bad", "position"));
  // A failure that nobody can classify is tried three times more before it counts, in each run.
  const std::size_t calls = type == "failed" ? 2 * 4 : 2;
  Strings wanted(1 + calls, "s@1 " + type);
  wanted[0] = "s@0 ok";
  EXPECT_EQ(Called(fault.site, "bad"), wanted);
}

// Infrastructure is waited for in place, however long that takes; the wait ends with the group.
TEST(PluginFaultTest, ARetryWaitsInPlaceAndAStopCutsTheWait) {
  Site site;
  site.Append({EventLine("s", "ok"), EventLine("s", "retry"), EventLine("s", "ok")});
  site.Configure(ScriptedGroup("bad"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Waiting after a failed call", "bad"));
  ASSERT_TRUE(WaitUntil([&] { return Called(site, "bad").size() >= 3; }));
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0);

  const HostLog log = host->Log();
  EXPECT_EQ(log.Last("Group ended", "bad", "state"), "stopped");
  EXPECT_EQ(log.Last("Group ended", "bad", "processedCount"), "1");
  const Strings called = Called(site, "bad");
  EXPECT_EQ(called[1], "s@1 retry");
  EXPECT_EQ(called.back(), "s@1 retry");
}

INSTANTIATE_TEST_SUITE_P(All, StatusTest,
                         testing::Values(Strings{"reject", "REJECT", "no such customer"},
                                         Strings{"failed", "FAILED", "something went wrong"},
                                         Strings{"fatal", "FATAL", "the schema is too new"}),
                         [](const auto& param) { return param.param[0]; });

// A crash is one record, whole whatever was printed before it, and an error is told behind any
// flood: also where nothing less than an error is logged.
TEST(PluginFaultTest, ACrashAndAnErrorAreToldBehindAFlood) {
  for (const std::string level : {"info", "error"}) {
    Site site;
    site.Append({EventLine("s", "ok"), EventLine("s", "flood-and-abort")});
    site.Configure(ScriptedGroup("bad"));
    std::string text = ReadFile(site.file("host.toml"));
    text.insert(text.find("[log]\n") + 6, "level = \"" + level + "\"\n");
    WriteFile(site.file("host.toml"), text);
    const auto host = site.Start({"run", "host.toml"});
    ASSERT_TRUE(host->WaitForLog("Runner crashed", "bad"));
    ASSERT_TRUE(WaitUntil([&] { return host->Log().Has("Plugin says", "bad"); }));
    host->Signal(SIGTERM);
    EXPECT_NE(host->Wait(), 128 + SIGKILL);

    const HostLog log = host->Log();
    const JsonObject crash = log.With("Runner crashed", "bad")[0];
    EXPECT_EQ(crash.at("level"), "error");
    EXPECT_EQ(crash.at("signal"), "SIGABRT");
    EXPECT_EQ(crash.at("call"), "handle");
    EXPECT_EQ(crash.at("stream"), "s");
    EXPECT_EQ(crash.at("revision"), "1");
    EXPECT_NE(crash.at("event"), "none");
    EXPECT_THAT(crash.at("frames"), HasSubstr("scripted.so+0x"));
    EXPECT_THAT(crash.at("modules"), HasSubstr("scripted.so="));
    const std::vector<JsonObject> said = log.With("Plugin says", "bad");
    EXPECT_TRUE(std::any_of(said.begin(), said.end(), [](const JsonObject& line) {
      return line.at("level") == "error" && line.at("text") == "the one that matters";
    }));
  }
}

// Whatever found no room on its way to the log is counted with its level.
TEST(PluginFaultTest, EveryLineOfAFloodIsToldOrCounted) {
  Site site;
  site.Append({EventLine("s", "flood-every-level")});
  site.Configure(ScriptedGroup("loud"));
  std::string text = ReadFile(site.file("host.toml"));
  text.insert(text.find("[log]\n") + 6, "level = \"debug\"\n");
  WriteFile(site.file("host.toml"), text);
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;

  std::map<std::string, std::uint64_t> lines;
  for (const JsonObject& line : run.Log().With("Plugin says", "loud")) {
    lines[line.at("level")] += line.at("text") == "once more" ? 1 : 0;
  }
  for (const JsonObject& line : run.Log().With("Log lines left out", "loud")) {
    if (line.at("of") == "Plugin says") {
      lines[line.at("ofLevel")] += std::stoull(line.at("leftOut"));
      EXPECT_EQ(line.at("level"), line.at("ofLevel") == "error" ? "error" : "warn");
    }
  }
  EXPECT_EQ(lines, (std::map<std::string, std::uint64_t>{
                       {"debug", 20'000}, {"info", 20'000}, {"warn", 20'000}, {"error", 20'000}}));
}

// The child has no rings, so it dies there; the runner goes on.
TEST(PluginFaultTest, ACrashOfAForkedChildIsToldOnceAndWhole) {
  Site site;
  site.Append({EventLine("s", "ok"), EventLine("s", "fork-and-return"), EventLine("s", "ok")});
  site.Configure(ScriptedGroup("forks"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;

  const auto crashes = run.Log().With("Process of the plugin crashed", "forks");
  ASSERT_EQ(crashes.size(), 1u) << run.err;
  EXPECT_THAT(crashes[0].at("frames"), HasSubstr("+0x"));
  EXPECT_FALSE(run.Log().Has("Runner crashed", "forks"));
  EXPECT_EQ(run.Log().Last("Group ended", "forks", "processedCount"), "3");
}

// Signal, call and event are known to the host itself, whatever the plugin did to the report.
TEST(PluginFaultTest, ACrashWithoutAReportIsToldWithoutItsFrames) {
  struct Death {
    std::string how;
    std::string signal;
    bool has_report;
  };
  for (const Death& death :
       {Death{"die-in-a-thread", "SIGILL", true}, Death{"close-output-and-abort", "SIGABRT", true},
        Death{"overflow-in-a-thread", "SIGSEGV", false},
        Death{"die-masked-in-a-thread", "SIGILL", false}, Death{"kill-itself", "SIGKILL", false},
        Death{"take-the-signal-and-abort", "SIGABRT", false},
        Death{"close-all-and-abort", "SIGABRT", false}}) {
    SCOPED_TRACE(death.how);
    Site site;
    site.Append({EventLine("s", "ok"), EventLine("s", death.how)});
    site.Configure(ScriptedGroup("bad"));
    const auto host = site.Start({"run", "host.toml"});
    ASSERT_TRUE(host->WaitForLog("Runner crashed", "bad"));
    host->Signal(SIGTERM);
    EXPECT_NE(host->Wait(), 128 + SIGKILL);

    const JsonObject crash = host->Log().With("Runner crashed", "bad")[0];
    EXPECT_EQ(crash.at("level"), "error");
    EXPECT_EQ(crash.at("signal"), death.signal);
    EXPECT_EQ(crash.at("call"), "handle");
    EXPECT_EQ(crash.at("stream"), "s");
    EXPECT_EQ(crash.at("revision"), "1");
    if (death.has_report) {
      EXPECT_THAT(crash.at("frames"), HasSubstr("scripted.so+0x"));
    } else {
      EXPECT_EQ(crash.at("frames"), "no report came");
    }
  }
}

// A status that no rule knows says that nothing the runner reported can be relied on: no checkpoint
// write begins for it, and what was not durable by then comes again.
TEST(PluginFaultTest, AnUnknownStatusStopsTheGroupAndNothingItHadReportedBecomesDurable) {
  Fault fault("unknown-status");
  fault.ExpectEnded("failed", {"contract", "7"});
  const HostLog log = fault.run.Log();

  const Finished again = fault.site.RunUntilCaughtUp();

  EXPECT_EQ(again.exit, 1);
  EXPECT_EQ(again.Log().Last("Group starting", "bad", "checkpoint"),
            log.Last("Group ended", "bad", "position"));
  const Strings called = Called(fault.site, "bad");
  ASSERT_GE(called.size(), 3u);
  EXPECT_EQ(called[0], "s@0 ok");
  EXPECT_EQ(called[1], "s@1 unknown-status");
  EXPECT_EQ(called.back(), "s@1 unknown-status");
}

TEST(PluginFaultTest, AFailedCallIsLoggedWithTheEventItFailedOn) {
  const Fault fault("reject");
  const HostLog log = fault.run.Log();
  EXPECT_EQ(log.Last("Call failed", "bad", "status"), "REJECT");
  EXPECT_EQ(log.Last("Call failed", "bad", "class"), "domain");
  EXPECT_EQ(log.Last("Call failed", "bad", "level"), "error");
  EXPECT_THAT(log.Last("Call failed", "bad", "event"), HasSubstr("s@1 reject"));
  EXPECT_EQ(log.Last("Group ended", "bad", "errorCount"), "1");
  // What an operator reads last names it as well.
  const std::string reason = log.Last("Group not run", "bad", "reason");
  EXPECT_THAT(reason, HasSubstr("s@1 reject at "));
}

TEST(PluginFaultTest, AHangIsEndedByItsTimeLimitAndTheCheckpointStaysBeforeIt) {
  Fault fault("hang", std::string(kHalts) + "\nhandler_timeout = \"1s\"");
  fault.ExpectEnded("halted", {"s@1 hang at ", " hung", "handler_timeout = "});
  EXPECT_THAT(fault.run.Log().Last("Call hung", "bad", "event"), HasSubstr("s@1 hang"));
  EXPECT_EQ(fault.run.Log().Last("Group ended", "bad", "processedCount"), "1");
  EXPECT_GE(std::stoi(fault.run.Log().Last("Group ended", "bad", "timingMs")), 1000);
  const Finished again = fault.site.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 1);
  // The first call and three alone in a fresh runner, in each run.
  Strings wanted(1 + 2 * 4, "s@1 hang");
  wanted[0] = "s@0 ok";
  EXPECT_EQ(Called(fault.site, "bad"), wanted);
}

// The set-up calls have a limit of their own, together; a message names it. Another try may go
// better (set_up_fault_test).
TEST(PluginFaultTest, AStartThatHangsIsEndedByStartTimeoutAndTriedAgain) {
  Site site;
  site.Append({EventLine("s", "ok")});
  site.Configure(ScriptedGroup("bad",
                               "prefixes = [\"\"]\nstart_timeout = \"500ms\"\n"
                               "config = { refuse = \"start-by-hanging\" }") +
                 JsonlGroup("good"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return host->Log().With("Runner started", "bad").size() >= 2; }))
      << host->Errors();
  EXPECT_TRUE(WaitUntil([&] { return Written(site, "good").size() == 1; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  const HostLog log = host->Log();
  EXPECT_EQ(log.Last("Call hung", "bad", "call"), "start");
  EXPECT_EQ(log.Last("Call hung", "bad", "event"), "none");
  EXPECT_THAT(log.With("Runner restarts", "bad")[0].at("reason"),
              HasSubstr("start hung: it took longer than start_timeout = 500ms, counted from the "
                        "runner's start"));
  EXPECT_EQ(log.Last("Group ended", "bad", "state"), "stopped");
}

TEST(PluginFaultTest, AStartMayTakeLongerThanACall) {
  Site site;
  site.Append({EventLine("s", "ok")});
  site.Configure(ScriptedGroup("slow",
                               "prefixes = [\"\"]\nhandler_timeout = \"100ms\"\n"
                               "config = { refuse = \"start-for-a-while\" }"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Called(site, "slow"), (Strings{"s@0 ok"}));
}

TEST(PluginFaultTest, ACrashCostsOneRespawnAndTheEventComesAgain) {
  Site site;
  site.Append({EventLine("s", "ok"), EventLine("s", "die-once"), EventLine("s", "ok")});
  site.Configure(ScriptedGroup("bad") + JsonlGroup("good"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Called(site, "bad"), (Strings{"s@0 ok", "s@1 die-once", "s@1 die-once", "s@2 ok"}));
  EXPECT_EQ(run.Log().Last("Group ended", "bad", "processedCount"), "3");
  EXPECT_EQ(run.Log().Last("Group ended", "bad", "errorCount"), "1");
  EXPECT_EQ(run.Log().With("Runner started", "good").size(), 1u);
  bool charged = false;
  for (const JsonObject& line : run.Log().With("Runner ended", "bad")) {
    charged = charged || (line.at("exitClass") == "crash" &&
                          line.at("event").find("s@1 die-once") != std::string::npos &&
                          line.at("reason").find("SIGABRT") != std::string::npos);
  }
  EXPECT_TRUE(charged) << run.err;
}

// Nothing that was on the runner's stack may run any more for it, and nothing is reported as done.
TEST(PluginFaultTest, ACallThatEndsItsThreadIsADeathOnItsEvent) {
  Site site;
  site.Append({EventLine("s", "ok"), EventLine("s", "end-thread-once"), EventLine("s", "ok")});
  site.Configure(ScriptedGroup("bad"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Called(site, "bad"),
            (Strings{"s@0 ok", "s@1 end-thread-once", "s@1 end-thread-once", "s@2 ok"}));
  const JsonObject ended = run.Log().With("Runner ended", "bad")[0];
  EXPECT_THAT(ended.at("event"), HasSubstr("s@1 end-thread-once")) << run.err;
}

// The same event kills every runner: the group tries again at a growing pace, the other goes on,
// and the checkpoint stays. When it gives up is the engine's rule and tested there.
TEST(PluginFaultTest, AnEventThatKillsEveryRunnerDoesNotHurtTheOtherGroup) {
  Site site;
  site.Append({EventLine("s", "ok"), EventLine("s", "abort")});
  site.Configure(ScriptedGroup("bad") + JsonlGroup("good"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Called(site, "bad").size() >= 4; })) << host->Errors();
  site.Append({EventLine("late", "ok")});
  EXPECT_TRUE(WaitUntil([&] { return Written(site, "good").size() == 3; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_EQ(host->Log().Last("Group ended", "bad", "processedCount"), "1");
  EXPECT_EQ(Called(site, "bad")[3], "s@1 abort");
}

// A line without an end is one all the same once its writer is gone.
TEST(PluginFaultTest, TheLastWordsOfAPluginAreInTheLog) {
  Site site;
  site.Append({EventLine("s", "exit-with-words")});
  site.Configure(ScriptedGroup("bad"));
  const auto host = site.Start({"run", "host.toml"});
  EXPECT_TRUE(WaitUntil([&] {
    return host->Log().Last("Runner output", "bad", "text") == "the licence has expired";
  })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0);
}

constexpr char kLeftBehind[] = "Killed a process that a plugin left behind";

// The process made a session of its own, and its parent is gone.
TEST(PluginFaultTest, WhatAPluginLeavesRunningEndsWithItsRunner) {
  Site site;
  site.Append({EventLine("s", "leave")});
  site.Configure(ScriptedGroup("bad"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return !ReadFile(site.data("bad", "left")).empty(); }))
      << host->Errors();
  const ForeignProcess left(std::stoi(ReadFile(site.data("bad", "left"))));
  EXPECT_FALSE(left.Gone());
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_TRUE(left.Gone());
  EXPECT_EQ(host->Log().With(kLeftBehind, "bad").size(), 1u) << host->Errors();
}

// A wrapper's helper became the host's child by exec; it is nobody's leftover.
TEST(PluginFaultTest, AChildThatWasThereBeforeTheHostIsLeftAlone) {
  Site site;
  site.Append({EventLine("s", "ok")});
  site.Configure(ScriptedGroup("good"));
  const std::string command =
      "cd '" + site.path().string() + "' && sh -c 'sleep 300 & echo $! > helper; exec " +
      CATCHUP_EXECUTABLE + " run host.toml --until-caught-up' 2> wrapped.log";
  EXPECT_EQ(std::system(command.c_str()), 0) << ReadFile(site.file("wrapped.log"));
  const pid_t helper = std::stoi(ReadFile(site.file("helper")));
  EXPECT_FALSE(ForeignProcess(helper).Gone());
  EXPECT_THAT(ReadFile(site.file("wrapped.log")), Not(HasSubstr(kLeftBehind)));
  kill(helper, SIGKILL);
}

// It holds the lock of the runner that died, so the next runner could not start beside it.
TEST(PluginFaultTest, WhatAPluginLeavesRunningDoesNotOutliveACrash) {
  Site site;
  site.Append({EventLine("s", "leave-and-die-once"), EventLine("s", "ok")});
  site.Configure(ScriptedGroup("bad"));
  const auto host = site.Start({"run", "host.toml"});
  EXPECT_TRUE(WaitUntil([&] { return Called(site, "bad").size() == 3; })) << host->Errors();
  const ForeignProcess left(std::stoi(ReadFile(site.data("bad", "left"))));
  EXPECT_TRUE(left.Gone());
  EXPECT_EQ(host->Log().With(kLeftBehind, "bad").size(), 1u) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

TEST(PluginFaultTest, ASetUpThatRefusesStopsTheGroupWithItsText) {
  Site site;
  site.Append({EventLine("s", "ok")});
  site.Configure(ScriptedGroup("bad", "prefixes = [\"\"]\nconfig = { refuse = \"create\" }") +
                 JsonlGroup("good"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 1) << run.err;
  EXPECT_EQ(run.Log().Last("Group ended", "bad", "state"), "failed");
  const std::string reason = run.Log().Last("Group ended", "bad", "reason");
  EXPECT_THAT(reason, HasSubstr("create"));
  EXPECT_THAT(reason, HasSubstr("as configured"));
  EXPECT_EQ(Written(site, "good").size(), 1u);
}

// RETRY in a set-up call: what it needs may be there later.
TEST(PluginFaultTest, ASetUpThatLacksItsInfrastructureIsTriedAgain) {
  Site site;
  site.Append({EventLine("s", "ok")});
  site.Configure(ScriptedGroup("bad", "prefixes = [\"\"]\nconfig = { refuse = \"start\" }"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return host->Log().With("Runner restarts", "bad").size() >= 2; }))
      << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_EQ(host->Log().Last("Group ended", "bad", "state"), "stopped");
}

// The example's own refusal reaches the operator.
TEST(PluginFaultTest, AMissingSettingOfThePluginIsNamed) {
  Site site;
  site.Configure("[groups.totals]\nplugin = \"order_totals.so\"\nprefixes = [\"order-\"]\n");
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 1);
  EXPECT_THAT(run.Log().Last("Group ended", "totals", "reason"), HasSubstr("database")) << run.err;
}

}  // namespace
}  // namespace catchup::e2e
