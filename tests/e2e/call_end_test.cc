#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/source/embedded/log_server.h"
#include "host/source/proto/streams.pb.h"
#include "tests/e2e/frame_node.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/scripted_node.h"
#include "tests/source/cluster/front.h"

// The real program at a node that ends calls, or says what is not so.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

struct CallEnd {
  Front::Fate fate;
  std::string says;  // Of the reason that the log tells.
};

std::vector<CallEnd> CallEnds() {
  using grpc::StatusCode;
  const auto ends = [](StatusCode code, const std::string& text) {
    return Front::Fate::End({code, text});
  };
  return {
      {Front::Fate::End(grpc::Status::OK), "OK: the server ended the call"},
      {ends(StatusCode::UNAVAILABLE, "Server Is Shutting Down"), "UNAVAILABLE"},
      {ends(StatusCode::UNAVAILABLE, "Server Is Not Ready"), "Server Is Not Ready"},
      {ends(StatusCode::UNAVAILABLE, "Server Is Too Busy"), "Server Is Too Busy"},
      {ends(StatusCode::INTERNAL, "broken"), "INTERNAL"},
      {ends(StatusCode::UNKNOWN, "Operation timed out"), "UNKNOWN"},
      {ends(StatusCode::ABORTED, "Too many"), "ABORTED"},
      {ends(StatusCode::CANCELLED, ""), "CANCELLED"},
      {ends(StatusCode::DEADLINE_EXCEEDED, ""), "DEADLINE_EXCEEDED"},
      {ends(StatusCode::NOT_FOUND, "?"), "NOT_FOUND"},
  };
}

bool IsSubscription(const Front::Call& call) {
  wire::ReadReq request;
  return call.method.ends_with("/Read") && request.ParseFromString(call.message) &&
         request.options().has_subscription() && !request.options().all().has_end();
}

// Protocol notes 4.2. No status is final: the node may be on its way down, or somebody between does
// not know better.
TEST(CallEndTest, EveryEndIsADropThatCostsNoEventAndRepeatsNone) {
  Site site;  // With waits of their length: the log tells no more than ten drops a second.
  embedded::ServerOptions options;
  options.directory = site.file("log");
  const auto log = *embedded::EmbeddedServer::Start(options);
  Front front(log->address());
  site.Configure(JsonlGroup("copy"), "kurrentdb://" + front.address() + "?tls=false");
  const auto host = site.Start({"run", "host.toml"});
  Strings wanted;
  const auto append_and_await = [&] {
    wanted.push_back("s@" + std::to_string(wanted.size()) + " x");
    ASSERT_TRUE(log->Seed("s", "x", "{}").ok());
    ASSERT_TRUE(WaitUntil([&] { return Written(site, "copy").size() >= wanted.size(); }))
        << host->Errors();
  };
  append_and_await();
  for (const auto& [fate, says] : CallEnds()) {
    const std::size_t before = host->Log().With("Subscription dropped", "copy").size();
    front.SetRule([fate = fate, ended = false](const Front::Call& call) mutable {
      if (ended || !IsSubscription(call)) {
        return Front::Fate();
      }
      ended = true;
      return fate;
    });
    ASSERT_TRUE(WaitUntil([&] {
      return host->Log().With("Subscription dropped", "copy").size() > before;
    })) << says
        << host->Errors();
    EXPECT_THAT(host->Log().Last("Subscription dropped", "copy", "reason"), HasSubstr(says));
    append_and_await();
  }
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_EQ(Written(site, "copy"), wanted);
  EXPECT_EQ(host->Log().With("Runner started", "copy").size(), 1u);
  EXPECT_EQ(host->Log().Last("Group ended", "copy", "dlqCount"), "0");
  EXPECT_EQ(front.ended(), static_cast<int>(CallEnds().size()));
}

// Servers have done each of these (protocol notes 3.4, 3.5): a caught-up again and again, an
// announcement repeated, taken back, of the log's end, and beyond events that come after it.
TEST(AnnouncementTest, WhatIsSaidAgainOrWronglyCostsNoEventAndRepeatsNone) {
  Site site;
  site.UseTestProgram(10);
  ScriptedNode node{{100, 200, 300, 400, 450}};
  const std::string end_of_log = "checkpoint " + FormatPosition(kEndOfLog);
  node.Say({"event 0", "caught up", "caught up", "checkpoint 150:150", "checkpoint 150:150",
            end_of_log, "checkpoint 120:120", "event 1", "checkpoint 180:180", "caught up",
            "event 2", "end"});
  node.Say({"caught up", "event 3", "checkpoint 500:500", "event 4", "caught up", end_of_log});
  site.Configure(JsonlGroup("copy"), node.uri());
  const auto host = site.Start({"run", "host.toml"});
  EXPECT_TRUE(WaitUntil([&] { return Written(site, "copy").size() >= 5; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  Strings wanted{"s@0 x", "s@1 x", "s@2 x", "s@3 x", "s@4 x"};
  EXPECT_EQ(Written(site, "copy"), wanted);

  // One that a belief in 500 would cost.
  node.Append(480);
  const Finished again = site.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 0) << again.err;
  wanted.emplace_back("s@5 x");
  EXPECT_EQ(Written(site, "copy"), wanted);
  EXPECT_EQ(node.resumed(), (Strings{"", "300:300", "450:450"}));
}

// A million records that the filter hides, of which a node says a place once in 1,024.
TEST(AnnouncementTest, AMillionRecordsWithoutAMatchAreNotReadAgain) {
  constexpr std::uint64_t kInterval = 1'024 * 100;  // Of records of 100 bytes.
  constexpr std::uint64_t kLast = 1'000'000 * 100;
  Site site;
  FrameNode node(kLast, [](Position from, const FrameNode::Send& send) {
    const bool begins = from.commit == 0;
    for (std::uint64_t place = kInterval; begins && place < kLast; place += kInterval) {
      send(Checkpoint({place, 0}));
    }
    if (!begins) {
      send(Record(kLast, 0));
    }
    send(CaughtUp());
  });
  site.Configure(JsonlGroup("copy"), node.uri());
  for (const Strings& wanted : {Strings(), Strings{"s@0 x"}}) {
    const Finished run = site.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 0) << run.err;
    EXPECT_EQ(Written(site, "copy"), wanted);
  }
  ASSERT_EQ(node.begun().size(), 2u);
  EXPECT_GE(ParsePosition(node.begun()[1])->commit, kLast - 2 * kInterval) << node.begun()[1];
}

}  // namespace
}  // namespace catchup::e2e
