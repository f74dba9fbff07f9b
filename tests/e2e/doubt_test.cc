#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/e2e/harness.h"

// What fails without saying why, through the real program: poison leaves exactly its letters, an
// outage none, and nobody gives a command.

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;
using Strings = std::vector<std::string>;

// As the defaults, but for waits.
constexpr char kQuick[] =
    "prefixes = [\"\"]\nretry_delay = \"100ms\"\nretry_max_delay = \"100ms\"\n"
    "breaker = { open = \"100ms\", max_open = \"200ms\" }\n";

constexpr char kMended[] = "mended";  // What orders wait for, in the plugin's working directory.

std::string Order(const std::string& what, const std::string& more = {}) {
  return "{\"do\":\"" + what + "\",\"text\":\"odd\"" + more + "}";
}
std::string UntilMended(const std::string& what) { return Order(what, ",\"until\":\"mended\""); }

struct Letter {
  std::string name;  // "STREAM@REVISION"
  std::string state;
  std::string letter_class;
};

class DoubtTest : public testing::Test {
 protected:
  // A plugin file of the test's own, which it may change.
  void SetUp() override {
    fs::copy_file(fs::path(FIXTURE_DIRECTORY) / "trouble.so", site_.file("plugins/own.so"));
    fs::permissions(site_.file("plugins/own.so"), fs::perms(0644));
  }

  void Configure(const std::string& keys = {}) {
    site_.Configure(
        "[groups.a]\nplugin = \"own.so\"\nprojection = \"trouble\"\n"
        "config = { journal = \"journal\" }\n" +
        std::string(kQuick) + keys + "\n" + JsonlGroup("other"));
  }

  void Add(const std::string& stream, const std::string& type, const std::string& data = "{}") {
    lines_.push_back(EventLine(stream, type, data));
    names_.push_back(stream + "@" + std::to_string(next_revision_[stream]++));
  }
  void AppendAll() {
    site_.Append(lines_);
    lines_.clear();
  }

  // The same code in another file.
  void ChangePlugin() {
    std::ofstream(site_.file("plugins/own.so"), std::ios::app | std::ios::binary) << 'x';
  }
  void Mend() {
    mended_at_ = Delivered(site_, "a").size();
    WriteFile(site_.data("a", kMended), "");
  }

  // What no host holds open.
  std::vector<Letter> Letters() {
    const Finished listed = site_.Catchup({"dlq", "list", "a", "--json", "--config", "host.toml"});
    EXPECT_EQ(listed.exit, 0) << listed.err;
    std::vector<Letter> letters;
    for (const auto& letter : nlohmann::json::parse(listed.out)) {
      const auto& letter_class = letter.at("class");
      letters.push_back({letter.at("stream").get<std::string>() + "@" +
                             std::to_string(letter.at("revision").get<std::uint64_t>()),
                         letter.at("state").get<std::string>(),
                         letter_class.is_null() ? "" : letter_class.get<std::string>()});
    }
    return letters;
  }
  Strings LettersOf(const std::string& state) {
    Strings names;
    for (const Letter& letter : Letters()) {
      if (letter.state == state) {
        names.push_back(letter.name);
      }
    }
    return names;
  }

  // How often each event was delivered.
  std::map<std::string, int> Deliveries() const {
    std::map<std::string, int> deliveries;
    for (const std::string& line : Delivered(site_, "a")) {
      ++deliveries[line.substr(0, line.find(' '))];
    }
    return deliveries;
  }

  void ExpectOnce(const Strings& names) const {
    const auto deliveries = Deliveries();
    for (const std::string& name : names) {
      const auto found = deliveries.find(name);
      EXPECT_EQ(found == deliveries.end() ? 0 : found->second, 1) << name;
    }
  }

