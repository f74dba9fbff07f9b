#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/e2e/harness.h"

// What `catchup run` makes of a configuration that is right.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

using Strings = std::vector<std::string>;

Strings Orders() {
  return {EventLine("order-1", "order-placed"), EventLine("user-1", "user-came"),
          EventLine("order-1", "order-paid"), EventLine("order-2", "order-placed")};
}

// g0 to g7.
std::string EightGroups() {
  std::string groups;
  for (int i = 0; i < 8; ++i) {
    groups += JsonlGroup("g" + std::to_string(i));
  }
  return groups;
}

TEST(RunTest, UntilCaughtUpHandlesEverythingOnceAndExitsWithZero) {
  Site site;
  site.Append(Orders());
  site.Configure(JsonlGroup("copy"));
  const Finished first = site.RunUntilCaughtUp();
  EXPECT_EQ(first.exit, 0) << first.err;
  EXPECT_EQ(first.Log().Last("Group ended", "copy", "processedCount"), "4");
  const Finished second = site.RunUntilCaughtUp();
  EXPECT_EQ(second.exit, 0) << second.err;
  EXPECT_EQ(second.Log().Last("Group ended", "copy", "processedCount"), "0");
  EXPECT_EQ(Written(site, "copy"), (Strings{"order-1@0 order-placed", "user-1@0 user-came",
                                            "order-1@1 order-paid", "order-2@0 order-placed"}));
  EXPECT_EQ(first.out, "") << "logs and progress belong on standard error";
}

