#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/e2e/harness.h"

// What an operator watches.

namespace catchup::e2e {
namespace {

// Each takes a call of 20 ms, so that there is time to watch.
std::vector<std::string> SlowEvents(std::size_t count) {
  return std::vector<std::string>(count, EventLine("s", "slow"));
}

// What has come out of a terminal so far.
void Drain(int terminal, std::string* text) {
  char chunk[4096];
  for (ssize_t size = 1; size > 0;) {
    size = read(terminal, chunk, sizeof chunk);
    text->append(chunk, size > 0 ? static_cast<std::size_t>(size) : 0);
  }
}

TEST(ProgressTest, ATerminalShowsALinePerGroupThatMoves) {
  Site site;
  site.Append(SlowEvents(75));
  site.Configure(ScriptedGroup("one") + ScriptedGroup("two"));
  std::string text = ReadFile(site.file("host.toml"));
  const std::string json = "format = \"json\"";
  text.replace(text.find(json), json.size(), "format = \"auto\"");
  WriteFile(site.file("host.toml"), text);
  const UniqueFd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  ASSERT_TRUE(terminal.valid());
  ASSERT_EQ(grantpt(terminal.get()), 0);
  ASSERT_EQ(unlockpt(terminal.get()), 0);
  UniqueFd screen(open(ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(screen.valid());
  Process::Options options;
  options.directory = site.path();
  options.errors = screen.get();
  Process host({CATCHUP_EXECUTABLE, "run", "host.toml", "--until-caught-up"}, options);
  std::string shown;
  ASSERT_TRUE(WaitUntil([&] {
    Drain(terminal.get(), &shown);
    return !host.Running();
  }));
  Drain(terminal.get(), &shown);

  EXPECT_EQ(host.Wait(), 0) << shown;
  for (const char* group : {"one", "two"}) {
    EXPECT_NE(shown.find(std::string(group) + "  "), std::string::npos) << shown;
  }
  EXPECT_NE(shown.find(" events  "), std::string::npos) << shown;
  EXPECT_NE(shown.find("/s"), std::string::npos) << shown;
  EXPECT_NE(shown.find(" %  "), std::string::npos) << shown;
  EXPECT_EQ(shown.find("{\"time\""), std::string::npos) << "the log of a terminal is text";
  EXPECT_EQ(shown.find("Progress"), std::string::npos) << "said twice";
}

TEST(ProgressTest, ElsewhereALogLineSaysHowFarAGroupIs) {
  Site site;
  site.Append(SlowEvents(1'000));
  site.Configure(ScriptedGroup("slow", "prefixes = [\"\"]\nbatch_size = 10"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Progress", "slow"));

  const JsonObject line = host->Log().With("Progress", "slow")[0];
  EXPECT_GE(std::stoull(line.at("processedCount")), 10u) << "batch_size events at least";
  EXPECT_GE(std::stoull(line.at("timingMs")), 1'000u) << "once a second at most";
  EXPECT_NE(line.at("position"), "none");
  EXPECT_NE(line.at("head"), "none");
}

// A group that was fast and is slow now: the average is of all of it, the rate of the last second.
TEST(ProgressTest, TheAverageIsThatOfTheRun) {
  Site site;
  std::vector<std::string> events(500, EventLine("s", "ok"));
  const std::vector<std::string> slow = SlowEvents(400);
  events.insert(events.end(), slow.begin(), slow.end());
  site.Append(events);
  site.Configure(ScriptedGroup("slow", "prefixes = [\"\"]\nbatch_size = 10"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return host->Log().With("Progress", "slow").size() >= 3; }));

  for (const JsonObject& line : host->Log().With("Progress", "slow")) {
    const double average =
        std::stod(line.at("processedCount")) * 1000 / std::stod(line.at("timingMs"));
    EXPECT_NEAR(std::stod(line.at("avgRate")), average, average / 50 + 0.1);
  }
  const JsonObject last = host->Log().With("Progress", "slow")[2];
  EXPECT_LT(std::stod(last.at("rate")), std::stod(last.at("avgRate")));
}

}  // namespace
}  // namespace catchup::e2e
