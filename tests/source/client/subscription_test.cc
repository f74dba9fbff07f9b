#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "host/source/client/kurrent_source.h"
#include "host/source/proto/streams.pb.h"
#include "tests/source/client/fake_server.h"
#include "tests/source/client/frames.h"
#include "tests/source/client/raw_server.h"
#include "tests/source/client/recording_sink.h"

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using event_store::client::streams::ReadReq;
using Notes = std::vector<std::string>;

// What one subscription to `server` is told until it ends.
struct Heard {
  Notes notes;
  std::optional<EndOfCall> end;
};

Heard Listen(const std::string& address, const SubscribeOptions& options = Everything()) {
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = *OpenKurrentSource(To(address));
  const auto subscription = source->Subscribe(options, sink);
  Heard heard;
  heard.end = sink->AwaitEnd();
  heard.notes = sink->notes();
  return heard;
}

// The request that a subscription with `options` sends.
ReadReq RequestOf(const SubscribeOptions& options) {
  std::promise<ReadReq> request;
  FakeServer server([&request](FakeCall* call) {
    ReadReq message;
    EXPECT_EQ(call->method(), "/event_store.client.streams.Streams/Read");
    EXPECT_EQ(call->Header("requires-leader"), "true");
    EXPECT_TRUE(message.ParseFromString(call->Read().value_or("")));
    EXPECT_EQ(call->Read(), std::nullopt);
    request.set_value(message);
  });
  Listen(server.address(), options);
  return request.get_future().get();
}

EndOfCall EndWith(const grpc::Status& status) {
  FakeServer server([&status](FakeCall* call) {
    call->Read();
    call->Write(Confirmation());
    call->Finish(status);
  });
  return Listen(server.address()).end.value_or(EndOfCall{});
}

// The same as the first word of the answer, which is then nothing but a status and `trailers`.
EndOfCall EndAtOnce(const grpc::Status& status,
                    const std::map<std::string, std::string>& trailers = {}) {
  FakeServer server([&](FakeCall* call) {
    call->Read();
    for (const auto& [name, value] : trailers) {
      call->AddTrailer(name, value);
    }
    call->Finish(status);
  });
  return Listen(server.address()).end.value_or(EndOfCall{});
}

TEST(SubscriptionTest, PassesOnEveryFrameInOrder) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->Write(Confirmation());
    call->Write(Event(10));
    call->Write(Checkpoint(10, 0));
    call->Write(CaughtUp(Position{20, 20}));
    call->Write(CaughtUp(std::nullopt));
  });
  const Heard heard = Listen(server.address());

  EXPECT_EQ(heard.notes, (Notes{"event 10:10", "checkpoint 10:0", "caught up 20:20", "caught up"}));
}

TEST(SubscriptionTest, EveryFrameIsFollowedByTheEndOfItsRound) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->Write(Confirmation());
    call->Write(Event(10));
    call->AwaitCancel();
  });
  const auto sink = std::make_shared<RecordingSink>();
  std::promise<std::size_t> told;
  sink->SetOnRoundEnd([&] { told.set_value(sink->notes().size()); });
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto subscription = source->Subscribe(Everything(), sink);

  EXPECT_EQ(told.get_future().get(), 1u);
}

