#include "host/source/client/kurrent_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "host/source/proto/streams.pb.h"
#include "tests/source/client/fake_server.h"
#include "tests/source/client/frames.h"
#include "tests/source/client/raw_server.h"
#include "tests/source/client/recording_sink.h"

namespace catchup {
namespace {

using testing::HasSubstr;

using event_store::client::streams::ReadReq;

constexpr std::chrono::seconds kPatience = RecordingSink::kPatience;

TEST(SubscriptionControlTest, CancelsInTheMiddleOfAMessage) {
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
  auto source = *OpenKurrentSource(To(server.address()));
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_EQ(sent.get_future().wait_for(kPatience), std::future_status::ready);

  subscription->Cancel();

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
  source.reset();
}

TEST(SubscriptionControlTest, CancelReachesASilentServer) {
  std::promise<void> cancelled;
  FakeServer server([&cancelled](FakeCall* call) {
    call->Read();
    call->Write(Event(10));
    call->AwaitCancel();
    cancelled.set_value();
  });
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(1));

  subscription->Cancel();

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
  EXPECT_EQ(cancelled.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(SubscriptionControlTest, CancelsAtAnyMoment) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; call->Write(Event(i)); ++i) {
    }
  });
  const auto source = *OpenKurrentSource(To(server.address()));
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

TEST(SubscriptionControlTest, CancelsBeforeItIsConnected) {
  const DeafListener listener;
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = *OpenKurrentSource(To(listener.address()));
  const auto subscription = source->Subscribe(Everything(), sink);

  subscription->Cancel();

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
}

TEST(SubscriptionControlTest, DestroyingTheHandleCancels) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->AwaitCancel();
  });
  const auto sink = std::make_shared<RecordingSink>();
  const auto source = *OpenKurrentSource(To(server.address()));

  source->Subscribe(Everything(), sink).reset();

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
}

TEST(SubscriptionControlTest, PausesUntilResumed) {
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
  const auto source = *OpenKurrentSource(options);
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

TEST(SubscriptionControlTest, AResumeFromInsideOfACallbackIsNotLost) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; i <= 100; ++i) {
      call->Write(Event(i));
    }
    call->AwaitCancel();
  });
  const auto sink = std::make_shared<RecordingSink>();
  sink->PauseFrom(0);
  const auto source = *OpenKurrentSource(To(server.address()));
  std::promise<Subscription*> handle;
  const std::shared_future<Subscription*> known = handle.get_future().share();
  sink->SetOnEvent([known] { known.get()->Resume(); });
  const auto subscription = source->Subscribe(Everything(), sink);
  handle.set_value(subscription.get());

  EXPECT_TRUE(sink->AwaitCount(100));
}

TEST(SubscriptionControlTest, CancelsWhilePaused) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; call->Write(Event(i, std::string(10000, 'x'))); ++i) {
    }
  });
  const auto sink = std::make_shared<RecordingSink>();
  sink->PauseFrom(1);
  const auto source = *OpenKurrentSource(To(server.address()));
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(1));

  subscription->Cancel();

  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).code, grpc::StatusCode::CANCELLED);
  EXPECT_EQ(sink->notes().size(), 1u);
}

// A window that stays full must not look like a dead peer: pings are answered by gRPC's own threads
// only while somebody polls, and the source's thread does. Six keepalive periods; a synchronous
// reader loses its connection within two. This test is about time, so it takes time.
TEST(SubscriptionControlTest, APauseOutlastsTheKeepalive) {
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
  const auto source = *OpenKurrentSource(options);
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(1));

  std::this_thread::sleep_for(6 * *options.keepalive_time);
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
  const auto source = *OpenKurrentSource(To(server.address()));
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
  const auto source = *OpenKurrentSource(To(server.address()));

  const auto head = ReadHeadAndWait(source.get());

  ASSERT_TRUE(head.ok()) << head.status().message();
  EXPECT_EQ(*head, (Position{1651, 1651}));
}

TEST(SourceTest, FindsNoHeadInAnEmptyLog) {
  FakeServer server([](FakeCall* call) { call->Read(); });
  const auto source = *OpenKurrentSource(To(server.address()));

  const auto head = ReadHeadAndWait(source.get());

  ASSERT_TRUE(head.ok()) << head.status().message();
  EXPECT_EQ(*head, std::nullopt);
}

TEST(SourceTest, GivesUpReadingTheHeadAtTheDeadline) {
  FakeServer server([](FakeCall* call) { call->AwaitCancel(); });
  ConnectionOptions options = To(server.address());
  options.deadline = std::chrono::milliseconds(200);
  const auto source = *OpenKurrentSource(options);

  const auto head = ReadHeadAndWait(source.get());

  EXPECT_EQ(head.status().code(), Status::Code::kUnavailable);
  EXPECT_THAT(head.status().message(), HasSubstr("DEADLINE_EXCEEDED"));
}

TEST(SourceTest, EndsWhateverComesAfterItsShutdown) {
  FakeServer server([](FakeCall*) { ADD_FAILURE() << "no call was wanted"; });
  const auto source = *OpenKurrentSource(To(server.address()));
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
  auto source = *OpenKurrentSource(To(server.address()));
  const auto first = source->Subscribe(Everything(), paused);
  const auto second = source->Subscribe(Everything(), running);
  ASSERT_TRUE(paused->AwaitCount(1));

  source.reset();
  first->Resume();
  second->Cancel();

  EXPECT_TRUE(paused->AwaitEnd().has_value());
  EXPECT_TRUE(running->AwaitEnd().has_value());
}

TEST(SourceTest, SaysWhetherOnlyTheLeaderMayAnswer) {
  for (const bool wanted : {true, false}) {
    std::promise<std::string> seen;
    FakeServer server([&seen](FakeCall* call) { seen.set_value(call->Header("requires-leader")); });
    ConnectionOptions options = To(server.address());
    options.requires_leader = wanted;
    const auto source = *OpenKurrentSource(options);

    (void)ReadHeadAndWait(source.get());

    EXPECT_EQ(seen.get_future().get(), wanted ? "true" : "false");
  }
}

TEST(SourceTest, ConnectsWithoutKeepalive) {
  FakeServer server([](FakeCall* call) { call->Finish(grpc::Status::OK); });
  ConnectionOptions options = To(server.address());
  options.keepalive_time = std::nullopt;
  options.keepalive_timeout = std::nullopt;
  const auto source = *OpenKurrentSource(options);

  EXPECT_TRUE(ReadHeadAndWait(source.get()).ok());
}

TEST(SourceTest, SendsCredentialsWhenItHasThem) {
  std::promise<std::string> seen;
  FakeServer server([&seen](FakeCall* call) { seen.set_value(call->Header("authorization")); });
  ConnectionOptions options = To(server.address());
  options.authorization = [] { return Result<std::string>("Basic dXNlcjpwYXNz"); };
  const auto source = *OpenKurrentSource(options);

  (void)ReadHeadAndWait(source.get());

  EXPECT_EQ(seen.get_future().get(), "Basic dXNlcjpwYXNz");
}

}  // namespace
}  // namespace catchup
