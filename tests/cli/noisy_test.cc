#include <gtest/gtest.h>

#include "tests/e2e/harness.h"

// `catchup try` with a plugin that is hard to watch (tests/cli/noisy.c).

namespace catchup::e2e {
namespace {

class NoisyTest : public testing::Test {
 protected:
  Finished Try(const std::vector<std::string>& types, std::vector<std::string> more = {}) {
    std::string text;
    for (const std::string& type : types) {
      text += EventLine("s", type) + '\n';
    }
    WriteFile(site_.file("events.jsonl"), text);
    more.insert(more.begin(), {"try", NOISY_PLUGIN, "events.jsonl"});
    return site_.Catchup(more);
  }

  static std::size_t Count(const std::string& text, const std::string& word) {
    std::size_t count = 0;
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
      ++count;
    }
    return count;
  }

  Site site_;
};

TEST_F(NoisyTest, APluginMayPrintMoreThanAPipeHolds) {
  const Finished tried = Try({"flood", "ok"});
  EXPECT_EQ(tried.exit, 0);
  EXPECT_EQ(tried.out, "1  s@0  flood  OK\n2  s@1  ok  OK\n");
  EXPECT_EQ(Count(tried.err, "plugin: line "), 2'000u);
  EXPECT_EQ(Count(tried.err, "plugin: line 1999 of a long and useless explanation\n"), 1u);
}

TEST_F(NoisyTest, ItMayDoSoInItsSetUpAndItsStop) {
  const Finished tried = Try({"flood-at-stop"}, {"--set", "loud=true"});
  EXPECT_EQ(tried.exit, 0);
  EXPECT_EQ(Count(tried.err, "plugin: line "), 4'000u);
}

TEST_F(NoisyTest, WhatAPluginLogsTooFastIsCountedByItsLevel) {
  const Finished tried = Try({"flood-the-log"});
  EXPECT_EQ(tried.exit, 0);
  const std::size_t shown = Count(tried.err, "plugin: once more\n");
  const std::string count = std::to_string(20'000 - shown);
  EXPECT_EQ(
      Count(tried.err, "plugin: (" + count + " more lines of level warn were logged too fast"), 1u)
      << shown;
}

TEST_F(NoisyTest, AnUnfinishedLastLineIsPassedOn) {
  const Finished tried = Try({"ok"});
  EXPECT_EQ(tried.exit, 0);
  EXPECT_EQ(tried.err, "plugin: a last word without a line feed\n");
}

TEST_F(NoisyTest, ControlsOfAPluginStayInTheirLine) {
  const std::string text = "first\\nsecond\\t\\u0001 \\u001b[31mred \"quoted\" back\\\\slash";
  const Finished tried = Try({"controls"});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(tried.out, "1  s@0  controls  REJECT  " + text + "\n");
  EXPECT_EQ(Count(tried.err, "plugin: " + text + "\n"), 1u) << tried.err;
}

TEST_F(NoisyTest, ControlsOfAnEventStayInItsLine) {
  WriteFile(site_.file("events.jsonl"), R"({"stream":"a\u001b[2J","type":"b\nc"})");
  const Finished tried = site_.Catchup({"try", NOISY_PLUGIN, "events.jsonl"});
  EXPECT_EQ(tried.exit, 0) << tried.err;
  EXPECT_EQ(tried.out, "1  a\\u001b[2J@0  b\\nc  OK\n");
}

// Waking this process goes through one of those descriptors.
TEST_F(NoisyTest, APluginThatClosesAllDescriptorsIsAnsweredInTime) {
  const Finished tried = Try({"close-all", "ok", "ok", "ok", "ok"});
  EXPECT_EQ(tried.out,
            "1  s@0  close-all  OK\n2  s@1  ok  OK\n3  s@2  ok  OK\n4  s@3  ok  OK\n"
            "5  s@4  ok  OK\n");
}

}  // namespace
}  // namespace catchup::e2e
