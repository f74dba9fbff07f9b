#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"

// The plugin that misbehaves as it is told: each order through `catchup try`, and what needs a host
// through one.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

std::string OrderLine(const std::string& order) { return EventLine("s", "t", order); }

class TroubleTest : public testing::Test {
 protected:
  TroubleTest() { fs::create_directory(site_.file("work")); }

  Finished Try(const Strings& orders, Strings more = {"--projection", "trouble"}) {
    std::string text;
    for (const std::string& order : orders) {
      text += OrderLine(order) + "\n";
    }
    WriteFile(site_.file("events.jsonl"), text);
    more.insert(more.begin(), {"try", FIXTURE_DIRECTORY "/trouble.so", "events.jsonl", "--work",
                               "work", "--set", "journal=\"journal\""});
    return site_.Catchup(more);
  }

  // What `try` prints of an only event.
  std::string Answer(const std::string& order) {
    const Finished tried = Try({order});
    const std::string head = "1  s@0  t  ";
    EXPECT_THAT(tried.out, StartsWith(head)) << tried.out << tried.err;
    return tried.out.size() < head.size() ? "" : tried.out.substr(head.size());
  }

  Strings Journal() const { return ReadLines(site_.file("work/journal")); }

  Site site_;
};

TEST_F(TroubleTest, EachStatusHasItsText) {
  EXPECT_EQ(Answer(R"({"do":"ok"})"), "OK\n");
  EXPECT_EQ(Answer(R"({"do":"reject","text":"no such customer"})"), "REJECT  no such customer\n");
  EXPECT_EQ(Answer(R"({"do":"retry","text":"the database is away"})"),
            "RETRY  the database is away\n");
  EXPECT_EQ(Answer(R"({"do":"fail","text":"timeout"})"), "FAILED  timeout\n");
  EXPECT_EQ(Answer(R"({"do":"throw","text":"broken"})"), "FAILED  broken\n");
  EXPECT_EQ(Answer(R"({"do":"throw_int"})"), "FAILED  an exception that is not a std::exception\n");
  EXPECT_EQ(Answer(R"({"do":"throw_foreign"})"),
            "FAILED  an exception that is not a std::exception\n");
  EXPECT_EQ(Answer(R"({"do":"fatal","text":"too new"})"), "FATAL  too new\n");
  EXPECT_EQ(Answer(R"({"do":"fatal"})"), "FATAL  fatal as ordered\n");
}

TEST_F(TroubleTest, WhatIsToEndTheProcessDoes) {
  for (const auto& [what, how] : {std::pair<std::string, std::string>{"segv", "died of SIGSEGV"},
                                  {"abort", "died of SIGABRT"},
                                  {"stack_overflow", "died of SIGSEGV"},
                                  {"bus", "died of SIGBUS"},
                                  {"fpe", "died of SIGFPE"},
                                  {"ill", "died of SIGILL"},
                                  {"terminate", "died of SIGABRT"},
                                  {"pthread_exit", "died of SIGABRT"},
                                  {"_exit", "exit code 4"},
                                  {"exit", "exit code 3"}}) {
    EXPECT_EQ(Answer("{\"do\":\"" + what + "\"}"), "DIED  " + how + " in handle\n");
  }
  EXPECT_EQ(Answer(R"({"do":"bad_status"})"),
            "contract violation  handle returned 77: wanted one of CATCHUP_OK … CATCHUP_FATAL\n");
}

