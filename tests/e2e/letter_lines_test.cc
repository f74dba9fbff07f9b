#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "host/base/unique_fd.h"
#include "tests/e2e/harness.h"

// What the log says of letters: a line for each that is written, heals, dies or is dropped, however
// many there are at once and however slowly the log is read.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Strings = std::vector<std::string>;

// Far more than the log has of any other line in the time that they take.
constexpr std::size_t kLetters = 60;

std::string StreamOf(std::size_t number) { return "s" + std::to_string(number); }

class LetterLinesTest : public testing::Test {
 protected:
  // Each in a stream of its own.
  void Append(std::size_t count, const std::string& order) {
    Strings lines;
    for (std::size_t i = 0; i < count; ++i) {
      lines.push_back(EventLine(StreamOf(i), "t", order));
    }
    site_.Append(lines);
  }
  void Run(const std::string& keys = {}) {
    site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\nbreaker = { budget = 0 }\n" + keys));
    host_ = site_.Start({"run", "host.toml"});
  }
  void End() {
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
    for (const JsonObject& line : host_->Log().With("Log lines left out", "g")) {
      EXPECT_THAT(line.at("of"), Not(StartsWith("Dead letter")));
    }
  }
  Finished Dlq(Strings arguments) {
    arguments.insert(arguments.begin(), "dlq");
    arguments.insert(arguments.end(), {"--config", "host.toml"});
    return site_.Catchup(arguments);
  }
  bool WaitForLines(const std::string& msg, std::size_t count) {
    return WaitUntil([&] { return host_->Log().With(msg, "g").size() >= count; });
  }
  // The lines of `msg` are of `count` letters, each in a stream of its own, and have these members.
  void ExpectOneOfEach(const std::string& msg, std::size_t count, const JsonObject& members) {
    std::set<std::string> places;
    std::set<std::string> streams;
    const auto lines = host_->Log().With(msg, "g");
    for (const JsonObject& line : lines) {
      places.insert(line.at("position"));
      streams.insert(line.at("stream"));
      EXPECT_EQ(line.at("eventType"), "t");
      for (const auto& [member, value] : members) {
        ASSERT_TRUE(line.contains(member)) << msg << " without " << member;
        EXPECT_THAT(line.at(member), HasSubstr(value)) << msg << ": " << member;
      }
    }
    EXPECT_EQ(lines.size(), count) << msg;
    EXPECT_EQ(places.size(), count) << msg;
    EXPECT_EQ(streams.size(), count) << msg;
  }

  Site site_;
  std::unique_ptr<Process> host_;
};

TEST_F(LetterLinesTest, OfLettersThatAreWrittenAndHealAtOnceEachHasALine) {
  Append(kLetters, R"({"do":"reject","text":"no such article","until":"mended"})");
  Run();
  // Every letter is in the store then, from which the command takes them.
  ASSERT_TRUE(WaitUntil([&] {
    return host_->Log().Last("State changed", "g", "state") == "caught up";
  })) << host_->Errors();
  WriteFile(site_.data("g", "mended"), "");
  const Finished retried = Dlq({"retry", "g", "--all"});
  EXPECT_EQ(retried.exit, 0) << retried.err;
  const auto commands = host_->Log().With("Command", "g");
  ASSERT_FALSE(commands.empty()) << "who asked for it";
  EXPECT_EQ(commands.front().at("command"), "dlq retry");
  EXPECT_EQ(commands.front().at("position"),
            host_->Log().With("Dead letter written", "g").front().at("position"));
  EXPECT_THAT(commands.front().at("by"), HasSubstr("user "));
  ASSERT_TRUE(WaitForLines("Dead letter healed", kLetters)) << host_->Errors();
  End();
  ExpectOneOfEach("Dead letter written", kLetters,
                  {{"level", "warn"},
                   {"class", "domain"},
                   {"reason", "no such article"},
                   {"attempt", "1"},
                   {"delayMs", "0"}});
  ExpectOneOfEach("Dead letter healed", kLetters,
                  {{"level", "info"},
                   {"class", "domain"},
                   {"reason", "healed"},
                   {"attempt", "2"},
                   {"delayMs", "0"}});
}

TEST_F(LetterLinesTest, OfLettersThatDieOrAreDroppedAtOnceEachHasALine) {
  constexpr std::size_t kDropped = 15;
  Append(kLetters, R"({"do":"fail","text":"invalid order"})");
  Run("dead_letters.heal_for = \"1s\"\n");
  ASSERT_TRUE(WaitForLines("Dead letter written", kLetters)) << host_->Errors();
  // Whichever fails once more a second and more after it was written.
  ASSERT_TRUE(WaitUntil([&] {
    (void)Dlq({"retry", "g", "--all"});
    return host_->Log().With("Dead letter waits for a person", "g").size() == kLetters;
  })) << host_->Errors();
  const auto letters = host_->Log().With("Dead letter written", "g");
  for (std::size_t i = 0; i < kDropped; ++i) {
    const std::string id = letters.at(i).at("position");
    EXPECT_EQ(Dlq({"drop", "g", id, "--reason", "of no use"}).exit, 0) << id;
  }
  End();
  const JsonObject members = {{"class", "domain-text"}, {"attempt", ""}, {"delayMs", ""}};
  ExpectOneOfEach("Dead letter written", kLetters, members);
  ExpectOneOfEach("Dead letter waits for a person", kLetters, members);
  ExpectOneOfEach(
      "Dead letter dropped", kDropped,
      {{"class", "domain-text"}, {"reason", "of no use"}, {"attempt", ""}, {"delayMs", "0"}});
}

// Thousands of lines that nobody reads: the group goes on, and whoever reads then finds them all.
TEST_F(LetterLinesTest, AReaderWhoStandsStillHoldsNothingUpAndMissesNone) {
  constexpr std::size_t kMany = 3000;
  Append(kMany, R"({"do":"reject","text":")" + std::string(500, 'x') + "\"}");
  Append(1, "{}");
  site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\ndead_letters.order = \"event\"\n"));
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  Process::Options options;
  options.directory = site_.path();
  options.errors = write_end.get();
  Process host({CATCHUP_EXECUTABLE, "run", "host.toml"}, options);
  write_end.Reset();
  // The last event is handled behind all others, whose lines are larger than the pipe by far.
  ASSERT_TRUE(WaitUntil([&] {
    const Strings delivered = Delivered(site_, "g");
    return !delivered.empty() && delivered.back() == "s0@1 ok 1";
  }));
  host.Signal(SIGTERM);
  std::string log;
  char buffer[65536];
  for (ssize_t size; (size = read(read_end.get(), buffer, sizeof buffer)) > 0;) {
    log.append(buffer, static_cast<std::size_t>(size));
  }
  EXPECT_EQ(host.Wait(), 0);
  const HostLog said = Finished{0, {}, log}.Log();
  EXPECT_EQ(said.With("Dead letter written", "g").size(), kMany);
  EXPECT_EQ(said.Last("Group ended", "g", "dlqCount"), std::to_string(kMany));
}

}  // namespace
}  // namespace catchup::e2e
