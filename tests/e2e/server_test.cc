#include <gtest/gtest.h>
#include <signal.h>

#include <functional>
#include <random>

#include "tests/e2e/harness.h"
#include "tests/proxy/fault_proxy.h"

// A host whose server is not there, or goes away, waits and goes on where it was.

namespace catchup::e2e {
namespace {

constexpr char kOpened[] = "Embedded log opened: its owner has ended";

class ServerTest : public testing::Test {
 protected:
  // Serves the log on the port it had before, if it had one.
  void Serve() {
    server_ = site_.Start({"dev-server", "--listen", address_, "--data", "log"});
    ASSERT_TRUE(WaitUntil([&] { return server_->Output().find('\n') != std::string::npos; }))
        << server_->Errors();
    constexpr std::size_t kScheme = std::string_view("kurrentdb://").size();
    uri_ = server_->Output().substr(0, server_->Output().find('\n'));
    address_ = uri_.substr(kScheme, uri_.find('?') - kScheme);
  }

  void KillServer() {
    server_->Signal(SIGKILL);
    server_->Wait();
  }

  void ExpectState(Process* host, const std::string& state) {
    EXPECT_TRUE(WaitUntil([&] {
      return host->Log().Last("State changed", "copy", "state") == state;
    })) << host->Errors();
  }

  Site site_;
  std::string address_ = "127.0.0.1:0";
  std::string uri_;
  std::unique_ptr<Process> server_;
};

TEST_F(ServerTest, TheGroupWaitsUntilTheServerComes) {
  site_.Append({EventLine("s", "x")});
  Serve();
  KillServer();
  site_.Configure(JsonlGroup("copy"), uri_);
  const auto host = site_.Start({"run", "host.toml"});
  ExpectState(host.get(), "waiting");
  Serve();
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 1; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// The plugin and the host live on, so nothing is repeated either.
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
  Serve();
  site_.Configure(JsonlGroup("copy"), uri_);
  const auto host = site_.Start({"run", "host.toml", "--until-caught-up"});
  int killed_midway = 0;
  for (int i = 0; i < 3; ++i) {
    const std::size_t before = ReadLines(site_.data("copy", "out.jsonl")).size();
    const std::size_t target = before + 1 + random() % (kEvents / 8);
    ASSERT_TRUE(WaitUntil([&] {
      return !host->Running() || ReadLines(site_.data("copy", "out.jsonl")).size() >= target;
    })) << host->Errors();
    KillServer();
    killed_midway += host->Running() ? 1 : 0;
    Serve();
  }
  EXPECT_EQ(host->Wait(), 0) << host->Errors();

  EXPECT_GE(killed_midway, 1) << "the group was done before the server could be killed";
  EXPECT_EQ(Written(site_, "copy"), wanted);
  EXPECT_EQ(host->Log().With("Runner started", "copy").size(), 1u);
}

TEST_F(ServerTest, ALiveGroupTakesWhatIsAppendedAfterAReconnect) {
  Serve();
  site_.Configure(JsonlGroup("copy"), uri_);
  const auto host = site_.Start({"run", "host.toml"});
  ExpectState(host.get(), "caught up");
  KillServer();
  ExpectState(host.get(), "waiting");
  Serve();
  site_.Append({EventLine("late", "x")});
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 1; })) << host->Errors();
  ExpectState(host.get(), "caught up");
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// The groups would be long about it, each by itself: one looks, and all of them are told.
TEST_F(ServerTest, AllGroupsGoOnOnceAServerThatWasGoneAnswers) {
  Serve();
  std::string groups;
  for (int i = 0; i < 5; ++i) {
    groups += JsonlGroup("copy" + std::to_string(i));
  }
  site_.Configure(groups, uri_);
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
  KillServer();
  // Each has tried in vain, and only the answer that somebody gets brings it back.
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(WaitUntil([&] {
      return host->Log()
                 .Last("Subscription dropped", "copy" + std::to_string(i), "reason")
                 .find("going on when the server answers") != std::string::npos;
    })) << host->Errors();
  }
  Serve();
  EXPECT_TRUE(WaitUntil([&] { return host->Log().Has("Server answers again"); })) << host->Errors();
  site_.Append({EventLine("s", "x")});
  EXPECT_TRUE(all_have(2)) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// The server is well all the time; what lies between breaks in every way that it can.
TEST_F(ServerTest, ABrokenConnectionCostsNoEventAndRepeatsNone) {
  Serve();
  FaultProxy network(address_);
  site_.Configure(JsonlGroup("copy"), "kurrentdb://" + network.address() + "?tls=false");
  const auto host = site_.Start({"run", "host.toml"});
  ExpectState(host.get(), "caught up");
  using Direction = FaultProxy::Direction;
  using End = FaultProxy::End;
  const std::vector<std::function<void()>> breaks = {
      [&] { network.Reset(); },
      [&] { network.Fin(); },
      [&] {
        network.CutAfter(Direction::kToClient, network.counts().to_client + 100, End::kReset);
      },
      [&] { network.CutAfter(Direction::kToServer, network.counts().to_server + 30, End::kFin); },
      [&] {
        network.Refuse();
        network.Reset();
        ExpectState(host.get(), "waiting");
        network.Accept();
      },
      [&] {
        network.Set({.kind = Fault::Kind::kSlice});
        network.Reset();
      },
      [&] { network.Heal(); },
  };
  std::vector<std::string> wanted;
  for (const auto& breaks_now : breaks) {
    breaks_now();
    wanted.push_back("s@" + std::to_string(wanted.size()) + " x");
    site_.Append({EventLine("s", "x")});
    ASSERT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() >= wanted.size(); }))
        << host->Errors();
  }
  EXPECT_EQ(Written(site_, "copy"), wanted);
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// Two hosts used the log of a process that has ended: one of them opens it, the other follows.
TEST_F(ServerTest, HostsTakeOverAnEmbeddedLogWhoseOwnerHasEnded) {
  Serve();
  site_.Configure(JsonlGroup("copy"), "embedded:log");
  Site beside;
  const std::string log = "embedded:" + site_.file("log").string();
  beside.Configure(JsonlGroup("copy"), log);
  const auto host = site_.Start({"run", "host.toml"});
  const auto other = beside.Start({"run", "host.toml"});
  ExpectState(host.get(), "caught up");
  ExpectState(other.get(), "caught up");

  KillServer();
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
