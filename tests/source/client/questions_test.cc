#include "host/source/client/questions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "host/source/client/kurrent_source.h"
#include "host/source/proto/server_features.pb.h"
#include "host/source/proto/streams.pb.h"
#include "tests/source/client/ask.h"
#include "tests/source/client/fake_server.h"
#include "tests/source/client/frames.h"
#include "tests/source/client/recording_sink.h"

// What a source makes of the answers to its single questions.

namespace catchup {
namespace {

using testing::HasSubstr;

using event_store::client::streams::ReadReq;
using event_store::client::streams::ReadResp;
using Kind = StreamRevision::Kind;

constexpr std::chrono::seconds kPatience = RecordingSink::kPatience;

TEST(QuestionsTest, ReadsTheEndOfTheLogFromASubscriptionThere) {
  std::promise<void> cancelled;
  FakeServer server([&cancelled](FakeCall* call) {
    ReadReq request;
    EXPECT_TRUE(request.ParseFromString(call->Read().value_or("")));
    EXPECT_TRUE(request.options().all().has_end());
    EXPECT_TRUE(request.options().has_subscription());
    EXPECT_EQ(request.options().read_direction(), ReadReq::Options::Forwards);
    call->Write(Confirmation());
    call->Write(CaughtUp(Position{2002, 2002}));
    call->AwaitCancel();
    cancelled.set_value();
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto end = AskEnd(source.get());
  ASSERT_TRUE(end.ok()) << end.end().text;
  EXPECT_EQ(*end, (Position{2002, 2002}));
  EXPECT_EQ(cancelled.get_future().wait_for(kPatience), std::future_status::ready);
}

// Until 24.10.5 the frame is empty.
TEST(QuestionsTest, AnEndThatIsNotToldIsNone) {
  for (const std::optional<Position>& told :
       {std::optional<Position>(), std::optional(kEndOfLog)}) {
    FakeServer server([&](FakeCall* call) {
      call->Read();
      call->Write(CaughtUp(told));
      call->AwaitCancel();
    });
    const auto source = *OpenKurrentSource(To(server.address()));
    const auto end = AskEnd(source.get());
    ASSERT_TRUE(end.ok()) << end.end().text;
    EXPECT_EQ(*end, std::nullopt);
  }
}

TEST(QuestionsTest, AFailureToReadTheEndIsAFailure) {
  for (const bool silent : {true, false}) {
    FakeServer server([silent](FakeCall* call) {
      call->Read();
      if (silent) {
        call->AwaitCancel();
      }
    });
    ConnectionOptions options = To(server.address());
    options.deadline = std::chrono::milliseconds(200);
    const auto source = *OpenKurrentSource(options);
    const auto end = AskEnd(source.get());
    ASSERT_FALSE(end.ok());
    EXPECT_THAT(end.end().text, HasSubstr("read the end of the log"));
  }
}

TEST(QuestionsTest, AsksTheServerForItsVersion) {
  FakeServer server([](FakeCall* call) {
    EXPECT_EQ(call->method(),
              "/event_store.client.server_features.ServerFeatures/GetSupportedMethods");
    EXPECT_EQ(call->Read(), "");
    event_store::client::server_features::SupportedMethods answer;
    answer.set_event_store_server_version("24.10.14");
    call->Write(answer.SerializeAsString());
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto version = AskVersion(source.get());
  ASSERT_TRUE(version.ok()) << version.end().text;
  EXPECT_EQ(*version, "24.10.14");
}

TEST(QuestionsTest, AServerThatKnowsNoSuchQuestionHasNoVersion) {
  FakeServer server([](FakeCall* call) {
    call->Finish({grpc::StatusCode::UNIMPLEMENTED, "no such method"});
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  EXPECT_EQ(*AskVersion(source.get()), "");
}

TEST(QuestionsTest, AServerThatRefusesToSaySoIsNamed) {
  FakeServer server([](FakeCall* call) {
    call->Finish({grpc::StatusCode::UNAVAILABLE, "not ready"});
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto version = AskVersion(source.get());
  ASSERT_FALSE(version.ok());
  EXPECT_THAT(version.end().text, HasSubstr(server.address()));
}

TEST(VersionTest, TellsWhatAServerCanBeReliedOnFor) {
  for (const char* sound : {"24.2.0", "24.10.14", "25.0", "26.2.0-rc", "100.1"}) {
    EXPECT_TRUE(ResumesAnywhere(sound)) << sound;
    EXPECT_TRUE(SaysCaughtUp(sound)) << sound;
  }
  for (const char* old : {"", "21.10.11", "23.10.7", "24.1.9", "24", "24.", "x.y", "-24.2"}) {
    EXPECT_FALSE(ResumesAnywhere(old)) << old;
  }
  EXPECT_TRUE(SaysCaughtUp("23.10.0"));
  EXPECT_TRUE(SaysCaughtUp("24.0"));
  EXPECT_FALSE(SaysCaughtUp("23.6.0"));
  EXPECT_FALSE(SaysCaughtUp(""));
}

TEST(QuestionsTest, ReadsTheFirstRecordFromAPlace) {
  FakeServer server([](FakeCall* call) {
    ReadReq request;
    EXPECT_TRUE(request.ParseFromString(call->Read().value_or("")));
    EXPECT_EQ(request.options().all().position().commit_position(), 1651u);
    EXPECT_EQ(request.options().all().position().prepare_position(), 0u);
    EXPECT_EQ(request.options().read_direction(), ReadReq::Options::Forwards);
    EXPECT_EQ(request.options().count(), 1u);
    EXPECT_TRUE(request.options().has_no_filter());
    EXPECT_FALSE(request.options().resolve_links());
    call->Write(Event(1700));
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto first = AskFirst(source.get(), {1651, 0});
  ASSERT_TRUE(first.ok()) << first.end().text;
  EXPECT_EQ(*first, (FirstRecord{{1700, 1700}, Uuid::FromHalves(0, 7)}));
}

TEST(QuestionsTest, FindsNoRecordBehindTheEndOfTheLog) {
  FakeServer server([](FakeCall* call) { call->Read(); });
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto first = AskFirst(source.get(), {1651, 1651});
  ASSERT_TRUE(first.ok()) << first.end().text;
  EXPECT_EQ(*first, std::nullopt);
}

TEST(QuestionsTest, TellsAPlaceThatTheServerDoesNotKnowFromADrop) {
  FakeServer server([](FakeCall* call) {
    ReadReq request;
    request.ParseFromString(call->Read().value_or(""));
    if (request.options().all().position().commit_position() == 7) {
      call->Finish({grpc::StatusCode::UNKNOWN, "Unexpected ReadAllResult: InvalidPosition"});
    } else {
      call->Finish({grpc::StatusCode::UNAVAILABLE, "not ready"});
    }
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  EXPECT_EQ(AskFirst(source.get(), {7, 7}).end().kind, EndClass::kInvalidPosition);
  EXPECT_EQ(AskFirst(source.get(), {8, 8}).end().kind, EndClass::kNotReady);
  EXPECT_EQ(AskFirst(source.get(), kEndOfLog).end().kind, EndClass::kInvalidPosition);
}

// A read begins at the place, a subscription behind it (protocol notes 3.4).
TEST(QuestionsTest, ReadsTheFirstEventOfAFilterBehindAPlace) {
  FakeServer server([](FakeCall* call) {
    ReadReq request;
    EXPECT_TRUE(request.ParseFromString(call->Read().value_or("")));
    const auto& options = request.options();
    EXPECT_EQ(options.read_direction(), ReadReq::Options::Forwards);
    EXPECT_EQ(options.count(), 2u);
    EXPECT_TRUE(options.resolve_links());
    EXPECT_EQ(options.filter().stream_identifier().prefix(0), "order-");
    EXPECT_GT(options.filter().max(), 0u);
    if (options.all().has_start()) {
      call->Write(Event(1600));
      return;
    }
    EXPECT_EQ(options.all().position().commit_position(), 1651u);
    EXPECT_EQ(options.all().position().prepare_position(), 1651u);
    call->Write(Event(1651));
    call->Write(Event(1700));
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  EventFilter filter;
  filter.match = EventFilter::Match::kStreamName;
  filter.prefixes = {"order-"};
  filter.resolve_links = true;
  EXPECT_EQ(*AskNext(source.get(), Position{1651, 1651}, filter), (Position{1700, 1700}));
  EXPECT_EQ(*AskNext(source.get(), std::nullopt, filter), (Position{1600, 1600}));
}

TEST(QuestionsTest, FindsNoEventBehindThePlaceOfTheLastOne) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->Write(Event(1651));
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  EventFilter filter;
  filter.prefixes = {""};
  const auto next = AskNext(source.get(), Position{1651, 1651}, filter);
  ASSERT_TRUE(next.ok()) << next.end().text;
  EXPECT_EQ(*next, std::nullopt);
}

// A server that does not know an event's place sends 2^64-1 for it.
TEST(QuestionsTest, AHeadThatIsNoPlaceIsNoAnswer) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->Write(Event(1ull << 63));
    call->AwaitCancel();
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  EXPECT_FALSE(ReadHeadAndWait(source.get()).ok());
  EXPECT_FALSE(AskFirst(source.get(), {8, 8}).ok());
}

TEST(QuestionsTest, TellsALinkFromOtherRecords) {
  FakeServer server([](FakeCall* call) {
    ReadResp link;
    ASSERT_TRUE(link.ParseFromString(Event(1651)));
    (*link.mutable_event()->mutable_event()->mutable_metadata())["type"] = "$>";
    call->Read();
    call->Write(link.SerializeAsString());
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto first = AskFirst(source.get(), {1651, 1651});
  ASSERT_TRUE(first.ok()) << first.end().text;
  EXPECT_TRUE(first->value_or(FirstRecord()).is_link);
}

// Of the stream "order-1", as its reads are answered: the event of frames.h has revision 3.
class RevisionTest : public testing::Test {
 protected:
  // Asks a server that answers with `frames`, in this order, and then ends the call so.
  static Answer<StreamRevision> Ask(std::uint64_t revision, const std::vector<std::string>& frames,
                                    const grpc::Status& status = grpc::Status::OK,
                                    const std::string& exception = {}) {
    FakeServer server([&](FakeCall* call) {
      ReadReq request;
      EXPECT_TRUE(request.ParseFromString(call->Read().value_or("")));
      const auto& options = request.options();
      EXPECT_EQ(options.stream().stream_identifier().stream_name(), "order-1");
      EXPECT_EQ(options.stream().revision(), revision);
      EXPECT_EQ(options.read_direction(), ReadReq::Options::Forwards);
      EXPECT_EQ(options.count(), 1u);
      EXPECT_FALSE(options.resolve_links());
      EXPECT_EQ(options.control_option().compatibility(), 1u);
      for (const std::string& frame : frames) {
        call->Write(frame);
      }
      if (!exception.empty()) {
        call->AddTrailer("exception", exception);
      }
      call->Finish(status);
    });
    const auto source = *OpenKurrentSource(To(server.address()));
    return AskRevision(source.get(), "order-1", revision);
  }

  static std::string StreamEnd(std::uint64_t revision) {
    ReadResp message;
    message.set_last_stream_position(revision);
    return message.SerializeAsString();
  }
  static std::string StreamBegin(std::uint64_t revision) {
    ReadResp message;
    message.set_first_stream_position(revision);
    return message.SerializeAsString();
  }
  static std::string NotFound() {
    ReadResp message;
    message.mutable_stream_not_found()->mutable_stream_identifier()->set_stream_name("order-1");
    return message.SerializeAsString();
  }
};

TEST_F(RevisionTest, AnEventAtTheRevisionIsToldWithItsId) {
  const auto found = Ask(3, {Event(900), StreamEnd(8)});
  ASSERT_TRUE(found.ok()) << found.end().text;
  EXPECT_EQ(*found, (StreamRevision{Kind::kEvent, Uuid::FromHalves(0, 7)}));
}

TEST_F(RevisionTest, ALaterEventInItsPlaceSaysThatItIsScavenged) {
  const auto found = Ask(2, {Event(900), StreamEnd(8)});
  ASSERT_TRUE(found.ok()) << found.end().text;
  EXPECT_EQ(found->kind, Kind::kGone);
}

TEST_F(RevisionTest, AStreamThatEndsBelowItHasNeverHadIt) {
  const auto found = Ask(3, {StreamEnd(2)});
  ASSERT_TRUE(found.ok()) << found.end().text;
  EXPECT_EQ(found->kind, Kind::kEndsBelow);
}

TEST_F(RevisionTest, AStreamThatShowsNothingFromThereOnButHasHadItIsCutOff) {
  for (const std::uint64_t last : {3u, 8u}) {
    const auto found = Ask(3, {StreamBegin(last + 1), StreamEnd(last)});
    ASSERT_TRUE(found.ok()) << found.end().text;
    EXPECT_EQ(found->kind, Kind::kGone) << last;
  }
}

TEST_F(RevisionTest, AServerThatDoesNotSayWhereTheStreamEndsLeavesItOpen) {
  const auto found = Ask(3, {});
  ASSERT_TRUE(found.ok()) << found.end().text;
  EXPECT_EQ(found->kind, Kind::kGone);
}

TEST_F(RevisionTest, AStreamThatIsNotThereOrClosedSaysNothing) {
  const auto missing = Ask(3, {NotFound()});
  ASSERT_TRUE(missing.ok()) << missing.end().text;
  EXPECT_EQ(missing->kind, Kind::kGone);

  const auto closed =
      Ask(3, {}, {grpc::StatusCode::FAILED_PRECONDITION, "Event stream 'order-1' is deleted."},
          "stream-deleted");
  ASSERT_TRUE(closed.ok()) << closed.end().text;
  EXPECT_EQ(closed->kind, Kind::kGone);
}

// A stream may be kept from somebody who may read the whole log.
TEST_F(RevisionTest, AStreamThatThisUserMayNotReadSaysNothing) {
  const auto kept = Ask(3, {}, {grpc::StatusCode::PERMISSION_DENIED, "Access Denied"});
  ASSERT_TRUE(kept.ok()) << kept.end().text;
  EXPECT_EQ(kept->kind, Kind::kGone);
}

TEST_F(RevisionTest, AnyOtherEndIsOne) {
  const auto busy = Ask(3, {Event(900)}, {grpc::StatusCode::UNAVAILABLE, "Server Is Too Busy"});
  ASSERT_FALSE(busy.ok());
  EXPECT_EQ(busy.end().kind, EndClass::kNotReady);
  EXPECT_THAT(busy.end().text, HasSubstr("read a stream of the log"));

  const auto moved =
      Ask(3, {}, {grpc::StatusCode::NOT_FOUND, "Leader info available"}, "not-leader");
  ASSERT_FALSE(moved.ok());
  EXPECT_EQ(moved.end().kind, EndClass::kNotLeader);
}

}  // namespace
}  // namespace catchup
