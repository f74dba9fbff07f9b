#include "host/source/client/kurrent_source.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>

#include "host/source/proto/streams.pb.h"
#include "tests/source/client/fake_server.h"
#include "tests/source/client/raw_server.h"
#include "tests/source/client/recording_sink.h"

namespace catchup {
namespace {

using event_store::client::streams::ReadReq;
using event_store::client::streams::ReadResp;
using Notes = std::vector<std::string>;

constexpr std::chrono::seconds kPatience = RecordingSink::kPatience;

std::string Confirmation() {
  ReadResp message;
  message.mutable_confirmation()->set_subscription_id("8c9a4d5e-6f70-4a1b-9c2d-3e4f5a6b7c8d");
  return message.SerializeAsString();
}

std::string Event(std::uint64_t position, const std::string& data = "{}") {
  ReadResp message;
  auto* event = message.mutable_event()->mutable_event();
  event->mutable_id()->mutable_structured()->set_least_significant_bits(7);
  event->mutable_stream_identifier()->set_stream_name("order-1");
  event->set_stream_revision(3);
  event->set_commit_position(position);
  event->set_prepare_position(position);
  (*event->mutable_metadata())["type"] = "order-placed";
  (*event->mutable_metadata())["created"] = "17639555575720000";
  (*event->mutable_metadata())["content-type"] = "application/json";
  event->set_data(data);
  event->set_custom_metadata("meta");
  message.mutable_event()->set_commit_position(position);
  return message.SerializeAsString();
}

std::string Checkpoint(std::uint64_t commit, std::uint64_t prepare) {
  ReadResp message;
  message.mutable_checkpoint()->set_commit_position(commit);
  message.mutable_checkpoint()->set_prepare_position(prepare);
  return message.SerializeAsString();
}

std::string CaughtUp(std::optional<Position> position) {
  ReadResp message;
  message.mutable_caught_up();
  if (position.has_value()) {
    message.mutable_caught_up()->mutable_position()->set_commit_position(position->commit);
    message.mutable_caught_up()->mutable_position()->set_prepare_position(position->prepare);
  }
  return message.SerializeAsString();
}

ConnectionOptions To(const std::string& address) {
  ConnectionOptions options;
  options.address = address;
  return options;
}

SubscribeOptions Everything() {
  SubscribeOptions options;
  options.prefixes = {""};
  return options;
}

// What one subscription to `server` is told until it ends.
struct Heard {
  Notes notes;
  std::optional<EndOfCall> end;
};

Heard Listen(const std::string& address, const SubscribeOptions& options = Everything()) {
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = OpenKurrentSource(To(address));
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

TEST(SubscriptionTest, ShowsTheWholeEvent) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->Write(Event(10, R"({"a":1})"));
  });
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = OpenKurrentSource(To(server.address()));
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
  options.prefixes = {"order-", "invoice-"};

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
  options.prefixes = {""};
  options.match = MatchOn::kStreamName;
  options.resolve_links = true;
  options.from_end = true;

  const ReadReq::Options request = RequestOf(options).options();

  EXPECT_TRUE(request.all().has_end());
  EXPECT_TRUE(request.resolve_links());
  ASSERT_EQ(request.filter().stream_identifier().prefix_size(), 1);
  EXPECT_EQ(request.filter().stream_identifier().prefix(0), "");
}

TEST(SubscriptionTest, ResumesFromBothHalvesAsGiven) {
  SubscribeOptions options = Everything();
  options.from = Position{1651, 0};

  const ReadReq::Options request = RequestOf(options).options();

  EXPECT_EQ(request.all().position().commit_position(), 1651u);
  EXPECT_EQ(request.all().position().prepare_position(), 0u);
}

// The server would take it for "only what is new", which loses everything in between.
TEST(SubscriptionTest, NeverSendsAPositionThatMeansTheEnd) {
  FakeServer server([](FakeCall*) { ADD_FAILURE() << "no call was wanted"; });
  SubscribeOptions options = Everything();
  options.from = kEndOfLog;

  const Heard heard = Listen(server.address(), options);

  ASSERT_TRUE(heard.end.has_value());
  EXPECT_EQ(heard.end->kind, EndKind::kInvalidPosition);
  EXPECT_NE(heard.end->text.find("18446744073709551615"), std::string::npos) << heard.end->text;
}

