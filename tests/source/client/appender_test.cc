#include "host/source/client/appender.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "host/source/client/event_writer.h"
#include "host/source/client/server_info.h"
#include "host/source/proto/server_features.pb.h"
#include "host/source/proto/streams.pb.h"
#include "tests/source/client/fake_server.h"

namespace catchup {
namespace {

using event_store::client::streams::BatchAppendReq;
using event_store::client::streams::BatchAppendResp;

ConnectionOptions To(const std::string& address) {
  ConnectionOptions options;
  options.address = address;
  return options;
}

NewEvent MakeEvent(std::uint64_t number, std::string data = "{}") {
  NewEvent event;
  event.id = Uuid::FromHalves(1, number);
  event.type = "order-placed";
  event.data = std::move(data);
  event.metadata = "meta";
  event.is_json = true;
  return event;
}

BatchAppendReq ReadRequest(FakeCall* call) {
  BatchAppendReq request;
  EXPECT_TRUE(request.ParseFromString(call->Read().value_or("\xff")));
  return request;
}

BatchAppendResp SuccessFor(const BatchAppendReq& request, std::uint64_t revision) {
  BatchAppendResp response;
  *response.mutable_correlation_id() = request.correlation_id();
  response.mutable_success()->set_current_revision(revision);
  response.mutable_success()->mutable_position()->set_commit_position(1000 + revision);
  response.mutable_success()->mutable_position()->set_prepare_position(1000 + revision);
  return response;
}

// What an append says when the server answers with `error`.
Status AppendAgainst(const google::rpc::Status& error) {
  FakeServer server([&error](FakeCall* call) {
    BatchAppendResp response;
    *response.mutable_correlation_id() = ReadRequest(call).correlation_id();
    *response.mutable_error() = error;
    call->Write(response.SerializeAsString());
    call->AwaitCancel();
  });
  const auto appender = Appender::Open(To(server.address()));
  const std::vector<NewEvent> events = {MakeEvent(1)};
  return appender->Append("orders", events).status();
}

TEST(AppenderTest, SendsTheWholeEventAndTellsWhereItWent) {
  FakeServer server([](FakeCall* call) {
    EXPECT_EQ(call->method(), "/event_store.client.streams.Streams/BatchAppend");
    const BatchAppendReq request = ReadRequest(call);
    EXPECT_EQ(request.options().stream_identifier().stream_name(), "orders");
    EXPECT_TRUE(request.options().has_any());
    EXPECT_TRUE(request.is_final());
    EXPECT_EQ(request.proposed_messages_size(), 1);
    const auto& message = request.proposed_messages(0);
    EXPECT_EQ(message.id().structured().least_significant_bits(), 7);
    EXPECT_EQ(message.metadata().at("type"), "order-placed");
    EXPECT_EQ(message.metadata().at("content-type"), "application/json");
    EXPECT_EQ(message.data(), R"({"a":1})");
    EXPECT_EQ(message.custom_metadata(), "meta");
    call->Write(SuccessFor(request, 41).SerializeAsString());
    call->AwaitCancel();
  });
  const auto appender = Appender::Open(To(server.address()));
  const std::vector<NewEvent> events = {MakeEvent(7, R"({"a":1})")};

  const Result<Appended> appended = appender->Append("orders", events);

  ASSERT_TRUE(appended.ok()) << appended.status().message();
  EXPECT_EQ(appended->revision, 41u);
  EXPECT_EQ(appended->position, (Position{1041, 1041}));
}

TEST(AppenderTest, MakesManyAppendsOnOneCall) {
  std::atomic<int> calls = 0;
  FakeServer server([&calls](FakeCall* call) {
    ++calls;
    for (std::uint64_t i = 0; i < 100; ++i) {
      call->Write(SuccessFor(ReadRequest(call), i).SerializeAsString());
    }
    call->AwaitCancel();
  });
  {
    const auto appender = Appender::Open(To(server.address()));
    const std::vector<NewEvent> events = {MakeEvent(1)};
    for (std::uint64_t i = 0; i < 100; ++i) {
      const Result<Appended> appended = appender->Append("orders", events);
      ASSERT_TRUE(appended.ok()) << appended.status().message();
      EXPECT_EQ(appended->revision, i);
    }
  }
  EXPECT_EQ(calls, 1);
}

TEST(AppenderTest, PassesOverAnswersToOtherAppends) {
  FakeServer server([](FakeCall* call) {
    const BatchAppendReq request = ReadRequest(call);
    BatchAppendResp other = SuccessFor(request, 1);
    other.mutable_correlation_id()->mutable_structured()->set_least_significant_bits(99);
    call->Write(other.SerializeAsString());
    call->Write(SuccessFor(request, 2).SerializeAsString());
    call->AwaitCancel();
  });
  const auto appender = Appender::Open(To(server.address()));
  const std::vector<NewEvent> events = {MakeEvent(1)};

  const Result<Appended> appended = appender->Append("orders", events);

  ASSERT_TRUE(appended.ok()) << appended.status().message();
  EXPECT_EQ(appended->revision, 2u);
}

TEST(AppenderTest, SaysHowMuchTheServerTakes) {
  google::rpc::Status error;
  error.set_code(google::rpc::INVALID_ARGUMENT);
  error.set_message("MaximumAppendSizeExceeded");
  event_store::client::MaximumAppendSizeExceeded details;
  details.set_maxappendsize(1048576);
  error.mutable_details()->PackFrom(details);

  const Status status = AppendAgainst(error);

  EXPECT_EQ(status.code(), Status::Code::kInvalid);
  EXPECT_TRUE(status.message().starts_with("append to stream orders: 127.0.0.1:"))
      << status.message();
  EXPECT_TRUE(
      status.message().ends_with("INVALID_ARGUMENT: MaximumAppendSizeExceeded: it takes "
                                 "1048576 bytes in one append"))
      << status.message();
}

// A server that is starting leaves the code at its default, which reads as "fine".
TEST(AppenderTest, TakesAnErrorWithoutACodeForUnavailable) {
  google::rpc::Status error;
  error.set_message("Server Is Not Ready");

  const Status status = AppendAgainst(error);

  EXPECT_EQ(status.code(), Status::Code::kUnavailable);
  EXPECT_TRUE(status.message().ends_with(": Server Is Not Ready")) << status.message();
}

TEST(AppenderTest, TellsRefusalsApart) {
  google::rpc::Status error;
  error.set_message("why");
  error.set_code(google::rpc::PERMISSION_DENIED);
  EXPECT_EQ(AppendAgainst(error).code(), Status::Code::kDenied);
  error.set_code(google::rpc::DEADLINE_EXCEEDED);
  EXPECT_EQ(AppendAgainst(error).code(), Status::Code::kUnavailable);
  error.set_code(google::rpc::NOT_FOUND);
  EXPECT_EQ(AppendAgainst(error).code(), Status::Code::kInvalid);
  error.set_code(google::rpc::UNKNOWN);
  EXPECT_EQ(AppendAgainst(error).code(), Status::Code::kInternal);
}

TEST(AppenderTest, ReportsAServerThatCannotBeReached) {
  const std::string address = FakeServer([](FakeCall*) {}).address();
  const auto appender = Appender::Open(To(address));
  const std::vector<NewEvent> events = {MakeEvent(1)};

  const Status status = appender->Append("orders", events).status();

  EXPECT_EQ(status.code(), Status::Code::kUnavailable);
  EXPECT_TRUE(
      status.message().starts_with("append to stream orders: " + address + ": UNAVAILABLE: "))
      << status.message();
}

TEST(AppenderTest, ReportsWhyTheServerEndedTheCallAndMakesANewOne) {
  std::atomic<int> calls = 0;
  FakeServer server([&calls](FakeCall* call) {
    const BatchAppendReq request = ReadRequest(call);
    if (++calls == 1) {
      call->AddTrailer("exception", "access-denied");
      call->Finish({grpc::StatusCode::PERMISSION_DENIED, "Access denied"});
      return;
    }
    call->Write(SuccessFor(request, 5).SerializeAsString());
    call->AwaitCancel();
  });
  const auto appender = Appender::Open(To(server.address()));
  const std::vector<NewEvent> events = {MakeEvent(1)};

  const Status status = appender->Append("orders", events).status();
  EXPECT_EQ(status.code(), Status::Code::kDenied);
  EXPECT_TRUE(status.message().ends_with("PERMISSION_DENIED: Access denied (access-denied)"))
      << status.message();

  EXPECT_TRUE(appender->Append("orders", events).ok());
}

TEST(AppenderTest, GivesUpAtTheDeadline) {
  FakeServer server([](FakeCall* call) { call->AwaitCancel(); });
  ConnectionOptions options = To(server.address());
  options.deadline = std::chrono::milliseconds(200);
  const auto appender = Appender::Open(options);
  const std::vector<NewEvent> events = {MakeEvent(1)};

  const Status status = appender->Append("orders", events).status();

  EXPECT_EQ(status.code(), Status::Code::kUnavailable);
  EXPECT_EQ(status.message(), "append to stream orders: " + server.address() +
                                  ": no answer within 200 ms; the events may have been written");
}

// Takes what it is given and fails from append number `fail_at` on.
class ListAppender final : public Appender {
 public:
  Result<Appended> Append(std::string_view stream, std::span<const NewEvent> events) override {
    if (appends.size() >= fail_at) {
      return Status::Unavailable("gone");
    }
    std::uint64_t bytes = 0;
    for (const NewEvent& event : events) {
      bytes += event.size();
    }
    appends.push_back({std::string(stream), events.size(), bytes});
    return Appended{};
  }

