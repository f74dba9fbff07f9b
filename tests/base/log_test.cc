#include "host/base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "host/base/unique_fd.h"

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr int kMaxWaitMs = 60'000;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read_end = UniqueFd(ends[0]);
    write_end = UniqueFd(ends[1]);
  }

  UniqueFd read_end;
  UniqueFd write_end;
};

// What comes out of a descriptor, by lines.
class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}

  // With its line feed, unless what can be read ends before.
  std::string Read() {
    std::size_t end = 0;
    while ((end = unread_.find('\n', at_)) == std::string::npos) {
      if (!ReadMore()) {
        end = unread_.size() - 1;
        break;
      }
    }
    const std::string line = unread_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    return line;
  }

 private:
  bool ReadMore() {
    unread_.erase(0, std::exchange(at_, 0));
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, kMaxWaitMs) != 1) {
      ADD_FAILURE() << "nothing more came after " << unread_.size() << " bytes";
      return false;
    }
    char buffer[4096];
    const ssize_t size = ::read(fd_, buffer, sizeof buffer);
    unread_.append(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
    return size > 0;
  }

  const int fd_;
  std::string unread_;
  std::size_t at_ = 0;  // What lies before it was read.
};

std::string ReadAll(int fd) {
  std::string text;
  char buffer[65536];
  for (ssize_t size; (size = ::read(fd, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  return text;
}

// A running log_writer whose standard error is `errors`.
class Writer {
 public:
  Writer(const std::string& what, UniqueFd errors) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input_.read_end.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output_.write_end.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors.get(), STDERR_FILENO);
    std::string program = LOG_WRITER;
    std::string argument = what;
    char* argv[] = {program.data(), argument.data(), nullptr};
    EXPECT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    input_.read_end.Reset();
    output_.write_end.Reset();
  }

  // A line of its standard output.
  std::string ReadLine() { return reader_.Read(); }
  void LetItEnd() { input_.write_end.Reset(); }

  void ExpectSuccess() {
    LetItEnd();
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(status, 0);
  }

 private:
  Pipe input_;
  Pipe output_;
  LineReader reader_{output_.read_end.get()};
  pid_t pid_ = -1;
};

// What the writer puts on its standard error, which is `write_end` of a pipe or a terminal.
std::string Run(const std::string& what, int read_end, UniqueFd write_end) {
  Writer writer(what, std::move(write_end));
  std::string text = ReadAll(read_end);
  writer.ExpectSuccess();
  return text;
}

std::string RunOnPipe(const std::string& what) {
  Pipe errors;
  return Run(what, errors.read_end.get(), std::move(errors.write_end));
}

struct Terminal {
  explicit Terminal(unsigned short rows) : master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    EXPECT_TRUE(master.valid());
    EXPECT_EQ(::grantpt(master.get()), 0);
    EXPECT_EQ(::unlockpt(master.get()), 0);
    const winsize size{rows, 0, 0, 0};
    EXPECT_EQ(::ioctl(master.get(), TIOCSWINSZ, &size), 0);
    ::setenv("TERM", "xterm", 1);  // Whatever the tests run on.
    slave = UniqueFd(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  }

  UniqueFd master;
  UniqueFd slave;
};

std::string RunOnTerminal(const std::string& what, unsigned short rows = 0) {
  Terminal terminal(rows);
  return Run(what, terminal.master.get(), std::move(terminal.slave));
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
  std::set<std::string> positions;
  for (const auto& line : Parse(RunOnPipe("flood"))) {
    if (line["msg"] == "Again") {
      ++written;
      positions.insert(line["position"]);
    } else {
      EXPECT_EQ(line["msg"], "Log lines left out");
      EXPECT_EQ(line["of"], "Again");
      EXPECT_EQ(line["group"], "g");
      left_out += line["leftOut"].get<std::uint64_t>();
      for (const char* end : {"firstPosition", "lastPosition"}) {
        EXPECT_TRUE(positions.insert(line.value(end, "")).second) << "one that was left out";
      }
    }
  }
  EXPECT_GE(written, 10u);
  EXPECT_GT(left_out, 0u);
  EXPECT_EQ(written + left_out, 1000u);
}

TEST(LogTest, NamesNoPlacesWhereWhatItLeavesOutIsAboutNone) {
  std::uint64_t counts = 0;
  for (const auto& line : Parse(RunOnPipe("flood about no place"))) {
    if (line["msg"] == "Log lines left out") {
      ++counts;
      EXPECT_FALSE(line.contains("firstPosition") || line.contains("lastPosition")) << line;
    }
  }
  EXPECT_GT(counts, 0u);
}

// What a plugin says: a burst passes, each level has its own budget, and nothing is uncounted.
TEST(LogTest, LetsABurstOfAPluginPassAndItsErrorsBehindAFlood) {
  std::map<std::string, std::uint64_t> written;
  std::map<std::string, std::uint64_t> left_out;
  for (const auto& line : Parse(RunOnPipe("plugin flood"))) {
    if (line["msg"] == "Says") {
      ++written[line["level"]];
    } else {
      EXPECT_EQ(line["msg"], "Log lines left out");
      EXPECT_EQ(line["of"], "Says");
      left_out[line["ofLevel"]] += line["leftOut"].get<std::uint64_t>();
      EXPECT_EQ(line["level"], line["ofLevel"] == "error" ? "error" : "warn");
    }
  }
  EXPECT_GE(written["info"], 100u);
  EXPECT_EQ(written["info"] + left_out["info"], 1000u + 40u);
  EXPECT_EQ(written["warn"], 100u);
  EXPECT_GE(written["error"], 100u);
  EXPECT_EQ(written["error"] + left_out["error"], 500u);
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
  EXPECT_EQ(rest.substr(std::string("2026-11-24T22:11:57.572Z").size()),
            " INFO   g  Said\r\n" + drawn + erased);
}

// Lines that scrolled away could not be drawn over.
TEST(LogTest, DrawsNoMoreProgressThanTheTerminalHolds) {
  EXPECT_EQ(RunOnTerminal("many", 4),
            "one\r\ntwo\r\n... and 3 more\r\n\r\x1b[3A\x1b[J"
            "one\r\ntwo\r\nthree\r\n\r\x1b[3A\x1b[J"
            "x\r\nx\r\n... and 998 more\r\n\r\x1b[3A\x1b[J");
  EXPECT_EQ(RunOnTerminal("many", 1),
            "... and 5 more\r\n\r\x1b[1A\x1b[J"
            "... and 3 more\r\n\r\x1b[1A\x1b[J"
            "... and 1000 more\r\n\r\x1b[1A\x1b[J");
}

TEST(LogTest, DrawsTheNewestProgressForASlowTerminal) {
  Terminal terminal(0);
  Writer writer("newest progress", std::move(terminal.slave));
  EXPECT_EQ(writer.ReadLine(), "logged\n") << "a terminal that nobody reads holds nobody up";
  writer.LetItEnd();
  const std::string text = ReadAll(terminal.master.get());
  writer.ExpectSuccess();
  EXPECT_THAT(text, HasSubstr("step 1000\r\n"));
  int steps = 0;
  for (int i = 0; i <= 1000; ++i) {
    steps += text.find("step " + std::to_string(i) + "\r\n") != std::string::npos;
  }
  EXPECT_LT(steps, 100) << "the terminal holds fewer lines than that";
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(text, HasSubstr("  m" + std::to_string(i) + "  ")) << i;
  }
}