TEST(SubscriptionTest, TakesACleanEndForADrop) {
  const EndOfCall end = EndWith(grpc::Status::OK);

  EXPECT_EQ(end.kind, EndKind::kDropped);
  EXPECT_EQ(end.code, 0);
  EXPECT_NE(end.text.find(": OK: the server ended the subscription"), std::string::npos)
      << end.text;
}

TEST(SubscriptionTest, TakesEveryOtherStatusForADropButFour) {
  for (int code = 1; code <= 16; ++code) {
    const EndOfCall end = EndWith(grpc::Status(static_cast<grpc::StatusCode>(code), "why"));
    const bool refused =
        code == grpc::StatusCode::UNAUTHENTICATED || code == grpc::StatusCode::PERMISSION_DENIED ||
        code == grpc::StatusCode::INVALID_ARGUMENT || code == grpc::StatusCode::UNIMPLEMENTED;
    EXPECT_EQ(end.kind, refused ? EndKind::kRefused : EndKind::kDropped) << end.text;
    EXPECT_EQ(end.code, code);
    EXPECT_NE(end.text.find(": why"), std::string::npos) << end.text;
  }
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

TEST(SubscriptionTest, KnowsBothWordingsOfAnInvalidPosition) {
  EXPECT_EQ(
      EndWith({grpc::StatusCode::INVALID_ARGUMENT, "Trying to read from an invalid position."})
          .kind,
      EndKind::kInvalidPosition);
  EXPECT_EQ(EndWith({grpc::StatusCode::UNKNOWN, "Unexpected ReadAllResult: InvalidPosition"}).kind,
            EndKind::kInvalidPosition);
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
  EXPECT_EQ(heard.end->kind, EndKind::kDropped);
  EXPECT_NE(heard.end->text.find("malformed frame"), std::string::npos) << heard.end->text;
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
  const std::string data(kMaxEventBytes - 1, 'x');
  FakeServer server([&data](FakeCall* call) {
    call->Read();
    call->Write(Event(10, data));
  });
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = OpenKurrentSource(To(server.address()));
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(1)) << sink->AwaitEnd().value_or(EndOfCall{}).text;

  EXPECT_TRUE(sink->event(0).data == data);
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
  EXPECT_EQ(heard.end->kind, EndKind::kDropped);
  EXPECT_NE(heard.end->code, 0) << heard.end->text;
}

TEST(SubscriptionTest, CancelsInTheMiddleOfAMessage) {
  const std::string message = Event(10);
  std::string body(4, '\0');
  body.push_back(static_cast<char>(message.size()));
  std::promise<void> sent;
  RawServer server([&](const RawServer::Answer& answer) {
    answer.send(body + message.substr(0, message.size() / 2));
    sent.set_value();
    answer.peer_gone();
  });
  const auto sink = std::make_shared<RecordingSink>();
  auto source = OpenKurrentSource(To(server.address()));
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_EQ(sent.get_future().wait_for(kPatience), std::future_status::ready);

  subscription->Cancel();

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
  source.reset();
}

TEST(SubscriptionTest, EndsWhenNobodyListens) {
  // A listener that is closed again leaves a port that refuses.
  const std::string address = FakeServer([](FakeCall*) {}).address();

  const Heard heard = Listen(address);

  ASSERT_TRUE(heard.end.has_value());
  EXPECT_EQ(heard.end->kind, EndKind::kDropped);
  EXPECT_EQ(heard.end->code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(heard.end->text.starts_with(address + ": UNAVAILABLE: ")) << heard.end->text;
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
  EXPECT_NE(heard.end->text.find("no-such-host.invalid"), std::string::npos) << heard.end->text;
}

TEST(SubscriptionTest, CancelReachesASilentServer) {
  std::promise<void> cancelled;
  FakeServer server([&cancelled](FakeCall* call) {
    call->Read();
    call->Write(Event(10));
    call->AwaitCancel();
    cancelled.set_value();
  });
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = OpenKurrentSource(To(server.address()));
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(1));

  subscription->Cancel();

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
  EXPECT_EQ(cancelled.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(SubscriptionTest, CancelsAtAnyMoment) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; call->Write(Event(i)); ++i) {
    }
  });
  const auto source = OpenKurrentSource(To(server.address()));
  for (int i = 0; i < 200; ++i) {
    const auto sink = std::make_shared<RecordingSink>();
    const auto subscription = source->Subscribe(Everything(), sink);
    if (i % 4 != 0) {
      sink->AwaitCount(static_cast<std::size_t>(i % 4));
    }
    subscription->Cancel();
    subscription->Cancel();
    ASSERT_TRUE(sink->AwaitEnd().has_value());
    EXPECT_EQ(sink->calls_after_end(), 0);
  }
}

