#include "host/plugins/plugin_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "host/plugins/plugin_probe.h"
#include "host/plugins/runner_process.h"
#include "host/plugins/spawn_plan.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

namespace fs = std::filesystem;

class PluginFileTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(root_ / "plugins");
    fs::create_directory(root_ / "staged");
    plugin_ = root_ / "plugins" / "good.so";
    fs::copy_file(CATCHUP_GOOD_PLUGIN, plugin_);
    ASSERT_EQ(chmod(plugin_.c_str(), 0644), 0);
    ASSERT_EQ(chmod((root_ / "plugins").c_str(), 0755), 0);
  }

  Result<PluginFile> Find(const std::string& name) {
    return FindPlugin({root_ / "none", root_ / "plugins"}, name);
  }

  Result<StagedPlugin> Stage(const std::string& pin = "") {
    const auto file = Find("good.so");
    EXPECT_TRUE(file.ok()) << file.status().message();
    return StagePlugin(*file, root_ / "staged", pin);
  }

  // What a message says behind "run: " mends what it tells.
  void RunCommandOfMessage(const std::string& name) {
    const std::string message = Find(name).status().message();
    const auto at = message.find("run: ");
    ASSERT_NE(at, std::string::npos) << message;
    EXPECT_EQ(std::system(message.substr(at + 5).c_str()), 0) << message;
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.path();
  fs::path plugin_;
};

TEST_F(PluginFileTest, ANewCopyRemovesThoseThatNobodyUsedForAMonth) {
  const auto make = [this](const std::string& name, std::chrono::hours age) {
    const fs::path folder = root_ / "staged" / name;
    fs::create_directory(folder);
    WriteFile(folder / "old.so", "x");
    fs::last_write_time(folder, fs::file_time_type::clock::now() - age);
    return folder;
  };
  const fs::path recent = make(std::string(64, 'a'), std::chrono::hours(24 * 29));
  const fs::path old = make(std::string(64, 'b'), std::chrono::hours(24 * 31));
  const fs::path foreign = make("not-a-copy", std::chrono::hours(24 * 31));

  ASSERT_TRUE(Stage().ok());

  EXPECT_TRUE(fs::exists(recent));
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(foreign));
}

// The clock of a machine may jump by years when it learns the time.
TEST_F(PluginFileTest, WhatThisProcessUsesIsNeverTooOld) {
  const auto staged = Stage();
  ASSERT_TRUE(staged.ok());
  fs::last_write_time(staged->path.parent_path(),
                      fs::file_time_type::clock::now() - std::chrono::hours(24 * 365));
  WriteFile(plugin_, ReadFile(plugin_) + "tail");
  ASSERT_TRUE(Stage().ok());
  EXPECT_TRUE(fs::exists(staged->path));
}

// Whoever may write there can cut the copy short at any moment. Were it mapped, that would be
// SIGBUS for the host.
TEST_F(PluginFileTest, ACopyThatShrinksWhileItIsReadIsOnlyAnotherCopy) {
  const auto staged = Stage();
  ASSERT_TRUE(staged.ok());
  constexpr off_t kLarge = 16 << 20;
  fs::permissions(staged->path, fs::perms::owner_write, fs::perm_options::add);
  ASSERT_EQ(truncate(staged->path.c_str(), kLarge), 0);
  std::atomic<bool> done = false;
  std::thread meddler([&] {
    while (!done) {
      EXPECT_EQ(truncate(staged->path.c_str(), kLarge), 0);
      EXPECT_EQ(truncate(staged->path.c_str(), 0), 0);
    }
  });
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(VerifyStaged(*staged).code(), Status::Code::kCorrupt);
  }
  done = true;
  meddler.join();
}

// Not to be had is not the same as gone or changed.
TEST_F(PluginFileTest, ACopyThatCannotBeOpenedForWantOfDescriptorsIsAShortage) {
  const auto staged = Stage();
  ASSERT_TRUE(staged.ok());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const Status verified = VerifyStaged(*staged);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(verified.code(), Status::Code::kExhausted) << verified.message();
}

TEST_F(PluginFileTest, ASpawnCountsAsUse) {
  const auto staged = Stage();
  ASSERT_TRUE(staged.ok());
  const fs::path folder = staged->path.parent_path();
  const auto month_ago = fs::file_time_type::clock::now() - std::chrono::hours(24 * 31);
  fs::last_write_time(folder, month_ago);
  ASSERT_TRUE(VerifyStaged(*staged).ok());
  EXPECT_GT(fs::last_write_time(folder), month_ago + std::chrono::hours(24 * 30));
}

TEST_F(PluginFileTest, IsFoundInTheFirstDirectoryThatHasIt) {
  const auto file = Find("good.so");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->path, plugin_);
  EXPECT_EQ(file->size, fs::file_size(plugin_));
}

