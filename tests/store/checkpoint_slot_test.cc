#include "host/store/checkpoint_slot.h"

#include <gtest/gtest.h>

#include <string>

#include "host/store/bytes.h"

namespace catchup {
namespace {

SlotContent Full() {
  SlotContent content;
  content.group = std::string(63, 'g');
  content.filter_text = "event_type \"a-\"";
  content.filter_digest.fill(7);
  content.desired = DesiredState::kPaused;
  CheckpointRecord& record = content.record;
  record.checkpoint = Position{~0ull - 1, 5};
  record.last_event = Position{~0ull - 2, 4};
  record.token = 1ull << 63;
  record.start = {RecordedStart::Kind::kPosition, {9, 8}};
  record.plugin_digest.fill(200);
  record.number = 77;
  record.time_ticks = -5;
  record.letters = LettersMark{~0ull, 5, 3};
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
  EXPECT_EQ(a.record.last_event, b.record.last_event);
  EXPECT_EQ(a.desired, b.desired);
  EXPECT_EQ(a.unknown, b.unknown);
  EXPECT_EQ(a.record.token, b.record.token);
  EXPECT_EQ(a.record.start.kind, b.record.start.kind);
  EXPECT_EQ(a.record.start.position, b.record.start.position);
  EXPECT_EQ(a.record.plugin_digest, b.record.plugin_digest);
  EXPECT_EQ(a.record.number, b.record.number);
  EXPECT_EQ(a.record.letters, b.record.letters);
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

TEST(CheckpointSlotTest, TellsNoLastEventFromOne) {
  EXPECT_FALSE(DecodeSlot(0, EncodeSlot(0, {}))->record.last_event.has_value());
}

// Types and offsets are the file format; these bytes are what files in the field hold.
TEST(CheckpointSlotTest, LaysFieldsAsTheFormatSays) {
  SlotContent content;
  content.group = "gg";
  content.record.checkpoint = Position{0x0102030405060708, 0x11};
  content.record.number = 0x4d;
  const std::string body = EncodeSlot(1, content);
  EXPECT_EQ(body.substr(0, 6), std::string("\x02\0\0\0\x01\0", 6));
  EXPECT_EQ(body.substr(8, 6), std::string("\x01\0\x02\0gg", 6));
  EXPECT_EQ(body.substr(14, 20),
            std::string("\x02\0\x10\0\x08\x07\x06\x05\x04\x03\x02\x01\x11\0\0\0\0\0\0\0", 20));
  EXPECT_EQ(body.substr(34, 12), std::string("\x04\0\x08\0\x4d\0\0\0\0\0\0\0", 12));
}

// A newer version may add fields without a new format; this one must not lose them.
TEST(CheckpointSlotTest, KeepsWhatItDoesNotKnow) {
  SlotContent content = Full();
  const std::string value(kSpareBytes - 4, 'v');
  content.unknown = std::string("\xf0\x01\xfc\x01", 4) + value;  // Type 496, 508 bytes.
  const auto read = DecodeSlot(1, EncodeSlot(1, content));
  ASSERT_TRUE(read.ok()) << read.status().message();
  ExpectSame(*read, content);
}

// Every cut and every wrong value under a good sum: nothing of it is written, nothing is believed.
TEST(CheckpointSlotTest, RefusesFieldsThatAreNeverWritten) {
  const std::string body = EncodeSlot(0, Full());
  const std::size_t fields =
      static_cast<std::uint8_t>(body[6]) + std::size_t{256} * static_cast<std::uint8_t>(body[7]);
  for (std::size_t cut = 0; cut < fields; ++cut) {
    std::string other = body.substr(0, kSlotBytes - 32);
    other[6] = static_cast<char>(cut);
    other[7] = static_cast<char>(cut >> 8);
    AppendSum(&other);
    const auto read = DecodeSlot(0, other);
    if (read.ok()) {
      EXPECT_TRUE(read->record.witnesses.size() < kMaxWitnesses || !read->record.letters)
          << "only witnesses and the mark of letters may be missing: " << cut;
    } else {
      EXPECT_EQ(read.status().code(), Status::Code::kCorrupt) << cut;
    }
  }
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

TEST(CheckpointSlotTest, RefusesAnotherFormatUnderAGoodSum) {
  std::string body = EncodeSlot(0, Full()).substr(0, kSlotBytes - 32);
  body[0] = 3;
  AppendSum(&body);
  EXPECT_EQ(DecodeSlot(0, body).status().code(), Status::Code::kIncompatible);
  EXPECT_EQ(DecodeSlot(0, body).status().message(), "format 3, this version reads 2");
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
  EXPECT_EQ(text.size(), 512u);
  EXPECT_EQ(text.substr(text.size() - 3), "…");
}

}  // namespace
}  // namespace catchup
