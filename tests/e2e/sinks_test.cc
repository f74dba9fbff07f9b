#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/e2e/dev_server.h"
#include "tests/e2e/harness.h"

// What becomes of letters is told to the sinks that are configured, whatever they do.
namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

constexpr char kReject[] = R"({"do":"reject","text":"no such article"})";

class SinksTest : public testing::Test {
 protected:
  void ConfigureGroup(const std::string& sinks, const std::string& keys = "prefixes = [\"\"]") {
    site_.Configure(TroubleGroup("g", keys + "\ndead_letters.sinks = [" + sinks + "]"));
  }

  std::vector<JsonObject> Told(const char* file = "dead.jsonl") const {
    std::vector<JsonObject> steps;
    if (fs::exists(site_.file(file))) {
      for (const std::string& line : ReadLines(site_.file(file))) {
        steps.push_back(ParseJsonObject(line));
      }
    }
    return steps;
  }
  std::vector<std::string> Steps(const char* file = "dead.jsonl") const {
    std::vector<std::string> steps;
    for (JsonObject& step : Told(file)) {
      steps.push_back(step["step"] + " " + step["stream"]);
    }
    return steps;
  }

  // What the log holds of `stream`, as a host without sinks reads it.
  std::vector<std::string> Stored(const std::string& stream) {
    site_.Configure(
        JsonlGroup("reader", "match = \"stream_name\"\nprefixes = [\"" + stream + "\"]"));
    const Finished ran = site_.RunUntilCaughtUp();
    EXPECT_EQ(ran.exit, 0) << ran.err;
    return ReadLines(site_.data("reader", "out.jsonl"));
  }

  Site site_;
  using Texts = std::vector<std::string>;
};

TEST_F(SinksTest, EachStepOfALetterIsALine) {
  ConfigureGroup("\"jsonl:dead.jsonl\"");
  site_.Append({EventLine("a", "t", kReject), EventLine("a", "t"),
                EventLine("b", "u", R"({"do":"fail","text":"invalid","times":1})")});

  const Finished ran = site_.RunUntilCaughtUp();

  EXPECT_EQ(ran.exit, 0) << ran.err;
  std::vector<JsonObject> told = Told();
  EXPECT_EQ(Steps(), (Texts{"written a", "written a", "written b"})) << ran.err;
  JsonObject& first = told.at(0);
  EXPECT_EQ(first["state"], "dead");
  EXPECT_EQ(first["class"], "domain");
  EXPECT_EQ(first["reason"], "no such article");
  EXPECT_EQ(first["group"], "g");
  EXPECT_EQ(first["attempts"], "1");
  EXPECT_EQ(first["number"], "1");
  EXPECT_NE(first["event"].find(kReject), std::string::npos) << first["event"];
  EXPECT_EQ(told.at(1)["state"], "follower");
  EXPECT_EQ(told.at(2)["state"], "healing");
}

TEST_F(SinksTest, ALetterThatHealsAndOneThatDiesAreTold) {
  site_.UseTestProgram(20);
  ConfigureGroup("\"jsonl:dead.jsonl\"",
                 "prefixes = [\"\"]\nmax_retries = 0\ndead_letters.heal_for = \"1s\"");
  site_.Append({EventLine("a", "t", R"({"do":"fail","text":"odd","times":1})"),
                EventLine("b", "u", R"({"do":"fail","text":"odd"})")});
  const auto host = site_.Start({"run", "host.toml"});
  EXPECT_TRUE(WaitUntil([&] { return Steps().size() >= 4; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0);
  Texts steps = Steps();
  EXPECT_EQ(Texts(steps.begin(), steps.begin() + 2), (Texts{"written a", "written b"}));
  EXPECT_NE(std::find(steps.begin(), steps.end(), "healed a"), steps.end());
  EXPECT_NE(std::find(steps.begin(), steps.end(), "dead b"), steps.end());
}

TEST_F(SinksTest, ARetryByCommandIsToldAndThenWhatItLedTo) {
  constexpr const char* kUntil = R"({"do":"reject","text":"no such article","until":"mended"})";
  ConfigureGroup("\"jsonl:dead.jsonl\"");
  site_.Append({EventLine("a", "t", kUntil), EventLine("b", "t", kReject)});
  const auto host = site_.Start({"run", "host.toml"});
  const Texts written{"written a", "written b"};
  EXPECT_TRUE(WaitUntil([&] { return Steps() == written; })) << host->Errors();
  const auto retry = [&] {
    return site_.Catchup({"dlq", "retry", "g", "--all", "--config", "host.toml"});
  };

  EXPECT_EQ(retry().exit, 1) << "both fail again";
  EXPECT_TRUE(WaitUntil([&] { return Steps().size() >= 4; })) << host->Errors();
  WriteFile(site_.data("g", "mended"), "");
  EXPECT_EQ(retry().exit, 1) << "one of them";
  EXPECT_TRUE(WaitUntil([&] { return Steps().size() >= 7; })) << host->Errors();

  EXPECT_EQ(Steps(), (Texts{"written a", "written b", "retried a", "retried b", "retried a",
                            "healed a", "retried b"}));
  std::vector<JsonObject> told = Told();
  EXPECT_EQ(told.at(2)["state"], "dead");
  EXPECT_EQ(told.at(2)["attempts"], "2");
  EXPECT_EQ(told.at(2)["note"].rfind("user ", 0), 0u) << told.at(2)["note"];
  EXPECT_EQ(told.at(5)["note"], "");
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0);
}

TEST_F(SinksTest, AStreamGetsThemAsEventsThatNoGroupIsGiven) {
  // A group with every event, and one that asks for the sink's stream by its name.
  site_.Configure(TroubleGroup("g",
                               "prefixes = [\"\"]\nsystem_events = true\n"
                               "dead_letters.sinks = [\"stream:dead-orders\"]") +
                  JsonlGroup("other", "match = \"stream_name\"\nprefixes = [\"dead-\"]"));
  site_.Append({EventLine("a", "t", kReject), EventLine("b", "t", kReject), EventLine("c", "t")});
  const auto host = site_.Start({"run", "host.toml"});
  const auto skipped = [&] { return host->Log().Last("Group ended", "other", "skippedCount"); };
  ASSERT_TRUE(host->WaitForLog("Host started"));
  // Both are letters when this one is called.
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site_, "g").size() >= 3; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  // What the sink wrote at the host's end at the latest, comes to both in the next run.
  const Finished again = site_.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(Delivered(site_, "g").size(), 3u);
  EXPECT_EQ(Written(site_, "other"), Texts());
  const auto count = [](const std::string& text) { return text.empty() ? 0 : std::stoi(text); };
  EXPECT_EQ(count(skipped()) + count(again.Log().Last("Group ended", "other", "skippedCount")), 2);

  const Texts stored = Stored("dead-");
  ASSERT_EQ(stored.size(), 2u);
  JsonObject event = ParseJsonObject(stored[0]);
  EXPECT_EQ(event["type"], "catchup-dead-letter");
  EXPECT_EQ(event["stream"], "dead-orders");
  EXPECT_NE(event["data"].find("\"step\":\"written\""), std::string::npos) << event["data"];
}

