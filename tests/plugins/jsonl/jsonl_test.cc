#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "catchup/event_line.hpp"
#include "host/base/unique_fd.h"
#include "tests/sdk/plugin_harness.h"

namespace catchup::test {
namespace {

using testing::StartsWith;

// What fsync was called for, in this order.
std::vector<std::filesystem::path>& Synced() {
  static std::vector<std::filesystem::path> synced;
  return synced;
}

}  // namespace
}  // namespace catchup::test

// The plugin's, too: what a program exports comes before the C library.
extern "C" int fsync(int fd) {
  std::error_code failed;
  catchup::test::Synced().push_back(
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), failed));
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace catchup::test {
namespace {

// The largest file this process may write, back to what it was at the end.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);  // So that write fails, as on a full disk.
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

class JsonlTest : public ::testing::Test {
 protected:
  static const catchup_projection* Projection() { return LoadProjection(JSONL_PLUGIN); }

  static std::vector<TestEvent> Some(std::uint64_t first, std::size_t count) {
    std::vector<TestEvent> events;
    for (std::uint64_t i = first; i < first + count; ++i) {
      events.push_back({.data = "{\"n\":" + std::to_string(i) + "}", .revision = i, .position = i});
    }
    return events;
  }

  void Start(Instance& instance) {
    ASSERT_EQ(instance.Create(), CATCHUP_OK) << host_.TakeError();
    ASSERT_EQ(instance.Start(), CATCHUP_OK) << host_.TakeError();
  }

  // The data of each line of the file.
  std::vector<std::string> Data() {
    std::vector<std::string> data;
    std::istringstream lines(ReadFile(file_));
    for (std::string line; std::getline(lines, line);) {
      ParsedEventLine parsed;
      std::string error;
      EXPECT_TRUE(ParseEventLine(line, &parsed, &error)) << error;
      data.push_back(parsed.data);
    }
    return data;
  }

  TemporaryFolder folder_;
  std::string file_ = folder_ / "events.jsonl";
  FakeHost host_{"{\"file\":\"" + file_ + "\"}"};
};

TEST_F(JsonlTest, WritesEachEventAsOneLine) {
  Instance instance(Projection(), &host_);
  Start(instance);

  ASSERT_EQ(instance.Handle({.stream = "s-1",
                             .type = "t",
                             .data = "{\"a\": 1}",
                             .metadata = "m",
                             .revision = 4,
                             .position = 9}),
            CATCHUP_OK);

  EXPECT_EQ(ReadFile(file_),
            "{\"stream\":\"s-1\",\"type\":\"t\",\"id\":\"00000000-0000-0000-0000-000000000009\","
            "\"revision\":4,\"commit\":\"9\",\"prepare\":\"9\","
            "\"created\":\"1970-01-01T00:00:00.0000000Z\",\"data\":{\"a\": 1},"
            "\"metadataBase64\":\"bQ==\"}\n");
}

TEST_F(JsonlTest, AppendsBatchesInOrderAcrossRestarts) {
  for (std::uint64_t run = 0; run < 3; ++run) {
    Instance instance(Projection(), &host_);
    Start(instance);
    std::uint64_t applied = 0;
    ASSERT_EQ(instance.HandleBatch(Some(run * 5, 5), &applied), CATCHUP_OK);
    EXPECT_EQ(applied, 5u);
  }

  const std::vector<std::string> data = Data();
  ASSERT_EQ(data.size(), 15u);
  EXPECT_EQ(data.front(), "{\"n\":0}");
  EXPECT_EQ(data.back(), "{\"n\":14}");
  EXPECT_TRUE(host_.log_lines.empty());
}

TEST_F(JsonlTest, CutsATornLastLineAndSaysSo) {
  WriteFile(file_, "{\"whole\":1}\n{\"stream\":\"to");
  Instance instance(Projection(), &host_);
  Start(instance);

  EXPECT_EQ(ReadFile(file_), "{\"whole\":1}\n");
  ASSERT_EQ(host_.log_lines.size(), 1u);
  EXPECT_EQ(host_.log_lines[0].first, CATCHUP_LOG_WARN);
  EXPECT_EQ(host_.log_lines[0].second,
            file_ + ": cut 13 bytes of a last line that was not finished; its event comes again");
}

// The search for the last line goes back in blocks of 64 KiB.
TEST_F(JsonlTest, CutsATornLineOfAnyLength) {
  constexpr std::size_t kBlock = 64 * 1024;
  const std::string line = "{\"stream\":\"" + std::string(4 * kBlock, 'y');
  for (const std::size_t torn :
       {std::size_t{1}, std::size_t{7}, kBlock - 1, kBlock, kBlock + 1, 3 * kBlock}) {
    for (const std::string whole : {"", "x\n"}) {
      WriteFile(file_, whole + line.substr(0, torn));
      Instance instance(Projection(), &host_);
      Start(instance);
      EXPECT_EQ(ReadFile(file_), whole) << torn;
    }
  }
}

// Zeros are what a power failure leaves where a file was made longer before its data came.
TEST_F(JsonlTest, CutsZerosAtTheEnd) {
  WriteFile(file_, "x\n" + std::string(5000, '\0'));
  Instance instance(Projection(), &host_);
  Start(instance);
  EXPECT_EQ(ReadFile(file_), "x\n");
}

// Such a file was not written by this plugin, so nothing of it is the plugin's to cut.
TEST_F(JsonlTest, KeepsALastLineThatIsNoEvents) {
  WriteFile(file_, "a note");
  Instance instance(Projection(), &host_);
  Start(instance);

  EXPECT_EQ(ReadFile(file_), "a note\n");
  ASSERT_EQ(host_.log_lines.size(), 1u);
  EXPECT_EQ(host_.log_lines[0].second,
            file_ + ": ended a last line that had no line feed and is no event's");
}

TEST_F(JsonlTest, WarnsOfWhatSyncFalseRisks) {
  FakeHost host("{\"file\":\"" + file_ + "\",\"sync\":false}");
  Instance instance(Projection(), &host);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);
  ASSERT_EQ(instance.Start(), CATCHUP_OK);

  ASSERT_EQ(host.log_lines.size(), 1u);
  EXPECT_EQ(host.log_lines[0].second,
            file_ +
                ": sync = false: events that count as handled may be missing from the file after a "
                "power failure or a crash of the system, and do not come again");
  EXPECT_EQ(instance.HandleBatch(Some(0, 2)), CATCHUP_OK);
  EXPECT_EQ(Data().size(), 2u);
}

// The batch comes again whole, so nothing of it may stay.
TEST_F(JsonlTest, AWriteThatFailsLeavesTheFileAtTheLastWholeBatch) {
  Instance instance(Projection(), &host_);
  Start(instance);
  ASSERT_EQ(instance.HandleBatch(Some(0, 3)), CATCHUP_OK);
  const std::string before = ReadFile(file_);
  std::uint64_t applied = 0;
  {
    const FileSizeLimit limit(before.size() + 100);  // Less than one line: a short write first.
    EXPECT_EQ(instance.HandleBatch(Some(3, 3), &applied), CATCHUP_RETRY);
  }
  EXPECT_EQ(applied, 0u);
  EXPECT_EQ(host_.TakeError(), file_ + ": cannot write: File too large");
  EXPECT_EQ(ReadFile(file_), before);

  EXPECT_EQ(instance.HandleBatch(Some(3, 3)), CATCHUP_OK);
  EXPECT_EQ(Data().size(), 6u);
}

// ---- The file is rotated, removed or replaced while the plugin runs ----

class JsonlRotationTest : public JsonlTest {
 protected:
  void SetUp() override {
    Start(instance_);
    ASSERT_EQ(instance_.HandleBatch(Some(0, 2)), CATCHUP_OK);
  }

  std::vector<std::string> Numbers(std::uint64_t first, std::uint64_t count) {
    std::vector<std::string> data;
    for (std::uint64_t i = first; i < first + count; ++i) {
      data.push_back("{\"n\":" + std::to_string(i) + "}");
    }
    return data;
  }

  Instance instance_{Projection(), &host_};
};

TEST_F(JsonlRotationTest, AfterARemovalEventsAreInANewFile) {
  std::filesystem::remove(file_);
  EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_OK);

  EXPECT_EQ(Data(), Numbers(2, 2));
  ASSERT_EQ(host_.log_lines.size(), 1u);
  EXPECT_EQ(host_.log_lines[0].first, CATCHUP_LOG_INFO);
  EXPECT_EQ(host_.log_lines[0].second,
            file_ + ": the file was moved or removed; goes on in a new one");
}

