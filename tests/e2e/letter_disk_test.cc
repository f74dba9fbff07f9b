#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"
#include "tests/e2e/small_disk.h"

// A state directory without room for letters: nothing is lost, and nobody has to do more than make
// room.
namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEvents = 60;
constexpr std::chrono::seconds kStopLimit{10};

class FullDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(disk_);
    // The plugin's own file lies where there is room.
    site_.Configure(
        "[groups.g]\nplugin = \"trouble.so\"\nprojection = \"trouble\"\n"
        "prefixes = [\"\"]\ndead_letters.order = \"event\"\n"
        "config = { journal = \"" +
            journal_.string() + "\" }\n",
        "embedded:log", "disk/state");
    const std::string large(200'000, 'x');
    std::vector<std::string> events;
    for (std::size_t i = 0; i < kEvents; ++i) {
      events.push_back(EventLine("s" + std::to_string(i), "t",
                                 R"({"do":"reject","text":"no","rest":")" + large + "\"}"));
    }
    site_.Append(events);
  }

  bool Waits(const Process& host) const {
    return host.Log()
               .Last("State changed", "g", "reason")
               .rfind("dead letters neither read nor written: ", 0) == 0;
  }
  Finished Dlq(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "dlq");
    arguments.insert(arguments.end(), {"--config", "host.toml"});
    return site_.Catchup(arguments);
  }
  std::vector<std::string> Ids() {
    const Finished listed = Dlq({"list", "g", "--json"});
    EXPECT_EQ(listed.exit, 0) << listed.err;
    const std::string member = "\"id\":\"";
    std::vector<std::string> ids;
    for (auto at = listed.out.find(member); at != std::string::npos;
         at = listed.out.find(member, at + 1)) {
      const auto begin = at + member.size();
      ids.push_back(listed.out.substr(begin, listed.out.find('"', begin) - begin));
    }
    return ids;
  }
  std::size_t Letters() { return Ids().size(); }

  Site site_;
  const fs::path disk_ = site_.file("disk");
  const fs::path journal_ = site_.file("journal");
};

TEST_F(FullDiskTest, LettersWaitForRoomAndTheCheckpointStaysBeforeThem) {
  const SmallDisk small(disk_, "size=9m");
  if (!small.mounted()) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Waits(*host); })) << host->Errors();
  EXPECT_NE(host->Log().Last("State changed", "g", "state"), "caught up");

  ASSERT_TRUE(small.Grow("size=100m"));

  EXPECT_TRUE(host->WaitForLog("Wait over", "g"));
  EXPECT_TRUE(WaitUntil([&] { return ReadLines(journal_).size() == kEvents; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
  EXPECT_EQ(host->Log().Last("Group ended", "g", "dlqCount"), std::to_string(kEvents));
  EXPECT_EQ(Letters(), kEvents);
}

// What makes room does not wait behind what waits for it.
TEST_F(FullDiskTest, ALetterCanBeDroppedAndCalledAndWhatWaitsTakesItsRoom) {
  const SmallDisk small(disk_, "size=9m");
  if (!small.mounted()) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Waits(*host); })) << host->Errors();
  const std::vector<std::string> full = Ids();
  ASSERT_LT(full.size(), kEvents);

  const Finished dropped = Dlq({"drop", "g", full[0], "--reason", "no use"});
  EXPECT_EQ(dropped.exit, 0) << dropped.err;
  EXPECT_TRUE(WaitUntil([&] { return Ids().back() != full.back(); })) << host->Errors();
  EXPECT_TRUE(Waits(*host)) << "for room for the others";

  const Finished retried = Dlq({"retry", "g", full[1]});
  EXPECT_EQ(retried.out, full[1] + "  failed (domain), now dead: no\n") << retried.err;
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
}

// What is not written comes again.
TEST_F(FullDiskTest, AStopDoesNotWaitForRoom) {
  const SmallDisk small(disk_, "size=9m");
  if (!small.mounted()) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Waits(*host); })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
  EXPECT_TRUE(host->Log().Has("Dead letters not written", "g")) << host->Errors();
  EXPECT_FALSE(host->Log().Has("Group did not end in time", "g"));

  ASSERT_TRUE(small.Grow("size=100m"));
  const Finished again = site_.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(Letters(), kEvents);
}

