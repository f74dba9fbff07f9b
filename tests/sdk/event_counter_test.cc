#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/sdk/plugin_harness.h"

namespace catchup::test {
namespace {

using testing::HasSubstr;

class EventCounterTest : public ::testing::Test {
 protected:
  static const catchup_projection* Projection() { return LoadProjection(EVENT_COUNTER_PLUGIN); }

  static std::vector<TestEvent> OfTypes(const std::vector<std::string>& types) {
    std::vector<TestEvent> events;
    for (const std::string& type : types) events.push_back({.type = type});
    return events;
  }

  TemporaryFolder folder_;
  std::string file_ = folder_ / "counts.tsv";
  FakeHost host_{"{\"file\":\"" + file_ + "\"}"};
};

TEST_F(EventCounterTest, WritesOneSortedLineForEachType) {
  Instance instance(Projection(), &host_);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);
  ASSERT_EQ(instance.Start(), CATCHUP_OK);

  EXPECT_EQ(instance.HandleBatch(OfTypes({"b", "a", "b", "", "b\tc"})), CATCHUP_OK);

  EXPECT_EQ(ReadFile(file_), "\t1\na\t1\nb\t2\nb\\tc\t1\n");
}

TEST_F(EventCounterTest, CountsOnFromTheFileAfterARestart) {
  const std::vector<std::string> odd = {"a\tb", "a\nb", "a\rb", "a\\b", std::string("a\0b", 3)};
  for (int run = 1; run <= 3; ++run) {
    Instance instance(Projection(), &host_);
    ASSERT_EQ(instance.Create(), CATCHUP_OK) << host_.TakeError();
    ASSERT_EQ(instance.Start(), CATCHUP_OK);
    ASSERT_EQ(instance.HandleBatch(OfTypes(odd)), CATCHUP_OK);
    ASSERT_EQ(instance.Handle({.type = "plain"}), CATCHUP_OK);
  }

  EXPECT_EQ(ReadFile(file_),
            std::string("a\0b\t3\n", 6) + "a\\tb\t3\na\\nb\t3\na\\rb\t3\na\\\\b\t3\nplain\t3\n");
}

// Whoever has the old file open keeps reading a whole one.
TEST_F(EventCounterTest, ReplacesTheFileInsteadOfWritingIntoIt) {
  Instance instance(Projection(), &host_);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);
  ASSERT_EQ(instance.Start(), CATCHUP_OK);
  ASSERT_EQ(instance.Handle({}), CATCHUP_OK);
  std::filesystem::create_hard_link(file_, folder_ / "old");

  ASSERT_EQ(instance.Handle({}), CATCHUP_OK);

  EXPECT_EQ(ReadFile(folder_ / "old"), "type\t1\n");
  EXPECT_EQ(ReadFile(file_), "type\t2\n");
  EXPECT_FALSE(std::filesystem::exists(file_ + ".new"));
}

TEST_F(EventCounterTest, WhatAKilledWriterLeftBesideTheFileDoesNotCount) {
  WriteFile(file_, "type\t1\n");
  WriteFile(file_ + ".new", "type\t9999\nhalf a li");
  Instance instance(Projection(), &host_);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);
  ASSERT_EQ(instance.Start(), CATCHUP_OK);

  ASSERT_EQ(instance.Handle({}), CATCHUP_OK);

  EXPECT_EQ(ReadFile(file_), "type\t2\n");
}

TEST_F(EventCounterTest, ABatchThatCouldNotBeWrittenDoesNotCount) {
  Instance instance(Projection(), &host_);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);
  ASSERT_EQ(instance.Start(), CATCHUP_OK);
  ASSERT_EQ(instance.Handle({}), CATCHUP_OK);
  std::filesystem::create_directory(file_ + ".new");  // Nothing can be written there.

  EXPECT_EQ(instance.HandleBatch(OfTypes({"type", "other"})), CATCHUP_RETRY);
  EXPECT_THAT(host_.TakeError(), HasSubstr(file_ + ": cannot be replaced: Is a directory"));
  EXPECT_EQ(ReadFile(file_), "type\t1\n");

  std::filesystem::remove(file_ + ".new");
  EXPECT_EQ(instance.HandleBatch(OfTypes({"type", "other"})), CATCHUP_OK);
  EXPECT_EQ(ReadFile(file_), "other\t1\ntype\t2\n");
}

