#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"

// `catchup check` with plugins that misbehave while they are loaded (tests/cli/unruly.c), and with
// `--create`.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;

class CheckPluginTest : public testing::Test {
 protected:
  CheckPluginTest() {
    fs::create_directory(site_.file("tmp"));
    site_.SetEnv("TMPDIR", site_.file("tmp"));
    site_.SetEnv("HELPER_FILE", site_.file("helper"));
    site_.SetEnv("STARTED_FILE", site_.file("started"));
  }

  // A group of tests/cli/unruly.c as that fault builds it.
  static std::string Group(const std::string& name, const std::string& fault,
                           const std::string& more = "") {
    return "[groups." + name + "]\nplugin = \"unruly_" + fault +
           ".so\"\nprefixes = [\"\"]\nenv = [\"HELPER_FILE\", \"STARTED_FILE\"]\n" + more + "\n";
  }

  Finished Check(const std::string& groups, std::vector<std::string> more = {}) {
    site_.Configure(groups);
    std::string text = ReadFile(site_.file("host.toml"));
    const std::string key = "directories = [";
    text.insert(text.find(key) + key.size(), std::string("\"") + UNRULY_DIRECTORY + "\", ");
    WriteFile(site_.file("host.toml"), text);
    more.insert(more.begin(), {"check", "host.toml"});
    const Finished checked = site_.Catchup(more);
    EXPECT_TRUE(fs::is_empty(site_.file("tmp"))) << "it left files behind";
    return checked;
  }

  // What was started is gone.
  void ExpectHelpersGone(std::size_t count) {
    const std::vector<std::string> pids = ReadLines(site_.file("helper"));
    EXPECT_EQ(pids.size(), count);
    for (const std::string& pid : pids) {
      EXPECT_TRUE(ForeignProcess(std::stoi(pid)).Gone()) << pid;
    }
  }

  Site site_;
};

TEST_F(CheckPluginTest, OneThatEndsItsProcessWhileItIsLoadedIsAFault) {
  const Finished checked = Check(Group("a", "exits"));
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(
      checked.err,
      HasSubstr("group a: unruly_exits.so ended the process while it was loaded: exit code 0"));
}

TEST_F(CheckPluginTest, OneThatLeavesAChildToAnswerIsAFault) {
  const Finished checked = Check(Group("a", "forks"));
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err,
              HasSubstr("unruly_forks.so ended the process while it was loaded: exit code 3"));
}

TEST_F(CheckPluginTest, OneThatDiesIsNamedWithItsSignalAndItsLastLine) {
  const Finished checked = Check(Group("a", "aborts"));
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(
      checked.err,
      HasSubstr("unruly_aborts.so died while it was loaded: SIGABRT; the last that it printed: no "
                "licence was found\n"));
}

TEST_F(CheckPluginTest, WhatOnePrintsIsNoReason) {
  const Finished good = Check(Group("a", "prints"));
  EXPECT_EQ(good.exit, 0) << good.err;
  EXPECT_EQ(good.err, "");
  const Finished bad = Check(Group("a", "prints", "projection = \"nobody\""));
  EXPECT_EQ(bad.exit, 78);
  EXPECT_THAT(bad.err, HasSubstr("offers no projection \"nobody\": it has unruly"));
  EXPECT_THAT(bad.err, Not(HasSubstr("banner")));
}

TEST_F(CheckPluginTest, OneThatClosesEveryDescriptorIsRefusedInTime) {
  const Finished checked = Check(Group("a", "closes"));
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(
      checked.err,
      HasSubstr(
          "unruly_closes.so closed the descriptor that its runner answers on while it was loaded: "
          "wanted a plugin that closes no descriptor that it did not open"));
}

// The time limit would be 30 s.
TEST_F(CheckPluginTest, WhatOneStartsIsNotWaitedForAndGoneAfterwards) {
  const Finished checked = Check(Group("a", "helps"), {});
  EXPECT_EQ(checked.exit, 0) << checked.err;
  ExpectHelpersGone(1);
}

TEST_F(CheckPluginTest, OneThatHangsIsLoadedOnceForAllItsGroups) {
  const std::string limit = "start_timeout = \"300ms\"";
  const Finished checked =
      Check(Group("a", "hangs", limit) + Group("b", "hangs", limit) + Group("c", "hangs", limit));
  EXPECT_EQ(checked.exit, 78);
  for (const char* group : {"a", "b", "c"}) {
    EXPECT_THAT(
        checked.err,
        HasSubstr("group " + std::string(group) +
                  ": unruly_hangs.so took longer than start_timeout = 300ms while it was loaded"));
  }
  ExpectHelpersGone(1);
}

