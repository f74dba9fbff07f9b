#include "host/runner/event_array.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace catchup {
namespace {

RecordView RecordOf(const EventRecord& body, const std::string& bytes) {
  RecordView record;
  record.kind = RecordKind::kEvent;
  record.body = &body;
  record.bytes = bytes.data();
  return record;
}

TEST(EventArrayTest, ShowsARecordAsTheAbiWantsIt) {
  EventRecord body{};
  body.stream_size = 1;
  body.type_size = 2;
  body.metadata_size = 3;
  body.data_size = 4;
  body.revision = 5;
  body.commit = 6;
  body.prepare = 7;
  body.created_ticks = 8;
  body.attempt = 9;
  body.id[0] = 10;
  const std::string bytes = "s$tmmmdddd";
  RecordView record = RecordOf(body, bytes);
  record.is_json = true;
  EventArray events(11, 1);

  events.Add(record);

  ASSERT_TRUE(events.full());
  const catchup_event& event = *events.view()[0];
  EXPECT_EQ(event.struct_size, sizeof event);
  EXPECT_EQ(event.flags, CATCHUP_EVENT_JSON | CATCHUP_EVENT_SYSTEM);
  EXPECT_EQ(std::string(event.stream.data, event.stream.size), "s");
  EXPECT_EQ(std::string(event.type.data, event.type.size), "$t");
  EXPECT_EQ(std::string(event.metadata.data, event.metadata.size), "mmm");
  EXPECT_EQ(std::string(event.data.data, event.data.size), "dddd");
  EXPECT_EQ(event.id[0], 10);
  EXPECT_EQ(event.revision, 5u);
  EXPECT_EQ(event.position.commit, 6u);
  EXPECT_EQ(event.position.prepare, 7u);
  EXPECT_EQ(event.created_ticks, 8);
  EXPECT_EQ(event.attempt, 9u);
  EXPECT_EQ(event.lane, 11u);
}

TEST(EventArrayTest, KeepsEveryEventWhileItGrows) {
  constexpr std::uint32_t kCapacity = 1000;
  EventArray events(0, kCapacity);
  EventRecord body{};
  const std::string nothing;
  for (int round = 0; round < 2; ++round) {
    events.Clear();
    for (std::uint32_t i = 0; i < kCapacity; ++i) {
      ASSERT_FALSE(events.full());
      body.revision = i;
      events.Add(RecordOf(body, nothing));
    }
    ASSERT_TRUE(events.full());
    for (std::uint32_t i = 0; i < kCapacity; ++i) {
      ASSERT_EQ(events.view()[i]->revision, i);
    }
  }
}

}  // namespace
}  // namespace catchup
