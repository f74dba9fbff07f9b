#include "host/store/state_directory.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "tests/test_files.h"

namespace catchup {
namespace {

class StateDirectoryTest : public ::testing::Test {
 protected:
  std::filesystem::path path() const { return folder_.path() / "a" / "state"; }
  std::string Refusal() const {
    const auto state = StateDirectory::Open(path());
    EXPECT_FALSE(state.ok());
    if (state.ok()) {
      return "";
    }
    code_ = state.status().code();
    const std::string prefix = "state directory " + path().string();
    EXPECT_EQ(state.status().message().substr(0, prefix.size()), prefix);
    return state.status().message().substr(prefix.size());
  }

  TemporaryFolder folder_;
  mutable Status::Code code_ = Status::Code::kOk;
};

mode_t ModeOf(const std::filesystem::path& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
}

TEST_F(StateDirectoryTest, CreatesWhatIsMissing) {
  const auto state = StateDirectory::Open(path());
  ASSERT_TRUE(state.ok()) << state.status().message();
  EXPECT_EQ(ModeOf(path()), 0700u);
  EXPECT_EQ(ReadFile(path() / "format"), "2\n");
  EXPECT_EQ(ReadFile(path() / "lock"), std::to_string(::getpid()) + "\n");
  EXPECT_TRUE(std::filesystem::is_directory(state->groups()));
  EXPECT_TRUE(std::filesystem::is_directory(state->plugins()));
  EXPECT_EQ(state->group_data("g"), path() / "groups" / "g" / "data");
}

TEST_F(StateDirectoryTest, OpensAgain) {
  ASSERT_TRUE(StateDirectory::Open(path()).ok());
  WriteFile(path() / "groups" / "x", "kept");
  ASSERT_TRUE(StateDirectory::Open(path()).ok());
  EXPECT_EQ(ReadFile(path() / "groups" / "x"), "kept");
}

TEST_F(StateDirectoryTest, HasOneOwnerAndNamesIt) {
  const auto state = StateDirectory::Open(path());
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(Refusal(), " is in use by pid " + std::to_string(::getpid()));
  EXPECT_EQ(code_, Status::Code::kInUse);
}

TEST_F(StateDirectoryTest, IsFreeOnceItsOwnerWasKilled) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto state = StateDirectory::Open(path());
    const char done = state.ok() ? '1' : '0';
    (void)!::write(ends[1], &done, 1);
    ::pause();
    ::_exit(0);
  }
  char done = 0;
  ASSERT_EQ(::read(ends[0], &done, 1), 1);
  EXPECT_EQ(done, '1');
  EXPECT_EQ(Refusal(), " is in use by pid " + std::to_string(child));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(ends[0]);
  ::close(ends[1]);

  const auto state = StateDirectory::Open(path());

  ASSERT_TRUE(state.ok()) << state.status().message();
  EXPECT_EQ(ReadFile(path() / "lock"), std::to_string(::getpid()) + "\n");
}

TEST_F(StateDirectoryTest, RefusesAnotherFormatAndSaysWhatToDo) {
  ASSERT_TRUE(StateDirectory::Open(path()).ok());
  const std::string anew =
      "name another directory (or move this one away), where every group begins anew at its start";
  WriteFile(path() / "format", "1\n");
  EXPECT_EQ(Refusal(),
            ": its format is 1, this version reads 2 and cannot take over the checkpoints of an "
            "earlier one: go on with the version that made it, or " +
                anew);
  EXPECT_EQ(code_, Status::Code::kIncompatible);
  WriteFile(path() / "format", "3\n");
  EXPECT_EQ(Refusal(),
            ": its format is 3, this version reads 2: go on with the version that made "
            "it, or " +
                anew);
}

