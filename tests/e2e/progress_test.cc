#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"

// What an operator watches.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

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

// A host on a terminal of its own, and what that shows.
class TerminalTest : public testing::Test {
 protected:
  void SetUp() override {
    terminal_ = UniqueFd(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    ASSERT_TRUE(terminal_.valid());
    ASSERT_EQ(grantpt(terminal_.get()), 0);
    ASSERT_EQ(unlockpt(terminal_.get()), 0);
    screen_ = UniqueFd(open(ptsname(terminal_.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(screen_.valid());
    const winsize size{24, 80, 0, 0};
    ASSERT_EQ(ioctl(terminal_.get(), TIOCSWINSZ, &size), 0);
  }

  // The log of a site goes to JSON unless it is told otherwise.
  static void LogAsUsual(const Site& site) {
    std::string text = ReadFile(site.file("host.toml"));
    const std::string json = "format = \"json\"";
    text.replace(text.find(json), json.size(), "format = \"auto\"");
    WriteFile(site.file("host.toml"), text);
  }

  std::unique_ptr<Process> Run(const Site& site, std::vector<std::string> more,
                               const std::string& term = "xterm") {
    LogAsUsual(site);
    Process::Options options;
    options.directory = site.path();
    options.errors = screen_.get();
    options.env = {{"TERM", term}};
    more.insert(more.begin(), {CATCHUP_EXECUTABLE, "run", "host.toml"});
    return std::make_unique<Process>(more, options);
  }

  bool Shows(const std::string& text) {
    return WaitUntil([&] {
      Drain(terminal_.get(), &shown_);
      return shown_.find(text) != std::string::npos;
    });
  }

  UniqueFd terminal_;
  UniqueFd screen_;
  std::string shown_;
};

TEST_F(TerminalTest, ShowsALinePerGroupThatMovesAndWhatTheyAddUpTo) {
  Site site;
  site.Append(SlowEvents(75));
  site.Configure(ScriptedGroup("one") + ScriptedGroup("two"));
  const auto host = Run(site, {"--until-caught-up"});
  ASSERT_TRUE(WaitUntil([&] {
    Drain(terminal_.get(), &shown_);
    return !host->Running();
  }));
  Drain(terminal_.get(), &shown_);

  EXPECT_EQ(host->Wait(), 0) << shown_;
  for (const char* group : {"one", "two"}) {
    EXPECT_THAT(shown_, HasSubstr(std::string(group) + "  catching up  "));
  }
  EXPECT_THAT(shown_, HasSubstr(" events  "));
  EXPECT_THAT(shown_, HasSubstr("/s"));
  EXPECT_THAT(shown_, HasSubstr(" %  "));
  EXPECT_THAT(shown_, HasSubstr("2 groups: 2 catching up"));
  EXPECT_THAT(shown_, Not(HasSubstr("{\"time\""))) << "the log of a terminal is text";
  EXPECT_THAT(shown_, Not(HasSubstr("Progress"))) << "said twice";
}

TEST_F(TerminalTest, AFailedGroupKeepsItsLineBeforeTheOthers) {
  Site site;
  site.Append({EventLine("s", "ok")});
  site.Configure(ScriptedGroup("good") +
                 "[groups.bad]\nplugin = \"absent.so\"\nprefixes = [\"\"]\n");
  const auto host = Run(site, {});
  EXPECT_TRUE(Shows("bad   failed     plugin absent.so not found: looked in"));
  EXPECT_TRUE(Shows("2 groups: 1 caught up, 1 failed")) << shown_;
  shown_.clear();
  EXPECT_TRUE(Shows("bad   failed  ")) << "still";
  host->Signal(SIGTERM);
  (void)host->Wait();
}

// What cannot move a cursor gets lines that stay.
TEST_F(TerminalTest, ADumbOneGetsNoTable) {
  Site site;
  site.Append(SlowEvents(75));
  site.Configure(ScriptedGroup("one") + ScriptedGroup("two"));
  const auto host = Run(site, {"--until-caught-up"}, "dumb");
  ASSERT_TRUE(WaitUntil([&] {
    Drain(terminal_.get(), &shown_);
    return !host->Running();
  }));
  Drain(terminal_.get(), &shown_);
  EXPECT_THAT(shown_, Not(HasSubstr("\x1b")));
  EXPECT_THAT(shown_, HasSubstr("Group ended"));
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