TEST(RunTest, AnEmptyLogIsCaughtUpAtOnce) {
  Site site;
  site.Configure(JsonlGroup("copy"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(run.Log().Last("Group ended", "copy", "processedCount"), "0");
}

TEST(RunTest, EventsThatComeLaterAreHandledByTheNextRun) {
  Site site;
  site.Append({EventLine("a", "x")});
  site.Configure(JsonlGroup("copy"));
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  site.Append({EventLine("a", "y")});
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(site, "copy"), (Strings{"a@0 x", "a@1 y"}));
}

TEST(RunTest, ARunningHostTakesEventsAsTheyAreAppended) {
  Site site;
  site.Configure(JsonlGroup("copy"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Subscribing", "copy"));
  // Through the host, which owns the log.
  site.Append({EventLine("a", "x")});
  EXPECT_TRUE(WaitUntil([&] { return Written(site, "copy") == Strings{"a@0 x"}; }));
  site.Append({EventLine("a", "y")});
  EXPECT_TRUE(WaitUntil([&] { return Written(site, "copy") == Strings{"a@0 x", "a@1 y"}; }));
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

TEST(RunTest, StopOnCaughtUpEndsTheGroupAndWithTheLastOneTheHost) {
  Site site;
  site.Append(Orders());
  site.Configure(JsonlGroup("one", "prefixes = [\"\"]\nstop_on_caught_up = true") +
                 JsonlGroup("two", "prefixes = [\"order-\"]\nstop_on_caught_up = true"));
  const Finished run = site.Catchup({"run", "host.toml"});
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Written(site, "one").size(), 4u);
  EXPECT_EQ(Written(site, "two").size(), 3u);
}

TEST(RunTest, StopOnCaughtUpOfOneGroupLeavesTheOtherRunning) {
  Site site;
  site.Append(Orders());
  site.Configure(JsonlGroup("ends", "prefixes = [\"\"]\nstop_on_caught_up = true") +
                 JsonlGroup("stays"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Group ended", "ends"));
  site.Append({EventLine("late", "z")});
  EXPECT_TRUE(WaitUntil([&] { return Written(site, "stays").size() == 5; })) << host->Errors();
  EXPECT_EQ(Written(site, "ends").size(), 4u);
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// What supervises the host can help only once the host has ended.
TEST(RunTest, AHostWithoutALivingGroupEndsAndSaysWhy) {
  Site site;
  site.Append({EventLine("s", "fatal")});
  site.Configure(ScriptedGroup("stops") +
                 "[groups.missing]\nplugin = \"missing.so\"\nprefixes = [\"\"]\n");
  const auto host = site.Start({"run", "host.toml"});
  EXPECT_EQ(host->Wait(), 1) << host->Errors();

  std::vector<std::string> last = ReadLines(host->errors_file());
  ASSERT_GE(last.size(), 3u);
  last.erase(last.begin(), last.end() - 3);
  const JsonObject first = ParseJsonObject(last[0]);
  const JsonObject second = ParseJsonObject(last[1]);
  EXPECT_EQ(first.at("msg"), "Group failed");
  EXPECT_EQ(first.at("group"), "stops");
  EXPECT_EQ(first.at("state"), "failed");
  EXPECT_EQ(first.at("reason"), host->Log().Last("Group ended", "stops", "reason"));
  EXPECT_EQ(second.at("msg"), "Group failed");
  EXPECT_EQ(second.at("group"), "missing");
  EXPECT_THAT(second.at("reason"), HasSubstr("missing.so"));
  EXPECT_EQ(ParseJsonObject(last[2]).at("msg"), "Host ended");
}

TEST(RunTest, AHostEndsOnceSomeGroupsEndedWellAndTheOthersFailed) {
  Site site;
  site.Append({EventLine("s", "fatal")});
  site.Configure(ScriptedGroup("stops") +
                 JsonlGroup("copy", "prefixes = [\"\"]\nstop_on_caught_up = true"));
  const auto host = site.Start({"run", "host.toml"});
  EXPECT_EQ(host->Wait(), 1) << host->Errors();
  EXPECT_EQ(host->Log().Last("Group ended", "copy", "state"), "stopped");
  EXPECT_EQ(host->Log().With("Group failed").size(), 1u);
}

TEST(RunTest, TheOnlyGroupThatRunsEndsTheHostWhenItFails) {
  Site site;
  site.Append({EventLine("s", "fatal")});
  site.Configure(ScriptedGroup("stops") + JsonlGroup("copy"));
  const Finished run = site.Catchup({"run", "host.toml", "--group", "stops"});
  EXPECT_EQ(run.exit, 1) << run.err;
  EXPECT_TRUE(run.Log().Has("Group failed", "stops"));
}

TEST(RunTest, AFailedGroupLeavesTheHostToTheOthers) {
  Site site;
  site.Append({EventLine("s", "fatal")});
  site.Configure(ScriptedGroup("stops") + JsonlGroup("copy"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Group ended", "stops"));
  site.Append({EventLine("s", "later")});
  EXPECT_TRUE(WaitUntil([&] {
    return Written(site, "copy") == Strings{"s@0 fatal", "s@1 later"};
  }));
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

TEST(RunTest, GroupOptionRunsThatGroupOnly) {
  Site site;
  site.Append(Orders());
  site.Configure(JsonlGroup("one") + JsonlGroup("two"));
  const Finished run = site.Catchup({"run", "host.toml", "--until-caught-up", "--group", "two"});
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Written(site, "two").size(), 4u);
  EXPECT_FALSE(std::filesystem::exists(site.group("one")));
}

TEST(RunTest, AGroupThatTheFileDoesNotHaveIsAUsageError) {
  Site site;
  site.Configure(JsonlGroup("one") + JsonlGroup("two"));
  const Finished run = site.Catchup({"run", "host.toml", "--group", "three"});
  EXPECT_EQ(run.exit, 2);
  EXPECT_THAT(run.err, HasSubstr("--group three"));
  EXPECT_THAT(run.err, HasSubstr("one, two"));
}

TEST(RunTest, TheFileIsFoundThroughTheEnvironment) {
  Site site;
  site.Configure(JsonlGroup("copy"));
  site.SetEnv("CATCHUP_CONFIG", site.file("host.toml").string());
  EXPECT_EQ(site.Catchup({"run", "--until-caught-up"}).exit, 0);
}

// The head is written down before the first event, so what comes later is not lost.
TEST(RunTest, StartAtEndSkipsWhatIsThereAndTakesWhatComes) {
  Site site;
  site.Append(Orders());
  site.Configure(JsonlGroup("copy", "prefixes = [\"\"]\nstart = \"end\""));
  const Finished first = site.RunUntilCaughtUp();
  ASSERT_EQ(first.exit, 0) << first.err;
  EXPECT_EQ(Written(site, "copy"), Strings{});
  site.Append({EventLine("late", "z")});
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(site, "copy"), Strings{"late@0 z"});
}

TEST(RunTest, StartAtAPositionBeginsAfterIt) {
  Site site;
  site.Append(Orders());
  site.Configure(JsonlGroup("all"));
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  const JsonObject second = ParseJsonObject(ReadLines(site.data("all", "out.jsonl")).at(1));
  const std::string start =
      "prefixes = [\"\"]\nstart = \"" + second.at("commit") + ":" + second.at("prepare") + "\"";
  site.Configure(JsonlGroup("rest", start));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Written(site, "rest"), (Strings{"order-1@1 order-paid", "order-2@0 order-placed"}));
}

// The first event cannot be handled, so there is no checkpoint: another start is the way on.
TEST(RunTest, AnotherStartCountsWhileThereIsNoCheckpoint) {
  Site site;
  site.Append({EventLine("s", "fatal"), EventLine("s", "ok")});
  site.Configure(JsonlGroup("all") + ScriptedGroup("picky"));
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 1);
  const JsonObject first = ParseJsonObject(ReadLines(site.data("all", "out.jsonl")).at(0));
  site.Configure(ScriptedGroup("picky", "prefixes = [\"\"]\nstart = \"" + first.at("commit") + ":" +
                                            first.at("prepare") + "\""));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Called(site, "picky"), (Strings{"s@0 fatal", "s@1 ok"}));
}

// "end" was the end as it was then, and stays.
TEST(RunTest, TheEndOfAnEmptyLogIsNotMovedByALaterStart) {
  Site site;
  site.Configure(JsonlGroup("copy", "prefixes = [\"\"]\nstart = \"end\""));
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  site.Append({EventLine("s", "x")});
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(site, "copy"), Strings{"s@0 x"});
}

// The limit that a shell sets is raised to what the system allows.
TEST(RunTest, ManyGroupsNeedMoreDescriptorsThanAShellAllows) {
  Site site;
  site.Append({EventLine("s", "x")});
  site.Configure(EightGroups());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{64, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto host = site.Start({"run", "host.toml", "--until-caught-up"});
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

TEST(RunTest, PrefixesAreOfTheEventTypeUnlessSaidOtherwise) {
  Site site;
  site.Append({EventLine("order-1", "user-came"), EventLine("user-1", "order-placed"),
               EventLine("x-1", "stock-moved"), EventLine("user-2", "pre-order-placed")});
  site.Configure(JsonlGroup("types", "prefixes = [\"order-\", \"stock-\"]") +
                 JsonlGroup("streams", "prefixes = [\"order-\", \"x-\"]\nmatch = \"stream_name\""));
  const Finished run = site.RunUntilCaughtUp();
  ASSERT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Written(site, "types"), (Strings{"user-1@0 order-placed", "x-1@0 stock-moved"}));
  EXPECT_EQ(Written(site, "streams"), (Strings{"order-1@0 user-came", "x-1@0 stock-moved"}));
}

// What the filter hides moves the checkpoint too, so the next run need not scan it again.
TEST(RunTest, TheCheckpointMovesPastEventsThatTheFilterHides) {
  Site site;
  // A checkpoint frame comes once in 1,024 events, and is persisted one step late.
  site.Append(Strings(5'000, EventLine("s", "hidden")));
  site.Configure(JsonlGroup("none", "prefixes = [\"nothing-\"]"));
  const Finished first = site.RunUntilCaughtUp();
  ASSERT_EQ(first.exit, 0) << first.err;
  const Finished second = site.RunUntilCaughtUp();
  EXPECT_NE(second.Log().Last("Group starting", "none", "checkpoint"), "none") << second.err;
}

// Each copies the plugin's file into the state directory at the same time.
TEST(RunTest, ManyGroupsOfOnePluginStartTogether) {
  Site site;
  site.Append({EventLine("s", "x")});
  site.Configure(EightGroups());
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(Written(site, "g" + std::to_string(i)).size(), 1u);
  }
}

TEST(RunTest, SystemEventsNeedToBeAskedFor) {
  Site site;
  site.Append({EventLine("s", "$tick"), EventLine("s", "tock")});
  site.Configure(JsonlGroup("without") +
                 JsonlGroup("with", "prefixes = [\"\"]\nsystem_events = true") +
                 JsonlGroup("only", "prefixes = [\"$ti\"]\nsystem_events = true"));
  const Finished run = site.RunUntilCaughtUp();
  ASSERT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Written(site, "without"), Strings{"s@1 tock"});
  EXPECT_EQ(Written(site, "with"), (Strings{"s@0 $tick", "s@1 tock"}));
  EXPECT_EQ(Written(site, "only"), Strings{"s@0 $tick"});

  // Those before the checkpoint would be missing.
  site.Configure(JsonlGroup("without", "prefixes = [\"\"]\nsystem_events = true"));
  const Finished changed = site.RunUntilCaughtUp();
  EXPECT_EQ(changed.exit, 1);
  const std::string reason = changed.Log().Last("Group ended", "without", "reason");
  EXPECT_THAT(reason, HasSubstr("with system_events"));
}

// Follows none by itself: a link is an event of the system.
TEST(RunTest, LinksAreFollowedWhereThatIsAskedFor) {
  const auto link = [](const std::string& base64) {
    return R"({"stream":"links","type":"$>","dataBase64":")" + base64 + "\"}";
  };
  Site site;
  site.Append({
      EventLine("a", "x"), EventLine("a", "y"), EventLine("a", "$z"),
      EventLine("$$a", "$metadata", R"({"$tb":1})"),
      link("MEBh"),     // 0@a, which is not shown any more
      link("MUBh"),     // 1@a
      link("MkBh"),     // 2@a, a system event
      link("N0Bi"),     // 7@b, which never was
      link("bm9uZQ==")  // none: no link at all
  });
  const std::string links = "match = \"stream_name\"\nprefixes = [\"links\"]\n";
  site.Configure(JsonlGroup("unasked", links) +
                 JsonlGroup("records", links + "system_events = true") +
                 JsonlGroup("targets", links + "resolve_links = true") +
                 JsonlGroup("all", links + "resolve_links = true\nsystem_events = true") +
                 JsonlGroup("typed", "prefixes = [\"\"]\nresolve_links = true"));
  const Finished run = site.RunUntilCaughtUp();
  ASSERT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Written(site, "unasked"), Strings());
  EXPECT_EQ(Written(site, "records"),
            (Strings{"links@0 $>", "links@1 $>", "links@2 $>", "links@3 $>", "links@4 $>"}));
  EXPECT_EQ(Written(site, "targets"), Strings{"a@1 y"});
  EXPECT_EQ(Written(site, "all"), (Strings{"a@1 y", "a@2 $z", "links@4 $>"}));
  EXPECT_EQ(Written(site, "typed"), (Strings{"a@0 x", "a@1 y", "a@1 y"}));

  const HostLog log = run.Log();
  EXPECT_EQ(log.Last("Group ended", "targets", "skippedCount"), "4");
  EXPECT_EQ(log.Last("Group ended", "all", "skippedCount"), "2");
  EXPECT_EQ(log.With("Link skipped", "targets").size(), 2u);
  EXPECT_EQ(log.Last("Link skipped", "all", "stream"), "links");
  EXPECT_EQ(log.Last("Link skipped", "all", "revision"), "3");
  EXPECT_THAT(log.Last("Link skipped", "all", "reason"), HasSubstr("unresolved-link"));

  // The place that is kept is the link's.
  const Finished again = site.RunUntilCaughtUp();
  ASSERT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(Written(site, "targets"), Strings{"a@1 y"});

  site.Configure(JsonlGroup("targets", links));
  const Finished changed = site.RunUntilCaughtUp();
  EXPECT_EQ(changed.exit, 1);
  EXPECT_THAT(changed.Log().Last("Group ended", "targets", "reason"),
              HasSubstr("with resolve_links"));
}

TEST(RunTest, APluginThatKeepsItsPositionHandlesNothingTwice) {
  Site site;
  const auto placed = [](const std::string& order, const std::string& cents) {
    return EventLine(
        "orders", "order-placed",
        "{\"orderId\":\"" + order + "\",\"customerId\":\"ann\",\"amountCents\":" + cents + "}");
  };
  site.Append({placed("1", "100"), placed("2", "250")});
  site.Configure(
      "[groups.totals]\nplugin = \"order_totals.so\"\nprefixes = [\"order-\"]\n"
      "config = { database = \"totals.db\" }\n");
  const Finished first = site.RunUntilCaughtUp();
  ASSERT_EQ(first.exit, 0) << first.err;
  EXPECT_EQ(first.Log().Last("Group ended", "totals", "processedCount"), "2");
  const Finished second = site.RunUntilCaughtUp();
  ASSERT_EQ(second.exit, 0) << second.err;
  EXPECT_EQ(second.Log().Last("Group ended", "totals", "processedCount"), "0");
  EXPECT_EQ(second.Log().Last("Projection started", "totals", "keepsPosition"), "true");
  EXPECT_NE(second.Log().Last("Projection started", "totals", "position"), "none");
}

TEST(RunTest, ThePluginGetsItsConfigurationAsJsonAndByPath) {
  Site site;
  site.Configure(ScriptedGroup("scripted") +
                 "[groups.scripted.config]\ngreeting = { text = \"good \\\"day\\\"\" }\n"
                 "since = 2026-11-24\n");
  const Finished run = site.RunUntilCaughtUp();
  ASSERT_EQ(run.exit, 0) << run.err;
  const auto said = run.Log().With("Plugin says", "scripted");
  ASSERT_GE(said.size(), 2u) << run.err;
  EXPECT_EQ(said[0].at("text"), "greeting is good \"day\"");
  EXPECT_THAT(said[1].at("text"), HasSubstr("\"text\":\"good \\\"day\\\"\""));
  EXPECT_THAT(said[1].at("text"), HasSubstr("\"since\":\"2026-11-24\""));
}

TEST(RunTest, TheRunnerHasItsOwnDirectoryAndOnlyTheEnvironmentThatIsNamed) {
  Site site;
  site.SetEnv("E2E_SHOWN", "yes");
  site.SetEnv("E2E_HIDDEN", "secret");
  site.Append({EventLine("s", "where")});
  site.Configure(ScriptedGroup("scripted", "prefixes = [\"\"]\nenv = [\"E2E_SHOWN\"]"));
  const Finished run = site.RunUntilCaughtUp();
  ASSERT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(run.Log().Last("Plugin says", "scripted", "text"),
            "in " + (site.group("scripted") / "data").string() + ", shown yes, hidden absent");
}

TEST(RunTest, WhatAPluginPrintsIsInTheLog) {
  Site site;
  site.Append({EventLine("s", "print"), EventLine("s", "ok")});
  site.Configure(ScriptedGroup("scripted"));
  const Finished run = site.RunUntilCaughtUp();
  ASSERT_EQ(run.exit, 0) << run.err;
  std::string printed;
  for (const JsonObject& line : run.Log().With("Runner output", "scripted")) {
    printed += line.at("text") + "\n";
  }
  EXPECT_EQ(printed, "this went to standard output\nthis went to standard error\n");
}

TEST(RunTest, EveryLineOfTheLogHasTheConstantContext) {
  Site site;
  site.Append(Orders());
  site.Configure(JsonlGroup("copy"));
  const Finished run = site.RunUntilCaughtUp();
  ASSERT_EQ(run.exit, 0) << run.err;
  std::size_t lines = 0;
  for (std::size_t at = 0; at < run.err.size(); ++lines) {
    const std::size_t end = run.err.find('\n', at);
    ASSERT_NE(end, std::string::npos);
    const JsonObject line = ParseJsonObject(run.err.substr(at, end - at));
    for (const char* member : {"time", "level", "msg", "method", "group"}) {
      EXPECT_TRUE(line.contains(member)) << member << " in " << run.err.substr(at, end - at);
    }
    at = end + 1;
  }
  EXPECT_GT(lines, 5u);
  const auto ended = run.Log().With("Group ended", "copy");
  ASSERT_EQ(ended.size(), 1u);
  for (const char* member : {"processedCount", "errorCount", "dlqCount", "timingMs", "avgRate"}) {
    EXPECT_TRUE(ended[0].contains(member)) << member;
  }
}

// A host cannot tell a stray process from the runner of a host that was killed; it waits for either
// to let go of the group.
TEST(RunTest, ARunnerStartsOnlyOnceTheLockOfAnEarlierOneIsFree) {
  Site site;
  site.UseTestProgram(10);
  site.Append({EventLine("s", "until-stop")});
  site.Configure(ScriptedGroup("scripted"));
  auto first = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Called(site, "scripted").size() == 1; })) << first->Errors();
  const std::string pid = first->Log().Last("Runner started", "scripted", "pid");
  const ForeignProcess runner(static_cast<pid_t>(std::stoi(pid)));
  EXPECT_FALSE(runner.Gone());
  EXPECT_EQ(std::stoi(ReadFile(site.group("scripted") / "runner-0.lock")), std::stoi(pid));
  first->Signal(SIGKILL);
  first->Wait();
  EXPECT_TRUE(runner.WaitGone()) << "the runner outlived its host";

  const UniqueFd lock(open((site.group("scripted") / "runner-0.lock").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  const auto second = site.Start({"run", "host.toml"});
  // Named by who holds it, this test, and by the runner whose lock it is.
  const std::string held = "pid " + std::to_string(getpid()) +
                           ", left behind by the plugin of runner " + pid + ", still holds";
  EXPECT_TRUE(WaitUntil([&] {
    return second->Log().Last("State changed", "scripted", "reason").find(held) !=
           std::string::npos;
  })) << second->Errors();
  EXPECT_EQ(second->Log().Last("State changed", "scripted", "state"), "waiting");
  EXPECT_FALSE(second->Log().Has("Runner started"));
  ASSERT_EQ(flock(lock.get(), LOCK_UN), 0);
  EXPECT_TRUE(second->WaitForLog("Runner started", "scripted"));
}

}  // namespace
}  // namespace catchup::e2e
