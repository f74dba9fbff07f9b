#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "host/base/event_size.h"
#include "tests/e2e/frame_node.h"
#include "tests/e2e/harness.h"

// The real program at a node that says what nodes rarely say: frames out of order, records of every
// shape, events that are too large (protocol notes 3.4, 3.8, 3.11, 10).

namespace catchup::e2e {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Strings = std::vector<std::string>;

// The same frames for each subscription.
FrameNode::Script Each(std::vector<std::string> frames) {
  return [frames = std::move(frames)](Position, const FrameNode::Send& send) {
    for (const std::string& frame : frames) {
      send(frame);
    }
  };
}

// Positions, order and announcements.

TEST(OddFramesTest, WhatComesAgainOrGoesBackIsDroppedAndCounted) {
  Site site;
  FrameNode node(300,
                 Each({Record(100, 0), Record(200, 1), Record(200, 1), Record(100, 0),
                       Checkpoint({150, 150}), Checkpoint(kEndOfLog), Record(300, 2), CaughtUp()}));
  site.Configure(JsonlGroup("copy"), node.uri());
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Written(site, "copy"), (Strings{"s@0 x", "s@1 x", "s@2 x"}));
  EXPECT_EQ(run.Log().Last("Group ended", "copy", "droppedCount"), "3") << run.err;
  EXPECT_EQ(run.Log().Last("Group ended", "copy", "position"), "300:300");
}

// A page's start is no place of a record, and both of its halves count.
TEST(OddFramesTest, AnAnnouncedPlaceIsStoredOneStepLateAndResumedFromAsItCame) {
  Site site;
  FrameNode node(900,
                 Each({Record(100, 0), Checkpoint({500, 0}), Checkpoint({900, 0}), CaughtUp()}));
  site.Configure(JsonlGroup("copy"), node.uri());
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(run.Log().Last("Group ended", "copy", "position"), "500:0")
      << "what was announced last may be wrong, for nothing lies behind it";
  EXPECT_EQ(site.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(node.begun(), (Strings{"0:0", "500:0"}));
  EXPECT_EQ(Written(site, "copy"), Strings{"s@0 x"}) << "what lies before it was had";
}

// Records.

TEST(OddFramesTest, RecordsOfEveryShapeAreHandedOnAsTheyAre) {
  const std::string newer = "\xfa\x01\x02ok";  // Field 31.
  FrameNode node(
      500,
      Each({Record(100, 0,
                   [](auto* event) {
                     event->set_data("\xff\xfe\x80");
                     event->set_custom_metadata("no {json");
                     (*event->mutable_metadata())["content-type"] = "application/octet-stream";
                   }),
            Record(200, 1, [](auto* event) { (*event->mutable_metadata())["type"] = ""; }), newer,
            Record(300, 2,
                   [](auto* event) {
                     auto* id = event->mutable_id()->mutable_structured();
                     id->set_most_significant_bits(-1);
                     id->set_least_significant_bits(std::numeric_limits<std::int64_t>::min());
                   }),
            Record(400, std::numeric_limits<std::int64_t>::max(),
                   [](auto* event) { (*event->mutable_metadata())["type"] = "$streamDeleted"; }),
            Record(500, 0), CaughtUp()}));
  Site site;
  site.Configure(JsonlGroup("copy") + JsonlGroup("all", "prefixes = [\"\"]\nsystem_events = true"),
                 node.uri());
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;

  EXPECT_THAT(ReadLines(site.data("copy", "out.jsonl")),
              ElementsAre(AllOf(HasSubstr("\"dataBase64\":\"//6A\""),
                                HasSubstr("\"metadataBase64\":\"bm8ge2pzb24=\"")),
                          HasSubstr("\"type\":\"\""),
                          HasSubstr("\"id\":\"ffffffff-ffff-ffff-8000-000000000000\""),
                          HasSubstr("\"commit\":\"500\"")));
  EXPECT_EQ(run.Log().Last("Group ended", "copy", "skippedCount"), "1") << "the tombstone";
  const Strings all = ReadLines(site.data("all", "out.jsonl"));
  ASSERT_EQ(all.size(), 5u) << run.err;
  EXPECT_THAT(all[3], AllOf(HasSubstr("\"type\":\"$streamDeleted\""),
                            HasSubstr("\"revision\":9223372036854775807")));
}

// Sizes.

TEST(OddFramesTest, AnEventThatIsTooLargeBlocksItsGroupAndNoStormOfTriesFollows) {
  const auto too_large = [](auto* event) { event->set_data(std::string(kMaxEventBytes, 'x')); };
  FrameNode node(300,
                 Each({Record(100, 0), Record(200, 1, too_large), Record(300, 2), CaughtUp()}));
  Site site;
  site.UseTestProgram(20);
  site.Configure(JsonlGroup("copy"), node.uri());
  const auto host = site.Start({"run", "host.toml"});
  EXPECT_TRUE(WaitUntil([&] {
    return host->Log().Last("Subscription refused", "copy", "reason").starts_with("blocked: ");
  })) << host->Errors();

  const JsonObject said = host->Log().With("Subscription refused", "copy").back();
  EXPECT_THAT(said.at("reason"),
              AllOf(StartsWith("blocked: what comes behind 100:100 is too large ("),
                    HasSubstr("200:200: an event of "),
                    HasSubstr("wanted at most " + std::to_string(kMaxEventBytes)),
                    HasSubstr("catchup reset --to")));
  EXPECT_EQ(said.at("level"), "error");
  EXPECT_EQ(said.at("delayMs"), "30000") << "two tries a minute";
  EXPECT_EQ(node.begun().size(), 2u);
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_EQ(Written(site, "copy"), Strings{"s@0 x"});
}

}  // namespace
}  // namespace catchup::e2e
