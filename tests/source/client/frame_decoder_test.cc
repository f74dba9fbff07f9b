#include "host/source/client/frame_decoder.h"

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "host/source/proto/streams.pb.h"

namespace catchup {
namespace {

using testing::StartsWith;

using event_store::client::streams::ReadResp;
using RecordedEvent = ReadResp::ReadEvent::RecordedEvent;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::vector<std::string> CapturedFrames() {
  std::ifstream file(CATCHUP_CAPTURED_FRAMES);
  std::vector<std::string> frames;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with('#')) {
      frames.push_back(FromHex(line));
    }
  }
  return frames;
}

// Bytes in a block of exactly their size, so that a sanitizer sees a read past the end.
class Exact {
 public:
  explicit Exact(std::string_view bytes)
      : size_(bytes.size()), block_(std::make_unique<char[]>(bytes.size())) {
    bytes.copy(block_.get(), size_);
  }
  std::string_view view() const { return {block_.get(), size_}; }
  bool Holds(std::string_view part) const {
    return part.empty() ||
           (part.data() >= block_.get() && part.data() + part.size() <= block_.get() + size_);
  }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> block_;
};

// What the generated parser's message says, put the way ReadFrame puts it.
struct Expected {
  ReadFrame::Kind kind = ReadFrame::Kind::kOther;
  std::optional<Position> position;
  std::uint64_t last_revision = 0;
  const RecordedEvent* event = nullptr;
  bool target_missing = false;
  Position event_position;
};

Expected Expect(const ReadResp& message) {
  Expected expected;
  switch (message.content_case()) {
    case ReadResp::kEvent: {
      expected.kind = ReadFrame::Kind::kEvent;
      const auto& read = message.event();
      expected.target_missing = !read.has_event();
      expected.event = read.has_event() ? &read.event() : &read.link();
      const RecordedEvent& place = read.has_link() ? read.link() : read.event();
      expected.event_position = {place.commit_position(), place.prepare_position()};
      break;
    }
    case ReadResp::kConfirmation:
      expected.kind = ReadFrame::Kind::kConfirmation;
      break;
    case ReadResp::kCheckpoint:
      expected.kind = ReadFrame::Kind::kCheckpoint;
      expected.position =
          Position{message.checkpoint().commit_position(), message.checkpoint().prepare_position()};
      break;
    case ReadResp::kCaughtUp:
      expected.kind = ReadFrame::Kind::kCaughtUp;
      if (message.caught_up().has_position()) {
        expected.position = Position{message.caught_up().position().commit_position(),
                                     message.caught_up().position().prepare_position()};
      }
      break;
    case ReadResp::kStreamNotFound:
      expected.kind = ReadFrame::Kind::kNoStream;
      break;
    case ReadResp::kLastStreamPosition:
      expected.kind = ReadFrame::Kind::kStreamEnd;
      expected.last_revision = message.last_stream_position();
      break;
    default:
      break;
  }
  if (expected.position == kEndOfLog) {
    expected.position.reset();
  }
  return expected;
}

std::string Property(const RecordedEvent& event, const std::string& key) {
  const auto found = event.metadata().find(key);
  return found == event.metadata().end() ? "" : found->second;
}

void ExpectSameEvent(const RecordedEvent& expected, const EventView& event) {
  EXPECT_EQ(event.stream, expected.stream_identifier().stream_name());
  EXPECT_EQ(event.revision, expected.stream_revision());
  EXPECT_EQ(event.data, expected.data());
  EXPECT_EQ(event.metadata, expected.custom_metadata());
  EXPECT_EQ(event.type, Property(expected, "type"));
  EXPECT_EQ(event.is_json, Property(expected, "content-type") == "application/json");
  const std::string created = Property(expected, "created");
  EXPECT_EQ(event.created_ticks, created.empty() ? 0 : std::stoll(created));
  if (expected.id().has_string()) {
    EXPECT_EQ(event.id, ParseUuid(expected.id().string()));
  } else {
    const auto& halves = expected.id().structured();
    EXPECT_EQ(event.id,
              Uuid::FromHalves(static_cast<std::uint64_t>(halves.most_significant_bits()),
                               static_cast<std::uint64_t>(halves.least_significant_bits())));
  }
}

