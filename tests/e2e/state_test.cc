#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/base/position.h"
#include "host/store/checkpoint_store.h"
#include "tests/e2e/harness.h"

// What the host keeps in its state directory, and what it does when something of that goes.

namespace catchup::e2e {
namespace {

CheckpointRecord RecordOf(const Site& site, const std::string& group) {
  auto store = CheckpointStore::Open(site.file("state/groups"), group,
                                     {.match = EventFilter::Match::kEventType, .prefixes = {"x"}});
  EXPECT_TRUE(store.ok()) << store.status().message();
  return store.ok() ? (*store)->record() : CheckpointRecord();
}

// The position that jsonl wrote for its n-th event.
Position PositionOf(const Site& site, std::size_t n) {
  const JsonObject event = ParseJsonObject(ReadLines(site.data("one", "out.jsonl")).at(n));
  return {std::stoull(event.at("commit")), std::stoull(event.at("prepare"))};
}

// By these a later start recognises the log, and finds a place where an event lies.
TEST(StateTest, TheRecordNamesTheLastHandledEventAndItsWitnesses) {
  Site site;
  site.Append({EventLine("s", "x-1"), EventLine("t", "hidden"), EventLine("s", "x-2"),
               EventLine("t", "hidden"), EventLine("t", "hidden")});
  site.Configure(JsonlGroup("one", "prefixes = [\"x\"]"));
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  const JsonObject last = ParseJsonObject(ReadLines(site.data("one", "out.jsonl")).at(1));

  const CheckpointRecord record = RecordOf(site, "one");

  EXPECT_EQ(record.last_event, PositionOf(site, 1));
  ASSERT_FALSE(record.witnesses.empty());
  const Witness& newest = record.witnesses.front();
  EXPECT_EQ(newest.position, PositionOf(site, 1));
  EXPECT_EQ(FormatUuid(newest.event_id), last.at("id"));
  EXPECT_EQ(newest.stream, "s");
  EXPECT_EQ(newest.revision, 1u);

  site.Append({EventLine("t", "hidden")});
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(RecordOf(site, "one").last_event, PositionOf(site, 1)) << "kept without a new event";
  site.Append({EventLine("u", "x-3")});
  ASSERT_EQ(site.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(RecordOf(site, "one").last_event, PositionOf(site, 2));
  EXPECT_EQ(RecordOf(site, "one").witnesses.at(1).position, PositionOf(site, 1));
}

}  // namespace
}  // namespace catchup::e2e
