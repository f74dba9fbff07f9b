#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/cli/noexec_mount.h"
#include "tests/e2e/harness.h"

// `catchup check`: every problem in one run, in the order of the file, and no trace of the look.

namespace catchup::e2e {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

class CheckTest : public testing::Test {
 protected:
  // The names of everything below the folder, and how long each file is.
  Strings Trace() {
    Strings all;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(site_.path())) {
      // Output files of the processes themselves are ours.
      const std::string name = entry.path().lexically_relative(site_.path()).string();
      if (name.rfind("state", 0) == 0) {
        all.push_back(name + (entry.is_regular_file() ? " " + ReadFile(entry.path()) : ""));
      }
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  Strings Lines(const Finished& checked) {
    Strings lines;
    for (std::size_t at = 0; at < checked.err.size();) {
      const std::size_t end = checked.err.find('\n', at);
      lines.push_back(checked.err.substr(at, end - at));
      at = end == std::string::npos ? checked.err.size() : end + 1;
    }
    return lines;
  }

  Site site_;
};

TEST_F(CheckTest, TellsMissingPluginsTogetherWithWhatIsWrongInTheFile) {
  site_.Configure(
      "[groups.a]\nplugin = \"absent.so\"\nprefixes = [\"\"]\nlanes = 0\n"
      "[groups.b]\nplugin = \"gone.so\"\nprefixes = [\"\"]\n"
      "[groups.c]\nplugin = \"jsonl.so\"\nprefixes = 5\n");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  const Strings lines = Lines(checked);
  EXPECT_THAT(lines, ElementsAre(StartsWith("host.toml:10:10: group a: plugin absent.so not found"),
                                 "host.toml:12:9: lanes = 0: wanted an integer from 1 to 64",
                                 StartsWith("host.toml:14:10: group b: plugin gone.so not found"),
                                 StartsWith("host.toml:18:12: prefixes = 5: wanted")));
}

TEST_F(CheckTest, LooksAtCheckpointsWithoutTouchingThem) {
  site_.Append({EventLine("s", "x")});
  site_.Configure(JsonlGroup("one"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  const Strings before = Trace();
  ASSERT_FALSE(before.empty());
  EXPECT_EQ(site_.Check().exit, 0);
  EXPECT_EQ(Trace(), before);
  WriteFile(site_.group("one") / "checkpoint", "");
  const Strings damaged = Trace();
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, StartsWith("host.toml:9:1: group one: "));
  EXPECT_THAT(checked.err, HasSubstr("0 bytes"));
  EXPECT_THAT(checked.err, HasSubstr("begin anew"));
  EXPECT_EQ(Trace(), damaged);
}

// As `run` would warn, and `run` heals what `check` leaves alone.
TEST_F(CheckTest, WarnsOfOneBadSlot) {
  site_.Append({EventLine("s", "x")});
  site_.Configure(JsonlGroup("one"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  const fs::path file = site_.group("one") / "checkpoint";
  std::string bytes = ReadFile(file);
  const std::size_t at = bytes.rfind("event_type");
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 'E';
  WriteFile(file, bytes);
  const Strings before = Trace();
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 0);
  EXPECT_EQ(checked.out, "host.toml: ok, 1 group\n");
  EXPECT_THAT(checked.err, StartsWith("warning: group one: " + file.string() + ": slot "));
  EXPECT_THAT(checked.err, HasSubstr("some events may come again\n"));
  EXPECT_EQ(Trace(), before);
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0);
  EXPECT_THAT(run.err, HasSubstr("of 2 is bad"));
  EXPECT_EQ(site_.Check().err, "");
}

TEST_F(CheckTest, NamesTheFileOfAPluginThatDoesNotLoad) {
  site_.Configure("[groups.a]\nplugin = \"broken_undefined_symbol.so\"\nprefixes = [\"\"]\n");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, HasSubstr(std::string(RUNNER_FIXTURE_DIRECTORY) +
                                     "/broken_undefined_symbol.so: undefined symbol"));
}

TEST_F(CheckTest, ATemporaryDirectoryThatNothingCanBeLoadedFromIsNamedBesideTheFindings) {
  fs::create_directory(site_.file("tmp"));
  site_.SetEnv("TMPDIR", site_.file("tmp"));
  const NoexecMount mount(site_.file("tmp"));
  if (!mount.mounted()) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  site_.Configure("[groups.a]\nplugin = \"jsonl.so\"\nprefixes = [\"\"]\nlanes = 0\n");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 1);
  EXPECT_EQ(checked.err, "host.toml:12:9: lanes = 0: wanted an integer from 1 to 64\n" +
                             site_.file("tmp").string() +
                             " is mounted noexec, so no plugin can be loaded from there; set "
                             "TMPDIR to a directory where it can\n");
}

TEST_F(CheckTest, CreatesNothingInAnEmptyOrForeignStateDirectory) {
  fs::create_directory(site_.file("state"));
  ASSERT_EQ(::chmod(site_.file("state").c_str(), 0700), 0);
  site_.Configure(JsonlGroup("one"));
  EXPECT_EQ(site_.Check().exit, 0);
  EXPECT_EQ(Trace(), Strings{"state"});
  WriteFile(site_.file("state/thesis.tex"), "x");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, StartsWith("host.toml:4:13: state directory "));
  EXPECT_THAT(checked.err, HasSubstr("no state directory"));
  EXPECT_EQ(Trace(), (Strings{"state", "state/thesis.tex x"}));
}

