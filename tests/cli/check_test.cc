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

bool BeginsWith(const std::string& text, const std::string& start) {
  return text.rfind(start, 0) == 0;
}

TEST_F(CheckTest, TellsMissingPluginsTogetherWithWhatIsWrongInTheFile) {
  site_.Configure(
      "[groups.a]\nplugin = \"absent.so\"\nprefixes = [\"\"]\nlanes = 4\n"
      "[groups.b]\nplugin = \"gone.so\"\nprefixes = [\"\"]\n"
      "[groups.c]\nplugin = \"jsonl.so\"\nprefixes = 5\n");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  const Strings lines = Lines(checked);
  ASSERT_EQ(lines.size(), 4u) << checked.err;
  EXPECT_TRUE(BeginsWith(lines[0], "host.toml:10:10: group a: plugin absent.so not found"))
      << lines[0];
  EXPECT_EQ(lines[1], "host.toml:12:9: lanes = 4: this version supports 1");
  EXPECT_TRUE(BeginsWith(lines[2], "host.toml:14:10: group b: plugin gone.so not found"))
      << lines[2];
  EXPECT_TRUE(BeginsWith(lines[3], "host.toml:18:12: prefixes = 5: wanted")) << lines[3];
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
  EXPECT_TRUE(BeginsWith(checked.err, "host.toml:9:1: group one: ")) << checked.err;
  EXPECT_NE(checked.err.find("0 bytes"), std::string::npos) << checked.err;
  EXPECT_NE(checked.err.find("begin anew"), std::string::npos) << checked.err;
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
  EXPECT_TRUE(BeginsWith(checked.err, "warning: group one: " + file.string() + ": slot "))
      << checked.err;
  EXPECT_NE(checked.err.find("some events may come again\n"), std::string::npos) << checked.err;
  EXPECT_EQ(Trace(), before);
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0);
  EXPECT_NE(run.err.find("of 2 is bad"), std::string::npos) << run.err;
  EXPECT_EQ(site_.Check().err, "");
}

TEST_F(CheckTest, NamesTheFileOfAPluginThatDoesNotLoad) {
  site_.Configure("[groups.a]\nplugin = \"broken_undefined_symbol.so\"\nprefixes = [\"\"]\n");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_NE(checked.err.find(std::string(RUNNER_FIXTURE_DIRECTORY) +
                             "/broken_undefined_symbol.so: undefined symbol"),
            std::string::npos)
      << checked.err;
}

TEST_F(CheckTest, ATemporaryDirectoryThatNothingCanBeLoadedFromIsNamedBesideTheFindings) {
  fs::create_directory(site_.file("tmp"));
  site_.SetEnv("TMPDIR", site_.file("tmp"));
  const NoexecMount mount(site_.file("tmp"));
  if (!mount.mounted()) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  site_.Configure("[groups.a]\nplugin = \"jsonl.so\"\nprefixes = [\"\"]\nlanes = 4\n");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 1);
  EXPECT_EQ(checked.err, "host.toml:12:9: lanes = 4: this version supports 1\n" +
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
  EXPECT_EQ(checked.err.find("host.toml:4:13: state directory "), 0u) << checked.err;
  EXPECT_NE(checked.err.find("no state directory"), std::string::npos) << checked.err;
  EXPECT_EQ(Trace(), (Strings{"state", "state/thesis.tex x"}));
}

TEST_F(CheckTest, TheStateOfAnotherUserIsANote) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only the administrator can give a folder away";
  }
  fs::create_directory(site_.file("state"));
  ASSERT_EQ(::chown(site_.file("state").c_str(), 12345, 12345), 0);
  site_.Configure(JsonlGroup("one"));
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 0) << checked.err;
  EXPECT_EQ(checked.err, "state directory " + site_.file("state").string() +
                             " belongs to user 12345: checkpoints were not looked at\n");
}

}  // namespace
}  // namespace catchup::e2e