TEST_F(JsonlRotationTest, AfterARenameEventsAreInANewFileAndTheOldOneStays) {
  const std::string before = ReadFile(file_);
  std::filesystem::rename(file_, file_ + ".1");
  EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_OK);

  EXPECT_EQ(Data(), Numbers(2, 2));
  EXPECT_EQ(ReadFile(file_ + ".1"), before);
}

TEST_F(JsonlRotationTest, GoesOnInAFileThatTheRotationHasMade) {
  std::filesystem::rename(file_, file_ + ".1");
  WriteFile(file_, "");
  EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_OK);
  EXPECT_EQ(Data(), Numbers(2, 2));
}

TEST_F(JsonlRotationTest, AfterACutEventsBeginWhereTheFileEnds) {
  std::filesystem::resize_file(file_, 0);
  EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_OK);
  EXPECT_EQ(Data(), Numbers(2, 2));
}

// Half a line of an event is of no use to anybody, and no reader could go on behind it.
TEST_F(JsonlRotationTest, ACutInTheMiddleOfALineLeavesWholeLines) {
  std::filesystem::resize_file(file_, std::filesystem::file_size(file_) - 5);
  EXPECT_EQ(instance_.HandleBatch(Some(2, 1)), CATCHUP_OK);

  std::vector<std::string> wanted = Numbers(0, 1);
  wanted.push_back("{\"n\":2}");
  EXPECT_EQ(Data(), wanted);
  EXPECT_EQ(host_.log_lines.size(), 1u);
}