TEST_F(CheckTest, TheStateOfAnotherUserIsAFaultAsForRun) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only the administrator can give a folder away";
  }
  fs::create_directory(site_.file("state"));
  ASSERT_EQ(::chown(site_.file("state").c_str(), 12345, 12345), 0);
  site_.Configure(JsonlGroup("one"));
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_EQ(checked.err,
            "host.toml:4:13: state directory " + site_.file("state").string() +
                ": it belongs to user 12345, wanted one of user 0; as root run: chown -R 0 " +
                site_.file("state").string() + "\n");
  EXPECT_EQ(site_.RunUntilCaughtUp().exit, 1);
}

// What `run` as this user would meet, without a trace of having looked.
TEST_F(CheckTest, SaysWhatKeepsRunFromStarting) {
  WriteFile(site_.file("file"), "");
  // Others than root are stopped by its mode already.
  const std::string kernel = ::geteuid() == 0 ? "is in a file system of the kernel"
                                              : "write into /proc: Permission denied";
  const struct {
    std::string uri;
    std::string state;
    std::string found;
  } faults[] = {
      {"embedded:log", "file/state", "host.toml:4:13: state directory "},
      {"embedded:log", "file", "it is no directory, wanted one"},
      {"embedded:file", "state", "host.toml:2:7: event log "},
      {"embedded:file/log", "state", "host.toml:2:7: "},
      {"embedded:log", "/proc/absent/state", kernel},
      {"embedded:/proc/absent/log", "state", kernel},
  };
  for (const auto& fault : faults) {
    SCOPED_TRACE(fault.found + " " + fault.uri + " " + fault.state);
    site_.Configure(JsonlGroup("one"), fault.uri, fault.state);
    const Finished checked = site_.Check();
    EXPECT_EQ(checked.exit, 78);
    EXPECT_THAT(checked.err, HasSubstr(fault.found));
    EXPECT_FALSE(fs::exists(site_.file("state")));
    EXPECT_FALSE(fs::exists(site_.file("log")));
    EXPECT_EQ(site_.RunUntilCaughtUp().exit, 1) << "as check says";
    fs::remove_all(site_.file("state"));
    fs::remove_all(site_.file("log"));
  }
}

TEST_F(CheckTest, AStateDirectoryThatWouldBeMadeOnANoexecMountIsAFault) {
  fs::create_directory(site_.file("mount"));
  const NoexecMount mount(site_.file("mount"));
  if (!mount.mounted()) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  site_.Configure(JsonlGroup("one"), "embedded:log", "mount/new/state");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, HasSubstr("noexec, from which no plugin can be loaded"));
  EXPECT_FALSE(fs::exists(site_.file("mount/new")));
  EXPECT_EQ(site_.RunUntilCaughtUp().exit, 1) << "as check says";
}

TEST_F(CheckTest, AFaultHidesNoWarning) {
  site_.Configure(
      "[groups.a]\nplugin = \"jsonl.so\"\nprefixes = [\"\"]\nlanes = 0\n"
      "env = [\"NAME=secret\", \"LD_PRELOAD\", \"CATCHUP_TEST_UNSET\"]\n");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err,
              HasSubstr("warning: host.toml:13:37: env: CATCHUP_TEST_UNSET is not set here"));
  EXPECT_THAT(checked.err, Not(HasSubstr("secret")));
  EXPECT_EQ(Lines(checked).size(), 4u) << checked.err;
}

