#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "tests/e2e/harness.h"

// What is wrong with the file stops the start, what is wrong with one group stops that group; both
// say in one line what was found and what was wanted, and lose nothing.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

void ExpectSays(const std::string& text, const Strings& words) {
  for (const std::string& word : words) {
    EXPECT_THAT(text, HasSubstr(word));
  }
}

std::ptrdiff_t CountLines(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

// `run` and `check` both refuse the file with 78 and these words in `lines` lines; nothing starts.
void ExpectRefusedFile(Site* site, std::ptrdiff_t lines, const Strings& words) {
  for (const char* command : {"run", "check"}) {
    SCOPED_TRACE(command);
    const Finished refused = site->Catchup({command, "host.toml"});
    EXPECT_EQ(refused.exit, 78) << refused.err;
    EXPECT_EQ(CountLines(refused.err), lines) << refused.err;
    ExpectSays(refused.err, words);
    EXPECT_EQ(refused.out, "");
    EXPECT_FALSE(fs::exists(site->file("state")));
    EXPECT_FALSE(fs::exists(site->file("log")));
  }
}

TEST(BadFileTest, UnknownKeyAndWrongTypeAreReportedTogetherWithTheirPlaces) {
  Site site;
  site.Configure("[groups.one]\nplugin = \"jsonl.so\"\nprefixes = [\"\"]\nbatch_sise = 3\n" +
                 std::string("max_retries = \"three\"\n"));
  ExpectRefusedFile(
      &site, 2,
      {"host.toml:12:", "batch_sise", "host.toml:13:", "max_retries", "\"three\"", "wanted"});
}

TEST(BadFileTest, TwoGroupsOfOneNameAreOneSyntaxErrorThatComesAlone) {
  Site site;
  site.Configure(JsonlGroup("one") + JsonlGroup("one") + "[nonsense]\n");
  ExpectRefusedFile(&site, 1, {"host.toml:13:", "one"});
}

TEST(BadFileTest, AKeyWhoseFeatureIsNotThereIsRefusedAtOtherValues) {
  Site site;
  site.Configure("[admin]\nlisten = \"127.0.0.1:9114\"\n" + JsonlGroup("one"));
  ExpectRefusedFile(&site, 1, {"admin.listen", "this version supports \"127.0.0.1:9113\""});
}

TEST(BadFileTest, AMissingKeyIsReportedAtItsTable) {
  Site site;
  site.Configure("[groups.one]\nplugin = \"jsonl.so\"\n");
  ExpectRefusedFile(&site, 1, {"host.toml:9:1", "prefixes"});
}

TEST(BadFileTest, AFileThatIsNotThereOrIsAFolderIsNamed) {
  Site site;
  for (const char* command : {"run", "check"}) {
    const Finished absent = site.Catchup({command, "absent.toml"});
    EXPECT_EQ(absent.exit, 78);
    ExpectSays(absent.err, {"absent.toml"});
    const Finished folder = site.Catchup({command, "."});
    EXPECT_EQ(folder.exit, 78);
    ExpectSays(folder.err, {"directory", "wanted"});
  }
}

// Right in itself, and still likely a mistake on this machine.
TEST(BadFileTest, AVariableThatIsNotSetIsAWarning) {
  Site site;
  site.Configure(JsonlGroup("copy", "prefixes = [\"\"]\nenv = [\"CATCHUP_TEST_UNSET\"]"));
  const Finished check = site.Check();
  EXPECT_EQ(check.exit, 0) << check.err;
  ExpectSays(check.err, {"warning: ", "CATCHUP_TEST_UNSET is not set here"});
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_THAT(run.Log().Last("Configuration", "copy", "reason"),
              HasSubstr("CATCHUP_TEST_UNSET is not set"))
      << run.err;
}

TEST(BadFileTest, APathInTheStyleOfAShellMakesNoOddFolder) {
  Site site;
  EXPECT_EQ(site.Catchup({"dev-server", "--listen", "127.0.0.1:0", "--data", "~/x"}).exit, 2);
  EXPECT_EQ(site.Catchup({"append", "--to", "embedded://x", "-"}).exit, 2);
  EXPECT_EQ(site.Catchup({"try", "a.so", "b.jsonl", "--work", "file:///x"}).exit, 2);
  for (const char* name : {"~", "x", "file:"}) {
    EXPECT_FALSE(fs::exists(site.file(name))) << name;
  }
}

TEST(BadFileTest, CheckOfAGoodFileSaysSoAndLeavesNoTrace) {
  Site site;
  site.Configure(JsonlGroup("one") + JsonlGroup("two"));
  const Finished checked = site.Check();
  EXPECT_EQ(checked.exit, 0) << checked.err;
  ExpectSays(checked.out, {"host.toml: ok", "2 groups"});
  EXPECT_EQ(checked.err, "");
  EXPECT_FALSE(fs::exists(site.file("state")));
  EXPECT_FALSE(fs::exists(site.file("log")));
}

TEST(BadFileTest, CheckOfAGoodFileAfterARunChangesNothing) {
  Site site;
  site.Append({EventLine("s", "x")});
  site.Configure(JsonlGroup("one"));
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(site.Check().exit, 0);
  const Finished again = site.RunUntilCaughtUp();
  EXPECT_EQ(again.Log().Last("Group ended", "one", "processedCount"), "0");
}

// A group that fails beside one that works.
class BadGroupTest : public testing::Test {
 protected:
  BadGroupTest() { site_.Append({EventLine("s", "x"), EventLine("s", "y")}); }

  void Configure(const std::string& plugin) {
    site_.Configure("[groups.bad]\nplugin = \"" + plugin + "\"\nprefixes = [\"\"]\n" +
                    JsonlGroup("good"));
  }

  // `run` exits 1 at the end, `check` 78; both say these words of group "bad", and group "good"
  // does its work.
  void ExpectFailed(const Strings& words) {
    const Finished checked = site_.Check();
    EXPECT_EQ(checked.exit, 78) << checked.err;
    EXPECT_EQ(CountLines(checked.err), 1) << checked.err;
    ExpectSays(checked.err, {"host.toml:", "group bad"});
    ExpectSays(checked.err, words);
    const Finished run = site_.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 1) << run.err;
    EXPECT_EQ(run.Log().Last("Group ended", "bad", "state"), "failed") << run.err;
    ExpectSays(run.Log().Last("Group ended", "bad", "reason"), words);
    EXPECT_EQ(run.Log().Last("Group ended", "good", "state"), "stopped") << run.err;
    EXPECT_EQ(Written(site_, "good").size(), 2u);
  }

  Site site_;
};