TEST_F(JsonlRotationTest, AFileMadeLongerWithoutDataKeepsNoZeros) {
  std::filesystem::resize_file(file_, std::filesystem::file_size(file_) + 10'000);
  EXPECT_EQ(instance_.HandleBatch(Some(2, 1)), CATCHUP_OK);
  EXPECT_EQ(Data(), Numbers(0, 3));
}

// What a failed write left is cut from the end that is there, not from one that was.
TEST_F(JsonlRotationTest, AWriteThatFailsAfterACutLeavesNoZeros) {
  for (std::uint64_t i = 2; i < 100; ++i) {
    ASSERT_EQ(instance_.HandleBatch(Some(i, 1)), CATCHUP_OK);
  }
  std::filesystem::resize_file(file_, 0);
  {
    const FileSizeLimit limit(100);
    EXPECT_EQ(instance_.HandleBatch(Some(100, 2)), CATCHUP_RETRY);
  }
  EXPECT_EQ(ReadFile(file_), "");
  EXPECT_EQ(instance_.HandleBatch(Some(100, 2)), CATCHUP_OK);
  EXPECT_EQ(Data(), Numbers(100, 2));
}

TEST_F(JsonlRotationTest, ALinkToAFileIsFollowed) {
  std::filesystem::remove(file_);
  WriteFile(folder_ / "target", "");
  std::filesystem::create_symlink(folder_ / "target", file_);
  EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_OK);
  EXPECT_EQ(Data(), Numbers(2, 2));
  EXPECT_TRUE(std::filesystem::is_symlink(file_));
}

// A name lasts when its folder is synced, and that of a link is not the file's.
TEST_F(JsonlRotationTest, SyncsTheFolderOfEachLinkAndOfTheFile) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::canonical(folder_.path());
  for (const char* name : {"a", "b", "c"}) fs::create_directory(folder / name);
  fs::create_symlink(folder / "b", folder / "a/to-b");
  fs::create_symlink("../c/events", folder / "b/link");
  fs::remove(file_);
  fs::create_symlink("a/to-b/link", file_);
  Synced().clear();
  EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_OK);
  EXPECT_TRUE(fs::is_regular_file(folder / "c/events")) << "made where the links lead";
  EXPECT_EQ(Synced(), (std::vector<fs::path>{folder, folder / "b", folder / "c"}));
}

TEST_F(JsonlRotationTest, WhatIsNoFileInItsPlaceIsWaitedOut) {
  const auto expect_retry = [&](const std::string& text) {
    EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_RETRY);
    EXPECT_EQ(host_.TakeError(), text);
    std::filesystem::remove(file_);
    EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_OK);
    EXPECT_EQ(Data(), Numbers(2, 2));
    std::filesystem::remove(file_);
  };
  std::filesystem::remove(file_);
  std::filesystem::create_directory(file_);
  expect_retry(file_ + ": cannot open: Is a directory");
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  expect_retry(file_ + ": found something that is not a regular file, wanted a file of lines");
  std::filesystem::create_symlink(folder_ / "none/target", file_);
  expect_retry(file_ + ": cannot make the file: No such file or directory");
}