// A damaged file of letters is its group's trouble alone, and the reason says what to do.
TEST(LetterFileTest, ADamagedFileStopsItsGroupAndNoOther) {
  Site site;
  site.Configure(TroubleGroup("g") + JsonlGroup("copy"));
  site.Append({EventLine("a", "t", R"({"do":"reject","text":"no"})")});
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  const fs::path file = site.group("g") / "letters.db";
  const std::string good = ReadFile(file);
  for (const std::string& bad : {std::string(), good.substr(0, 8192), std::string(8192, 'x'),
                                 good.substr(0, 4096) + std::string(good.size() - 4096, '\0'),
                                 std::string(good.size(), '\0')}) {
    fs::remove(site.group("g") / "letters.db-journal");
    WriteFile(file, bad);
    const std::size_t before = Written(site, "copy").size();
    site.Append({EventLine("b", "u")});
    const Finished ran = site.RunUntilCaughtUp();
    EXPECT_EQ(ran.exit, 1) << ran.err;
    const std::string reason = ran.Log().Last("Group ended", "g", "reason");
    EXPECT_EQ(ran.Log().Last("Group ended", "g", "state"), "failed");
    EXPECT_EQ(reason.rfind(file.string() + ": ", 0), 0u) << reason;
    EXPECT_NE(reason.find("restore the file from a backup"), std::string::npos) << reason;
    EXPECT_EQ(Written(site, "copy").size(), before + 1) << ran.err;
    EXPECT_EQ(site.Check().exit, 78);
    EXPECT_EQ(ReadFile(file), bad);
  }
  // Put back, the group goes on where it was.
  WriteFile(file, good);
  const Finished ran = site.RunUntilCaughtUp();
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.Log().Last("Group ended", "g", "dlqCount"), "1");
}

// The checkpoint knows of the letters before it, so what becomes of their file while no host runs
// is found at the next start, and an operator decides.
class LostLettersTest : public testing::Test {
 protected:
  void SetUp() override {
    site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\ndead_letters.order = \"event\"") +
                    JsonlGroup("copy"));
    site_.Append({EventLine("a", "t", R"({"do":"reject","text":"no"})"),
                  EventLine("b", "t", R"({"do":"reject","text":"no"})")});
    ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
    before_ = ReadFile(file());
    site_.Append({EventLine("c", "t", R"({"do":"reject","text":"no"})")});
    ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
    site_.Append({EventLine("d", "t", R"({"do":"ok"})")});
  }
  fs::path file() const { return site_.group("g") / "letters.db"; }
  // The group fails with this and has called nothing; the other one runs on.
  std::string ExpectRefused(const std::string& how) {
    const std::size_t calls = Delivered(site_, "g").size();
    const std::size_t copied = Written(site_, "copy").size();
    site_.Append({EventLine("copied", "t")});
    const Finished ran = site_.RunUntilCaughtUp();
    EXPECT_EQ(ran.exit, 1) << ran.err;
    EXPECT_EQ(ran.Log().Last("Group ended", "g", "state"), "failed");
    const std::string reason = ran.Log().Last("Group ended", "g", "reason");
    EXPECT_EQ(reason.rfind(file().string() + ": " + how, 0), 0u) << reason;
    EXPECT_EQ(Delivered(site_, "g").size(), calls);
    EXPECT_GT(Written(site_, "copy").size(), copied);
    const Finished checked = site_.Check();
    EXPECT_EQ(checked.exit, 78) << checked.err;
    EXPECT_NE(checked.err.find("group g: " + reason), std::string::npos) << checked.err;
    const Finished listed = Command({"dlq", "list", "g"});
    EXPECT_NE(listed.err.find("warning: " + reason), std::string::npos) << listed.err;
    return reason;
  }
  // The place that the reason offers to go on from.
  static std::string PlaceIn(const std::string& reason) {
    const auto begin = reason.find("catchup reset g --to ") + 21;
    return reason.substr(begin, reason.find(' ', begin) - begin);
  }
  Finished Command(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--config", "host.toml"});
    return site_.Catchup(arguments);
  }
  std::string LettersAfterARun() {
    const Finished ran = site_.RunUntilCaughtUp();
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return ran.Log().Last("Group ended", "g", "dlqCount");
  }

  Site site_;
  std::string before_;
};

