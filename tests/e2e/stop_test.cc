#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "tests/e2e/harness.h"

// How a host ends when it is told to.

namespace catchup::e2e {
namespace {

// A stop has ten seconds; the machine may be busy beside.
constexpr std::chrono::seconds kStopLimit{10};

std::vector<std::string> Lines(std::size_t count, std::string_view type) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < count; ++i) {
    lines.push_back(EventLine("s-" + std::to_string(i / 500), type));
  }
  return lines;
}

bool WaitForFile(const std::filesystem::path& file) {
  return WaitUntil([&file] { return !ReadFile(file).empty(); });
}

TEST(StopTest, TermUnderLoadEndsWithinTenSecondsAndRepeatsNothing) {
  Site site;
  site.Append(Lines(30'000, "ok"));
  site.Configure(JsonlGroup("copy"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitForFile(site.data("copy", "out.jsonl")));
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
  const std::size_t first = Written(site, "copy").size();
  EXPECT_LT(first, 30'000u) << "the group was done before the signal";

  const Finished again = site.RunUntilCaughtUp();

  EXPECT_EQ(again.exit, 0) << again.err;
  std::vector<std::string> written = Written(site, "copy");
  EXPECT_EQ(written.size(), 30'000u);
  std::sort(written.begin(), written.end());
  EXPECT_EQ(std::adjacent_find(written.begin(), written.end()), written.end());
  EXPECT_EQ(again.Log().Last("Group ended", "copy", "processedCount"),
            std::to_string(30'000 - first));
}

TEST(StopTest, TermInTheMiddleOfSlowCallsRepeatsNothing) {
  Site site;
  site.Append(Lines(500, "slow"));
  site.Configure(ScriptedGroup("slow"));
  {
    const auto host = site.Start({"run", "host.toml"});
    ASSERT_TRUE(WaitUntil([&] { return Called(site, "slow").size() >= 20; })) << host->Errors();
    host->Signal(SIGTERM);
    EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
  }
  const std::size_t first = Called(site, "slow").size();
  EXPECT_LT(first, 500u);
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Called(site, "slow").size() > first; })) << host->Errors();

  const std::vector<std::string> calls = Called(site, "slow");
  EXPECT_EQ(calls[first], "s-0@" + std::to_string(first) + " slow");
}

TEST(StopTest, ACallThatWatchesForTheStopEndsItself) {
  Site site;
  site.Append({EventLine("s", "ok"), EventLine("s", "until-stop"), EventLine("s", "ok")});
  site.Configure(ScriptedGroup("polite"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Called(site, "polite").size() == 2; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
  EXPECT_EQ(host->Log().Last("Group ended", "polite", "processedCount"), "2");
  const Finished again = site.RunUntilCaughtUp();

  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(Called(site, "polite"),
            (std::vector<std::string>{"s@0 ok", "s@1 until-stop", "s@2 ok"}));
}

// The checkpoint is durable, so this is a success; the event of the cut call comes again.
TEST(StopTest, ACallThatOutlastsTheDrainIsCutWithAWarning) {
  Site site;
  site.Append({EventLine("s", "ok"), EventLine("s", "hang")});
  site.Configure(ScriptedGroup("stuck", "prefixes = [\"\"]\ndrain_timeout = \"100ms\""));
  for (const char* calls : {"first", "again"}) {
    SCOPED_TRACE(calls);
    const std::size_t before = Called(site, "stuck").size();
    const auto host = site.Start({"run", "host.toml"});
    ASSERT_TRUE(WaitUntil([&] {
      const auto called = Called(site, "stuck");
      return called.size() > before && called.back() == "s@1 hang";
    })) << host->Errors();
    host->Signal(SIGTERM);
    EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();

    const auto notices = host->Log().With("Runner ended badly", "stuck");
    EXPECT_TRUE(std::any_of(notices.begin(), notices.end(), [](const JsonObject& line) {
      return line.at("level") == "warn" &&
             line.at("reason").find("comes again at the next start") != std::string::npos;
    })) << host->Errors();
  }
  EXPECT_EQ(Called(site, "stuck"), (std::vector<std::string>{"s@0 ok", "s@1 hang", "s@1 hang"}));
}

TEST(StopTest, ASecondTermForcesAndExitsWithOne) {
  Site site;
  site.Append({EventLine("s", "hang")});
  site.Configure(ScriptedGroup("stuck", "prefixes = [\"\"]\ndrain_timeout = \"5s\""));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Called(site, "stuck").size() == 1; })) << host->Errors();
  host->Signal(SIGTERM);
  ASSERT_TRUE(host->WaitForLog("Stopping"));
  const auto forced = Clock::now();
  EXPECT_TRUE(WaitUntil([&] {
    host->Signal(SIGTERM);
    return host->Log().Has("Stopping by force");
  }));

  EXPECT_EQ(host->Wait(kStopLimit), 1) << host->Errors();
  EXPECT_LT(Clock::now() - forced, std::chrono::seconds(8)) << "the drain was waited for";
}

// As `timeout` does, which tells its child and then the whole process group. Two different signals,
// because two of a kind may become one on their way.
TEST(StopTest, TwoSignalsAtOnceAreOneWish) {
  Site site;
  site.Append({EventLine("s", "until-stop")});
  site.Configure(ScriptedGroup("slow"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Called(site, "slow").size() == 1; })) << host->Errors();
  host->Signal(SIGTERM);
  host->Signal(SIGINT);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
  EXPECT_FALSE(host->Log().Has("Stopping by force"));
}

TEST(StopTest, InterruptStopsLikeTerm) {
  Site site;
  site.Append(Lines(10, "ok"));
  site.Configure(JsonlGroup("copy"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Written(site, "copy").size() == 10; })) << host->Errors();
  host->Signal(SIGINT);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
}

// Nothing was handled that could be lost, so a host that never reached its server stops well.
TEST(StopTest, AWaitingHostStopsAtOnce) {
  Site site;
  site.Configure(JsonlGroup("copy"), "kurrentdb://127.0.0.1:1?tls=false");
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "copy", "state") == "waiting";
  })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
}

TEST(StopTest, AStopWhileTheHeadIsWaitedForEndsTheGroup) {
  Site site;
  site.Configure(JsonlGroup("copy", "prefixes = [\"\"]\nstart = \"end\""),
                 "kurrentdb://127.0.0.1:1?tls=false");
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "copy", "state") == "waiting";
  })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(kStopLimit), 0) << host->Errors();
}

}  // namespace
}  // namespace catchup::e2e
