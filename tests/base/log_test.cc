#include "host/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "host/base/unique_fd.h"

namespace catchup {
namespace {

// What the writer puts on its standard error, which is `write_end` of a pipe or a terminal.
std::string Run(const std::string& what, int read_end, UniqueFd write_end) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
  std::string program = LOG_WRITER;
  std::string argument = what;
  char* argv[] = {program.data(), argument.data(), nullptr};
  pid_t pid = -1;
  EXPECT_EQ(::posix_spawn(&pid, program.c_str(), &actions, nullptr, argv, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  write_end.Reset();
  std::string text;
  char buffer[65536];
  for (ssize_t size; (size = ::read(read_end, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  return text;
}

std::string RunOnPipe(const std::string& what) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  return Run(what, read_end.get(), UniqueFd(ends[1]));
}

std::string RunOnTerminal(const std::string& what, unsigned short rows = 0) {
  const UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  EXPECT_TRUE(master.valid());
  EXPECT_EQ(::grantpt(master.get()), 0);
  EXPECT_EQ(::unlockpt(master.get()), 0);
  const winsize size{rows, 0, 0, 0};
  EXPECT_EQ(::ioctl(master.get(), TIOCSWINSZ, &size), 0);
  return Run(what, master.get(),
             UniqueFd(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC)));
}

std::vector<nlohmann::json> Parse(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    lines.push_back(nlohmann::json::parse(line));
  }
  return lines;
}

TEST(LogTest, WritesLinesOfTheLevelAndAbove) {
  const auto lines = Parse(RunOnPipe("levels"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["msg"], "Warned");
  EXPECT_EQ(lines[0]["expected"], true);
  EXPECT_TRUE(lines[0]["group"].is_null());
  EXPECT_EQ(lines[1]["level"], "error");
  EXPECT_EQ(lines[1]["group"], "g");
}

TEST(LogTest, NeverMixesTheLinesOfThreads) {
  const auto lines = Parse(RunOnPipe("threads"));
  std::set<std::string> messages;
  for (const auto& line : lines) {
    EXPECT_EQ(line["text"].get<std::string>().size(), 2000u);
    messages.insert(line["msg"].get<std::string>());
  }
  EXPECT_EQ(messages.size(), 400u);
}

// A slow machine may spread the flood over several seconds, so the counts must add up instead.
TEST(LogTest, CountsWhatItLeavesOut) {
  std::uint64_t written = 0;
  std::uint64_t left_out = 0;
  for (const auto& line : Parse(RunOnPipe("flood"))) {
    if (line["msg"] == "Again") {
      ++written;
    } else {
      EXPECT_EQ(line["msg"], "Log lines left out");
      EXPECT_EQ(line["of"], "Again");
      EXPECT_EQ(line["group"], "g");
      left_out += line["leftOut"].get<std::uint64_t>();
    }
  }
  EXPECT_GE(written, 10u);
  EXPECT_GT(left_out, 0u);
  EXPECT_EQ(written + left_out, 1000u);
}

TEST(LogTest, TakesNoTextForAFormat) {
  const auto lines = Parse(RunOnPipe("format"));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["msg"], "{} %s {0}");
  EXPECT_EQ(lines[0]["x"], "{}");
}

TEST(LogTest, DrawsNoProgressIntoAPipe) {
  const auto lines = Parse(RunOnPipe("progress"));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["msg"], "Said");
}

TEST(LogTest, KeepsProgressBelowTheLogOnATerminal) {
  const std::string text = RunOnTerminal("progress");
  // Two lines of progress, erased, the log line, drawn again, erased.
  const std::string drawn = "one\r\ntwo\r\n";
  const std::string erased = "\r\x1b[2A\x1b[J";
  ASSERT_EQ(text.substr(0, drawn.size() + erased.size()), drawn + erased);
  const std::string rest = text.substr(drawn.size() + erased.size());
  EXPECT_EQ(rest.substr(12), " INFO   g  Said\r\n" + drawn + erased);
}

// Lines that scrolled away could not be drawn over.
TEST(LogTest, DrawsNoMoreProgressThanTheTerminalHolds) {
  EXPECT_EQ(RunOnTerminal("many", 4),
            "one\r\ntwo\r\n… and 3 more\r\n\r\x1b[3A\x1b[J"
            "one\r\ntwo\r\nthree\r\n\r\x1b[3A\x1b[J"
            "x\r\nx\r\n… and 998 more\r\n\r\x1b[3A\x1b[J");
  EXPECT_EQ(RunOnTerminal("many", 1),
            "… and 5 more\r\n\r\x1b[1A\x1b[J"
            "… and 3 more\r\n\r\x1b[1A\x1b[J"
            "… and 1000 more\r\n\r\x1b[1A\x1b[J");
}

}  // namespace
}  // namespace catchup