TEST_F(SinksTest, ABrokenSinkHoldsNobodyUpAndGetsEverythingOnceItWorks) {
  site_.UseTestProgram(20);
  ConfigureGroup("\"jsonl:gone/dead.jsonl\", \"jsonl:dead.jsonl\"");
  site_.Append({EventLine("a", "t", kReject), EventLine("b", "t")});
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Dead-letter sink fails, tried again until it works", "g"));
  EXPECT_TRUE(WaitUntil([&] { return Delivered(site_, "g").size() == 2; }));
  EXPECT_TRUE(WaitUntil([&] { return Steps().size() == 1; }));
  fs::create_directory(site_.file("gone"));
  EXPECT_TRUE(host->WaitForLog("Dead-letter sink works again", "g"));
  EXPECT_EQ(Steps("gone/dead.jsonl"), Texts{"written a"});
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0);
  const HostLog log = host->Log();
  EXPECT_EQ(log.With("Dead-letter sink fails, tried again until it works", "g").size(), 1u);
  EXPECT_EQ(log.Last("Dead-letter sink works again", "g", "sink"), "jsonl:gone/dead.jsonl");
  EXPECT_EQ(Steps(), Texts{"written a"});
}

TEST_F(SinksTest, WhatASinkIsBehindItGetsInTheNextRun) {
  ConfigureGroup("\"jsonl:gone/dead.jsonl\"");
  site_.Append({EventLine("a", "t", kReject)});
  const Finished first = site_.RunUntilCaughtUp();
  EXPECT_EQ(first.exit, 0);
  constexpr const char* kBehind = "Dead-letter sink is behind";
  EXPECT_EQ(first.Log().Last(kBehind, "g", "sink"), "jsonl:gone/dead.jsonl") << first.err;
  EXPECT_EQ(first.Log().Last(kBehind, "g", "behindCount"), "1");
  EXPECT_NE(first.Log().Last(kBehind, "g", "reason").find("gone/dead.jsonl"), std::string::npos)
      << first.err;
  fs::create_directory(site_.file("gone"));
  const Finished again = site_.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_FALSE(again.Log().Has(kBehind));
  EXPECT_EQ(Steps("gone/dead.jsonl"), Texts{"written a"});
  EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Steps("gone/dead.jsonl"), Texts{"written a"});
}

TEST_F(SinksTest, SeveralGroupsMayShareAFile) {
  const std::string keys = "prefixes = [\"\"]\ndead_letters.sinks = [\"jsonl:dead.jsonl\"]";
  site_.Configure(TroubleGroup("g", keys) + TroubleGroup("h", keys));
  Texts events;
  for (int i = 0; i < 50; ++i) {
    events.push_back(EventLine("s" + std::to_string(i), "t", kReject));
  }
  site_.Append(events);
  const Finished ran = site_.RunUntilCaughtUp();
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_FALSE(ran.Log().Has("Dead-letter sink fails, tried again until it works"));
  std::map<std::string, int> groups;
  for (JsonObject& step : Told()) {
    ++groups[step["group"]];
  }
  EXPECT_EQ(groups, (std::map<std::string, int>{{"g", 50}, {"h", 50}})) << ran.err;
}

// A server that is gone answers nobody; a host that is told to stop does not wait for it.
TEST_F(SinksTest, AStopDoesNotWaitForAServerThatDoesNotAnswer) {
  DevServer server(&site_);
  server.Serve();
  ConfigureGroup("\"stream:dead\"");
  site_.Append({EventLine("a", "t", kReject)});
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site_, "g").size() == 1; })) << host->Errors();
  server.Freeze();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(std::chrono::seconds(10)), 0) << host->Errors();
  server.Thaw();
  const Finished again = site_.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(Stored("dead").size(), 1u);
}

}  // namespace
}  // namespace catchup::e2e