  // Every event is delivered, those of a stream in the order of their last deliveries.
  void ExpectAllInOrder() const {
    std::map<std::string, std::size_t> last;
    const Strings delivered = Delivered(site_, "a");
    for (std::size_t i = 0; i < delivered.size(); ++i) {
      last[delivered[i].substr(0, delivered[i].find(' '))] = i + 1;
    }
    for (const std::string& name : names_) {
      EXPECT_GT(last[name], 0u) << name << " was never delivered";
      const std::size_t at = name.find('@');
      const std::uint64_t revision = std::stoull(name.substr(at + 1));
      if (revision > 0) {
        const std::string before = name.substr(0, at + 1) + std::to_string(revision - 1);
        EXPECT_LT(last[before], last[name]) << before << " came after " << name;
      }
    }
  }

  void Run() { host_ = site_.Start({"run", "host.toml"}); }
  void End() {
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
  }
  bool WaitForDelivery(const std::string& name) {
    return WaitUntil([&] { return Deliveries().contains(name); });
  }
  bool WaitForLetters(std::size_t count) {
    return WaitUntil([&] { return host_->Log().With("Dead letter written", "a").size() >= count; });
  }
  // Until everything that misbehaved before Mend() was called again, and the host has heard of it.
  void WaitHealed() {
    const auto left = [this] {
      const Strings delivered = Delivered(site_, "a");
      std::set<std::string> waits(names_.begin(), names_.end());
      for (std::size_t i = 0; i < delivered.size(); ++i) {
        if (i >= mended_at_ || delivered[i].find(" ok ") != std::string::npos) {
          waits.erase(delivered[i].substr(0, delivered[i].find(' ')));
        }
      }
      return waits.size();
    };
    // The call that was on when it was mended may have been the first good one.
    ASSERT_TRUE(WaitUntil([&] { return left() <= 1; })) << host_->Errors();
    constexpr std::chrono::seconds kIfItWasNot{3};
    (void)WaitUntil([&] { return left() == 0; }, kIfItWasNot);
    Add("last", "last");
    AppendAll();
    EXPECT_TRUE(WaitForDelivery("last@0")) << host_->Errors();
  }

  Site site_;
  std::unique_ptr<Process> host_;
  Strings names_;              // "STREAM@REVISION" of all events.
  std::size_t mended_at_ = 0;  // Deliveries before that.

 private:
  Strings lines_;
  std::map<std::string, std::uint64_t> next_revision_;
};

TEST_F(DoubtTest, OnePoisonEventIsOneLetterAndHoldsItsStreamOnly) {
  Configure();
  Strings others;
  Strings followers;
  for (int i = 0; i < 48; ++i) {
    const std::string stream = "s-" + std::to_string(i % 8);
    Add(stream, "counted", i == 19 ? Order("fail") : "{}");
    if (i > 19 && i % 8 == 3) {
      followers.push_back(names_.back());
    } else if (i != 19) {
      others.push_back(names_.back());
    }
  }
  AppendAll();
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  ExpectOnce(others);
  EXPECT_GE(Deliveries()["s-3@2"], 4) << "three tries more before it counts";
  EXPECT_EQ(LettersOf("healing"), Strings{"s-3@2"});
  EXPECT_EQ(LettersOf("follower"), followers);
  EXPECT_EQ(run.Log().Last("Group ended", "a", "dlqCount"), "1");
  EXPECT_EQ(run.Log().Last("Group ended", "a", "followerCount"), std::to_string(followers.size()));
  EXPECT_EQ(Written(site_, "other").size(), 48u);
}

