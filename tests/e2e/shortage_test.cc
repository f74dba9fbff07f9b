#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/e2e/launched.h"
#include "tests/e2e/small_disk.h"

// Where a machine has nothing left, a host waits or ends with words and exit code 1, and never by a
// signal.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStopLimit{10};

// A user that nobody is, so that limits of a user's processes count this test's own.
constexpr const char* kNobodysUser = "61234";

void ExpectAStatedEnd(const Finished& ran) {
  EXPECT_TRUE(ran.exit == 0 || ran.exit == 1) << ran.exit << ": " << ran.err;
  EXPECT_THAT(ran.err, Not(HasSubstr("terminate")));
  EXPECT_THAT(ran.err, Not(HasSubstr("broken invariant")));
  if (ran.exit != 0) {
    EXPECT_FALSE(ran.err.empty());
  }
}

// Before it has groups, or its one group.
bool Waits(const Process& host) {
  const HostLog log = host.Log();
  return log.Has("Host waits") || log.Last("State changed", "copy", "state") == "waiting";
}

class ShortageTest : public testing::Test {
 protected:
  void SetUp() override {
    site_.Configure(JsonlGroup("copy"));
    site_.Append({EventLine("s", "one"), EventLine("s", "two")});
  }

  Finished Run(const std::vector<std::string>& options) {
    return Launched(site_, options, {"run", "host.toml", "--until-caught-up"}, kPatience, program_);
  }

  // Gives the site to a user who has no other processes, with all that he runs: the build may lie
  // where he cannot look, as below root's home.
  void GiveToNobody() {
    namespace fs = std::filesystem;
    const fs::path programs = fs::path(CATCHUP_EXECUTABLE).parent_path();
    fs::create_directory(site_.file("bin"));
    for (const char* name : {"catchup", "catchup-runner"}) {
      fs::copy_file(programs / name, site_.file("bin") / name);
    }
    fs::copy_file(fs::path(PLUGIN_DIRECTORY) / "jsonl.so", site_.file("plugins/jsonl.so"));
    WriteFile(site_.file("host.toml"),
              "[source]\nuri = \"embedded:log\"\n[state]\ndirectory = \"state\"\n"
              "[plugins]\ndirectories = [\"plugins\"]\n[log]\nformat = \"json\"\n" +
                  JsonlGroup("copy"));
    program_ = site_.file("bin/catchup");
    const std::string chown = "chown -R " + std::string(kNobodysUser) + " " + site_.path().string();
    ASSERT_EQ(system(chown.c_str()), 0);
  }

  Site site_;
  std::string program_ = CATCHUP_EXECUTABLE;
};

TEST_F(ShortageTest, WithoutAnyThreadTheHostSaysSo) {
  const Finished ran = Run({"--deny", "thread", "EAGAIN"});
  EXPECT_EQ(ran.exit, 1) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("cannot start a thread"));
}

// From the first second, not only once groups are there to wait.
TEST_F(ShortageTest, WithoutRoomForTheStateDirectoryTheHostWaitsAndSaysForWhat) {
  const auto host = StartLaunched(site_, {"--deny", "mkdir", "ENOSPC"}, {"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Host waits"));
  EXPECT_EQ(host->Log().Last("Host waits", "", "reason"),
            "state directory not opened: state directory " + site_.file("state").string() +
                ": create directory " + site_.file("state").string() + ": No space left on device");
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
  EXPECT_TRUE(host->Log().Has("Stopping"));
  EXPECT_FALSE(host->Log().Has("Wait over"));
  EXPECT_EQ(host->Log().Last("Host ended", "", "exitCode"), "0");
}

