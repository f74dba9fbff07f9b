#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "tests/e2e/launched.h"

// Whoever starts a host leaves something to it: open or closed descriptors, signals that are
// ignored or blocked, timers, masks, limits. None of it reaches a plugin or changes what the host
// does.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

using Options = std::vector<std::string>;

// What a careless parent leaves, all at once.
const Options kCareless = {"--open",          "17",      "--open",  "18",  "--open", "251",
                           "--block-signals", "--alarm", "--umask", "0777"};

// process_state.so is told what to say by events of these types.
const std::vector<std::string> kQuestions = {
    EventLine("s", "descriptors"), EventLine("s", "signals"), EventLine("s", "broken-pipe"),
    EventLine("s", "too-large"),   EventLine("s", "child"),   EventLine("s", "state"),
};

std::string StateGroup() {
  return "[groups.state]\nplugin = \"process_state.so\"\nprefixes = [\"\"]\n";
}

class InheritedTest : public testing::Test {
 protected:
  void SetUp() override {
    site_.Configure(StateGroup());
    std::string lines;
    for (const std::string& question : kQuestions) {
      lines += question + "\n";
    }
    WriteFile(site_.file("questions.jsonl"), lines);
  }

  // What `try` or `run` passes on of the plugin's lines.
  static void ExpectACleanProcess(const std::string& text) {
    // The runner's own are 0 to 8 and one for its crash report.
    EXPECT_THAT(text, HasSubstr("descriptors: 0 1 2 3 4 5 6 7 8 9"));
    EXPECT_THAT(text, HasSubstr("alive after the signals"));
    EXPECT_THAT(text, HasSubstr("broken pipe: Broken pipe"));
    EXPECT_THAT(text, HasSubstr("too large: File too large"));
    const int deadly[] = {SIGTERM, SIGINT, SIGPIPE, SIGXFSZ, SIGHUP, SIGALRM, SIGUSR1};
    std::string deaths = "children died of:";
    for (const int number : deadly) {
      deaths += " " + std::to_string(number);
    }
    EXPECT_THAT(text, HasSubstr(deaths));
    EXPECT_THAT(text, HasSubstr("state: blocked 0 ignored 0"));
  }

  Site site_;
};

TEST_F(InheritedTest, NothingOfACarelessParentReachesAPluginThatATrialRuns) {
  const Finished tried =
      Launched(site_, kCareless, {"try", FIXTURE_DIRECTORY "/process_state.so", "questions.jsonl"});
  EXPECT_EQ(tried.exit, 0) << tried.err;
  ExpectACleanProcess(tried.err);
}

TEST_F(InheritedTest, NothingOfACarelessParentReachesAPluginOfAHost) {
  site_.Append(kQuestions);
  const Finished ran = Launched(site_, kCareless, {"run", "host.toml", "--until-caught-up"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  ExpectACleanProcess(ran.err);
}

// The plugin cannot be loaded where descriptor 17 or a blocked signal has come through.
TEST_F(InheritedTest, NothingOfACarelessParentReachesTheProbe) {
  const Finished checked = Launched(site_, kCareless, {"check", "host.toml"});
  EXPECT_EQ(checked.exit, 0) << checked.err;
}

// With SIGCHLD ignored the system reaps children by itself, and every end would read as a death.
TEST_F(InheritedTest, IgnoredSignalsChangeNothing) {
  site_.Append(kQuestions);
  const Finished ran =
      Launched(site_, {"--ignore-signals"}, {"run", "host.toml", "--until-caught-up"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.Log().Last("Runner ended", "state", "exitClass"), "clean") << ran.err;
  ExpectACleanProcess(ran.err);
  EXPECT_EQ(Launched(site_, {"--ignore-signals"}, {"check", "host.toml"}).exit, 0);
  const Finished tried =
      Launched(site_, {"--ignore-signals"},
               {"try", FIXTURE_DIRECTORY "/process_state.so", "questions.jsonl"});
  EXPECT_EQ(tried.exit, 0) << tried.err;
  ExpectACleanProcess(tried.err);
}

TEST_F(InheritedTest, AHostWhoseSignalsWereIgnoredAndBlockedStillStops) {
  const auto host =
      StartLaunched(site_, {"--ignore-signals", "--block-signals"}, {"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Projection started", "state"));
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(std::chrono::seconds(10)), 0) << host->Errors();
}

// The first files that are opened would get these numbers, and the log would be written into one.
TEST_F(InheritedTest, ClosedStandardDescriptorsAreNoFilesOfOurs) {
  site_.Append(kQuestions);
  for (const Options& closed :
       {Options{"--close", "0", "--close", "1", "--close", "2"}, Options{"--close", "2"},
        Options{"--close", "0"}, Options{"--close", "1"}}) {
    SCOPED_TRACE(closed.size() > 2 ? "all" : closed.back());
    const Finished ran = Launched(site_, closed, {"run", "host.toml", "--until-caught-up"});
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_THAT(ReadFile(site_.path() / "state/lock"), Not(HasSubstr("{")));
    std::filesystem::remove_all(site_.path() / "state");
  }
}

// A result that nobody can read is a failure, as before.
TEST_F(InheritedTest, AResultForAClosedOutputIsAFailure) {
  const Finished checked = Launched(site_, {"--close", "1"}, {"check", "host.toml"});
  EXPECT_EQ(checked.exit, 1) << checked.err;
  EXPECT_THAT(checked.err, HasSubstr("cannot write the result"));
}

// A library that looked for eventfds before main must not have become the standard input.
TEST_F(InheritedTest, EventsFromAClosedInputAreAFailure) {
  const Finished appended =
      Launched(site_, {"--close", "0"}, {"append", "--to", "embedded:events", "-"});
  EXPECT_EQ(appended.exit, 1) << appended.err;
  EXPECT_THAT(appended.err, HasSubstr("Bad file descriptor"));
}

TEST_F(InheritedTest, AStackTooSmallForAThreadIsNone) {
  site_.Append(kQuestions);
  const Finished ran =
      Launched(site_, {"--limit", "stack", "200000"}, {"run", "host.toml", "--until-caught-up"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
}

// Where the system allows less than `limits.open_files`, less it is.
TEST_F(InheritedTest, AHardLimitOfFilesBelowAGroupsOwnIsNoFault) {
  site_.Append(kQuestions);
  const Finished ran =
      Launched(site_, {"--limit", "nofile", "120"}, {"run", "host.toml", "--until-caught-up"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
}

TEST_F(InheritedTest, AWorkingDirectoryThatIsGoneIsSaidOrNotNeeded) {
  const std::string config = site_.file("host.toml").string();
  for (const Options& arguments :
       {Options{"check", config}, Options{"run", config, "--until-caught-up"},
        Options{"run", "host.toml"}, Options{"check", "host.toml"},
        Options{"try", "process_state.so", "questions.jsonl"},
        Options{"append", "--to", "embedded:log", "questions.jsonl"}, Options{"--version"}}) {
    SCOPED_TRACE(arguments.front() + " " + arguments.back());
    const Finished ran = Launched(site_, {"--gone"}, arguments);
    EXPECT_LE(ran.exit, 78) << ran.err;
    EXPECT_TRUE(ran.exit == 0 || !ran.err.empty());
    EXPECT_THAT(ran.err, Not(HasSubstr("terminate")));
  }
}

}  // namespace
}  // namespace catchup::e2e