TEST_F(PluginFileTest, SaysWhereItLookedWhenMissing) {
  const auto file = Find("absent.so");
  EXPECT_EQ(file.status().code(), Status::Code::kNotFound);
  EXPECT_EQ(file.status().message(), "plugin absent.so not found: looked in " +
                                         (root_ / "none").string() + " (which does not exist), " +
                                         (root_ / "plugins").string());
}

TEST_F(PluginFileTest, IsNoDirectory) {
  fs::create_directory(root_ / "plugins" / "folder.so");
  const auto file = Find("folder.so");
  EXPECT_EQ(file.status().message(), "plugin " + (root_ / "plugins" / "folder.so").string() +
                                         " is a directory: wanted a shared object");
}

TEST_F(PluginFileTest, IsNotReachedThroughALink) {
  WriteFile(root_ / "elsewhere.so", ReadFile(plugin_));
  const fs::path link = root_ / "plugins" / "link.so";
  fs::create_symlink("../elsewhere.so", link);
  EXPECT_EQ(Find("link.so").status().code(), Status::Code::kDenied);
  EXPECT_EQ(Find("link.so").status().message(),
            "plugin " + link.string() +
                " is a symbolic link: wanted the file itself; run: cp --remove-destination " +
                (root_ / "elsewhere.so").string() + " " + link.string());
  RunCommandOfMessage("link.so");
  EXPECT_TRUE(Find("link.so").ok());
}

TEST_F(PluginFileTest, SaysWhereALinkLeadsThatLeadsNowhere) {
  fs::create_symlink("/nowhere/at all.so", root_ / "plugins" / "link.so");
  EXPECT_EQ(Find("link.so").status().message(),
            "plugin " + (root_ / "plugins" / "link.so").string() +
                " is a symbolic link to /nowhere/at all.so, which is no file: wanted the plugin's "
                "file itself");
}

TEST_F(PluginFileTest, SaysThatTheSuffixIsMissing) {
  EXPECT_THAT(Find("good").status().message(), HasSubstr("; it has good.so"));
}

TEST_F(PluginFileTest, MustBeReadable) {
  // The administrator may read every file, so he is somebody else meanwhile.
  const uid_t self = geteuid();
  const uid_t user = self == 0 ? 12345 : self;
  if (self == 0) {
    ASSERT_EQ(chmod(root_.c_str(), 0755), 0);
    ASSERT_EQ(chown((root_ / "plugins").c_str(), user, user), 0);
    ASSERT_EQ(chown(plugin_.c_str(), user, user), 0);
    ASSERT_EQ(seteuid(user), 0);
  }
  for (const auto& [path, mode, command] : {std::tuple(plugin_, 0200U, "a+r "),
                                            {root_ / "plugins", 0600U, "a+x "},
                                            {root_ / "plugins", 0300U, "a+rx "}}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    const std::string message = Find("good.so").status().message();
    EXPECT_THAT(message,
                HasSubstr(": Permission denied: wanted user " + std::to_string(user) +
                          " to be able to read it; run: chmod " + command + path.string()));
    RunCommandOfMessage("good.so");
    EXPECT_TRUE(Find("good.so").ok());
  }
  ASSERT_EQ(seteuid(self), 0);
}

TEST_F(PluginFileTest, IsNotReachedOutsideItsDirectory) {
  WriteFile(root_ / "outside.so", "x");
  EXPECT_FALSE(Find("../outside.so").ok());
}

TEST_F(PluginFileTest, IsWritableByItsOwnerOnly) {
  ASSERT_EQ(chmod(plugin_.c_str(), 0664), 0);
  const auto file = Find("good.so");
  EXPECT_EQ(file.status().code(), Status::Code::kDenied);
  EXPECT_EQ(file.status().message(),
            "plugin " + plugin_.string() +
                " has mode 0664: wanted no right to write for group and others; run: chmod go-w " +
                plugin_.string());
  RunCommandOfMessage("good.so");
  EXPECT_TRUE(Find("good.so").ok());
}

TEST_F(PluginFileTest, WhatIsTheAdministratorsIsMendedByTheAdministrator) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only the administrator has files of his own here";
  }
  ASSERT_EQ(chmod(root_.c_str(), 0755), 0);
  ASSERT_EQ(chmod(plugin_.c_str(), 0664), 0);
  ASSERT_EQ(seteuid(12345), 0);
  const std::string message = Find("good.so").status().message();
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_THAT(message, HasSubstr("; as root run: chmod go-w " + plugin_.string()));
}

