#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "host/base/unique_fd.h"
#include "tests/e2e/harness.h"

// `try` and `check` end as they are told to, and leave no folder and no process behind.

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

class GuardTest : public testing::Test {
 protected:
  GuardTest() {
    fs::create_directory(site_.file("tmp"));
    fs::create_directory(site_.file("work"));
    site_.SetEnv("TMPDIR", site_.file("tmp"));
    site_.SetEnv("HELPER_FILE", site_.file("helper"));
  }

  void Events(const std::vector<std::string>& types) {
    std::string text;
    for (const std::string& type : types) {
      text += EventLine("s", type) + '\n';
    }
    WriteFile(site_.file("events.jsonl"), text);
  }

  static std::string Unruly(const std::string& fault) {
    return std::string(UNRULY_DIRECTORY) + "/unruly_" + fault + ".so";
  }

  // Waits for the file that a helper of the plugin's has noted its pid in.
  static pid_t AwaitPid(const fs::path& file) {
    EXPECT_TRUE(WaitUntil([&] { return !ReadLines(file).empty(); }));
    const auto lines = ReadLines(file);
    return lines.empty() ? -1 : std::stoi(lines[0]);
  }

  void ExpectNothingLeft(pid_t helper) {
    EXPECT_TRUE(ForeignProcess(helper).Gone()) << "what the plugin started";
    EXPECT_TRUE(fs::is_empty(site_.file("tmp"))) << "the scratch directory";
  }

  Site site_;
};

TEST_F(GuardTest, TryLeavesNothingOfADaemonThatAPluginStarted) {
  Events({"helper", "ok"});
  const Finished tried =
      site_.Catchup({"try", Unruly("nothing"), "events.jsonl", "--work", "work"});
  EXPECT_EQ(tried.exit, 0) << tried.err;
  ExpectNothingLeft(AwaitPid(site_.file("work/helper")));
}

TEST_F(GuardTest, TryLeavesNothingWhenItsPluginDies) {
  Events({"helper", "die"});
  EXPECT_EQ(site_.Catchup({"try", Unruly("nothing"), "events.jsonl", "--work", "work"}).exit, 1);
  ExpectNothingLeft(AwaitPid(site_.file("work/helper")));
}

TEST_F(GuardTest, ASignalEndsTryAndEverythingBelowIt) {
  Events({"helper", "hang"});
  // SIGXCPU is a limit of CPU time; the others are what a user or a batch system may send.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU, SIGABRT, SIGSEGV, SIGTRAP}) {
    SCOPED_TRACE(number);
    fs::remove(site_.file("work/helper"));
    const auto process = site_.Start({"try", Unruly("nothing"), "events.jsonl", "--work", "work"});
    const pid_t helper = AwaitPid(site_.file("work/helper"));
    process->Signal(number);
    EXPECT_EQ(process->Wait(), 128 + number) << "as a shell wants it";
    ExpectNothingLeft(helper);
  }
}

TEST_F(GuardTest, ASignalEndsACheckThatWaitsForAPlugin) {
  site_.Configure(
      "[groups.a]\nplugin = \"unruly_hangs.so\"\nprefixes = [\"\"]\n"
      "env = [\"HELPER_FILE\"]\nstart_timeout = \"1h\"\n");
  std::string text = ReadFile(site_.file("host.toml"));
  const std::string key = "directories = [";
  text.insert(text.find(key) + key.size(), std::string("\"") + UNRULY_DIRECTORY + "\", ");
  WriteFile(site_.file("host.toml"), text);
  const auto process = site_.Start({"check", "host.toml"});
  const pid_t loading = AwaitPid(site_.file("helper"));
  process->Signal(SIGTERM);
  EXPECT_EQ(process->Wait(), 128 + SIGTERM);
  ExpectNothingLeft(loading);
}

// As with `| head -1`.
TEST_F(GuardTest, AReaderThatGoesAwayEndsTry) {
  std::vector<std::string> types(20'000, "ok");
  types.insert(types.begin(), "helper");
  Events(types);
  const std::string command = std::string(CATCHUP_EXECUTABLE) + " try " + Unruly("nothing") +
                              " events.jsonl --work work | head -1";
  Process::Options options;
  options.directory = site_.path();
  options.env = {{"TMPDIR", site_.file("tmp")}};
  Process shell({"/bin/bash", "-c", "set -o pipefail; " + command}, options);
  EXPECT_EQ(shell.Wait(), 128 + SIGPIPE);
  EXPECT_EQ(shell.Output(), "1  s@0  helper  OK\n");
  ExpectNothingLeft(AwaitPid(site_.file("work/helper")));
}

TEST_F(GuardTest, TheRunnerDiesWithATryThatIsKilled) {
  Events({"helper", "hang"});
  const auto process = site_.Start({"try", Unruly("nothing"), "events.jsonl", "--work", "work"});
  const pid_t helper = AwaitPid(site_.file("work/helper"));
  // The helper's runner: the process whose working directory is ours.
  std::vector<pid_t> runners;
  std::error_code gone;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") == std::string::npos && std::stoi(name) != helper &&
        fs::read_symlink(entry.path() / "cwd", gone) == fs::canonical(site_.file("work"))) {
      runners.push_back(std::stoi(name));
    }
  }
  ASSERT_EQ(runners.size(), 1u);
  const ForeignProcess runner(runners[0]);
  process->Signal(SIGKILL);
  EXPECT_EQ(process->Wait(), 128 + SIGKILL);
  EXPECT_TRUE(runner.WaitGone());
  ::kill(helper, SIGKILL);  // Nobody is left who could.
}

// What the killed one has left is swept once it cannot be one that is just beginning.
TEST_F(GuardTest, AScratchDirectoryThatIsInUseOrYoungStays) {
  fs::create_directory(site_.file("tmp/catchup-scratch-young"));
  fs::create_directory(site_.file("tmp/else"));
  Events({"ok"});
  EXPECT_EQ(site_.Catchup({"try", Unruly("nothing"), "events.jsonl"}).exit, 0);
  EXPECT_TRUE(fs::exists(site_.file("tmp/catchup-scratch-young")));
  EXPECT_TRUE(fs::exists(site_.file("tmp/else")));
}

TEST_F(GuardTest, AContractThatIsBrokenEndsTryAtOnceWithItsReason) {
  Events({"ok", "status-7", "ok", "ok"});
  const Finished tried = site_.Catchup({"try", Unruly("nothing"), "events.jsonl"});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(tried.out,
            "1  s@0  ok  OK\n2  s@1  status-7  contract violation  handle returned 7: wanted one "
            "of CATCHUP_OK … CATCHUP_FATAL\n");
  EXPECT_EQ(tried.err, "events.jsonl: 2 events behind line 2 were not fed\n");
}

TEST_F(GuardTest, ATryHasTheLimitsAndTheEnvironmentOfAGroup) {
  Events({"limits"});
  site_.SetEnv("TZ", "UTC");
  const Finished tried = site_.Catchup({"try", Unruly("nothing"), "events.jsonl"});
  EXPECT_EQ(tried.out, "1  s@0  limits  REJECT  256 files, PATH LANG TZ\n");
}

}  // namespace
}  // namespace catchup::e2e