  struct Entry {
    std::string stream;
    std::size_t events;
    std::uint64_t bytes;
  };
  std::vector<Entry> appends;
  std::size_t fail_at = SIZE_MAX;
};

TEST(EventWriterTest, PutsConsecutiveEventsOfOneStreamTogether) {
  ListAppender appender;
  EventWriter writer(&appender);
  std::uint64_t line = 0;
  for (const char* stream : {"a", "a", "b", "a", "a", "a"}) {
    ASSERT_TRUE(writer.Add(stream, MakeEvent(1), ++line).ok());
  }
  ASSERT_TRUE(writer.Flush().ok());

  ASSERT_EQ(appender.appends.size(), 3u);
  EXPECT_EQ(appender.appends[0].events, 2u);
  EXPECT_EQ(appender.appends[1].stream, "b");
  EXPECT_EQ(appender.appends[2].events, 3u);
  EXPECT_EQ(writer.written(), 6u);
  EXPECT_EQ(writer.last_line(), 6u);
}

TEST(EventWriterTest, KeepsToAThousandEventsAnAppend) {
  ListAppender appender;
  EventWriter writer(&appender);
  for (std::uint64_t line = 1; line <= 2001; ++line) {
    ASSERT_TRUE(writer.Add("a", MakeEvent(line), line).ok());
  }
  ASSERT_TRUE(writer.Flush().ok());

  ASSERT_EQ(appender.appends.size(), 3u);
  EXPECT_EQ(appender.appends[0].events, 1000u);
  EXPECT_EQ(appender.appends[2].events, 1u);
}

TEST(EventWriterTest, StaysBelowOneMebibyteUnlessOneEventIsLarger) {
  ListAppender appender;
  EventWriter writer(&appender);
  ASSERT_TRUE(writer.Add("a", MakeEvent(1, std::string(600000, 'x')), 1).ok());
  ASSERT_TRUE(writer.Add("a", MakeEvent(2, std::string(600000, 'x')), 2).ok());
  ASSERT_TRUE(writer.Add("a", MakeEvent(3, std::string(2 << 20, 'x')), 3).ok());
  ASSERT_TRUE(writer.Add("a", MakeEvent(4), 4).ok());
  ASSERT_TRUE(writer.Flush().ok());

  ASSERT_EQ(appender.appends.size(), 4u);
  EXPECT_LT(appender.appends[0].bytes, 1u << 20);
  EXPECT_LT(appender.appends[1].bytes, 1u << 20);
}

TEST(EventWriterTest, WritesNothingAfterAFailureAndKnowsTheLastLineWritten) {
  ListAppender appender;
  appender.fail_at = 1;
  EventWriter writer(&appender);
  ASSERT_TRUE(writer.Add("a", MakeEvent(1), 11).ok());
  ASSERT_TRUE(writer.Add("b", MakeEvent(2), 12).ok());

  EXPECT_EQ(writer.Add("c", MakeEvent(3), 13).message(), "gone");
  appender.fail_at = SIZE_MAX;
  EXPECT_EQ(writer.Add("d", MakeEvent(4), 14).message(), "gone");
  EXPECT_EQ(writer.Flush().message(), "gone");
  EXPECT_EQ(appender.appends.size(), 1u);
  EXPECT_EQ(writer.written(), 1u);
  EXPECT_EQ(writer.last_line(), 11u);
}

TEST(ServerInfoTest, ReadsVersionAndWhatTheAppenderNeeds) {
  FakeServer server([](FakeCall* call) {
    EXPECT_EQ(call->method(),
              "/event_store.client.server_features.ServerFeatures/GetSupportedMethods");
    call->Read();
    event_store::client::server_features::SupportedMethods methods;
    methods.set_event_store_server_version("24.10.0-prerelease");
    auto* method = methods.add_methods();
    method->set_service_name("event_store.client.streams.streams");
    method->set_method_name("batchappend");
    call->Write(methods.SerializeAsString());
  });

  const Result<ServerInfo> info = ReadServerInfo(To(server.address()));

  ASSERT_TRUE(info.ok()) << info.status().message();
  EXPECT_EQ(info->version, "24.10.0-prerelease");
  EXPECT_TRUE(info->batch_append);
}

TEST(ServerInfoTest, KnowsNothingOfAServerThatDoesNotKnowTheQuestion) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->Finish({grpc::StatusCode::UNIMPLEMENTED, ""});
  });

  const Result<ServerInfo> info = ReadServerInfo(To(server.address()));

  ASSERT_TRUE(info.ok()) << info.status().message();
  EXPECT_EQ(info->version, "");
}

TEST(ServerInfoTest, FailsWhereNobodyListens) {
  const std::string address = FakeServer([](FakeCall*) {}).address();

  EXPECT_EQ(ReadServerInfo(To(address)).status().code(), Status::Code::kUnavailable);
}

}  // namespace
}  // namespace catchup