// One thread serves both. What is passed on to the quiet one is not held back until the flood is
// over: its round ends after a bounded number of frames, whoever they are for.
TEST(SubscriptionTest, AFloodOnOneHoldsNothingBackOnAnother) {
  constexpr std::uint64_t kSingles = 20;
  FakeServer server([](FakeCall* call) {
    ReadReq request;
    (void)request.ParseFromString(call->Read().value_or(""));
    const bool quiet = request.options().filter().event_type().prefix(0) == "quiet";
    call->Write(Confirmation());
    std::uint64_t number = 1;
    while (call->Write(Event(number)) && (!quiet || number < kSingles)) {
      ++number;
    }
    call->AwaitCancel();
  });
  const auto flooded = std::make_shared<RecordingSink>();
  const auto quiet = std::make_shared<RecordingSink>();
  // All on the source's thread.
  int frames = 0;
  int waits_since = 0;  // The frame that the quiet one was told of; 0 once its round has ended.
  int longest = 0;
  std::promise<void> flowing;
  std::promise<void> done;
  std::uint64_t singles = 0;
  flooded->SetOnEvent([&] {
    if (++frames == 1'000) {
      flowing.set_value();
    }
  });
  quiet->SetOnEvent([&] {
    ++frames;
    ++singles;
    waits_since = waits_since == 0 ? frames : waits_since;
  });
  quiet->SetOnRoundEnd([&] {
    longest = std::max(longest, frames - waits_since + 1);
    waits_since = 0;
    if (singles == kSingles) {
      done.set_value();
    }
  });
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto flood = source->Subscribe(Everything(), flooded);
  flowing.get_future().wait();
  SubscribeOptions options;
  options.filter.prefixes = {"quiet"};
  const auto subscription = source->Subscribe(options, quiet);
  done.get_future().wait();
  flood->Cancel();
  subscription->Cancel();
  EXPECT_TRUE(flooded->AwaitEnd().has_value());
  EXPECT_TRUE(quiet->AwaitEnd().has_value());

  EXPECT_LE(longest, SourceRound::kMostFrames);
}

TEST(SubscriptionTest, ShowsTheWholeEvent) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->Write(Event(10, R"({"a":1})"));
  });
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(1));

  const EventView& event = sink->event(0);
  EXPECT_EQ(event.stream, "order-1");
  EXPECT_EQ(event.type, "order-placed");
  EXPECT_EQ(event.data, R"({"a":1})");
  EXPECT_EQ(event.metadata, "meta");
  EXPECT_EQ(event.revision, 3u);
  EXPECT_EQ(event.created_ticks, 17639555575720000);
  EXPECT_EQ(FormatUuid(event.id), "00000000-0000-0000-0000-000000000007");
  EXPECT_TRUE(event.is_json);
}

TEST(SubscriptionTest, AsksForItsPrefixesOnTheEventTypeFromTheBeginning) {
  SubscribeOptions options;
  options.filter.prefixes = {"order-", "invoice-"};

  const ReadReq::Options request = RequestOf(options).options();

  EXPECT_TRUE(request.all().has_start());
  EXPECT_TRUE(request.has_subscription());
  EXPECT_EQ(request.read_direction(), ReadReq::Options::Forwards);
  EXPECT_TRUE(request.uuid_option().has_structured());
  EXPECT_FALSE(request.resolve_links());
  EXPECT_EQ(request.filter().max(), 1024u);
  EXPECT_EQ(request.filter().checkpointintervalmultiplier(), 1u);
  ASSERT_EQ(request.filter().event_type().prefix_size(), 2);
  EXPECT_EQ(request.filter().event_type().prefix(0), "order-");
  EXPECT_EQ(request.filter().event_type().prefix(1), "invoice-");
}

TEST(SubscriptionTest, AsksForStreamNamesAndLinksWhenTold) {
  SubscribeOptions options;
  options.filter.prefixes = {""};
  options.filter.match = EventFilter::Match::kStreamName;
  options.filter.resolve_links = true;
  options.from_end = true;

  const ReadReq::Options request = RequestOf(options).options();

  EXPECT_TRUE(request.all().has_end());
  EXPECT_TRUE(request.resolve_links());
  ASSERT_EQ(request.filter().stream_identifier().prefix_size(), 1);
  EXPECT_EQ(request.filter().stream_identifier().prefix(0), "");
}

// Protocol notes 3.4.
TEST(SubscriptionTest, ResumesFromBothHalvesAsGiven) {
  SubscribeOptions options = Everything();
  options.from = Position{1651, 0};

  const ReadReq::Options request = RequestOf(options).options();

  EXPECT_EQ(request.all().position().commit_position(), 1651u);
  EXPECT_EQ(request.all().position().prepare_position(), 0u);
}