TEST_F(BadGroupTest, MissingPlugin) {
  Configure("absent.so");
  ExpectFailed({"absent.so not found", "looked in", PLUGIN_DIRECTORY});
}

TEST_F(BadGroupTest, UnreadablePlugin) {
  if (geteuid() == 0) {
    GTEST_SKIP() << "root reads everything";
  }
  fs::create_directory(site_.file("plugins"));
  fs::copy_file(fs::path(PLUGIN_DIRECTORY) / "jsonl.so", site_.file("plugins/hidden.so"));
  ASSERT_EQ(chmod(site_.file("plugins/hidden.so").c_str(), 0), 0);
  Configure("hidden.so");
  ExpectFailed({"hidden.so", "denied"});
}

TEST_F(BadGroupTest, PluginThatOthersMayWrite) {
  fs::create_directory(site_.file("plugins"));
  fs::copy_file(fs::path(PLUGIN_DIRECTORY) / "jsonl.so", site_.file("plugins/open.so"));
  ASSERT_EQ(chmod(site_.file("plugins/open.so").c_str(), 0666), 0);
  Configure("open.so");
  ExpectFailed({"open.so", "0666", "wanted"});
}

TEST_F(BadGroupTest, DirectoryInsteadOfAPlugin) {
  fs::create_directories(site_.file("plugins/folder.so"));
  Configure("folder.so");
  ExpectFailed({"folder.so is a directory", "wanted a shared object"});
}

TEST_F(BadGroupTest, TextInsteadOfAPlugin) {
  fs::create_directory(site_.file("plugins"));
  WriteFile(site_.file("plugins/text.so"), "this is no shared object\n");
  Configure("text.so");
  ExpectFailed({"text.so", "ELF"});
}

TEST_F(BadGroupTest, SharedObjectWithoutTheEntry) {
  Configure("no_entry.so");
  ExpectFailed({"no_entry.so", "catchup_plugin_entry"});
}

TEST_F(BadGroupTest, WrongMagic) {
  Configure("broken_magic.so");
  ExpectFailed({"broken_magic.so", "magic"});
}