TEST_F(JsonlRotationTest, AFolderThatIsGoneIsWaitedFor) {
  const std::string moved = folder_.path().string() + ".moved";
  std::filesystem::rename(folder_.path(), moved);
  EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_RETRY);
  EXPECT_EQ(host_.TakeError(), file_ + ": cannot make the file: No such file or directory");
  EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_RETRY);
  std::filesystem::rename(moved, folder_.path());
  EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_OK);
  EXPECT_EQ(Data(), Numbers(0, 4));
}

TEST_F(JsonlRotationTest, AFileThatAnotherHasLockedIsWaitedFor) {
  std::filesystem::remove(file_);
  {
    const UniqueFd other(::open(file_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_RETRY);
    }
  }
  EXPECT_EQ(instance_.HandleBatch(Some(2, 2)), CATCHUP_OK);
  EXPECT_EQ(Data(), Numbers(2, 2));
}

// Renames lose nothing, at whatever moment they come: each event is in one of the files.
TEST_F(JsonlRotationTest, NoEventIsLostAcrossRenamesAtAnyMoment) {
  constexpr int kRotations = 100;
  std::atomic<int> rotations = 0;
  std::thread rotate([&] {
    while (rotations < kRotations) {
      std::error_code absent;
      std::filesystem::rename(file_, file_ + "." + std::to_string(rotations.load()), absent);
      rotations += absent ? 0 : 1;
    }
  });
  std::uint64_t handled = 2;
  while (rotations < kRotations) {
    const std::int32_t status = instance_.HandleBatch(Some(handled, 4));
    handled += status == CATCHUP_OK ? 4 : 0;
  }
  rotate.join();

  std::set<std::string> found;
  const std::string last = file_;
  for (int i = -1; i < kRotations; ++i) {
    file_ = i < 0 ? last : last + "." + std::to_string(i);
    for (const std::string& data : Data()) found.insert(data);
  }
  for (const std::string& data : Numbers(0, handled)) EXPECT_TRUE(found.contains(data)) << data;
}

// A copy that is followed by a cut, as often as can be, while the disk is full now and again.
class JsonlFullDiskTest : public JsonlTest {
 protected:
  void SetUp() override {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", folder_.path().c_str(), "tmpfs", 0, "mode=0700,size=64k") != 0) {
      GTEST_SKIP() << "needs to mount a small file system: " << std::strerror(errno);
    }
    mounted_ = true;
  }
  ~JsonlFullDiskTest() override {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }

  bool mounted_ = false;
};

TEST_F(JsonlFullDiskTest, WaitsForRoomAndKeepsWholeBatches) {
  Instance instance(Projection(), &host_);
  Start(instance);
  std::uint64_t handled = 0;
  while (instance.HandleBatch(Some(handled, 7)) == CATCHUP_OK) handled += 7;
  EXPECT_EQ(host_.TakeError(), file_ + ": cannot write: No space left on device");
  EXPECT_EQ(Data().size(), handled);

  std::filesystem::resize_file(file_, 0);
  EXPECT_EQ(instance.HandleBatch(Some(handled, 7)), CATCHUP_OK);
  EXPECT_EQ(Data().size(), 7u);
}