TEST(SubscriptionTest, CancelsBeforeItIsConnected) {
  const DeafListener listener;
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = OpenKurrentSource(To(listener.address()));
  const auto subscription = source->Subscribe(Everything(), sink);

  subscription->Cancel();

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
}

TEST(SubscriptionTest, DestroyingTheHandleCancels) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->AwaitCancel();
  });
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = OpenKurrentSource(To(server.address()));

  source->Subscribe(Everything(), sink).reset();

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
}

TEST(SubscriptionTest, PausesUntilResumed) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; i <= 6; ++i) {
      call->Write(Event(i));
    }
    call->AwaitCancel();
  });
  const auto sink = std::make_shared<RecordingSink>();
  sink->PauseFrom(2);
  ConnectionOptions options = To(server.address());
  options.deadline = std::chrono::milliseconds(200);
  const auto source = OpenKurrentSource(options);
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(2));
  // A frame that was not asked for would come well before the end of another call, which this
  // server answers with events and then leaves open.
  (void)ReadHeadAndWait(source.get());
  EXPECT_EQ(sink->notes().size(), 2u);

  subscription->Resume();
  ASSERT_TRUE(sink->AwaitCount(3));
  sink->PauseFrom(SIZE_MAX);
  subscription->Resume();

  EXPECT_TRUE(sink->AwaitCount(6));
}

TEST(SubscriptionTest, AResumeFromInsideOfACallbackIsNotLost) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; i <= 100; ++i) {
      call->Write(Event(i));
    }
    call->AwaitCancel();
  });
  const auto sink = std::make_shared<RecordingSink>();
  sink->PauseFrom(0);
  const auto source = OpenKurrentSource(To(server.address()));
  std::promise<Subscription*> handle;
  const std::shared_future<Subscription*> known = handle.get_future().share();
  sink->SetOnEvent([known] { known.get()->Resume(); });
  const auto subscription = source->Subscribe(Everything(), sink);
  handle.set_value(subscription.get());

  EXPECT_TRUE(sink->AwaitCount(100));
}

TEST(SubscriptionTest, CancelsWhilePaused) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; call->Write(Event(i, std::string(10000, 'x'))); ++i) {
    }
  });
  const auto sink = std::make_shared<RecordingSink>();
  sink->PauseFrom(1);
  const auto source = OpenKurrentSource(To(server.address()));
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(1));

  subscription->Cancel();

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
  EXPECT_EQ(sink->notes().size(), 1u);
}

// A window that stays full must not look like a dead peer: pings are answered by gRPC's own threads
// only while somebody polls, and the source's thread does. Six keepalive periods; a synchronous
// reader loses its connection within two. This test is about time, so it takes time.
TEST(SubscriptionTest, APauseOutlastsTheKeepalive) {
  constexpr std::uint64_t kEvents = 2000;
  FakeServer server([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; i <= kEvents; ++i) {
      call->Write(Event(i, std::string(10000, 'x')));
    }
    call->AwaitCancel();
  });
  ConnectionOptions options = To(server.address());
  options.keepalive_time = std::chrono::seconds(1);
  options.keepalive_timeout = std::chrono::seconds(1);
  const auto sink = std::make_shared<RecordingSink>();
  sink->PauseFrom(1);
  const auto source = OpenKurrentSource(options);
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(1));

  std::this_thread::sleep_for(6 * options.keepalive_time);
  EXPECT_EQ(sink->notes().size(), 1u);
  sink->PauseFrom(SIZE_MAX);
  subscription->Resume();

  EXPECT_TRUE(sink->AwaitCount(kEvents)) << sink->AwaitEnd().value_or(EndOfCall{}).text;
}