TEST_F(DoubtTest, ARowOfPoisonPassesByItselfWithOneLetterAProbe) {
  Configure();
  Strings poison;
  Strings others;
  for (int i = 0; i < 12; ++i) {
    Add("fine-" + std::to_string(i), "fine");
    others.push_back(names_.back());
  }
  for (int i = 0; i < 12; ++i) {
    Add("poison-" + std::to_string(i), "bad", Order("fail"));
    poison.push_back(names_.back());
  }
  for (int i = 0; i < 12; ++i) {
    Add("fine-" + std::to_string(i), "fine");
    others.push_back(names_.back());
  }
  AppendAll();
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  ExpectOnce(others);
  EXPECT_THAT(LettersOf("healing"), UnorderedElementsAreArray(poison));
  EXPECT_EQ(Letters().size(), poison.size());
  // While it waited, it said for what.
  bool named = false;
  for (const JsonObject& line : run.Log().With("State changed", "a")) {
    const std::string& reason = line.at("reason");
    named = named || (reason.find("in a row that fails on type \"bad\"") != std::string::npos &&
                      reason.find("odd") != std::string::npos);
  }
  EXPECT_TRUE(named) << run.err;
}

TEST_F(DoubtTest, PoisonInAQuietLogIsALetterWithoutAnotherEvent) {
  Configure();
  Add("s", "t");
  AppendAll();
  Run();
  ASSERT_TRUE(WaitForDelivery("s@0")) << host_->Errors();
  Add("p", "t", Order("fail"));
  AppendAll();
  ASSERT_TRUE(host_->WaitForLog("Dead letter written", "a"));
  Add("s", "t");
  AppendAll();
  EXPECT_TRUE(WaitForDelivery("s@1")) << host_->Errors();
  End();
  EXPECT_EQ(LettersOf("healing"), Strings{"p@0"});
}

// Held, so that the others are not slowed; and a file that mends it heals all without a command.
TEST_F(DoubtTest, ATypeThatAlwaysFailsIsHeldAndHealsWithANewFile) {
  Configure();
  Strings bad;
  Strings fine;
  for (int i = 0; i < 60; ++i) {
    for (int k = 0; k < 10; ++k) {
      Add("fine-" + std::to_string(k), "fine");
      fine.push_back(names_.back());
    }
    Add("bad-" + std::to_string(i), "bad", UntilMended("fail"));
    bad.push_back(names_.back());
  }
  AppendAll();
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_TRUE(run.Log().Has("Event type held", "a")) << run.err;
  ExpectOnce(fine);
  EXPECT_THAT(LettersOf("healing"), UnorderedElementsAreArray(bad));
  EXPECT_LT(Deliveries().size(), names_.size()) << "held, and yet each was called";

  Mend();
  ChangePlugin();
  const Finished again = site_.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_THAT(Letters(), IsEmpty()) << again.err;
  ExpectOnce(fine);
  ExpectAllInOrder();
}

// What a run that is to end does for letters: one call for each that is due.
TEST_F(DoubtTest, UntilCaughtUpCallsEachDueLetterOnceAndTellsHowManyAreLeft) {
  Configure();
  for (int i = 0; i < 2; ++i) {
    Add("p-" + std::to_string(i), "t", Order("fail"));
    Add("q-" + std::to_string(i), "u", UntilMended("fail"));
  }
  AppendAll();
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  auto before = Deliveries();
  Mend();
  ChangePlugin();
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  const auto after = Deliveries();
  for (const auto& [name, deliveries] : after) {
    EXPECT_EQ(deliveries, before[name] + 1) << name;
  }
  EXPECT_THAT(LettersOf("healing"), testing::ElementsAre("p-0@0", "p-1@0"));
  EXPECT_EQ(run.Log().Last("Group ended", "a", "dlqCount"), "2");
  EXPECT_EQ(run.Log().Last("Group ended", "a", "healingCount"), "2");
}

