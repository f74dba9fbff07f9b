#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "host/store/checkpoint_file.h"
#include "host/store/checkpoint_slot.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/oracle.h"

// Host and runner are killed at the worst of moments while letters are written, called and removed
// (host/base/test_seams.h); what they leave behind is judged offline.

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

// Checkpoint batch and window, as configured below.
constexpr std::size_t kDuplicateBound = 10 + 64;

// Runs until nothing is left to be done. A file of the plugin's that has changed makes every letter
// due at once.
constexpr int kMostLives = 6;

Position PositionOf(const std::string& text) {
  const auto position = ParsePosition(text);
  EXPECT_TRUE(position.ok()) << text;
  return position.ok() ? *position : Position{};
}

class LetterKillTest : public testing::Test {
 protected:
  LetterKillTest() : random_(TestSeed()) {
    site_.UseTestProgram();
    fs::copy_file(fs::path(FIXTURE_DIRECTORY) / "trouble.so", site_.file("plugins/own.so"));
    fs::permissions(site_.file("plugins/own.so"), fs::perms(0644));
    MakeLog();
    // What the log holds, seen by a host that is never killed.
    site_.Configure(JsonlGroup("witness"), "embedded:log", "witness");
    EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
    history_.duplicate_bound = kDuplicateBound;
    for (const std::string& line : ReadLines(site_.file("witness/groups/witness/data/out.jsonl"))) {
      const JsonObject event = ParseJsonObject(line);
      history_.log.push_back({PositionOf(event.at("commit") + ":" + event.at("prepare")),
                              event.at("stream"), std::stoull(event.at("revision"))});
    }
    EXPECT_EQ(history_.log.size(), lines_.size());
  }

  // Two failures of a type make letters, the third opens the breaker; it closes as soon as the
  // probes succeed, and then the letters heal and hand on what follows. Once more for good measure.
  void MakeLog() {
    for (int round = 0; round < 2; ++round) {
      const std::string type = "t-" + std::to_string(round);
      for (int i = 0; i < 6; ++i) {
        Add("p-" + std::to_string(i), type, R"({"do":"fail","text":"odd","times":1})");
      }
      for (int i = 0; i < 60; ++i) {
        const auto number = random_() % 12;
        Add((number < 6 ? "p-" : "s-") + std::to_string(number), number % 2 == 0 ? type : "other");
      }
    }
    site_.Append(lines_);
  }
  void Add(const std::string& stream, const std::string& type, const std::string& data = "{}") {
    lines_.push_back(EventLine(stream, type, data));
  }

  void Configure(bool runner_hears) {
    site_.Configure(
        "[groups.a]\nplugin = \"own.so\"\nprojection = \"trouble\"\nprefixes = [\"\"]\n"
        "config = { journal = \"journal\" }\nmax_retries = 0\nretry_delay = \"100ms\"\n"
        "breaker = { open = \"100ms\", max_open = \"200ms\" }\nwindow = { events = 64 }\n" +
        std::string(runner_hears ? "env = [\"CATCHUP_TEST_FAIL\"]\n" : ""));
  }
  void Plan(const std::string& point, int times) {
    WriteFile(plan_, point + " kill " + std::to_string(times) + "\n");
    site_.SetEnv("CATCHUP_TEST_FAIL", plan_);
  }
  bool Fired() const { return fs::exists(plan_ + ".fired"); }

  // What a restart would find, and what was called until now.
  void Note(Life life) {
    life.deliveries = ReadLines(site_.data("a", "journal")).size();
    if (const auto image = CheckpointFile::Read(site_.group("a") / "checkpoint"); image.ok()) {
      std::uint64_t newest = 0;
      for (std::uint8_t slot = 0; slot < kSlots; ++slot) {
        const auto content = DecodeSlot(slot, image->slots[slot]);
        if (content.ok() && content->record.number >= newest) {
          newest = content->record.number;
          life.checkpoint = content->record.checkpoint;
        }
      }
    }
    const Finished listed = site_.Catchup({"dlq", "list", "a", "--json", "--config", "host.toml"});
    EXPECT_EQ(listed.exit, 0) << listed.err;
    for (const auto& letter : nlohmann::json::parse(listed.out)) {
      const std::string state = letter.at("state");
      life.letters.push_back(
          {PositionOf(letter.at("id")), state == "healing" ? KeptLetter::State::kHealing
                                        : state == "dead"  ? KeptLetter::State::kDead
                                                           : KeptLetter::State::kFollower});
    }
    history_.lives.push_back(std::move(life));
  }