void ExpectSame(const ReadResp& message, const ReadFrame& frame) {
  const Expected expected = Expect(message);
  EXPECT_EQ(frame.kind, expected.kind);
  EXPECT_EQ(frame.position, expected.position);
  if (expected.kind == ReadFrame::Kind::kStreamEnd) {
    EXPECT_EQ(frame.last_revision, expected.last_revision);
  }
  if (expected.kind == ReadFrame::Kind::kEvent) {
    EXPECT_EQ(frame.target_missing, expected.target_missing);
    EXPECT_EQ(frame.event.position, expected.event_position);
    ExpectSameEvent(*expected.event, frame.event);
  }
}

// Decodes `bytes` both ways. Ours may refuse more than protobuf does, and protobuf refuses texts
// that are not UTF-8, but where both accept they must agree. Returns whether ours accepted.
bool Compare(std::string_view bytes) {
  const Exact exact(bytes);
  ReadFrame frame;
  const Status status = DecodeReadFrame(exact.view(), &frame);
  if (!status.ok()) {
    EXPECT_EQ(status.code(), Status::Code::kInvalid);
    EXPECT_THAT(status.message(), StartsWith("malformed frame: "));
    return false;
  }
  for (const std::string_view part :
       {frame.event.stream, frame.event.type, frame.event.data, frame.event.metadata}) {
    EXPECT_TRUE(exact.Holds(part)) << "a view points outside of the message";
  }
  ReadResp message;
  if (message.ParseFromArray(exact.view().data(), static_cast<int>(exact.view().size()))) {
    ExpectSame(message, frame);
  }
  return true;
}

class MessageMaker {
 public:
  explicit MessageMaker(std::uint64_t seed) : random_(seed) {}

  ReadResp Make() {
    ReadResp message;
    switch (random_() % 9) {
      case 0:
        message.mutable_confirmation()->set_subscription_id(Text());
        break;
      case 1:
        message.mutable_checkpoint()->set_commit_position(Number());
        message.mutable_checkpoint()->set_prepare_position(Number());
        message.mutable_checkpoint()->mutable_timestamp()->set_nanos(7);
        break;
      case 2:
        message.mutable_caught_up()->mutable_timestamp()->set_seconds(9);
        if (random_() % 2 == 0) {
          message.mutable_caught_up()->mutable_position()->set_commit_position(Number());
        }
        break;
      case 3:
        message.set_last_stream_position(Number());
        break;
      case 4:
        message.mutable_stream_not_found()->mutable_stream_identifier()->set_stream_name(Text());
        break;
      default:
        MakeEvent(message.mutable_event());
    }
    return message;
  }

 private:
  void MakeEvent(ReadResp::ReadEvent* event) {
    const auto kind = random_() % 6;
    if (kind != 0) {
      MakeRecord(event->mutable_event());
    }
    if (kind < 2) {
      MakeRecord(event->mutable_link());
    }
    event->set_commit_position(Number());
  }

  void MakeRecord(RecordedEvent* record) {
    if (random_() % 2 == 0) {
      record->mutable_id()->set_string(FormatUuid(Uuid::FromHalves(random_(), random_())));
    } else {
      record->mutable_id()->mutable_structured()->set_most_significant_bits(
          static_cast<std::int64_t>(random_()));
      record->mutable_id()->mutable_structured()->set_least_significant_bits(
          static_cast<std::int64_t>(Number()));
    }
    record->mutable_stream_identifier()->set_stream_name(Text());
    record->set_stream_revision(Number());
    record->set_commit_position(Number());
    record->set_prepare_position(Number());
    auto& properties = *record->mutable_metadata();
    properties["type"] = Text();
    properties["created"] = std::to_string(static_cast<std::int64_t>(Number() >> 1));
    properties["content-type"] =
        random_() % 2 == 0 ? "application/json" : "application/octet-stream";
    properties[Text()] = Text();
    record->set_data(Text());
    record->set_custom_metadata(Text());
  }

  std::uint64_t Number() { return (random_() >> 1) >> (random_() % 63); }

  std::string Text() {
    std::string text(random_() % 200, '\0');
    for (char& c : text) {
      c = static_cast<char>(random_() % 128);
    }
    return text;
  }

  std::mt19937_64 random_;
};