// It would start and wait, so nothing is wrong with the file.
TEST_F(ShortageTest, CheckWarnsOfADiskWithoutRoom) {
  const fs::path disk = site_.file("disk");
  fs::create_directory(disk);
  const SmallDisk full(disk, "nr_inodes=4");
  if (!full.mounted()) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  site_.Configure(JsonlGroup("copy"), "embedded:disk/log", "disk/state");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 0) << checked.err;
  for (const std::string what : {"embedded log", "state directory"}) {
    EXPECT_THAT(checked.err,
                HasSubstr("warning: " + what + ": room for 3 files left in the file system of " +
                          disk.string() + "; a host waits for more\n"));
  }
  ASSERT_TRUE(full.Grow("nr_inodes=10000"));
  EXPECT_EQ(site_.Check().err, "");
  EXPECT_TRUE(fs::is_empty(disk));
}

// A supervisor does not try again what a configuration's exit code says.
TEST_F(ShortageTest, CheckBlamesNoFileForAScratchDirectoryWithoutRoom) {
  site_.Configure(JsonlGroup("copy"));
  const Finished checked = Launched(site_, {"--limit", "fsize", "4096"}, {"check", "host.toml"});
  EXPECT_EQ(checked.exit, 1);
  EXPECT_THAT(checked.err, StartsWith("group copy was not looked at: write "));
  EXPECT_THAT(checked.err, HasSubstr(": File too large\n"));
}

// Whatever of it is the first to find no room: directory, lock, format, log, checkpoint, plugin.
TEST_F(ShortageTest, GoesOnByItselfOnceADiskThatWasFullHasRoom) {
  const fs::path disk = site_.file("disk");
  fs::create_directory(disk);
  const SmallDisk full(disk, "nr_inodes=4");
  if (!full.mounted()) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  site_.Configure(JsonlGroup("copy"), "embedded:disk/log", "disk/state");
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Host waits"));
  EXPECT_THAT(host->Errors(), HasSubstr("No space left on device"));
  ASSERT_TRUE(full.Grow("nr_inodes=10000"));
  EXPECT_TRUE(host->WaitForLog("Wait over"));
  EXPECT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "copy", "state") == "caught up";
  })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
}