// As the umask 002 of many desktops makes both.
TEST_F(PluginFileTest, OneCommandMendsAllThatOthersMayWriteTo) {
  const fs::path folder = root_ / "plugins";
  ASSERT_EQ(chmod(plugin_.c_str(), 0775), 0);
  ASSERT_EQ(chmod(folder.c_str(), 0775), 0);
  const std::string wanted = " has mode 0775: wanted no right to write for group and others; ";
  EXPECT_EQ(Find("good.so").status().message(),
            "plugin " + plugin_.string() + wanted + "plugin directory " + folder.string() + wanted +
                "run: chmod go-w " + plugin_.string() + " && chmod go-w " + folder.string());
  RunCommandOfMessage("good.so");
  EXPECT_TRUE(Find("good.so").ok());
}

TEST_F(PluginFileTest, BelongsToNoStranger) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only the administrator can give a file away";
  }
  for (const fs::path& path : {plugin_, root_ / "plugins"}) {
    ASSERT_EQ(chown(path.c_str(), 12345, 12345), 0);
    const std::string message = Find("good.so").status().message();
    EXPECT_THAT(message, HasSubstr(path.string() +
                                   " belongs to user 12345: wanted root; as root run: chown root " +
                                   path.string()));
    RunCommandOfMessage("good.so");
    EXPECT_TRUE(Find("good.so").ok());
  }
}

TEST_F(PluginFileTest, LiesInADirectoryWritableByItsOwnerOnly) {
  ASSERT_EQ(chmod((root_ / "plugins").c_str(), 0777), 0);
  EXPECT_EQ(Find("good.so").status().code(), Status::Code::kDenied);
  RunCommandOfMessage("good.so");
  EXPECT_TRUE(Find("good.so").ok());
}

TEST_F(PluginFileTest, IsCopiedUnderItsDigestAndReadOnly) {
  const auto staged = Stage();
  ASSERT_TRUE(staged.ok()) << staged.status().message();
  EXPECT_EQ(staged->path, root_ / "staged" / staged->sha256 / "good.so");
  EXPECT_EQ(ReadFile(staged->path), ReadFile(plugin_));
  struct stat info {};
  ASSERT_EQ(stat(staged->path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0444U);
  EXPECT_TRUE(VerifyStaged(*staged).ok());
}

TEST_F(PluginFileTest, KeepsItsCopyWhenTheFileChanges) {
  const auto before = Stage();
  ASSERT_TRUE(before.ok());
  const std::string bytes = ReadFile(plugin_);
  WriteFile(plugin_, bytes + "more");
  const auto after = Stage();
  ASSERT_TRUE(after.ok()) << after.status().message();
  EXPECT_NE(after->sha256, before->sha256);
  EXPECT_EQ(ReadFile(before->path), bytes);
}

TEST_F(PluginFileTest, RepairsACopyThatWasTamperedWith) {
  const auto staged = Stage();
  ASSERT_TRUE(staged.ok());
  ASSERT_EQ(chmod(staged->path.c_str(), 0644), 0);
  WriteFile(staged->path, "something else");
  EXPECT_EQ(VerifyStaged(*staged).code(), Status::Code::kCorrupt);
  ASSERT_TRUE(Stage().ok());
  EXPECT_TRUE(VerifyStaged(*staged).ok());
}

TEST_F(PluginFileTest, MustBeTheOnePinned) {
  const auto staged = Stage();
  ASSERT_TRUE(staged.ok());
  EXPECT_TRUE(Stage(staged->sha256).ok());
  const std::string other(64, '0');
  const auto refused = Stage(other);
  EXPECT_EQ(refused.status().code(), Status::Code::kDenied);
  EXPECT_EQ(refused.status().message(), "plugin " + plugin_.string() + " has SHA-256 " +
                                            staged->sha256 + ": its group pins " + other);
}

TEST(CheckElfTest, TakesAGoodPlugin) { EXPECT_TRUE(CheckElf(ReadFile(CATCHUP_GOOD_PLUGIN)).ok()); }

TEST(CheckElfTest, RefusesWhatIsNoElfFile) {
  EXPECT_EQ(CheckElf("#!/bin/sh\n").message(), "is not an ELF file");
  EXPECT_EQ(CheckElf("").message(), "is not an ELF file");
}

TEST(CheckElfTest, RefusesAnExecutableAndAnotherMachine) {
  std::string bytes = ReadFile(CATCHUP_GOOD_PLUGIN);
  std::string executable = bytes;
  executable[16] = 2;  // e_type: ET_EXEC.
  EXPECT_EQ(CheckElf(executable).message(), "is not a shared object (ELF type 2)");
  bytes[18] = 8;  // e_machine: MIPS.
  EXPECT_THAT(CheckElf(bytes).message(), StartsWith("is built for ELF machine 8: wanted "));
}

TEST(CheckElfTest, RefusesAPluginWithoutEntry) {
  EXPECT_EQ(CheckElf(ReadFile(CATCHUP_NO_ENTRY_PLUGIN)).message(),
            "is not a catchup plugin: it exports no catchup_plugin_entry");
}

// A file may be cut anywhere or hold anything: the check reads it in the host's own process.
TEST(CheckElfTest, NamesTheRunPathThatItRefuses) {
  const std::string bytes = ReadFile(CATCHUP_RUN_PATH_PLUGIN);
  EXPECT_THAT(CheckElf(bytes).message(),
              StartsWith("has a run path (\"/opt/elsewhere\"): wanted none"));
}

TEST(CheckElfTest, SurvivesEveryTruncationAndFlippedHeader) {
  const std::string bytes = ReadFile(CATCHUP_GOOD_PLUGIN);
  int refused = 0;
  for (std::size_t size = 0; size < bytes.size(); size += 97) {
    refused += CheckElf(bytes.substr(0, size)).ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 0);
  for (std::size_t at = 0; at < 1024; ++at) {
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ flip);
      (void)CheckElf(damaged).ok();
    }
  }
}

