#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "host/base/unique_fd.h"
#include "tests/e2e/harness.h"

// The file of a group's letters on a disk that fails, takes no writes or gives back other bytes
// than it was given: the group says what is wrong, nothing is lost, and no other group notices.

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStopLimit{10};

class LetterFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\ndead_letters.order = \"event\"") +
                    JsonlGroup("copy"));
  }

  fs::path file() const { return site_.group("g") / "letters.db"; }
  void AppendRejects(int count) {
    std::vector<std::string> lines;
    for (int i = 0; i < count; ++i) {
      lines.push_back(EventLine("s" + std::to_string(i), "t", R"({"do":"reject","text":"no"})"));
    }
    site_.Append(lines);
    events_ += static_cast<std::size_t>(count);
  }
  static std::string Waits(const Process& host) {
    return host.Log().Last("State changed", "g", "reason");
  }
  void End(Process* host) {
    host->Signal(SIGTERM);
    EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
  }
  // The next run has a letter of every event.
  void ExpectNothingLost() {
    const Finished ran = site_.RunUntilCaughtUp();
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(ran.Log().Last("Group ended", "g", "dlqCount"), std::to_string(events_)) << ran.err;
    EXPECT_EQ(Written(site_, "copy").size(), events_);
  }

  void ExpectToldIsStored(const Finished& ran) {
    const Finished listed = site_.Catchup({"dlq", "list", "g", "--json", "--config", "host.toml"});
    for (const JsonObject& line : ran.Log().With("Dead letter written", "g")) {
      EXPECT_NE(listed.out.find('"' + line.at("position") + '"'), std::string::npos)
          << line.at("position") << " is no letter";
    }
  }

  Site site_;
  std::size_t events_ = 0;
};

// A sync that has failed says nothing about what the disk holds, so nothing more is written.
class FailedSyncTest : public LetterFaultTest, public testing::WithParamInterface<int> {};

TEST_P(FailedSyncTest, EndsItsGroupAndTheNextStartGoesOn) {
  AppendRejects(1);
  ExpectNothingLost();
  // Up to 64 letters share a commit, so these need three at least.
  AppendRejects(150);
  site_.UseTestProgram();
  const std::string plan = site_.file("plan");
  // The first change of a run is its token's.
  WriteFile(plan, "before-letter-commit fail " + std::to_string(GetParam()) + "\n");
  site_.SetEnv("CATCHUP_TEST_FAIL", plan);
  const Finished ran = site_.RunUntilCaughtUp();
  ASSERT_TRUE(fs::exists(plan + ".fired")) << ran.err;
  EXPECT_EQ(ran.exit, 1) << ran.err;
  EXPECT_EQ(ran.Log().Last("Group ended", "g", "state"), "failed");
  const std::string reason = ran.Log().Last("Group ended", "g", "reason");
  EXPECT_EQ(reason.rfind("a store of the group has failed: " + file().string() + ": ", 0), 0u)
      << reason;
  EXPECT_EQ(Written(site_, "copy").size(), events_) << "no other group notices";
  ExpectToldIsStored(ran);
  ExpectNothingLost();
}

INSTANTIATE_TEST_SUITE_P(Commits, FailedSyncTest, testing::Values(1, 2, 3));

// A folder in which nothing can be made. Given back its rights when this goes.
class Sealed {
 public:
  explicit Sealed(fs::path folder) : folder_(std::move(folder)) {
    // Rights are nothing to root.
    done_ = geteuid() == 0 ? SetImmutable(true) : chmod(folder_.c_str(), 0500) == 0;
  }
  ~Sealed() { Open(); }
  Sealed(const Sealed&) = delete;
  Sealed& operator=(const Sealed&) = delete;
  bool done() const { return done_; }
  void Open() {
    if (std::exchange(done_, false)) {
      EXPECT_TRUE(geteuid() == 0 ? SetImmutable(false) : chmod(folder_.c_str(), 0700) == 0);
    }
  }

 private:
  bool SetImmutable(bool on) const {
    const UniqueFd fd(open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int flags = 0;
    if (!fd.valid() || ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) {
      return false;
    }
    flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    return ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) == 0;
  }

  const fs::path folder_;
  bool done_ = false;
};

TEST_F(LetterFaultTest, AFolderThatTakesNoNewFileIsWaitedFor) {
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "g", "state") == "caught up";
  })) << host->Errors();
  Sealed sealed(site_.group("g"));
  if (!sealed.done()) {
    GTEST_SKIP() << "root cannot make a folder immutable here";
  }
  AppendRejects(3);
  ASSERT_TRUE(WaitUntil([&] {
    return Waits(*host).rfind("dead letters neither read nor written: ", 0) == 0;
  })) << host->Errors();
  EXPECT_NE(Waits(*host).find(site_.group("g").string()), std::string::npos) << Waits(*host);
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == events_; }));
  sealed.Open();
  EXPECT_TRUE(host->WaitForLog("Wait over", "g")) << host->Errors();
  EXPECT_TRUE(WaitUntil([&] { return host->Log().With("Dead letter written", "g").size() == 3; }));
  End(host.get());
  ExpectNothingLost();
}