TEST_F(CheckTest, ALockThatARunnerCouldNotTakeIsAFault) {
  site_.Configure(JsonlGroup("one"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  ASSERT_EQ(site_.Check().exit, 0);
  const fs::path lock = site_.group("one") / "runner-0.lock";
  ASSERT_TRUE(fs::exists(lock));
  fs::remove(lock);
  fs::create_directory(lock);
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_EQ(checked.err,
            "host.toml:9:1: group one: " + lock.string() + " is no regular file, wanted one\n");
}

TEST_F(CheckTest, AForeignFileInTheLogsPlaceIsAFault) {
  site_.Configure(JsonlGroup("one"));
  fs::create_directory(site_.file("log"));
  WriteFile(site_.file("log/events.db"), "this is my thesis, and no database at all\n");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, HasSubstr("log/events.db is no event log"));
  fs::remove(site_.file("log/events.db"));
  fs::create_directory(site_.file("log/events.db"));
  EXPECT_THAT(site_.Check().err, HasSubstr("events.db is no regular file"));
}

TEST_F(CheckTest, ADirectoryThatMayNotBeWrittenIsAFault) {
  if (::geteuid() == 0) {
    GTEST_SKIP() << "the administrator may write everywhere";
  }
  fs::create_directory(site_.file("closed"));
  ASSERT_EQ(::chmod(site_.file("closed").c_str(), 0500), 0);
  site_.Configure(JsonlGroup("one"), "embedded:closed/log", "closed/state");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_EQ(Lines(checked).size(), 2u) << checked.err;
  EXPECT_THAT(checked.err, HasSubstr("Permission denied"));
}

TEST_F(CheckTest, AnAddressThatIsTakenIsAFaultUnlessItServesThisLog) {
  const auto server = site_.Start({"dev-server", "--listen", "127.0.0.1:0", "--data", "other"});
  ASSERT_TRUE(WaitUntil([&] { return !ReadLines(site_.file("other/endpoint")).empty(); }));
  const std::string address = ReadLines(site_.file("other/endpoint"))[0];
  for (const char* log : {"log", "other"}) {
    site_.Configure(JsonlGroup("one"), "embedded:" + std::string(log));
    std::string text = ReadFile(site_.file("host.toml"));
    text.insert(text.find("[state]"), "embedded_listen = \"" + address + "\"\n");
    WriteFile(site_.file("host.toml"), text);
    const Finished checked = site_.Check();
    if (std::string(log) == "other") {
      EXPECT_EQ(checked.exit, 0) << checked.err;
      EXPECT_THAT(checked.err, HasSubstr("is served at " + address));
    } else {
      EXPECT_EQ(checked.exit, 78);
      EXPECT_THAT(checked.err, HasSubstr("listen on " + address));
    }
  }
}

TEST_F(CheckTest, AStateDirectoryInUseIsNoFault) {
  site_.Append({EventLine("s", "x")});
  site_.Configure(JsonlGroup("one"));
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Host started"));
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 0) << checked.err;
  EXPECT_THAT(checked.err, HasSubstr("is in use by pid " + std::to_string(host->pid())));
}

TEST_F(CheckTest, OneFaultOfAGroupHidesNoOther) {
  fs::create_directory(site_.file("plugins"));
  ASSERT_EQ(::chmod(site_.file("plugins").c_str(), 0755), 0);
  WriteFile(site_.file("plugins/text.so"), "no ELF file");
  fs::copy_file(fs::path(PLUGIN_DIRECTORY) / "jsonl.so", site_.file("plugins/jsonl.so"));
  ASSERT_EQ(::chmod(site_.file("plugins/text.so").c_str(), 0644), 0);
  ASSERT_EQ(::chmod(site_.file("plugins/jsonl.so").c_str(), 0644), 0);
  WriteFile(site_.file("host.toml"),
            "[source]\nuri = \"embedded:log\"\n[state]\ndirectory = \"state\"\n"
            "[plugins]\ndirectories = [\"plugins\"]\n"
            "[groups.a]\nplugin = \"text.so\"\nprefixes = [\"\"]\nbatch_size = \"many\"\n"
            "[groups.b]\nplugin = \"jsonl.so\"\nprefixes = [\"\"]\nprojection = \"nobody\"\n"
            "sha256 = \"" +
                std::string(64, '0') + "\"\nmax_retries = -1\n");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  const Strings lines = Lines(checked);
  ASSERT_EQ(lines.size(), 5u) << checked.err;
  EXPECT_THAT(lines[0], HasSubstr("host.toml:8:10: group a: plugin "));
  EXPECT_THAT(lines[1], HasSubstr("host.toml:10:14: batch_size"));
  EXPECT_THAT(checked.err, HasSubstr("group b: plugin " + site_.file("plugins/jsonl.so").string() +
                                     " has SHA-256 "));
  EXPECT_THAT(checked.err, HasSubstr("offers no projection \"nobody\""));
  EXPECT_THAT(checked.err, HasSubstr("max_retries"));
}

TEST_F(CheckTest, WithoutAFileItTakesTheOneThatRunWouldTake) {
  site_.Configure(JsonlGroup("one"));
  fs::rename(site_.file("host.toml"), site_.file("catchup.toml"));
  EXPECT_EQ(site_.Catchup({"check"}).out, "catchup.toml: ok, 1 group\n");
  fs::rename(site_.file("catchup.toml"), site_.file("mine.toml"));
  site_.SetEnv("CATCHUP_CONFIG", "mine.toml");
  EXPECT_EQ(site_.Catchup({"check"}).out, "mine.toml: ok, 1 group\n");
}

}  // namespace
}  // namespace catchup::e2e