// The server would take it for "only what is new", which loses everything in between (protocol
// notes 3.1, 3.4).
TEST(SubscriptionTest, NeverSendsAPositionThatMeansTheEnd) {
  FakeServer server([](FakeCall*) { ADD_FAILURE() << "no call was wanted"; });
  SubscribeOptions options = Everything();
  options.from = kEndOfLog;

  const Heard heard = Listen(server.address(), options);

  ASSERT_TRUE(heard.end.has_value());
  EXPECT_EQ(heard.end->kind, EndClass::kInvalidPosition);
  EXPECT_THAT(heard.end->text, HasSubstr("18446744073709551615"));
}

// Protocol notes 3.2: a subscription is not expected to end.
TEST(SubscriptionTest, TakesACleanEndForADrop) {
  const EndOfCall end = EndWith(grpc::Status::OK);

  EXPECT_EQ(end.kind, EndClass::kDropped);
  EXPECT_EQ(end.code, 0);
  EXPECT_THAT(end.text, HasSubstr(": OK: the server ended the call"));
}

// Protocol notes 4.2: what each status asks of a client.
TEST(SubscriptionTest, TakesAStatusForADropUnlessItStaysSo) {
  const std::map<int, EndClass> others = {
      {grpc::StatusCode::UNAUTHENTICATED, EndClass::kCredentials},
      {grpc::StatusCode::PERMISSION_DENIED, EndClass::kRights},
      {grpc::StatusCode::UNIMPLEMENTED, EndClass::kUnsupported},
      {grpc::StatusCode::INVALID_ARGUMENT, EndClass::kBadRequest},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, EndClass::kTooLarge},
  };
  for (int code = 1; code <= 16; ++code) {
    const EndOfCall end = EndWith(grpc::Status(static_cast<grpc::StatusCode>(code), "why"));
    const auto found = others.find(code);
    EXPECT_EQ(end.kind, found == others.end() ? EndClass::kDropped : found->second) << end.text;
    EXPECT_TRUE(end.answered);
    EXPECT_EQ(end.code, code);
    EXPECT_EQ(end.retry_after, std::nullopt);
    EXPECT_EQ(end.leader, std::nullopt);
    EXPECT_THAT(end.text, HasSubstr(": why"));
  }
}

// The words of the notes' table of statuses (4.2), not the code alone.
TEST(SubscriptionTest, KnowsANodeThatCannotServeYet) {
  for (const char* words : {"Server Is Not Ready", "Server Is Too Busy", "Server not ready"}) {
    EXPECT_EQ(EndAtOnce({grpc::StatusCode::UNAVAILABLE, words}).kind, EndClass::kNotReady);
  }
  EXPECT_EQ(EndAtOnce({grpc::StatusCode::UNKNOWN, "No leader info available in response"}).kind,
            EndClass::kNotLeader);
}

TEST(SubscriptionTest, TellsAnAnswerFromWhatTheTransportSays) {
  EXPECT_TRUE(EndAtOnce({grpc::StatusCode::UNAVAILABLE, "Server Is Not Ready"}).answered);
  EXPECT_TRUE(EndAtOnce({grpc::StatusCode::PERMISSION_DENIED, "no"}).answered);
  // A real node's answers carry more than the status, as their date.
  EXPECT_TRUE(EndAtOnce({grpc::StatusCode::UNAVAILABLE, "busy"}, {{"server", "Kestrel"}}).answered);
  EXPECT_TRUE(EndWith(grpc::Status::OK).answered);
  // A listener that is closed again leaves a port that refuses.
  const std::string nobody = FakeServer([](FakeCall*) {}).address();
  EXPECT_FALSE(Listen(nobody).end.value().answered);
  // The connection is there and breaks before a word.
  RawServer mute([](const RawServer::Answer&) {});
  EXPECT_FALSE(Listen(mute.address()).end.value().answered);
}

// gRPC's channel waits before it connects again, and refuses calls meanwhile by itself.
TEST(SubscriptionTest, TakesTheChannelsOwnRefusalForNoAnswer) {
  const std::string nobody = FakeServer([](FakeCall*) {}).address();
  const auto source = *OpenKurrentSource(To(nobody));
  for (int i = 0; i < 3; ++i) {
    const auto sink = std::make_shared<RecordingSink>();
    const auto subscription = source->Subscribe(Everything(), sink);
    EXPECT_FALSE(sink->AwaitEnd().value().answered);
  }
}