TEST_F(ShortageTest, AStopWhileAGroupWaitsForRoomDoesNotSayThatThereIsRoom) {
  const auto host = StartLaunched(site_, {"--deny", "pwrite64", "ENOSPC"}, {"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Waits(*host); })) << host->Errors();
  host->Signal(SIGTERM);
  (void)host->Wait(kStopLimit);
  EXPECT_FALSE(host->Log().Has("Wait over")) << host->Errors();
}

TEST_F(ShortageTest, EveryLimitOfProcessesIsAStatedEndOrEnough) {
  if (getuid() != 0) {
    GTEST_SKIP() << "only root can become a user who has no other processes";
  }
  ASSERT_NO_FATAL_FAILURE(GiveToNobody());
  bool enough = false;
  for (int processes = 1; processes < 64 && !enough; ++processes) {
    SCOPED_TRACE(processes);
    const Finished ran =
        Run({"--user", kNobodysUser, "--limit", "nproc", std::to_string(processes)});
    ExpectAStatedEnd(ran);
    enough = ran.exit == 0;
  }
  EXPECT_TRUE(enough);
}

TEST_F(ShortageTest, EveryLimitOfDescriptorsIsAStatedEndOrEnough) {
  bool enough = false;
  for (int files = 3; files < 128 && !enough; files += files < 16 ? 1 : 3) {
    SCOPED_TRACE(files);
    const auto host = StartLaunched(site_, {"--limit", "nofile", std::to_string(files)},
                                    {"run", "host.toml", "--until-caught-up"});
    // Some wait for descriptors, as they should.
    (void)WaitUntil([&] { return !host->Running() || Waits(*host); });
    host->Signal(SIGTERM);
    const Finished ran{host->Wait(kStopLimit), host->Output(), host->Errors()};
    if (ran.exit == 127) {
      continue;  // Not even its libraries could be loaded, and the loader says so.
    }
    ExpectAStatedEnd(ran);
    enough = ran.Log().Last("Group ended", "copy", "reason") == "caught up";
  }
  EXPECT_TRUE(enough);
}

TEST_F(ShortageTest, EveryLimitOfMemoryIsAStatedEndOrEnough) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers reserve address space of their own";
#endif
  bool enough = false;
  for (std::uint64_t mib = 24; mib < 2048 && !enough; mib += mib < 256 ? 8 : 64) {
    SCOPED_TRACE(mib);
    const std::vector<std::string> limit = {"--limit", "as", std::to_string(mib << 20)};
    // Before a program begins its libraries do, and what they lack they say in their own way.
    if (Launched(site_, limit, {"--version"}).exit != 0) {
      continue;
    }
    const auto host = StartLaunched(site_, limit, {"run", "host.toml", "--until-caught-up"});
    (void)WaitUntil([&] { return !host->Running() || Waits(*host); });
    host->Signal(SIGTERM);
    const Finished ran{host->Wait(kStopLimit), host->Output(), host->Errors()};
    ExpectAStatedEnd(ran);
    enough = ran.Log().Last("Group ended", "copy", "reason") == "caught up";
  }
  EXPECT_TRUE(enough);
}

// As a library ends the process that is refused what it needs.
TEST_F(ShortageTest, AnAbortWithoutDescriptorsIsAStatedEnd) {
  const auto host = StartLaunched(site_, {}, {"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return host->Log().Has("Projection started"); })) << host->Errors();
  const rlimit few{1, 1};
  ASSERT_EQ(::prlimit(host->pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  host->Signal(SIGABRT);
  EXPECT_EQ(host->Wait(kStopLimit), 1) << host->Errors();
  EXPECT_THAT(host->Errors(), HasSubstr("Out of descriptors"));
}

// The signal is heard and the deadline kept by what was made at the start.
TEST_F(ShortageTest, AHostThatCanMakeNoThreadAnyMoreStops) {
  const bool is_root = getuid() == 0;
  if (is_root) {
    ASSERT_NO_FATAL_FAILURE(GiveToNobody());
  }
  const auto host = StartLaunched(
      site_,
      is_root ? std::vector<std::string>{"--user", kNobodysUser} : std::vector<std::string>{},
      {"run", "host.toml"}, program_);
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 2; })) << host->Errors();
  // By a process of that user: not even root may change another's limits everywhere.
  Process limit({LAUNCHER, "--user", kNobodysUser, "--", "/usr/bin/prlimit", "--nproc=1:1", "--pid",
                 std::to_string(host->pid())},
                {site_.path(), {}, {}});
  ASSERT_EQ(limit.Wait(), 0) << limit.Errors();
  // A runner that dies now cannot be replaced: the group waits, and the host is there.
  const std::string runner = host->Log().Last("Runner started", "copy", "pid");
  ASSERT_EQ(kill(std::stoi(runner), SIGKILL), 0);
  EXPECT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "copy", "reason").find("start catchup-runner") !=
               std::string::npos ||
           !host->Running();
  })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
}

TEST_F(ShortageTest, AHostThatRunsOutOfMemoryEndsWithWords) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers reserve address space of their own";
#endif
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 2; })) << host->Errors();
  const rlimit none{1, RLIM_INFINITY};
  ASSERT_EQ(prlimit(host->pid(), RLIMIT_AS, &none, nullptr), 0);
  // Events of some size, which the host needs memory for, until there is none.
  const std::string large = "\"" + std::string(200'000, 'x') + "\"";
  std::vector<std::string> lines(100, EventLine("s", "large", large));
  std::string text;
  for (const std::string& line : lines) {
    text += line + "\n";
  }
  WriteFile(site_.file("large.jsonl"), text);
  (void)site_.Catchup({"append", "--to", "embedded:log", "large.jsonl"});
  const bool ended = WaitUntil([&] { return !host->Running(); }, std::chrono::seconds(10));
  if (!ended) {
    host->Signal(SIGTERM);
  }
  const Finished ran{host->Wait(kStopLimit), host->Output(), host->Errors()};
  ExpectAStatedEnd(ran);
}

}  // namespace
}  // namespace catchup::e2e