TEST_F(BadGroupTest, WrongMajorOfTheAbi) {
  Configure("broken_major.so");
  ExpectFailed({"broken_major.so", "ABI 2.", "1.0"});
}

TEST_F(BadGroupTest, ProjectionThatTheFileDoesNotOffer) {
  site_.Configure(
      "[groups.bad]\nplugin = \"jsonl.so\"\nprojection = \"other\"\nprefixes = [\"\"]\n" +
      JsonlGroup("good"));
  ExpectFailed({"other", "jsonl"});
}

TEST_F(BadGroupTest, PinThatIsNotTheFiles) {
  site_.Configure("[groups.bad]\nplugin = \"jsonl.so\"\nsha256 = \"" + std::string(64, 'a') +
                  "\"\nprefixes = [\"\"]\n" + JsonlGroup("good"));
  ExpectFailed({"jsonl.so has SHA-256", std::string(64, 'a')});
}

// Older events of the new filter would be lost in silence.
TEST_F(BadGroupTest, FilterChangedUnderACheckpoint) {
  site_.Configure(JsonlGroup("bad", "prefixes = [\"x\"]") + JsonlGroup("good"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  ASSERT_EQ(Written(site_, "bad").size(), 1u);
  site_.Configure(JsonlGroup("bad", "prefixes = [\"x\", \"y\"]") + JsonlGroup("good"));
  ExpectFailed({"filter", "checkpoint", "\"y\""});
  EXPECT_EQ(Written(site_, "bad").size(), 1u);
  // Nothing is spoilt: the old filter goes on.
  site_.Configure(JsonlGroup("bad", "prefixes = [\"x\"]") + JsonlGroup("good"));
  EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
}

class LostCheckpointTest : public BadGroupTest {
 protected:
  LostCheckpointTest() {
    site_.Configure(JsonlGroup("bad") + JsonlGroup("good"));
    file_ = site_.group("bad") / "checkpoint";
    EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
    EXPECT_EQ(Written(site_, "bad").size(), 2u);
  }

  // Never silently from zero: what was written before stays the only copy.
  void ExpectNothingRepeated() { EXPECT_EQ(Written(site_, "bad").size(), 2u); }

  fs::path file_;
};

TEST_F(LostCheckpointTest, FileGone) {
  ASSERT_TRUE(fs::remove(file_));
  ExpectFailed({file_.string(), "gone"});
  ExpectNothingRepeated();
}

TEST_F(LostCheckpointTest, BothSlotsBad) {
  std::string bytes = ReadFile(file_);
  // Everything behind the header.
  constexpr std::size_t kPage = 4096;
  ASSERT_GT(bytes.size(), kPage);
  std::fill(bytes.begin() + kPage, bytes.end(), '\xa5');
  WriteFile(file_, bytes);
  ExpectFailed({file_.string()});
  ExpectNothingRepeated();
}

TEST_F(LostCheckpointTest, NoCheckpoint) {
  WriteFile(file_, "something else");
  ExpectFailed({file_.string()});
  ExpectNothingRepeated();
}

// Another program has the file, a backup perhaps.
TEST(BadStateTest, AnOpenCheckpointFileIsWaitedFor) {
  Site site;
  site.Append({EventLine("s", "x")});
  site.Configure(JsonlGroup("copy"));
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  UniqueFd file(open((site.group("copy") / "checkpoint").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(file.get(), LOCK_EX | LOCK_NB), 0);
  const auto host = site.Start({"run", "host.toml", "--until-caught-up"});
  EXPECT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "copy", "state") == "waiting";
  })) << host->Errors();
  file.Reset();
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// Nothing was handled under the first filter, so the second one counts from its first start on: the
// plugin's position is its own, though a kill came before any checkpoint.
TEST(BadStateTest, AFilterChangedBeforeAnythingWasHandledIsTheFilter) {
  Site site;
  const auto configure = [&](const std::string& prefix) {
    site.Configure("[groups.totals]\nplugin = \"order_totals.so\"\nprefixes = [\"" + prefix +
                   "\"]\ncheckpoint_batch_size = 1000\ncheckpoint_interval = \"1h\"\n"
                   "config = { database = \"" +
                   site.file("totals.db").string() + "\" }\n");
  };
  configure("nothing-");
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  configure("order-");
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "totals", "state") == "caught up";
  })) << host->Errors();
  site.Append({EventLine("order-1", "order-placed",
                         R"({"orderId":"1","customerId":"c","amountCents":5})")});
  const auto orders = [&] {
    sqlite3* database = nullptr;
    std::string count = "0";
    if (sqlite3_open_v2(site.file("totals.db").c_str(), &database, SQLITE_OPEN_READONLY, nullptr) ==
        SQLITE_OK) {
      sqlite3_exec(
          database, "SELECT sum(orders) FROM order_totals",
          [](void* out, int, char** values, char**) {
            *static_cast<std::string*>(out) = values[0] == nullptr ? "0" : values[0];
            return 0;
          },
          &count, nullptr);
    }
    sqlite3_close(database);
    return count;
  };
  ASSERT_TRUE(WaitUntil([&] { return orders() == "1"; })) << host->Errors();
  host->Signal(SIGKILL);
  host->Wait();

  const Finished again = site.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(orders(), "1");
}