// Beside what somebody may need, nobody but its owner can say what the layout was.
TEST_F(StateDirectoryTest, RefusesAFormatThatSaysNothingAndTellsWhatItHolds) {
  ASSERT_TRUE(StateDirectory::Open(path()).ok());
  const std::string wanted =
      ", wanted the number of the layout: if this version has made the directory, put \"2\" into "
      "that file, else name another directory (or move this one away), where every group begins "
      "anew at its start";
  for (const auto& [content, found] : {std::pair<std::string, std::string>("", "is empty"),
                                       {"two\n", R"(holds "two\n")"},
                                       {"2 or so", R"(holds "2 or so")"}}) {
    WriteFile(path() / "format", content);
    EXPECT_EQ(Refusal(), ": its file \"format\" " + found + wanted);
    EXPECT_EQ(code_, Status::Code::kIncompatible);
    EXPECT_EQ(ReadFile(path() / "format"), content);
  }
  WriteFile(path() / "format", "2");
  EXPECT_TRUE(StateDirectory::Open(path()).ok());
}

// A group's folder is made under a name with a dot, and a kill may have left it at any point.
TEST_F(StateDirectoryTest, RemovesGroupsThatWereNeverFinished) {
  ASSERT_TRUE(StateDirectory::Open(path()).ok());
  std::filesystem::create_directories(path() / "groups/.g.new/data");
  WriteFile(path() / "groups/.g.new/checkpoint", "half");
  std::filesystem::create_directories(path() / "groups/g");
  ASSERT_TRUE(StateDirectory::Open(path()).ok());
  EXPECT_FALSE(std::filesystem::exists(path() / "groups/.g.new"));
  EXPECT_TRUE(std::filesystem::exists(path() / "groups/g"));
}

TEST_F(StateDirectoryTest, RefusesAFolderThatHoldsSomethingElse) {
  std::filesystem::create_directories(path());
  std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
  WriteFile(path() / "thesis.tex", "x");
  EXPECT_EQ(Refusal(),
            ": it holds files but no \"format\", so it is no state directory; wanted one, or an "
            "empty or new directory");
  EXPECT_EQ(code_, Status::Code::kIncompatible);
  EXPECT_FALSE(std::filesystem::exists(path() / "groups"));
}

TEST_F(StateDirectoryTest, FinishesACreationThatWasCutShort) {
  std::filesystem::create_directories(path());
  std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
  WriteFile(path() / "lock", "");
  WriteFile(path() / "format.new", "");
  EXPECT_TRUE(StateDirectory::Open(path()).ok());
  EXPECT_EQ(ReadFile(path() / "format"), "2\n");
}

// As a machine that crashed may leave it, on a file system that orders nothing.
TEST_F(StateDirectoryTest, FinishesACreationThatLeftAnEmptyFormat) {
  std::filesystem::create_directories(path());
  std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
  WriteFile(path() / "format", "");
  EXPECT_TRUE(StateDirectory::LookAt(path()).ok());
  EXPECT_TRUE(StateDirectory::Open(path()).ok());
  EXPECT_EQ(ReadFile(path() / "format"), "2\n");
}

TEST_F(StateDirectoryTest, MakesALockAgainThatWasRemoved) {
  auto state = StateDirectory::Open(path());
  ASSERT_TRUE(state.ok());
  EXPECT_FALSE(*state->KeepLock());
  std::filesystem::remove(path() / "lock");
  EXPECT_TRUE(*state->KeepLock());
  EXPECT_FALSE(*state->KeepLock());
  EXPECT_EQ(StateDirectory::Open(path()).status().code(), Status::Code::kInUse);
}

TEST_F(StateDirectoryTest, IsLostToWhoeverTookItWhenTheLockWasRemoved) {
  auto state = StateDirectory::Open(path());
  ASSERT_TRUE(state.ok());
  std::filesystem::remove(path() / "lock");
  const auto other = StateDirectory::Open(path());
  ASSERT_TRUE(other.ok());
  const auto kept = state->KeepLock();
  EXPECT_EQ(kept.status().code(), Status::Code::kInUse);
  EXPECT_EQ(kept.status().message(),
            "state directory " + path().string() + " is in use by pid " +
                std::to_string(::getpid()) +
                ": its file \"lock\" was removed or replaced while this host ran");
}

