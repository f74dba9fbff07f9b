#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "catchup/event_line.hpp"
#include "tests/sdk/plugin_harness.h"

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
  for (const std::size_t torn : {kBlock - 1, kBlock, kBlock + 1, 3 * kBlock}) {
    for (const std::string whole : {"", "x\n"}) {
      WriteFile(file_, whole + std::string(torn, 'y'));
      Instance instance(Projection(), &host_);
      Start(instance);
      EXPECT_EQ(ReadFile(file_), whole) << torn;
    }
  }
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