// What the writer says to a reader who begins once all is said.
std::vector<nlohmann::json> ReadLate(const std::string& what) {
  Pipe errors;
  Writer writer(what, std::move(errors.write_end));
  EXPECT_EQ(writer.ReadLine(), "logged\n");
  writer.LetItEnd();
  const auto lines = Parse(ReadAll(errors.read_end.get()));
  writer.ExpectSuccess();
  return lines;
}

// The pipe holds a small part of the lines.
TEST(LogTest, KeepsLinesForALateReaderWhileItsCallersGoOn) {
  const auto lines = ReadLate("some unread");
  ASSERT_EQ(lines.size(), 400u);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["number"], i);
  }
}

// Of what no rate holds back, as each line counts.
TEST(LogTest, WritesEachLineOfWhatCounts) {
  const auto lines = Parse(RunOnPipe("each"));
  ASSERT_EQ(lines.size(), 1000u);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["msg"], "One");
    EXPECT_EQ(lines[i]["number"], i);
  }
}

// Five times what is kept of other lines, which have room besides.
TEST(LogTest, KeepsFarMoreOfWhatCountsForALateReader) {
  const auto lines = ReadLate("some of each unread");
  ASSERT_EQ(lines.size(), 5001u);
  for (std::size_t i = 0; i < 5000; ++i) {
    EXPECT_EQ(lines[i]["number"], i);
  }
  EXPECT_EQ(lines.back()["msg"], "Said");
}