// The state directory is not the one that the plugin's store was written under, and each start that
// is refused leaves that so.
TEST(BadStateTest, AForeignStateDirectoryStaysFenced) {
  Site site;
  site.Append({EventLine("s", "x")});
  site.Configure(
      "[groups.totals]\nplugin = \"order_totals.so\"\nprefixes = [\"\"]\n"
      "config = { database = \"" +
      site.file("totals.db").string() + "\" }\n");
  for (int start = 0; start < 3; ++start) {
    ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  }
  fs::rename(site.group("totals"), site.file("old-totals"));
  for (int start = 0; start < 4; ++start) {
    const Finished run = site.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 1) << run.err;
    const std::string reason = run.Log().Last("Group ended", "totals", "reason");
    EXPECT_THAT(reason, HasSubstr("fenced: token 3 seen, ours 1"));
  }
}

TEST(BadStateTest, ASecondHostOnTheSameStateNamesTheOwner) {
  Site site;
  site.Configure(JsonlGroup("one"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Host started"));
  const Finished second = site.Catchup({"run", "host.toml"});
  EXPECT_EQ(second.exit, 1);
  ExpectSays(second.err, {std::to_string(host->pid()), site.file("state").string()});
  EXPECT_EQ(CountLines(second.err), 1) << second.err;
  // `check` looks at the rest.
  const Finished checked = site.Check();
  EXPECT_EQ(checked.exit, 0) << checked.err;
  ExpectSays(checked.err, {std::to_string(host->pid())});
  EXPECT_TRUE(host->Running());
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0);
  EXPECT_EQ(site.RunUntilCaughtUp().exit, 0) << "the state directory was not given back";
}

TEST(BadStateTest, AStateDirectoryThatIsSomethingElseIsRefused) {
  Site site;
  site.Configure(JsonlGroup("one"));
  fs::create_directory(site.file("state"));
  ASSERT_EQ(chmod(site.file("state").c_str(), 0700), 0);
  WriteFile(site.file("state/letter.txt"), "dear customer");
  const Finished run = site.Catchup({"run", "host.toml"});
  EXPECT_EQ(run.exit, 78) << run.err;
  ExpectSays(run.err, {site.file("state").string()});
  EXPECT_EQ(site.Check().exit, 78);
  EXPECT_EQ(ReadFile(site.file("state/letter.txt")), "dear customer");
}

TEST(BadStateTest, AStateDirectoryOfAnotherFormatIsRefused) {
  Site site;
  site.Append({EventLine("s", "x")});
  site.Configure(JsonlGroup("one"));
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  for (const char* format : {"1\n", "3\n"}) {
    WriteFile(site.file("state/format"), format);
    const Finished run = site.Catchup({"run", "host.toml"});
    EXPECT_EQ(run.exit, 78) << run.err;
    ExpectSays(run.err, {"its format is " + std::string(format, 1) + ", this version reads 2",
                         "go on with the version that made it"});
    const Finished checked = site.Check();
    EXPECT_EQ(checked.exit, 78);
    ExpectSays(checked.err, {"its format is " + std::string(format, 1)});
  }
  EXPECT_EQ(Written(site, "one").size(), 1u);
}

TEST(UnreachableServerTest, CheckDoesNotTryIt) {
  Site site;
  site.Configure(JsonlGroup("one"), "kurrentdb://127.0.0.1:1?tls=false");
  EXPECT_EQ(site.Check().exit, 0);
}

}  // namespace
}  // namespace catchup::e2e
