#include "host/store/checkpoint_slot.h"

#include <gtest/gtest.h>

#include <string>

namespace catchup {
namespace {

SlotContent Full() {
  SlotContent content;
  content.group = std::string(63, 'g');
  content.filter_text = "event_type \"a-\"";
  content.filter_digest.fill(7);
  CheckpointRecord& record = content.record;
  record.checkpoint = Position{~0ull - 1, 5};
  record.token = 1ull << 63;
  record.start = {RecordedStart::Kind::kPosition, {9, 8}};
  record.plugin_digest.fill(200);
  record.number = 77;
  record.time_ticks = -5;
  for (std::uint64_t i = 0; i < kMaxWitnesses; ++i) {
    Witness witness;
    witness.position = {100 - i, 99 - i};
    witness.event_id.bytes.fill(static_cast<std::uint8_t>(i));
    witness.revision = ~0ull - i;
    witness.stream = std::string(kMaxWitnessStream, static_cast<char>('a' + i));
    record.witnesses.push_back(witness);
  }
  return content;
}

void ExpectSame(const SlotContent& a, const SlotContent& b) {
  EXPECT_EQ(a.group, b.group);
  EXPECT_EQ(a.filter_text, b.filter_text);
  EXPECT_EQ(a.filter_digest, b.filter_digest);
  EXPECT_EQ(a.record.checkpoint, b.record.checkpoint);
  EXPECT_EQ(a.record.token, b.record.token);
  EXPECT_EQ(a.record.start.kind, b.record.start.kind);
  EXPECT_EQ(a.record.start.position, b.record.start.position);
  EXPECT_EQ(a.record.plugin_digest, b.record.plugin_digest);
  EXPECT_EQ(a.record.number, b.record.number);
  EXPECT_EQ(a.record.time_ticks, b.record.time_ticks);
  ASSERT_EQ(a.record.witnesses.size(), b.record.witnesses.size());
  for (std::size_t i = 0; i < a.record.witnesses.size(); ++i) {
    EXPECT_EQ(a.record.witnesses[i].position, b.record.witnesses[i].position);
    EXPECT_EQ(a.record.witnesses[i].event_id, b.record.witnesses[i].event_id);
    EXPECT_EQ(a.record.witnesses[i].revision, b.record.witnesses[i].revision);
    EXPECT_EQ(a.record.witnesses[i].stream, b.record.witnesses[i].stream);
  }
}

TEST(CheckpointSlotTest, KeepsEveryField) {
  const std::string body = EncodeSlot(1, Full());
  ASSERT_EQ(body.size(), kSlotBytes);
  const auto read = DecodeSlot(1, body);
  ASSERT_TRUE(read.ok()) << read.status().message();
  ExpectSame(*read, Full());
}

TEST(CheckpointSlotTest, TellsNoCheckpointFromTheBeginning) {
  SlotContent content;
  EXPECT_FALSE(DecodeSlot(0, EncodeSlot(0, content))->record.checkpoint.has_value());
  content.record.checkpoint = Position{0, 0};
  EXPECT_EQ(DecodeSlot(0, EncodeSlot(0, content))->record.checkpoint, (Position{0, 0}));
}

// Offsets are the file format; these bytes are what files in the field hold.
TEST(CheckpointSlotTest, LaysFieldsWhereTheFormatSays) {
  SlotContent content = Full();
  content.record.checkpoint = Position{0x0102030405060708, 0x11};
  const std::string body = EncodeSlot(1, content);
  EXPECT_EQ(body.substr(0, 8), std::string("\x01\0\0\0\x01\x01\x02\x08", 8));
  EXPECT_EQ(body.substr(8, 8), std::string("\x4d\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(body.substr(24, 9), std::string("\x08\x07\x06\x05\x04\x03\x02\x01\x11", 9));
  EXPECT_EQ(body.substr(128, 3), "\x3fgg");
  EXPECT_EQ(body.substr(194, 10), "event_type");
  EXPECT_EQ(body.substr(1216 + 42, 4), "aaaa");
  EXPECT_EQ(body.substr(1216 + 7 * 304 + 42, 4), "hhhh");
}

TEST(CheckpointSlotTest, FindsEveryFlippedBit) {
  const std::string body = EncodeSlot(0, Full());
  for (std::size_t at = 0; at < body.size(); ++at) {
    std::string damaged = body;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    const auto read = DecodeSlot(0, damaged);
    ASSERT_FALSE(read.ok()) << "byte " << at;
    ASSERT_EQ(read.status().code(), Status::Code::kCorrupt);
  }
}

TEST(CheckpointSlotTest, RefusesAnotherLengthAndTheOtherSlot) {
  const std::string body = EncodeSlot(0, Full());
  EXPECT_FALSE(DecodeSlot(0, "").ok());
  EXPECT_FALSE(DecodeSlot(0, body.substr(1)).ok());
  EXPECT_FALSE(DecodeSlot(0, body + '\0').ok());
  EXPECT_FALSE(DecodeSlot(1, body).ok());
}

TEST(CheckpointSlotTest, LeavesOutANameThatIsTooLongAndKeepsTheRest) {
  SlotContent content = Full();
  content.record.witnesses[0].stream.push_back('x');
  const auto read = DecodeSlot(0, EncodeSlot(0, content));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->record.witnesses[0].stream, "");
  EXPECT_EQ(read->record.witnesses[0].position, (Position{100, 99}));
  EXPECT_EQ(read->record.witnesses[1].stream, std::string(kMaxWitnessStream, 'b'));
}

TEST(CheckpointSlotTest, KeepsTheDesiredState) {
  for (const auto state : {DesiredState::kRunning, DesiredState::kPaused, DesiredState::kStopped}) {
    const std::string body = EncodeDesired(state, 5);
    ASSERT_EQ(body.size(), kDesiredBytes);
    EXPECT_EQ(*DecodeDesired(body), state);
    for (std::size_t bit = 0; bit < 8 * body.size(); ++bit) {
      std::string damaged = body;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_FALSE(DecodeDesired(damaged).ok());
    }
  }
  EXPECT_FALSE(DecodeDesired("").ok());
}

TEST(FilterDigestTest, SeesWhatAFilterMeansAndNotHowItIsWritten) {
  const EventFilter one{EventFilter::Match::kEventType, {"a", "b"}};
  EXPECT_EQ(FilterDigest(one), FilterDigest({EventFilter::Match::kEventType, {"b", "a", "b"}}));
  EXPECT_NE(FilterDigest(one), FilterDigest({EventFilter::Match::kStreamName, {"a", "b"}}));
  EXPECT_NE(FilterDigest(one), FilterDigest({EventFilter::Match::kEventType, {"ab"}}));
  EXPECT_NE(FilterDigest(one), FilterDigest({EventFilter::Match::kEventType, {"a", "b", ""}}));
  // The prefix "" lets the server send system events, and this decides whether the group gets them.
  EXPECT_NE(FilterDigest(one), FilterDigest({EventFilter::Match::kEventType, {"a", "b"}, true}));
  EXPECT_NE(FilterDigest({EventFilter::Match::kEventType, {"a", "b"}, true}),
            FilterDigest({EventFilter::Match::kEventType, {"a", "b"}, false, true}));
}

TEST(FilterTextTest, NamesMatchAndPrefixes) {
  EXPECT_EQ(FilterText({EventFilter::Match::kEventType, {"b\"", "a"}}),
            "event_type \"a\", \"b\\\"\"");
  EXPECT_EQ(FilterText({EventFilter::Match::kStreamName, {""}}), "stream_name \"\"");
  EXPECT_EQ(FilterText({EventFilter::Match::kEventType, {""}, true}),
            "event_type with system_events \"\"");
}

TEST(FilterTextTest, FitsIntoASlot) {
  EventFilter filter;
  for (int i = 0; i < 256; ++i) {
    filter.prefixes.push_back(std::string(100, 'x') + std::to_string(i));
  }
  const std::string text = FilterText(filter);
  EXPECT_EQ(text.size(), 1022u);
  EXPECT_EQ(text.substr(text.size() - 3), "…");
}

}  // namespace
}  // namespace catchup