TEST_F(StateDirectoryTest, IsLostWhenItIsGone) {
  auto state = StateDirectory::Open(path());
  ASSERT_TRUE(state.ok());
  std::filesystem::rename(path(), folder_.path() / "away");
  EXPECT_EQ(state->KeepLock().status().code(), Status::Code::kNotFound);
}

TEST_F(StateDirectoryTest, MakesTheWorkingDirectoryOfAPluginWhereItIsGone) {
  const auto state = StateDirectory::Open(path());
  ASSERT_TRUE(state.ok());
  std::filesystem::create_directory(state->group("g"));
  const auto first = state->EnsureGroupData("g");
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_TRUE(first->made);
  EXPECT_FALSE(state->EnsureGroupData("g")->made);
  EXPECT_TRUE(state->HasGroupData("g", *first));
  std::filesystem::rename(state->group_data("g"), path() / "away");
  EXPECT_FALSE(state->HasGroupData("g", *first));
  const auto second = state->EnsureGroupData("g");
  EXPECT_TRUE(second->made);
  EXPECT_FALSE(second->IsSame(*first));
  EXPECT_FALSE(state->HasGroupData("g", *first));
  EXPECT_EQ(ModeOf(state->group_data("g")), 0700u);
  std::filesystem::remove(state->group_data("g"));
  std::filesystem::create_symlink("nowhere", state->group_data("g"));
  EXPECT_EQ(state->EnsureGroupData("g").status().code(), Status::Code::kInvalid);
  std::filesystem::remove(state->group_data("g"));
  WriteFile(state->group_data("g"), "");
  EXPECT_EQ(state->EnsureGroupData("g").status().message(),
            state->group_data("g").string() +
                ": it is no directory, wanted the working directory of the plugin of group g; move "
                "it away and start the host again");
}

TEST_F(StateDirectoryTest, IsLookedAtWithoutATrace) {
  auto look = StateDirectory::LookAt(path());
  ASSERT_TRUE(look.ok());
  EXPECT_FALSE(look->readable);
  EXPECT_EQ(look->note, "");
  EXPECT_FALSE(std::filesystem::exists(path()));
  std::filesystem::create_directories(path());
  std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
  look = StateDirectory::LookAt(path());
  ASSERT_TRUE(look.ok());
  EXPECT_FALSE(look->readable);
  EXPECT_EQ(look->note, "");
  EXPECT_TRUE(std::filesystem::is_empty(path()));
  WriteFile(path() / "thesis.tex", "x");
  EXPECT_EQ(StateDirectory::LookAt(path()).status().code(), Status::Code::kIncompatible);
  std::filesystem::remove(path() / "thesis.tex");
  ASSERT_TRUE(StateDirectory::Open(path()).ok());
  look = StateDirectory::LookAt(path());
  ASSERT_TRUE(look.ok());
  EXPECT_TRUE(look->readable);
  EXPECT_EQ(look->note, "");
}

TEST_F(StateDirectoryTest, ALookSaysWhoHasIt) {
  const auto state = StateDirectory::Open(path());
  ASSERT_TRUE(state.ok());
  const auto look = StateDirectory::LookAt(path());
  ASSERT_TRUE(look.ok());
  EXPECT_FALSE(look->readable);
  EXPECT_EQ(look->note, "state directory " + path().string() + " is in use by pid " +
                            std::to_string(::getpid()));
}

TEST_F(StateDirectoryTest, ALookIntoTheFolderOfAnotherUserFailsAsOpeningItWould) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only the administrator can give a folder away";
  }
  ASSERT_TRUE(StateDirectory::Open(path()).ok());
  ASSERT_EQ(::chown(path().c_str(), 12345, 12345), 0);
  const auto look = StateDirectory::LookAt(path());
  EXPECT_EQ(look.status().code(), Status::Code::kDenied);
  EXPECT_EQ(look.status().message(),
            "state directory " + path().string() +
                ": it belongs to user 12345, wanted one of user 0; as root run: chown -R 0 " +
                path().string());
}

TEST_F(StateDirectoryTest, RefusesAFile) {
  std::filesystem::create_directories(path().parent_path());
  WriteFile(path(), "");
  EXPECT_EQ(Refusal(), ": it is no directory, wanted one");
}