std::string Mutate(std::string bytes, const std::string& other, std::mt19937_64* random) {
  const auto steps = 1 + (*random)() % 4;
  for (std::uint64_t i = 0; i < steps && !bytes.empty(); ++i) {
    const std::size_t at = (*random)() % bytes.size();
    switch ((*random)() % 5) {
      case 0:
        bytes[at] = static_cast<char>((*random)());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << ((*random)() % 8)));
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(at, 1 + (*random)() % 8);
        break;
      default:
        bytes.insert(at, other.substr(0, (*random)() % (other.size() + 1)));
    }
  }
  return bytes;
}

// Adds `payload` as field `field` of a message, length-delimited. Short payloads only.
void AddField(std::string* message, int field, const std::string& payload) {
  ASSERT_LT(payload.size(), 128u);
  message->push_back(static_cast<char>(field << 3 | 2));
  message->push_back(static_cast<char>(payload.size()));
  *message += payload;
}

TEST(FrameDecoderTest, ReadsWhatANodeSentAsTheGeneratedParserDoes) {
  const std::vector<std::string> frames = CapturedFrames();
  ASSERT_GT(frames.size(), 50u);
  for (const std::string& frame : frames) {
    EXPECT_TRUE(Compare(frame));
  }
}

TEST(FrameDecoderTest, ReadsRandomMessagesAsTheGeneratedParserDoes) {
  MessageMaker maker(1);
  for (int i = 0; i < 20000; ++i) {
    const ReadResp message = maker.Make();
    ASSERT_TRUE(Compare(message.SerializeAsString())) << message.DebugString();
  }
}

TEST(FrameDecoderTest, SurvivesAnyDamage) {
  // The generated parser reports every text that is not UTF-8.
  google::protobuf::SetLogHandler(nullptr);
  std::vector<std::string> frames = CapturedFrames();
  MessageMaker maker(2);
  for (int i = 0; i < 50; ++i) {
    frames.push_back(maker.Make().SerializeAsString());
  }
  std::mt19937_64 random(3);
  int refused = 0;
  for (int i = 0; i < 200000; ++i) {
    const std::string& frame = frames[random() % frames.size()];
    refused += Compare(Mutate(frame, frames[random() % frames.size()], &random)) ? 0 : 1;
  }
  EXPECT_GT(refused, 1000) << "the damage does not reach the decoder";
}

TEST(FrameDecoderTest, SurvivesEveryCut) {
  for (const std::string& frame : CapturedFrames()) {
    for (std::size_t size = 0; size < frame.size(); ++size) {
      Compare(std::string_view(frame).substr(0, size));
    }
  }
}

TEST(FrameDecoderTest, ReadsIdsWithTheSignBitSet) {
  ReadResp message;
  auto* halves = message.mutable_event()->mutable_event()->mutable_id()->mutable_structured();
  halves->set_most_significant_bits(-1);
  halves->set_least_significant_bits(std::numeric_limits<std::int64_t>::min());

  ReadFrame frame;
  const std::string bytes = message.SerializeAsString();
  ASSERT_TRUE(DecodeReadFrame(bytes, &frame).ok());

  EXPECT_EQ(FormatUuid(frame.event.id), "ffffffff-ffff-ffff-8000-000000000000");
}

// Protocol notes 3.4: the record that lies at that place of the log.
TEST(FrameDecoderTest, GivesALinkedEventThePositionOfItsLink) {
  ReadResp message;
  RecordedEvent* target = message.mutable_event()->mutable_event();
  target->mutable_stream_identifier()->set_stream_name("orders");
  target->set_commit_position(kEndOfLog.commit);
  target->set_prepare_position(kEndOfLog.prepare);
  RecordedEvent* link = message.mutable_event()->mutable_link();
  link->mutable_stream_identifier()->set_stream_name("links");
  link->set_commit_position(70);
  link->set_prepare_position(60);

  ReadFrame frame;
  const std::string bytes = message.SerializeAsString();
  ASSERT_TRUE(DecodeReadFrame(bytes, &frame).ok());

  EXPECT_EQ(frame.event.stream, "orders");
  EXPECT_EQ(frame.event.position, (Position{70, 60}));
  EXPECT_FALSE(frame.target_missing);
}

