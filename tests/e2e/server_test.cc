#include <gtest/gtest.h>
#include <signal.h>

#include <random>

#include "tests/e2e/dev_server.h"
#include "tests/e2e/harness.h"

// A host whose server is not there, or goes away, waits and goes on where it was.

namespace catchup::e2e {
namespace {

constexpr char kOpened[] = "Embedded log opened: its owner has ended";

class ServerTest : public testing::Test {
 protected:
  void ExpectState(Process* host, const std::string& state) {
    EXPECT_TRUE(WaitUntil([&] {
      return host->Log().Last("State changed", "copy", "state") == state;
    })) << host->Errors();
  }

  Site site_;
  DevServer server_{&site_};
};

TEST_F(ServerTest, TheGroupWaitsUntilTheServerComes) {
  site_.Append({EventLine("s", "x")});
  server_.Serve();
  server_.Kill();
  site_.Configure(JsonlGroup("copy"), server_.uri());
  const auto host = site_.Start({"run", "host.toml"});
  ExpectState(host.get(), "waiting");
  server_.Serve();
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 1; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// Protocol notes 3.14. The plugin and the host live on, so nothing is repeated either.
TEST_F(ServerTest, KillsOfTheServerCostNoEventAndRepeatNone) {
  std::mt19937_64 random(TestSeed());
  constexpr std::size_t kEvents = 30'000;
  std::vector<std::string> lines;
  std::vector<std::string> wanted;
  for (std::size_t i = 0; i < kEvents; ++i) {
    const std::string stream = "s" + std::to_string(i / 500);
    lines.push_back(EventLine(stream, "x"));
    wanted.push_back(stream + "@" + std::to_string(i % 500) + " x");
  }
  site_.Append(lines);
  server_.Serve();
  site_.Configure(JsonlGroup("copy"), server_.uri());
  const auto host = site_.Start({"run", "host.toml", "--until-caught-up"});
  int killed_midway = 0;
  for (int i = 0; i < 3; ++i) {
    const std::size_t before = ReadLines(site_.data("copy", "out.jsonl")).size();
    const std::size_t target = before + 1 + random() % (kEvents / 8);
    ASSERT_TRUE(WaitUntil([&] {
      return !host->Running() || ReadLines(site_.data("copy", "out.jsonl")).size() >= target;
    })) << host->Errors();
    server_.Kill();
    killed_midway += host->Running() ? 1 : 0;
    server_.Serve();
  }
  EXPECT_EQ(host->Wait(), 0) << host->Errors();

  EXPECT_GE(killed_midway, 1) << "the group was done before the server could be killed";
  EXPECT_EQ(Written(site_, "copy"), wanted);
  EXPECT_EQ(host->Log().With("Runner started", "copy").size(), 1u);
}

TEST_F(ServerTest, ALiveGroupTakesWhatIsAppendedAfterAReconnect) {
  server_.Serve();
  site_.Configure(JsonlGroup("copy"), server_.uri());
  const auto host = site_.Start({"run", "host.toml"});
  ExpectState(host.get(), "caught up");
  server_.Kill();
  ExpectState(host.get(), "waiting");
  server_.Serve();
  site_.Append({EventLine("late", "x")});
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 1; })) << host->Errors();
  ExpectState(host.get(), "caught up");
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// The groups would be long about it, each by itself: one looks, and all of them are told.
TEST_F(ServerTest, AllGroupsGoOnOnceAServerThatWasGoneAnswers) {
  server_.Serve();
  std::string groups;
  for (int i = 0; i < 5; ++i) {
    groups += JsonlGroup("copy" + std::to_string(i));
  }
  site_.Configure(groups, server_.uri());
  const auto host = site_.Start({"run", "host.toml"});
  const auto all_have = [&](std::size_t events) {
    return WaitUntil([&] {
      for (int i = 0; i < 5; ++i) {
        if (Written(site_, "copy" + std::to_string(i)).size() < events) {
          return false;
        }
      }
      return true;
    });
  };
  site_.Append({EventLine("s", "x")});
  ASSERT_TRUE(all_have(1)) << host->Errors();
  server_.Kill();
  // Each has tried in vain, and only the answer that somebody gets brings it back.
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(WaitUntil([&] {
      return host->Log()
                 .Last("Subscription dropped", "copy" + std::to_string(i), "reason")
                 .find("going on when the server answers") != std::string::npos;
    })) << host->Errors();
  }
  server_.Serve();
  EXPECT_TRUE(WaitUntil([&] { return host->Log().Has("Server answers again"); })) << host->Errors();
  site_.Append({EventLine("s", "x")});
  EXPECT_TRUE(all_have(2)) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// Two hosts used the log of a process that has ended: one of them opens it, the other follows.
TEST_F(ServerTest, HostsTakeOverAnEmbeddedLogWhoseOwnerHasEnded) {
  server_.Serve();
  site_.Configure(JsonlGroup("copy"), "embedded:log");
  Site beside;
  const std::string log = "embedded:" + site_.file("log").string();
  beside.Configure(JsonlGroup("copy"), log);
  const auto host = site_.Start({"run", "host.toml"});
  const auto other = beside.Start({"run", "host.toml"});
  ExpectState(host.get(), "caught up");
  ExpectState(other.get(), "caught up");

  server_.Kill();
  ExpectState(host.get(), "waiting");
  ExpectState(other.get(), "waiting");
  EXPECT_TRUE(WaitUntil([&] {
    return std::filesystem::exists(site_.file("log/endpoint")) &&
           (host->Log().Has(kOpened) || other->Log().Has(kOpened));
  }));
  site_.Append({EventLine("late", "x")});

  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 1; })) << host->Errors();
  EXPECT_TRUE(WaitUntil([&] { return Written(beside, "copy").size() == 1; })) << other->Errors();
  EXPECT_NE(host->Log().Has(kOpened), other->Log().Has(kOpened)) << "a log has one owner";
  for (Process* process : {host.get(), other.get()}) {
    process->Signal(SIGTERM);
    EXPECT_EQ(process->Wait(), 0) << process->Errors();
  }
}

}  // namespace
}  // namespace catchup::e2e