// Though the file is loaded once, for as long as the most patient group waits.
TEST_F(CheckPluginTest, OneThatIsSlowToLoadIsTheFaultOfThoseGroupsThatDoNotWaitForIt) {
  const Finished checked = Check(Group("a", "dawdles", "start_timeout = \"300ms\"") +
                                 Group("b", "dawdles", "start_timeout = \"10m\""));
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(
      checked.err,
      HasSubstr(
          "group a: unruly_dawdles.so took longer than start_timeout = 300ms while it was loaded"));
  EXPECT_THAT(checked.err, Not(HasSubstr("group b")));
}

TEST_F(CheckPluginTest, OfWhatAPluginSaysInItsCreateThereIsABound) {
  const Finished checked = Check(Group("a", "prints"), {"--create"});
  EXPECT_EQ(checked.exit, 0) << checked.err;
  EXPECT_THAT(checked.err, HasSubstr("plugin: a banner, line 99 of many"));
  EXPECT_THAT(checked.err, Not(HasSubstr("line 100 of many")));
  EXPECT_THAT(checked.err, HasSubstr("plugin: (3900 more lines left out)"));
}

TEST_F(CheckPluginTest, ATableThatEndsTheProcessIsTheFaultOfItsGroupAlone) {
  const Finished checked = Check(Group("a", "aborts_in_a_table", "projection = \"unruly\"") +
                                 Group("b", "aborts_in_a_table", "projection = \"second\"") +
                                 Group("c", "aborts_in_a_table", "projection = \"unheard-of\""));
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, Not(HasSubstr("group a")));
  EXPECT_THAT(
      checked.err,
      HasSubstr(
          "group b: unruly_aborts_in_a_table.so died while its tables were looked at: SIGABRT"));
  EXPECT_THAT(checked.err, HasSubstr("group c: unruly_aborts_in_a_table.so: offers no projection"));
}

TEST_F(CheckPluginTest, CreateFindsAMisspeltKeyWithoutStartingAnything) {
  const std::string misspelt = "[groups.a.config]\ndatabse = \"x.db\"";
  EXPECT_EQ(Check(Group("a", "nothing", misspelt)).exit, 0) << "not without --create";
  const Finished checked = Check(Group("a", "nothing", misspelt), {"--create"});
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, HasSubstr(": group a: create: FATAL: unknown key \"databse\"\n"));
  EXPECT_THAT(checked.err, HasSubstr("host.toml:13:1: "));
  EXPECT_FALSE(fs::exists(site_.file("started")));
}

TEST_F(CheckPluginTest, CreateFindsAPathThatIsNotMeantToTheLetter) {
  site_.Configure("[groups.a]\nplugin = \"jsonl.so\"\nprefixes = [\"\"]\nconfig.file = \"~/x\"\n");
  const Finished checked = site_.Catchup({"check", "--create", "host.toml"});
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(
      checked.err,
      HasSubstr("group a: create: FATAL: config \"file\": found the text \"~/x\", wanted "));
}

TEST_F(CheckPluginTest, CreateTriesEveryGroupWithItsOwnEnvironment) {
  site_.SetEnv("UNRULY_WISH", "granted");
  const std::string wish = "[groups.b.config]\nwants_env = true";
  Finished checked = Check(Group("a", "nothing") + Group("b", "nothing", wish), {"--create"});
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, Not(HasSubstr("group a")));
  EXPECT_THAT(checked.err, HasSubstr("group b: create: FATAL: UNRULY_WISH is not set"));
  checked = Check(
      "[defaults]\nenv = [\"UNRULY_WISH\"]\n[groups.b]\nplugin = \"unruly_nothing.so\"\n"
      "prefixes = [\"\"]\n" +
          wish + "\n",
      {"--create"});
  EXPECT_EQ(checked.exit, 0) << checked.err;
}

TEST_F(CheckPluginTest, ACreateThatHangsHasTheGroupsLimit) {
  const Finished checked =
      Check(Group("a", "nothing", "start_timeout = \"300ms\"\n[groups.a.config]\nhang = true"),
            {"--create"});
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(
      checked.err,
      HasSubstr("group a: create: FAILED: create hung: it took longer than start_timeout = 300ms"));
}

TEST_F(CheckPluginTest, ACreateAgainstTheContractIsAFaultAndItsHelpersAreGone) {
  Finished checked =
      Check(Group("a", "nothing", "[groups.a.config]\nstatus = true\nhelper = true"), {"--create"});
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, HasSubstr("create: contract violation: create returned 42"));
  ExpectHelpersGone(1);
}

}  // namespace
}  // namespace catchup::e2e