  // One life, and what it left.
  Finished Live() {
    Finished run = site_.RunUntilCaughtUp();
    // No token is ever handed out twice.
    for (const JsonObject& start : run.Log().With("Runner started", "a")) {
      const std::uint64_t token = std::stoull(start.at("token"));
      EXPECT_GT(token, last_token_);
      last_token_ = token;
    }
    Life life;
    life.end = run.exit == 128 + SIGKILL ? Life::End::kHostKilled : Life::End::kStopped;
    for (const JsonObject& end : run.Log().With("Runner ended", "a")) {
      life.runner_deaths += end.at("exitClass") != "clean" ? 1 : 0;
    }
    Note(life);
    return run;
  }

  void LiveToTheEnd() {
    for (int i = 0; i < kMostLives; ++i) {
      std::ofstream(site_.file("plugins/own.so"), std::ios::app | std::ios::binary) << 'x';
      const Finished run = Live();
      ASSERT_EQ(run.exit, 0) << run.err;
      if (history_.lives.back().letters.empty()) {
        return;
      }
    }
    ADD_FAILURE() << history_.lives.back().letters.size() << " letters are left";
  }

  void ExpectGood() {
    // "COMMIT:PREPARE STREAM REVISION TYPE ID DO DELIVERY"
    for (const std::string& line : ReadLines(site_.data("a", "journal"))) {
      std::istringstream words(line);
      std::string place, stream, revision, type, id, what;
      std::uint64_t delivery = 0;
      words >> place >> stream >> revision >> type >> id >> what >> delivery;
      history_.deliveries.push_back({PositionOf(place), what == "ok" || delivery > 1});
    }
    history_.outage_only = true;
    EXPECT_EQ(Judge(history_), Strings{});
  }

  std::mt19937_64 random_;
  Site site_;
  Strings lines_;
  History history_;
  std::uint64_t last_token_ = 0;
  const std::string plan_ = site_.file("plan");
};

// The scenario is what it is meant to be.
TEST_F(LetterKillTest, WithoutAKillLettersAreWrittenAndHeal) {
  Configure(false);
  const Finished run = Live();
  ASSERT_EQ(run.exit, 0) << run.err;
  EXPECT_GE(run.Log().With("Dead letter written", "a").size(), 4u) << run.err;
  EXPECT_TRUE(run.Log().Has("Dead letter healed", "a")) << run.err;
  LiveToTheEnd();
  ExpectGood();
}

struct Blow {
  const char* point;
  bool runner;  // Whom it kills; else the host.
  int times;
};

void PrintTo(const Blow& blow, std::ostream* out) { *out << blow.point << " " << blow.times; }

class LetterKillAtAPointTest : public LetterKillTest, public testing::WithParamInterface<Blow> {};

TEST_P(LetterKillAtAPointTest, CostsNoEventNoOrderAndNoLetter) {
  const Blow blow = GetParam();
  Configure(blow.runner);
  Plan(blow.point, blow.times);
  const Finished run = Live();
  ASSERT_TRUE(Fired()) << run.err;
  if (!blow.runner) {
    EXPECT_EQ(run.exit, 128 + SIGKILL) << run.err;
  }
  LiveToTheEnd();
  ExpectGood();
}

// Some in every run, all where there is time.
std::vector<Blow> Blows() {
  const bool all = std::getenv("CATCHUP_TEST_LONG") != nullptr;
  const auto choose = [all](std::vector<int> every, std::vector<int> some) {
    return all ? every : some;
  };
  std::vector<Blow> blows;
  // The first change of the letters is a token's, the next ones are letters, followers, and what is
  // removed.
  for (const char* point : {"before-letter-commit", "after-letter-commit"}) {
    for (const int times : choose({1, 2, 3, 4, 5, 6, 7, 8, 9}, {2, 4, 7})) {
      blows.push_back({point, false, times});
    }
  }
  for (const char* point : {"before-checkpoint-write", "after-checkpoint-write"}) {
    for (const int times : choose({1, 2, 4, 6}, {4})) {
      blows.push_back({point, false, times});
    }
  }
  for (const int times : choose({1, 2, 4, 6}, {2, 6})) {
    blows.push_back({"outcome-unread", false, times});
  }
  // By turns events in place, probes, letters and their followers.
  for (const char* point : {"before-handle", "after-handle", "after-outcome"}) {
    for (const int times : choose({2, 5, 8, 10, 12, 14}, {5, 12})) {
      blows.push_back({point, true, times});
    }
  }
  blows.push_back({"host-drain", false, 1});
  blows.push_back({"runner-drain", true, 1});
  return blows;
}

INSTANTIATE_TEST_SUITE_P(K2, LetterKillAtAPointTest, testing::ValuesIn(Blows()));

}  // namespace
}  // namespace catchup::e2e