TEST(SourceTest, CarriesSeveralSubscriptionsWhileOneIsPaused) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; i <= 50; ++i) {
      call->Write(Event(i));
    }
    call->AwaitCancel();
  });
  const auto paused = std::make_shared<RecordingSink>();
  paused->PauseFrom(1);
  const auto running = std::make_shared<RecordingSink>();
  const auto source = OpenKurrentSource(To(server.address()));
  const auto first = source->Subscribe(Everything(), paused);
  ASSERT_TRUE(paused->AwaitCount(1));
  const auto second = source->Subscribe(Everything(), running);

  EXPECT_TRUE(running->AwaitCount(50));
  EXPECT_EQ(paused->notes().size(), 1u);
}

TEST(SourceTest, ReadsTheHead) {
  FakeServer server([](FakeCall* call) {
    ReadReq request;
    EXPECT_TRUE(request.ParseFromString(call->Read().value_or("")));
    EXPECT_TRUE(request.options().all().has_end());
    EXPECT_EQ(request.options().read_direction(), ReadReq::Options::Backwards);
    EXPECT_EQ(request.options().count(), 1u);
    EXPECT_TRUE(request.options().has_no_filter());
    call->Write(Event(1651));
  });
  const auto source = OpenKurrentSource(To(server.address()));

  const auto head = ReadHeadAndWait(source.get());

  ASSERT_TRUE(head.ok()) << head.status().message();
  EXPECT_EQ(*head, (Position{1651, 1651}));
}

TEST(SourceTest, FindsNoHeadInAnEmptyLog) {
  FakeServer server([](FakeCall* call) { call->Read(); });
  const auto source = OpenKurrentSource(To(server.address()));

  const auto head = ReadHeadAndWait(source.get());

  ASSERT_TRUE(head.ok()) << head.status().message();
  EXPECT_EQ(*head, std::nullopt);
}

TEST(SourceTest, GivesUpReadingTheHeadAtTheDeadline) {
  FakeServer server([](FakeCall* call) { call->AwaitCancel(); });
  ConnectionOptions options = To(server.address());
  options.deadline = std::chrono::milliseconds(200);
  const auto source = OpenKurrentSource(options);

  const auto head = ReadHeadAndWait(source.get());

  EXPECT_EQ(head.status().code(), Status::Code::kUnavailable);
  EXPECT_NE(head.status().message().find("DEADLINE_EXCEEDED"), std::string::npos)
      << head.status().message();
}

TEST(SourceTest, EndsWhateverComesAfterItsShutdown) {
  FakeServer server([](FakeCall*) { ADD_FAILURE() << "no call was wanted"; });
  const auto source = OpenKurrentSource(To(server.address()));
  source->Shutdown();

  const auto sink = std::make_shared<RecordingSink>();
  const auto subscription = source->Subscribe(Everything(), sink);

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
  EXPECT_EQ(ReadHeadAndWait(source.get()).status().code(), Status::Code::kCancelled);
}

TEST(SourceTest, IsDestroyedWithSubscriptionsOpenAndHandlesAlive) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; call->Write(Event(i)); ++i) {
    }
  });
  const auto paused = std::make_shared<RecordingSink>();
  paused->PauseFrom(1);
  const auto running = std::make_shared<RecordingSink>();
  auto source = OpenKurrentSource(To(server.address()));
  const auto first = source->Subscribe(Everything(), paused);
  const auto second = source->Subscribe(Everything(), running);
  ASSERT_TRUE(paused->AwaitCount(1));

  source.reset();
  first->Resume();
  second->Cancel();

  EXPECT_TRUE(paused->AwaitEnd().has_value());
  EXPECT_TRUE(running->AwaitEnd().has_value());
}

TEST(SourceTest, SendsCredentialsWhenItHasThem) {
  std::promise<std::string> seen;
  FakeServer server([&seen](FakeCall* call) { seen.set_value(call->Header("authorization")); });
  ConnectionOptions options = To(server.address());
  options.authorization = "Basic dXNlcjpwYXNz";
  const auto source = OpenKurrentSource(options);

  (void)ReadHeadAndWait(source.get());

  EXPECT_EQ(seen.get_future().get(), "Basic dXNlcjpwYXNz");
}

}  // namespace
}  // namespace catchup