TEST(FrameDecoderTest, ShowsTheLinkWhereItsTargetIsGone) {
  ReadResp message;
  RecordedEvent* link = message.mutable_event()->mutable_link();
  link->mutable_stream_identifier()->set_stream_name("links");
  link->set_commit_position(70);
  link->set_prepare_position(60);

  ReadFrame frame;
  const std::string bytes = message.SerializeAsString();
  ASSERT_TRUE(DecodeReadFrame(bytes, &frame).ok());

  EXPECT_TRUE(frame.target_missing);
  EXPECT_EQ(frame.event.stream, "links");
  EXPECT_EQ(frame.event.position, (Position{70, 60}));
}

// Protocol notes 3.4: the start of a page, (N, 0), is no event's place, and (N, N) may skip one.
TEST(FrameDecoderTest, KeepsBothHalvesOfACheckpoint) {
  ReadResp message;
  message.mutable_checkpoint()->set_commit_position(1651);

  ReadFrame frame;
  const std::string bytes = message.SerializeAsString();
  ASSERT_TRUE(DecodeReadFrame(bytes, &frame).ok());

  EXPECT_EQ(frame.position, (Position{1651, 0}));
}

// Protocol notes 3.4: servers have sent it where nothing matched.
TEST(FrameDecoderTest, LeavesOutAPositionThatMeansTheEnd) {
  ReadResp message;
  message.mutable_checkpoint()->set_commit_position(kEndOfLog.commit);
  message.mutable_checkpoint()->set_prepare_position(kEndOfLog.prepare);

  ReadFrame frame;
  const std::string bytes = message.SerializeAsString();
  ASSERT_TRUE(DecodeReadFrame(bytes, &frame).ok());

  EXPECT_EQ(frame.kind, ReadFrame::Kind::kCheckpoint);
  EXPECT_EQ(frame.position, std::nullopt);
}

TEST(FrameDecoderTest, IgnoresWhatOnlyNewerServersSend) {
  std::string bytes;
  AddField(&bytes, 12, "something new");

  ReadFrame frame;
  ASSERT_TRUE(DecodeReadFrame(bytes, &frame).ok());

  EXPECT_EQ(frame.kind, ReadFrame::Kind::kOther);
}

TEST(FrameDecoderTest, LetsTheLastMemberOfTheOneofCount) {
  ReadResp checkpoint;
  checkpoint.mutable_checkpoint()->set_commit_position(5);
  ReadResp caught_up;
  caught_up.mutable_caught_up();

  ReadFrame frame;
  const std::string bytes = checkpoint.SerializeAsString() + caught_up.SerializeAsString();
  ASSERT_TRUE(DecodeReadFrame(bytes, &frame).ok());

  EXPECT_EQ(frame.kind, ReadFrame::Kind::kCaughtUp);
  EXPECT_EQ(frame.position, std::nullopt);
}

TEST(FrameDecoderTest, RefusesAnEventWithoutAPosition) {
  ReadResp message;
  message.mutable_event()->mutable_event()->set_commit_position(kEndOfLog.commit);

  ReadFrame frame;
  const std::string bytes = message.SerializeAsString();
  EXPECT_EQ(DecodeReadFrame(bytes, &frame).message(), "malformed frame: event without a position");
}

TEST(FrameDecoderTest, RefusesAnIdThatIsNone) {
  ReadResp message;
  message.mutable_event()->mutable_event()->mutable_id()->set_string("not-an-id");

  ReadFrame frame;
  const std::string bytes = message.SerializeAsString();
  EXPECT_EQ(DecodeReadFrame(bytes, &frame).message(), "malformed frame: event id is not a UUID");
}

TEST(FrameDecoderTest, RefusesACreationTimeThatIsNone) {
  ReadResp message;
  (*message.mutable_event()->mutable_event()->mutable_metadata())["created"] = "yesterday";

  ReadFrame frame;
  const std::string bytes = message.SerializeAsString();
  EXPECT_EQ(DecodeReadFrame(bytes, &frame).message(),
            "malformed frame: creation time of an event is not a number");
}

TEST(FrameDecoderTest, RefusesAnEventFrameThatHoldsNoRecord) {
  ReadResp message;
  message.mutable_event();

  ReadFrame frame;
  const std::string bytes = message.SerializeAsString();
  EXPECT_EQ(DecodeReadFrame(bytes, &frame).message(), "malformed frame: event without a record");
}

}  // namespace
}  // namespace catchup