TEST_F(LostLettersTest, AFileThatIsGoneIsMissedAndTheOperatorMayGoOnWithoutIt) {
  const std::string good = ReadFile(file());
  fs::remove(file());
  const std::string reason = ExpectRefused("it is gone");
  EXPECT_NE(reason.find("the file held 3 letters"), std::string::npos) << reason;
  ExpectRefused("it is gone");
  // Put back as it was, all is well.
  WriteFile(file(), good);
  EXPECT_EQ(LettersAfterARun(), "3");

  fs::remove(file());
  const std::string place = PlaceIn(ExpectRefused("it is gone"));
  const std::size_t calls = Delivered(site_, "g").size();
  ASSERT_EQ(Command({"reset", "g", "--to", place}).exit, 0);
  EXPECT_EQ(LettersAfterARun(), "0");
  const auto delivered = Delivered(site_, "g");
  for (std::size_t i = calls; i < delivered.size(); ++i) {
    EXPECT_EQ(delivered[i].rfind("copied@", 0), 0u) << delivered[i];
  }
}

TEST_F(LostLettersTest, AnOldCopyOfTheFileIsRefusedAndAllMayBeReadAgain) {
  WriteFile(file(), before_);
  fs::remove(file().string() + "-journal");
  const std::string reason = ExpectRefused("it is an earlier state of itself");
  EXPECT_NE(reason.find("catchup reset g --to beginning"), std::string::npos) << reason;
  ASSERT_EQ(Command({"reset", "g", "--to", "beginning"}).exit, 0);
  EXPECT_EQ(LettersAfterARun(), "3") << "their events came again";
}

TEST_F(LostLettersTest, AnOldCopyMayBeGoneOnWith) {
  WriteFile(file(), before_);
  fs::remove(file().string() + "-journal");
  const std::string place = PlaceIn(ExpectRefused("it is an earlier state of itself"));
  ASSERT_EQ(Command({"reset", "g", "--to", place}).exit, 0);
  EXPECT_EQ(LettersAfterARun(), "2");
  EXPECT_EQ(LettersAfterARun(), "2") << "from now on that is the file";
}

// The other way round: a checkpoint that is older than the letters repeats events, of which the
// letters are known, and gives out no token that a runner has had before.
TEST_F(LostLettersTest, AnOldCopyOfTheCheckpointGoesOnBesideNewerLetters) {
  const fs::path checkpoint = site_.group("g") / "checkpoint";
  const std::string old = ReadFile(checkpoint);
  site_.Append({EventLine("e", "t", R"({"do":"reject","text":"no"})")});
  EXPECT_EQ(LettersAfterARun(), "4");
  EXPECT_EQ(LettersAfterARun(), "4");
  WriteFile(checkpoint, old);
  EXPECT_EQ(LettersAfterARun(), "4");
}

// Before anything else is to be written, so that an operator still knows what he has done.
TEST_F(LostLettersTest, AFileThatGoesWhileItsGroupRunsIsMissedThoughNothingHappens) {
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "g", "state") == "caught up";
  })) << host->Errors();
  fs::rename(file(), site_.file("taken"));
  ASSERT_TRUE(host->WaitForLog("Group ended", "g")) << host->Errors();
  const std::string reason = host->Log().Last("Group ended", "g", "reason");
  EXPECT_NE(reason.find(file().string() + ": it was removed or moved away"), std::string::npos)
      << reason;
  host->Signal(SIGTERM);
  host->Wait(kStopLimit);
  fs::rename(site_.file("taken"), file());
  EXPECT_EQ(LettersAfterARun(), "3");
}

}  // namespace
}  // namespace catchup::e2e
