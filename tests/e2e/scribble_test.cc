#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/e2e/harness.h"

// A plugin's thread writes over the memory that its runner shares with the host. The group stops
// because of it, the one beside goes on, and once the plugin is mended every event of the log has
// been handled: what the plugin itself wrote down is held against the log.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

constexpr int kEvents = 3000;

std::string ScribblerGroup(std::string_view config) {
  return "[groups.bad]\nplugin = \"scribbler.so\"\nprefixes = [\"\"]\nconfig = { " +
         std::string(config) + " }\n";
}

std::set<std::string> Distinct(const std::vector<std::string>& lines) {
  return {lines.begin(), lines.end()};
}

class ScribbleTest : public testing::TestWithParam<const char*> {};

TEST_P(ScribbleTest, StopsTheGroupAndNoEventIsLost) {
  Site site;
  std::vector<std::string> events;
  std::set<std::string> wanted;
  for (int i = 0; i < kEvents; ++i) {
    events.push_back(EventLine("s", "ok"));
    wanted.insert("s@" + std::to_string(i));
  }
  site.Append(events);
  const std::string how = GetParam();
  // What is put back at once is nothing that the host has seen changed.
  const std::string after = how == "frozen" ? "1" : "500";
  site.Configure(ScribblerGroup("after = " + after + ", how = \"" + how + "\"") +
                 JsonlGroup("good"));

  const Finished run = site.RunUntilCaughtUp();

  EXPECT_EQ(run.exit, 1) << run.err;
  EXPECT_EQ(run.Log().Last("Group ended", "bad", "state"), "failed") << run.err;
  EXPECT_THAT(run.Log().Last("Group ended", "bad", "reason"), HasSubstr("contract"));
  EXPECT_EQ(run.Log().With("Runner started", "bad").size(), 1u) << run.err;
  EXPECT_EQ(run.Log().Last("Group ended", "good", "state"), "stopped") << run.err;

  site.Configure(ScribblerGroup("") + JsonlGroup("good"));
  const Finished again = site.RunUntilCaughtUp();

  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(Distinct(ReadLines(site.data("bad", "called"))), wanted);
}

INSTANTIATE_TEST_SUITE_P(How, ScribbleTest,
                         testing::Values("settled", "read", "earlier", "frozen", "neighbour",
                                         "everything"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace catchup::e2e