// A file that is new to the letters is so until the disk knows which of them are due for it.
TEST_F(DoubtTest, WhatANewFileMakesDueIsSoBehindAKillToo) {
  constexpr char kTwoLanes[] = "lanes = 2\nmax_crashes = 1\n";
  Configure(kTwoLanes + std::string("handler_timeout = \"1s\"\n"));
  Add("a", "t", UntilMended("hang"));
  Add("b", "t", R"({"do":"fail","text":"validation","times":1})");
  AppendAll();
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  ASSERT_THAT(LettersOf("healing"), testing::ElementsAre("a@0", "b@0"));

  // Both are due; the call of the one hangs while an event and its checkpoint pass.
  Configure(kTwoLanes + std::string("handler_timeout = \"10m\"\n"));
  ChangePlugin();
  const int hung = Deliveries()["a@0"];
  Run();
  ASSERT_TRUE(WaitUntil([&] { return Deliveries()["a@0"] > hung; })) << host_->Errors();
  const std::string before = ReadFile(site_.group("a") / "checkpoint");
  Add("c", "u");
  AppendAll();
  ASSERT_TRUE(WaitForDelivery("c@0")) << host_->Errors();
  ASSERT_TRUE(WaitUntil([&] { return ReadFile(site_.group("a") / "checkpoint") != before; }));
  host_->Signal(SIGKILL);
  EXPECT_EQ(host_->Wait(), 128 + SIGKILL);

  Mend();
  Run();
  EXPECT_TRUE(WaitUntil([&] { return host_->Log().With("Dead letter healed", "a").size() == 2; }))
      << host_->Errors();
  End();
  EXPECT_THAT(Letters(), IsEmpty());
}

// Else each start of the group would end with the same call, and no event had its turn.
TEST_F(DoubtTest, ALetterWhoseCallBreaksTheContractIsPutOffAndNamed) {
  Configure();
  Run();
  const auto dlq = [this](Strings arguments) {
    arguments.insert(arguments.begin(), "dlq");
    arguments.insert(arguments.end(), {"--type", "odd", "--config", "host.toml"});
    return site_.Catchup(arguments);
  };
  ASSERT_TRUE(host_->WaitForLog("Runner started", "a"));
  ASSERT_TRUE(WaitUntil([&] {
    return dlq({"park", "a", "--reason", "x"}).exit == 0;
  })) << host_->Errors();
  Add("s", "odd", Order("bad_status"));
  AppendAll();
  ASSERT_TRUE(host_->WaitForLog("Dead letter written", "a"));

  EXPECT_EQ(dlq({"unpark", "a"}).exit, 0);

  ASSERT_TRUE(host_->WaitForLog("Group ended", "a"));
  EXPECT_EQ(host_->Log().Last("Group ended", "a", "state"), "failed");
  EXPECT_THAT(host_->Log().Last("Group ended", "a", "reason"), testing::HasSubstr("dead letter"));
  host_->Signal(SIGTERM);
  (void)host_->Wait();
  const Finished listed = site_.Catchup({"dlq", "list", "a", "--json", "--config", "host.toml"});
  const auto letters = nlohmann::json::parse(listed.out);
  ASSERT_EQ(letters.size(), 1u) << listed.out;
  EXPECT_EQ(letters[0].at("attempts"), 1);
  EXPECT_GT(letters[0].at("nextTryAt").get<std::string>(),
            letters[0].at("lastFailedAt").get<std::string>());
}

TEST_F(DoubtTest, AnOutageThatLastsIsAnErrorLineEachMinute) {
  site_.UseTestProgram(150);
  Configure();
  Add("s", "t", UntilMended("retry"));
  AppendAll();
  Run();
  const auto alarms = [&] { return host_->Log().With("Breaker stays open", "a"); };
  ASSERT_TRUE(WaitUntil([&] { return alarms().size() >= 2; })) << host_->Errors();
  const JsonObject alarm = alarms().front();
  EXPECT_EQ(alarm.at("level"), "error");
  EXPECT_THAT(alarm.at("reason"), testing::HasSubstr("odd"));
  EXPECT_THAT(alarm.at("since"), testing::MatchesRegex("[0-9-]+T[0-9:.]+Z"));
  Mend();
  ASSERT_TRUE(host_->WaitForLog("Going on after failed calls", "a"));
  End();
}