// What the writer says, of `all` lines and an error, to a reader who begins once all is said; more
// than `least` of the lines are kept.
void ExpectAGapThatIsTold(const std::string& what, std::uint64_t least, std::uint64_t all) {
  Pipe errors;
  Writer writer(what, std::move(errors.write_end));
  EXPECT_EQ(writer.ReadLine(), "logged\n");
  std::uint64_t written = 0;
  std::uint64_t left_out = 0;
  bool error_seen = false;
  LineReader reader(errors.read_end.get());
  // The writer still lives: it tells as soon as it can, not at its end.
  while (left_out == 0 || !error_seen) {
    const std::string text = reader.Read();
    ASSERT_FALSE(text.empty());
    const auto line = nlohmann::json::parse(text);
    if (line["msg"] == "Log lines left out") {
      EXPECT_EQ(line["reason"], "standard error was not read fast enough");
      EXPECT_EQ(line["level"], "warn");
      EXPECT_TRUE(line["group"].is_null());
      left_out = line["leftOut"].get<std::uint64_t>();
    } else if (line["msg"] == "Broken") {
      error_seen = true;
    } else {
      ASSERT_EQ(line["number"], written);
      ++written;
    }
  }
  EXPECT_GT(written, least);
  EXPECT_EQ(written + left_out, all);
  writer.ExpectSuccess();
  EXPECT_EQ(reader.Read(), "");
}

TEST(LogTest, DropsWhatItCannotKeepAndSaysHowMuchWhereItIsMissing) {
  ExpectAGapThatIsTold("much unread", 400, 3000);
}

TEST(LogTest, DropsWhatCountsOnlyBeyondMegabytesAndSaysHowMuch) {
  ExpectAGapThatIsTold("much of each unread", 2500, 4000);
}

TEST(LogTest, HasWrittenEverythingOnceItIsFlushed) {
  EXPECT_EQ(Parse(RunOnPipe("flush")).size(), 400u);
}

TEST(LogTest, IsFlushedByAnOrdinaryEnd) { EXPECT_EQ(Parse(RunOnPipe("no flush")).size(), 400u); }

TEST(LogTest, EndsThoughNobodyReads) {
  for (const char* what : {"flush", "no flush"}) {
    Pipe errors;
    Writer writer(what, std::move(errors.write_end));
    writer.ExpectSuccess();
    const std::string text = ReadAll(errors.read_end.get());
    EXPECT_GE(text.size(), 4096u);
    EXPECT_THAT(text, StartsWith("{\"time\""));
  }
}

TEST(LogTest, EndsThoughItsReaderIsGone) {
  Pipe errors;
  errors.read_end.Reset();
  Writer writer("no flush", std::move(errors.write_end));
  writer.ExpectSuccess();
}

TEST(LogTest, MayBeUsedWhileTheProcessEnds) {
  const auto lines = Parse(RunOnPipe("static"));
  ASSERT_GE(lines.size(), 1u);
  EXPECT_EQ(lines[0]["msg"], "m0");
}

TEST(LogTest, LeavesSignalsToOtherThreads) {
  Pipe errors;
  Writer writer("thread", std::move(errors.write_end));
  const std::string blocked = writer.ReadLine();
  writer.ExpectSuccess();
  ASSERT_GT(blocked.size(), 1u) << "there is no thread of that name";
  const std::uint64_t mask = std::stoull(blocked, nullptr, 16);
  for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGCHLD, SIGUSR1, SIGALRM}) {
    EXPECT_EQ(mask >> (number - 1) & 1, 1u) << number;
  }
}

}  // namespace
}  // namespace catchup