TEST_F(JsonlFullDiskTest, CutsAtAnyMomentLeaveNoZerosAndNoHalfLines) {
  // The threads below stand for other processes, which the plugin's limit would not reach.
  ::signal(SIGXFSZ, SIG_IGN);
  Instance instance(Projection(), &host_);
  Start(instance);
  std::atomic<bool> done = false;
  int zeros = 0;
  std::thread cut([&] {
    while (!done) {
      const std::string copy = ReadFile(file_);
      zeros += copy.find('\0') != std::string::npos ? 1 : 0;
      std::error_code ignored;
      std::filesystem::resize_file(file_, 0, ignored);
    }
  });
  // Leaves room for a part of a batch only, again and again.
  std::thread fill([&] {
    for (std::size_t i = 0; !done; ++i) {
      std::ofstream(folder_ / "filler") << std::string((48 + i % 16) << 10, 'f');
      std::filesystem::remove(folder_ / "filler");
    }
  });
  constexpr int kEnough = 100;  // Refusals, each after a part of a batch or nothing of it.
  int refused = 0;
  for (std::uint64_t i = 0; refused < kEnough; ++i) {
    refused += instance.HandleBatch(Some(i * 64, 64)) == CATCHUP_OK ? 0 : 1;
  }
  done = true;
  cut.join();
  fill.join();

  EXPECT_EQ(zeros, 0);
  ASSERT_EQ(instance.HandleBatch(Some(900'000, 2)), CATCHUP_OK) << host_.TakeError();
  const std::vector<std::string> data = Data();  // Each line of it is an event's.
  ASSERT_GE(data.size(), 2u);
  EXPECT_EQ(data.back(), "{\"n\":900001}");
}

TEST_F(JsonlTest, ASecondWriterWaits) {
  Instance instance(Projection(), &host_);
  Start(instance);
  Instance second(Projection(), &host_);
  ASSERT_EQ(second.Create(), CATCHUP_OK);

  EXPECT_EQ(second.Start(), CATCHUP_RETRY);
  EXPECT_EQ(host_.TakeError(),
            file_ + ": another process has locked it, wanted to be its only writer");
  instance.Stop();
  EXPECT_EQ(second.Start(), CATCHUP_OK);
}

TEST_F(JsonlTest, WhatOnlyAPersonCanRepairIsFatal) {
  const auto text_of = [](const std::string& path) {
    FakeHost host("{\"file\":\"" + path + "\"}");
    Instance instance(Projection(), &host);
    EXPECT_EQ(instance.Create(), CATCHUP_OK);
    EXPECT_EQ(instance.Start(), CATCHUP_FATAL);
    return host.TakeError();
  };
  EXPECT_EQ(text_of(folder_ / "none/x"),
            (folder_ / "none/x") + ": cannot make the file: No such file or directory");
  EXPECT_EQ(text_of(folder_.path().string()),
            folder_.path().string() + ": cannot open: Is a directory");
  EXPECT_EQ(text_of("/dev/null"),
            "/dev/null: found something that is not a regular file, wanted a file of lines");
}

TEST_F(JsonlTest, RefusesAConfigurationItDoesNotUnderstand) {
  const auto text_of = [](const std::string& config) {
    FakeHost host(config);
    Instance instance(Projection(), &host);
    EXPECT_EQ(instance.Create(), CATCHUP_FATAL) << config;
    return host.TakeError();
  };
  EXPECT_EQ(text_of("{}"), "config \"file\": found nothing, wanted text");
  EXPECT_EQ(text_of("{\"file\":\"x\",\"sync\":\"maybe\"}"),
            "config \"sync\": found the text \"maybe\", wanted true or false");
  EXPECT_EQ(text_of("{\"file\":3}"), "config \"file\": found the number 3, wanted text");
  EXPECT_EQ(text_of("{\"file\":true}"), "config \"file\": found the boolean true, wanted text");
  EXPECT_EQ(text_of("{\"file\":[\"x\"]}"), "config \"file\": found a list, wanted text");
  EXPECT_EQ(text_of("{\"file\":\"x\",\"sync\":\"true\"}"),
            "config \"sync\": found the text \"true\", wanted true or false");
  EXPECT_EQ(text_of("{\"file\":\"x\",\"snyc\":false}"),
            "config \"snyc\": found a key this plugin does not know, wanted one of file, sync");
  EXPECT_THAT(
      text_of("{\"file\":\"~/x\"}"),
      StartsWith(
          "config \"file\": found the text \"~/x\", wanted a whole path, because only a shell"));
  EXPECT_EQ(text_of("{\"file\":\"${HOME}/x\"}"),
            "config \"file\": found the text \"${HOME}/x\", wanted a whole path, because variables "
            "are not replaced in it");
}

TEST_F(JsonlTest, ARelativePathCountsFromTheWorkingDirectory) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  FakeHost host("{\"file\":\"relative.jsonl\"}");
  {
    Instance instance(Projection(), &host);
    ASSERT_EQ(instance.Create(), CATCHUP_OK);
    ASSERT_EQ(instance.Start(), CATCHUP_OK) << host.TakeError();
    EXPECT_EQ(instance.Handle({}), CATCHUP_OK);
  }
  std::filesystem::current_path(before);

  EXPECT_FALSE(ReadFile(folder_ / "relative.jsonl").empty());
}

// A runner may start another program; the file is not for it.
TEST_F(JsonlTest, OpensTheFileCloseOnExec) {
  Instance instance(Projection(), &host_);
  Start(instance);
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    if (std::filesystem::read_symlink(entry.path(), ignored) != file_) continue;
    const int fd = std::stoi(entry.path().filename().string());
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    ++found;
  }
  EXPECT_EQ(found, 1);
}

}  // namespace
}  // namespace catchup::test