TEST_F(TroubleTest, WhatTheHostShallNotNoticeSaysOk) {
  EXPECT_EQ(Answer(R"({"do":"slow","ms":1})"), "OK\n");
  EXPECT_EQ(Answer(R"({"do":"leak","bytes":8388608})"), "OK\n");
  const Finished flooded = Try({R"({"do":"stdout_flood","bytes":200000})"});
  EXPECT_EQ(flooded.out, "1  s@0  t  OK\n");
  EXPECT_GT(flooded.err.size(), 200'000u);
  // The journal works without the descriptors that were closed.
  EXPECT_EQ(Try({R"({"do":"close_fds"})", R"({"do":"ok"})"}).out, "1  s@0  t  OK\n2  s@1  t  OK\n");
}

// As a host would, of a group with the limit that is the default.
TEST_F(TroubleTest, ATrialHasTheLimitOfMemory) {
  const std::string answer = Answer(R"({"do":"leak","ms":2000})");
  EXPECT_THAT(answer, StartsWith("DIED  killed in handle: it has "));
  EXPECT_THAT(answer, HasSubstr("limits.memory = 512MiB"));
}

TEST_F(TroubleTest, AProcessThatItLeavesBehindIsGoneWithTheCommand) {
  EXPECT_EQ(Answer(R"({"do":"fork"})"), "OK\n");
  const Strings left = ReadLines(site_.file("work/left"));
  ASSERT_EQ(left.size(), 1u);
  EXPECT_TRUE(ForeignProcess(std::stoi(left[0])).Gone());
}

TEST_F(TroubleTest, ABigTextHasAnyBytes) {
  const std::string answer = Answer(R"({"do":"big_text","text":"timeout ","bytes":70000})");
  EXPECT_THAT(answer, StartsWith("FAILED  timeout \\u0001\\u0002")) << answer.substr(0, 80);
}

TEST_F(TroubleTest, TimesCountsTheDeliveriesOfAnEventAcrossRuns) {
  const std::string order = R"({"do":"reject","text":"no","times":2})";
  EXPECT_EQ(Try({order, order}).out, "1  s@0  t  REJECT  no\n2  s@1  t  REJECT  no\n");
  EXPECT_EQ(Answer(order), "REJECT  no\n");
  EXPECT_EQ(Try({order, order}).out, "1  s@0  t  OK\n2  s@1  t  REJECT  no\n");
  EXPECT_EQ(Try({order, order}).out, "1  s@0  t  OK\n2  s@1  t  OK\n");
}

TEST_F(TroubleTest, UntilEndsWithAFile) {
  const std::string order = R"({"do":"reject","text":"no","until":"mended"})";
  EXPECT_EQ(Answer(order), "REJECT  no\n");
  EXPECT_EQ(Answer(order), "REJECT  no\n");
  WriteFile(site_.file("work/mended"), "");
  EXPECT_EQ(Answer(order), "OK\n");
}

TEST_F(TroubleTest, TheJournalHasALineForEachDelivery) {
  WriteFile(site_.file("events.jsonl"),
            R"({"stream":"an order","type":"placed","id":"0b7c8b5e-6f0f-4b6e-9a55-3b1c5d7f2a10",)"
            R"("data":{"do":"reject"}})"
            "\n");
  for (int run = 0; run < 2; ++run) {
    EXPECT_EQ(site_
                  .Catchup({"try", FIXTURE_DIRECTORY "/trouble.so", "events.jsonl", "--work",
                            "work", "--set", "journal=\"journal\"", "--projection", "trouble"})
                  .exit,
              1);
  }
  const std::string head =
      "1000:1000 an\\x20order 0 placed 0b7c8b5e-6f0f-4b6e-9a55-3b1c5d7f2a10 reject ";
  EXPECT_EQ(Journal(), (Strings{head + "1", head + "2"}));
}

TEST_F(TroubleTest, WithoutItsJournalNothingIsDone) {
  fs::create_directory(site_.file("work/journal"));
  EXPECT_EQ(Answer(R"({"do":"abort"})"), "RETRY  journal journal: open: Is a directory\n");
}

TEST_F(TroubleTest, WhatIsNoOrderIsOkAndAnUnknownOneIsNamed) {
  EXPECT_EQ(Answer("[1]"), "OK\n");
  EXPECT_EQ(Answer(R"({"orderId":"7"})"), "OK\n");
  const std::string unknown = Answer(R"({"do":"explode"})");
  EXPECT_THAT(unknown, StartsWith("FATAL  order: do is \"explode\", wanted one of ok, reject"));
  EXPECT_EQ(Answer(R"({"do":"ok","times":"2"})"),
            "FATAL  order: times is \"2\", wanted a number that is not negative\n");
}

TEST_F(TroubleTest, ABatchAppliesWhatComesBeforeTheMisdeed) {
  const Finished tried = Try({R"({"do":"ok"})", R"({"do":"reject","text":"no"})", R"({"do":"ok"})"},
                             {"--projection", "trouble-batch", "--batch", "3"});
  EXPECT_EQ(tried.out, "1  s@0  t  OK\n2  s@1  t  REJECT  no\n3  s@2  t  OK\n");
  Strings deliveries;
  for (const std::string& line : Journal()) {
    deliveries.push_back(line.substr(0, line.find(' ')) + line.substr(line.rfind(' ')));
  }
  EXPECT_EQ(deliveries, (Strings{"1000:1000 1", "2000:2000 1", "2000:2000 2", "3000:3000 1"}));
}

TEST_F(TroubleTest, ARunnerThatDiesCountsOn) {
  site_.Append({OrderLine(R"({"do":"ok"})"), OrderLine(R"({"do":"segv","times":1})"),
                OrderLine(R"({"do":"ok"})")});
  site_.Configure(TroubleGroup("a"));
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Delivered(site_, "a"), (Strings{"s@0 ok 1", "s@1 segv 1", "s@1 segv 2", "s@2 ok 1"}));
}

TEST_F(TroubleTest, AHangIsFound) {
  site_.Append({OrderLine(R"({"do":"hang","times":1})")});
  site_.Configure(TroubleGroup("a", "prefixes = [\"\"]\nhandler_timeout = \"200ms\""));
  const auto host = site_.Start({"run", "host.toml"});
  EXPECT_TRUE(host->WaitForLog("Call hung", "a"));
  host->Signal(SIGTERM);
  (void)host->Wait();
  EXPECT_EQ(Delivered(site_, "a")[0], "s@0 hang 1");
}

}  // namespace
}  // namespace catchup::e2e