// What a file system that is mounted so, or has turned so after an error, does to whoever writes;
// only this process and its children see it.
class ReadOnly {
 public:
  explicit ReadOnly(fs::path path) : path_(std::move(path)) {
    bound_ = unshare(CLONE_NEWNS) == 0 &&
             mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
             mount(path_.c_str(), path_.c_str(), nullptr, MS_BIND, nullptr) == 0;
    done_ = bound_ &&
            mount("none", path_.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
  }
  ~ReadOnly() { End(); }
  ReadOnly(const ReadOnly&) = delete;
  ReadOnly& operator=(const ReadOnly&) = delete;
  bool done() const { return done_; }
  void End() {
    if (std::exchange(bound_, false)) {
      EXPECT_EQ(umount2(path_.c_str(), MNT_DETACH), 0);
    }
  }

 private:
  const fs::path path_;
  bool bound_ = false;
  bool done_ = false;
};

TEST_F(LetterFaultTest, AReadOnlyFileOrFolderIsWaitedForAndSaysSo) {
  AppendRejects(2);
  ExpectNothingLost();
  for (const auto& place : {std::pair(file(), "dead letters not opened: "),
                            std::pair(site_.group("g"), "checkpoint not opened: ")}) {
    const std::string path = place.first;
    const std::string what = place.second;
    AppendRejects(1);
    ReadOnly read_only(path);
    if (!read_only.done()) {
      GTEST_SKIP() << "mounting is not allowed here";
    }
    const auto host = site_.Start({"run", "host.toml"});
    ASSERT_TRUE(WaitUntil([&] { return Waits(*host).rfind(what, 0) == 0; })) << host->Errors();
    EXPECT_NE(Waits(*host).find(path), std::string::npos) << Waits(*host);
    EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == events_; }));
    read_only.End();
    EXPECT_TRUE(host->WaitForLog("Dead letter written", "g")) << host->Errors();
    End(host.get());
    ExpectNothingLost();
  }
}

TEST_F(LetterFaultTest, AReadOnlyStateDirectoryKeepsTheHostFromStarting) {
  AppendRejects(2);
  ExpectNothingLost();
  ReadOnly read_only(site_.file("state"));
  if (!read_only.done()) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  const Finished ran = site_.RunUntilCaughtUp();
  EXPECT_NE(ran.exit, 0);
  EXPECT_NE(ran.err.find(site_.file("state").string()), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("Read-only file system"), std::string::npos) << ran.err;
  read_only.End();
  ExpectNothingLost();
}

// A start reads no event of a letter, so its call is where the damage shows: in a read.
TEST_F(LetterFaultTest, ADamagedEventIsFoundWhenItsLetterIsCalled) {
  AppendRejects(1);
  ExpectNothingLost();
  std::string bytes = ReadFile(file());
  const std::size_t at = bytes.find(R"({"do":"reject")");
  ASSERT_NE(at, std::string::npos) << "the event is kept as it is";
  bytes[at + 3] ^= 1;
  WriteFile(file(), bytes);
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "g", "state") == "caught up";
  })) << host->Errors();
  const Finished retried = site_.Catchup({"dlq", "retry", "g", "--all", "--config", "host.toml"});
  EXPECT_NE(retried.exit, 0) << retried.out;
  ASSERT_TRUE(host->WaitForLog("Group ended", "g")) << host->Errors();
  EXPECT_EQ(host->Log().Last("Group ended", "g", "state"), "failed");
  const std::string reason = host->Log().Last("Group ended", "g", "reason");
  EXPECT_EQ(reason.rfind("a store of the group has failed: " + file().string() + ": ", 0), 0u)
      << reason;
  End(host.get());
}

// Either the flipped bit means nothing, or the group says that the file is damaged: never fewer
// letters in silence.
TEST_F(LetterFaultTest, AFlippedBitIsFoundOrMeansNothing) {
  constexpr int kFlips = 24;
  AppendRejects(30);
  ExpectNothingLost();
  const std::string good = ReadFile(file());
  std::mt19937_64 random(TestSeed());
  int found = 0;
  for (int flip = 0; flip < kFlips; ++flip) {
    std::string bad = good;
    // The first one makes it no database; of the others none lies in room that is not used yet.
    std::size_t at = flip == 0 ? 0 : random() % bad.size();
    while (bad[at] == '\0') {
      at = random() % bad.size();
    }
    bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8)));
    SCOPED_TRACE(at);
    fs::remove(file().string() + "-journal");
    WriteFile(file(), bad);
    const Finished ran = site_.RunUntilCaughtUp();
    EXPECT_TRUE(ran.exit == 0 || ran.exit == 1) << ran.exit << ran.err;
    EXPECT_EQ(ran.Log().Last("Group ended", "copy", "state"), "stopped") << ran.err;
    if (ran.exit == 0) {
      EXPECT_EQ(ran.Log().Last("Group ended", "g", "dlqCount"), "30") << ran.err;
    } else {
      ++found;
      EXPECT_EQ(ran.Log().Last("Group ended", "g", "state"), "failed");
      const std::string reason = ran.Log().Last("Group ended", "g", "reason");
      EXPECT_NE(reason.find(file().string() + ": "), std::string::npos) << reason;
    }
  }
  std::cout << found << " of " << kFlips << " flips found" << std::endl;
  EXPECT_GT(found, 0);
  fs::remove(file().string() + "-journal");
  WriteFile(file(), good);
  ExpectNothingLost();
}

}  // namespace
}  // namespace catchup::e2e