// Protocol notes 4.2: NOT_FOUND is ambiguous, and the trailer tells.
TEST(SubscriptionTest, SaysWhereTheLeaderIs) {
  const auto leader = [](const std::string& host, const std::string& port) {
    return EndAtOnce({grpc::StatusCode::NOT_FOUND, "Leader info available"},
                     {{"exception", "not-leader"},
                      {"leader-endpoint-host", host},
                      {"leader-endpoint-port", port}});
  };
  EXPECT_EQ(leader("10.0.0.2", "2113").kind, EndClass::kNotLeader);
  EXPECT_EQ(leader("10.0.0.2", "2113").leader, "10.0.0.2:2113");
  EXPECT_EQ(leader("node2.db.example", "2114").leader, "node2.db.example:2114");
  EXPECT_EQ(leader("fd00::2", "2113").leader, "[fd00::2]:2113");
  EXPECT_EQ(leader("10.0.0.2", "no port").leader, std::nullopt);
  const EndOfCall nowhere =
      EndAtOnce({grpc::StatusCode::NOT_FOUND, "?"}, {{"exception", "not-leader"}});
  EXPECT_EQ(nowhere.kind, EndClass::kNotLeader);
  EXPECT_EQ(nowhere.leader, std::nullopt);
  EXPECT_EQ(EndAtOnce({grpc::StatusCode::NOT_FOUND, "?"}).kind, EndClass::kDropped);
}

// Protocol notes 3.14 and 4.2.
TEST(SubscriptionTest, SaysHowLongTheServerWantsToBeLeftAlone) {
  const auto wait = [](const std::string& name, const std::string& value) {
    return EndAtOnce({grpc::StatusCode::UNAVAILABLE, "busy"}, {{name, value}}).retry_after;
  };
  EXPECT_EQ(wait("grpc-retry-pushback-ms", "1500"), std::chrono::milliseconds(1500));
  EXPECT_EQ(wait("grpc-retry-pushback-ms", "-1"), std::nullopt);
  EXPECT_EQ(wait("grpc-retry-pushback-ms", "soon"), std::nullopt);
  // google.rpc.Status: code, an ErrorInfo, then a RetryInfo of 5 s.
  const std::string error("\x0a\x28type.googleapis.com/google.rpc.ErrorInfo\x12\x02\x0a\x00", 46);
  const std::string retry(
      "\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x05", 48);
  const auto detail = [](const std::string& any) {
    return std::string("\x1a") + static_cast<char>(any.size()) + any;
  };
  const std::string details = "\x08\x0e" + detail(error) + detail(retry);
  EXPECT_EQ(wait("grpc-status-details-bin", details), std::chrono::seconds(5));
  EXPECT_EQ(wait("grpc-status-details-bin", "\xff nonsense"), std::nullopt);
}

TEST(SubscriptionTest, NamesServerAndStatusInTheEndsText) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->AddTrailer("exception", "not-leader");
    call->AddTrailer("leader-endpoint-host", "10.0.0.2");
    call->AddTrailer("leader-endpoint-port", "2113");
    call->Finish({grpc::StatusCode::NOT_FOUND, "Leader info available"});
  });
  const Heard heard = Listen(server.address());

  ASSERT_TRUE(heard.end.has_value());
  EXPECT_EQ(heard.end->text,
            server.address() +
                ": NOT_FOUND: Leader info available (not-leader, the leader is 10.0.0.2:2113)");
}

// Protocol notes 3.1 and 4.2: a count read words it differently.
TEST(SubscriptionTest, KnowsBothWordingsOfAnInvalidPosition) {
  EXPECT_EQ(
      EndWith({grpc::StatusCode::INVALID_ARGUMENT, "Trying to read from an invalid position."})
          .kind,
      EndClass::kInvalidPosition);
  EXPECT_EQ(EndWith({grpc::StatusCode::UNKNOWN, "Unexpected ReadAllResult: InvalidPosition"}).kind,
            EndClass::kInvalidPosition);
}