TEST_F(StateDirectoryTest, RefusesAFolderOthersMayWriteInto) {
  std::filesystem::create_directories(path());
  for (const auto& [mode, shown] : {std::pair(0777U, "0777"), {0770U, "0770"}, {0702U, "0702"}}) {
    ASSERT_EQ(::chmod(path().c_str(), mode), 0);
    const std::string command = "chmod go-w " + path().string();
    EXPECT_EQ(Refusal(), std::string(": it has mode ") + shown +
                             ", wanted no right to write for group and others; run: " + command);
    EXPECT_EQ(code_, Status::Code::kDenied);
    ASSERT_EQ(std::system(command.c_str()), 0);
    EXPECT_TRUE(StateDirectory::LookAt(path()).ok());
  }
}

TEST_F(StateDirectoryTest, RefusesTheFolderOfAnotherUser) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only the administrator can give a folder away";
  }
  std::filesystem::create_directories(path());
  ASSERT_EQ(::chown(path().c_str(), 12345, 12345), 0);
  EXPECT_EQ(Refusal(),
            ": it belongs to user 12345, wanted one of user 0; as root run: chown -R 0 " +
                path().string());
}

TEST_F(StateDirectoryTest, RefusesAReadOnlyParent) {
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0555), 0);
  // The administrator may write anywhere, so he is somebody else meanwhile.
  const uid_t self = ::geteuid();
  if (self == 0) {
    ASSERT_EQ(::seteuid(12345), 0);
  }

  const std::string refusal = Refusal();

  ASSERT_EQ(::seteuid(self), 0);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0700), 0);
  EXPECT_EQ(refusal, ": create directory " + (folder_.path() / "a").string() +
                         ": Permission denied; as root run: install -d -m 0700 -o " +
                         std::to_string(self == 0 ? 12345 : self) + " " + path().string());
  EXPECT_EQ(code_, Status::Code::kDenied);
}

// Runs in a child, whose mounts nobody else sees. Its exit code: 0 refused as it should be, 1 not
// refused, 2 the mount itself is not allowed here.
int OpenOnNoexecMount(const std::filesystem::path& path) {
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", path.c_str(), "tmpfs", MS_NOEXEC, "mode=0700") != 0) {
    return 2;
  }
  const auto state = StateDirectory::Open(path);
  return !state.ok() && state.status().code() == Status::Code::kDenied &&
                 state.status().message() ==
                     "state directory " + path.string() +
                         ": it lies on a file system mounted noexec, from which no plugin can be "
                         "loaded; wanted one without noexec"
             ? 0
             : 1;
}

TEST_F(StateDirectoryTest, RefusesALinkToNothing) {
  std::filesystem::create_symlink(folder_.path() / "gone", folder_.path() / "link");
  const std::filesystem::path link = folder_.path() / "link";
  for (const std::filesystem::path& named : {link, link / "state"}) {
    const auto state = StateDirectory::Open(named);
    ASSERT_FALSE(state.ok());
    EXPECT_EQ(state.status().message(), "state directory " + named.string() + ": " + link.string() +
                                            " is a link to nothing, wanted a directory");
  }
}

// As above. There is no command that makes a directory there.
int OpenOnReadOnlyMount(const std::filesystem::path& path) {
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", path.c_str(), "tmpfs", MS_RDONLY, "mode=0700") != 0) {
    return 2;
  }
  const std::string named = (path / "state").string();
  const auto state = StateDirectory::Open(named);
  return !state.ok() && state.status().code() == Status::Code::kDenied &&
                 state.status().message() == "state directory " + named + ": create directory " +
                                                 named + ": Read-only file system"
             ? 0
             : 1;
}

TEST_F(StateDirectoryTest, OffersNoCommandForAReadOnlyFileSystem) {
  std::filesystem::create_directories(path());
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(OpenOnReadOnlyMount(path()));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) {
    GTEST_SKIP() << "no file system may be mounted here";
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(StateDirectoryTest, RefusesANoexecFileSystem) {
  std::filesystem::create_directories(path());
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(OpenOnNoexecMount(path()));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace catchup