class PluginProbeTest : public PluginFileTest {
 protected:
  ProbedPlugin Probe(const fs::path& plugin, const std::vector<std::string>& projections) {
    const auto runner = RunnerBinary::Open(CATCHUP_RUNNER);
    EXPECT_TRUE(runner.ok());
    const auto probed = ProbePlugin(*runner, {plugin, projections, {}, root_, limit_});
    EXPECT_TRUE(probed.ok()) << probed.status().message();
    return probed.ok() ? *probed : ProbedPlugin{};
  }

  const std::chrono::seconds limit_{60};
};

TEST_F(PluginProbeTest, ToldOfEachProjection) {
  const ProbedPlugin probed = Probe(CATCHUP_GOOD_PLUGIN, {"", "nobody", "jsonl"});
  EXPECT_TRUE(probed.loaded.found.ok()) << probed.loaded.found.message();
  ASSERT_EQ(probed.projections.size(), 3u);
  EXPECT_TRUE(probed.projections[0].found.ok()) << probed.projections[0].found.message();
  EXPECT_EQ(probed.projections[1].found.code(), Status::Code::kIncompatible);
  EXPECT_THAT(probed.projections[1].found.message(), HasSubstr("offers no projection \"nobody\""));
  EXPECT_TRUE(probed.projections[2].found.ok()) << probed.projections[2].found.message();
}

TEST_F(PluginProbeTest, LoadsAlsoWhenNoProjectionIsAskedFor) {
  EXPECT_TRUE(Probe(CATCHUP_GOOD_PLUGIN, {}).loaded.found.ok());
  EXPECT_FALSE(Probe(CATCHUP_NO_ENTRY_PLUGIN, {}).loaded.found.ok());
}

TEST_F(PluginProbeTest, WhatDoesNotLoadIsNoProjectionEither) {
  const std::pair<fs::path, std::string> faults[] = {
      {CATCHUP_NO_ENTRY_PLUGIN, "exports no catchup_plugin_entry"},
      {"good.so", "is not an absolute path"},
      {root_, "cannot be loaded"},
      {root_ / "none.so", "cannot be loaded"},
  };
  for (const auto& [file, reason] : faults) {
    const ProbedPlugin probed = Probe(file, {"a", "b"});
    EXPECT_THAT(probed.loaded.found.message(), HasSubstr(reason));
    ASSERT_EQ(probed.projections.size(), 2u);
    EXPECT_EQ(probed.projections[1].found.message(), probed.loaded.found.message());
  }
}

// The number that its descriptor is to have may lie beyond the limit, for which the kernel says
// EINVAL.
TEST(RunnerBinaryTest, OfTooFewDescriptorsItSaysThatTheyAreTooFew) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{kParkingFd, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto runner = RunnerBinary::Open(CATCHUP_RUNNER);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(runner.status().code(), Status::Code::kExhausted);
  EXPECT_THAT(runner.status().message(), HasSubstr("Too many open files"));
}

TEST_F(PluginFileTest, RunnerLockNamesTheRunnerThatHoldsIt) {
  const fs::path file = root_ / "runner.lock";
  const auto held = RunnerLock::TryTake(file);
  ASSERT_TRUE(held.ok());
  held->WritePid(4711);
  const auto second = RunnerLock::TryTake(file);
  EXPECT_EQ(second.status().code(), Status::Code::kInUse);
  EXPECT_EQ(second.status().message(), "an earlier runner, pid 4711, still holds " + file.string());
}

}  // namespace
}  // namespace catchup