TEST(SubscriptionTest, EndsOnAFrameThatIsNone) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->Write(Event(10));
    call->Write("\x0a\x7f nonsense");
    call->AwaitCancel();
  });
  const Heard heard = Listen(server.address());

  EXPECT_EQ(heard.notes, Notes{"event 10:10"});
  ASSERT_TRUE(heard.end.has_value());
  EXPECT_EQ(heard.end->kind, EndClass::kDropped);
  EXPECT_THAT(heard.end->text, HasSubstr("malformed frame"));
}

TEST(SubscriptionTest, IgnoresFramesItDoesNotKnow) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->Write("\x62\x03new");  // Field 12.
    call->Write("");
    call->Write(Event(10));
  });

  EXPECT_EQ(Listen(server.address()).notes, Notes{"event 10:10"});
}

TEST(SubscriptionTest, TakesTheLargestEvent) {
  const std::string data(kMaxEventBytes - 1024, 'x');  // And its names.
  FakeServer server([&data](FakeCall* call) {
    call->Read();
    call->Write(Event(10, data));
  });
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(1)) << sink->AwaitEnd().value_or(EndOfCall{}).text;

  EXPECT_TRUE(sink->event(0).data == data);
}

// Nobody downstream has room for it, so it is a message, and the call is not tried again in haste.
TEST(SubscriptionTest, SaysWhichEventIsTooLarge) {
  const std::string data(kMaxEventBytes, 'x');
  FakeServer server([&data](FakeCall* call) {
    call->Read();
    call->Write(Event(10, data));
  });

  const Heard heard = Listen(server.address());

  EXPECT_EQ(heard.notes, Notes{});
  ASSERT_TRUE(heard.end.has_value());
  EXPECT_EQ(heard.end->kind, EndClass::kTooLarge);
  EXPECT_THAT(heard.end->text, HasSubstr("10:10: an event of "));
  EXPECT_THAT(heard.end->text, HasSubstr("wanted at most " + std::to_string(kMaxEventBytes)));
}

// gRPC's own servers never leave a message unfinished; a connection that breaks does.
TEST(SubscriptionTest, TakesAMessageThatBreaksOffForADrop) {
  const std::string message = Event(10);
  std::string body(4, '\0');
  body.push_back(static_cast<char>(message.size()));
  body += message.substr(0, message.size() / 2);
  RawServer server([&body](const RawServer::Answer& answer) { answer.send(body); });

  const Heard heard = Listen(server.address());

  EXPECT_EQ(heard.notes, Notes{});
  ASSERT_TRUE(heard.end.has_value());
  EXPECT_EQ(heard.end->kind, EndClass::kDropped);
  EXPECT_NE(heard.end->code, 0) << heard.end->text;
}

TEST(SubscriptionTest, EndsWhenNobodyListens) {
  // A listener that is closed again leaves a port that refuses.
  const std::string address = FakeServer([](FakeCall*) {}).address();

  const Heard heard = Listen(address);

  ASSERT_TRUE(heard.end.has_value());
  EXPECT_EQ(heard.end->kind, EndClass::kDropped);
  EXPECT_EQ(heard.end->code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(heard.end->text, StartsWith(address + ": UNAVAILABLE: "));
}

TEST(SubscriptionTest, EndsWhenTheServerNeverSpeaks) {
  const DeafListener listener;

  const Heard heard = Listen(listener.address());

  EXPECT_EQ(heard.end.value_or(EndOfCall{}).code, grpc::StatusCode::UNAVAILABLE);
}

TEST(SubscriptionTest, EndsWhenTheNameDoesNotResolve) {
  const Heard heard = Listen("no-such-host.invalid:2113");

  ASSERT_TRUE(heard.end.has_value());
  EXPECT_EQ(heard.end->code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(heard.end->text, HasSubstr("no-such-host.invalid"));
}

}  // namespace
}  // namespace catchup