// The plugin said what it meant, so nothing waits and nothing opens.
TEST_F(DoubtTest, ARowOfRejectsIsARowOfDeadLettersAtOnce) {
  Configure("dead_letters.order = \"event\"");
  Strings rejected;
  Strings others;
  for (int i = 0; i < 60; ++i) {
    Add("s-" + std::to_string(i % 10), "t", i < 50 ? Order("reject") : "{}");
    (i < 50 ? rejected : others).push_back(names_.back());
  }
  AppendAll();
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  ExpectOnce(names_);
  EXPECT_EQ(LettersOf("dead"), rejected);
  for (const Letter& letter : Letters()) {
    EXPECT_EQ(letter.letter_class, "domain") << letter.name;
  }
  EXPECT_FALSE(run.Log().Has("Waiting after a failed call", "a")) << run.err;
}

TEST_F(DoubtTest, ADependencyThatComesAndGoesUnderRetryLeavesNoLetter) {
  Configure();
  for (int i = 0; i < 60; ++i) {
    Add("s-" + std::to_string(i % 7), "t",
        i % 5 == 0 ? Order("retry", ",\"times\":" + std::to_string(1 + i % 4)) : "{}");
  }
  AppendAll();
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_THAT(Letters(), IsEmpty());
  EXPECT_FALSE(run.Log().Has("Dead letter written", "a"));
  ExpectAllInOrder();
}

// A letter that is under way when the outage ends heals like the others.
TEST_F(DoubtTest, AnOutageThatEndsWhileALetterIsWrittenLeavesNone) {
  site_.UseTestProgram();
  // The first change of the letters is the token's.
  WriteFile(site_.file("plan"), "before-letter-commit stop 2\n");
  site_.SetEnv("CATCHUP_TEST_FAIL", site_.file("plan"));
  Configure();
  for (int i = 0; i < 30; ++i) {
    Add("s-" + std::to_string(i % 10), "t", UntilMended("fail"));
  }
  AppendAll();
  Run();
  ASSERT_TRUE(WaitUntil([&] { return host_->Stopped(); })) << host_->Errors();
  ASSERT_TRUE(fs::exists(site_.file("plan.fired")));
  Mend();
  host_->Signal(SIGCONT);
  WaitHealed();
  End();
  EXPECT_THAT(Letters(), IsEmpty());
  ExpectAllInOrder();
}

struct Outage {
  const char* what;
  int ignored;  // Of ten events, those of a type that the outage does not touch.
};

void PrintTo(const Outage& outage, std::ostream* out) {
  *out << outage.what << ", " << outage.ignored * 10 << " % ignored";
}

class OutageTest : public DoubtTest, public testing::WithParamInterface<Outage> {};

// A plugin that fails everything, or all of one type, until what it needs is back.
TEST_P(OutageTest, HealsWithoutACommandAndInOrder) {
  const Outage outage = GetParam();
  site_.UseTestProgram(20);
  Configure("handler_timeout = \"300ms\"\nmax_crashes = 1\n");
  for (int i = 0; i < 40; ++i) {
    const bool ignored = i % 10 < outage.ignored;
    Add((ignored ? "n-" : "s-") + std::to_string(i % 8), ignored ? "noted" : "counted",
        ignored ? "{}" : UntilMended(outage.what));
  }
  AppendAll();
  Run();
  ASSERT_TRUE(WaitForLetters(4)) << host_->Errors();
  Mend();
  WaitHealed();
  End();
  EXPECT_THAT(Letters(), IsEmpty()) << host_->Errors();
  EXPECT_EQ(host_->Log().Last("Group ended", "a", "state"), "stopped");
  EXPECT_EQ(host_->Log().With("Runner started", "other").size(), 1u);
  ExpectAllInOrder();
}

INSTANTIATE_TEST_SUITE_P(V2, OutageTest,
                         testing::Values(Outage{"fail", 0}, Outage{"fail", 2}, Outage{"fail", 5},
                                         Outage{"throw_int", 2}, Outage{"hang", 2},
                                         Outage{"segv", 2}));

}  // namespace
}  // namespace catchup::e2e