// The counts are the instance's, so a file or folder that goes meanwhile loses none of them.
TEST_F(EventCounterTest, AFileThatIsRemovedComesBackWhole) {
  Instance instance(Projection(), &host_);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);
  ASSERT_EQ(instance.Start(), CATCHUP_OK);
  ASSERT_EQ(instance.Handle({}), CATCHUP_OK);

  std::filesystem::remove(file_);
  EXPECT_EQ(instance.Handle({}), CATCHUP_OK);
  EXPECT_EQ(ReadFile(file_), "type\t2\n");

  const std::string moved = folder_.path().string() + ".moved";
  std::filesystem::rename(folder_.path(), moved);
  EXPECT_EQ(instance.Handle({}), CATCHUP_RETRY);
  std::filesystem::rename(moved, folder_.path());
  EXPECT_EQ(instance.Handle({}), CATCHUP_OK);
  EXPECT_EQ(ReadFile(file_), "type\t3\n");
}

TEST_F(EventCounterTest, AFolderThatIsNotThereAtTheStartIsAPersonsToMend) {
  FakeHost host("{\"file\":\"" + (folder_ / "none/x") + "\"}");
  Instance instance(Projection(), &host);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);
  EXPECT_EQ(instance.Start(), CATCHUP_FATAL);
  EXPECT_THAT(host.TakeError(), HasSubstr("No such file or directory"));
}

TEST_F(EventCounterTest, RefusesAFileOfAnotherForm) {
  const auto text_of = [&](const std::string& content) {
    WriteFile(file_, content);
    Instance instance(Projection(), &host_);
    EXPECT_EQ(instance.Create(), CATCHUP_FATAL) << content;
    return host_.TakeError();
  };
  EXPECT_EQ(text_of("a\t1\nb 2\n"),
            file_ + ":2: found a line without a tab, wanted type<TAB>count");
  EXPECT_EQ(text_of("a\tx\n"), file_ + ":1: found \"x\", wanted a count");
  EXPECT_EQ(text_of("a\t-1\n"), file_ + ":1: found \"-1\", wanted a count");
  EXPECT_EQ(text_of("a\t1 \n"), file_ + ":1: found \"1 \", wanted a count");
  EXPECT_EQ(text_of("a\t1\na\t1\n"), file_ + ":2: found a type a second time");
  EXPECT_EQ(text_of("a\\x\t1\n"),
            file_ + ":1: found an unknown escape, wanted one of \\t \\n \\r \\\\");
  EXPECT_EQ(text_of("a\t1"), file_ + ":1: found a line without an end, wanted a line feed");
}

TEST_F(EventCounterTest, RefusesAConfigurationItCannotUse) {
  const auto text_of = [](const std::string& config) {
    FakeHost host(config);
    Instance instance(Projection(), &host);
    EXPECT_EQ(instance.Create(), CATCHUP_FATAL) << config.substr(0, 40);
    return host.TakeError();
  };
  EXPECT_EQ(text_of("{}"), "config \"file\": found nothing, wanted a path");
  EXPECT_EQ(text_of("{\"file\":{}}"), "config \"file\": found a table or a list, wanted a path");
  EXPECT_EQ(text_of("{\"file\":3}"), "config \"file\": found a number, wanted a path");
  EXPECT_EQ(text_of("{\"file\":true}"), "config \"file\": found a boolean, wanted a path");
  EXPECT_EQ(text_of("{\"file\":[]}"), "config \"file\": found a table or a list, wanted a path");
  EXPECT_EQ(text_of("{\"file\":\"\"}"),
            "config \"file\": found an empty text or a zero in it, wanted a path");
  EXPECT_EQ(text_of("{\"file\":\"" + std::string(5000, 'x') + "\"}"),
            "config \"file\": found more than 4095 bytes, wanted a path");
  for (const std::string path : {"~/x", "${HOME}/x", "$HOME/x", "{{dir}}/x", "file:///x"}) {
    EXPECT_EQ(text_of("{\"file\":\"" + path + "\"}"),
              "config \"file\": found \"~\", a variable, \"{{\" or a URL, wanted a whole path, "
              "because nothing is replaced in it")
        << path;
  }
}

TEST_F(EventCounterTest, KnowsItsExtensionToTheLetter) {
  Instance instance(Projection(), &host_);
  ASSERT_NE(instance.batch(), nullptr);
  EXPECT_EQ(instance.batch()->max_events, 4096u);
  EXPECT_EQ(instance.keeper(), nullptr);
}

}  // namespace
}  // namespace catchup::test
