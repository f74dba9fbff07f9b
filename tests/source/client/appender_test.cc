#include "host/source/client/appender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "host/source/client/server_info.h"
#include "host/source/proto/server_features.pb.h"
#include "host/source/proto/streams.pb.h"
#include "tests/source/client/fake_server.h"

namespace catchup {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

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

AppendAnswer Await(Appender* appender) {
  while (true) {
    int wait_ms = -1;
    if (const auto deadline = appender->deadline()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          *deadline - std::chrono::steady_clock::now());
      wait_ms = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    pollfd wake{appender->wake(), POLLIN, 0};
    ::poll(&wake, 1, wait_ms);
    std::vector<AppendAnswer> answers = appender->Take();
    if (!answers.empty()) {
      EXPECT_EQ(answers.size(), 1u);
      return std::move(answers.front());
    }
  }
}

AppendAnswer Write(Appender* appender, const NewEvent& event, const ExpectedStream& expected = {}) {
  const NewEvent* const one = &event;
  const std::uint64_t number = appender->Append("orders", expected, {&one, 1});
  AppendAnswer answer = Await(appender);
  EXPECT_EQ(answer.number, number);
  return answer;
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
  const auto appender = *Appender::Open(To(server.address()));
  return Write(appender.get(), MakeEvent(1)).status;
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
  const auto appender = *Appender::Open(To(server.address()));

  const AppendAnswer answer = Write(appender.get(), MakeEvent(7, R"({"a":1})"));

  ASSERT_TRUE(answer.status.ok()) << answer.status.message();
  EXPECT_EQ(answer.revision, 41u);
  EXPECT_EQ(answer.position, (Position{1041, 1041}));
}

TEST(AppenderTest, SaysWhatTheStreamMustHold) {
  FakeServer server([](FakeCall* call) {
    const BatchAppendReq at = ReadRequest(call);
    EXPECT_EQ(at.options().stream_position(), 8u);
    call->Write(SuccessFor(at, 9).SerializeAsString());
    const BatchAppendReq none = ReadRequest(call);
    EXPECT_TRUE(none.options().has_no_stream());
    BatchAppendResp response;
    *response.mutable_correlation_id() = none.correlation_id();
    response.mutable_error()->set_code(google::rpc::ALREADY_EXISTS);
    response.mutable_error()->set_message("WrongExpectedVersion");
    event_store::client::WrongExpectedVersion details;
    details.set_current_stream_revision(12);
    response.mutable_error()->mutable_details()->PackFrom(details);
    call->Write(response.SerializeAsString());
    call->AwaitCancel();
  });
  const auto appender = *Appender::Open(To(server.address()));

  EXPECT_TRUE(
      Write(appender.get(), MakeEvent(1), {ExpectedStream::Kind::kRevision, 8}).status.ok());
  const AppendAnswer answer = Write(appender.get(), MakeEvent(1), {ExpectedStream::Kind::kNone, 0});
  EXPECT_TRUE(answer.conflict);
  EXPECT_EQ(answer.revision, 12u);
}

// The second append is sent while the first is not answered, and answered before it.
TEST(AppenderTest, SendsAppendsWithoutWaitingForAnswers) {
  FakeServer server([](FakeCall* call) {
    const BatchAppendReq first = ReadRequest(call);
    const BatchAppendReq second = ReadRequest(call);
    call->Write(SuccessFor(second, 2).SerializeAsString());
    call->Write(SuccessFor(first, 1).SerializeAsString());
    call->AwaitCancel();
  });
  const auto appender = *Appender::Open(To(server.address()));
  const NewEvent event = MakeEvent(1);
  const NewEvent* const one = &event;
  const std::uint64_t first = appender->Append("a", {}, {&one, 1});
  const std::uint64_t second = appender->Append("b", {}, {&one, 1});

  std::map<std::uint64_t, AppendAnswer> answers;
  while (answers.size() < 2) {
    pollfd wake{appender->wake(), POLLIN, 0};
    ::poll(&wake, 1, -1);
    for (AppendAnswer& answer : appender->Take()) {
      answers[answer.number] = std::move(answer);
    }
  }
  EXPECT_EQ(answers[first].revision, 1u);
  EXPECT_EQ(answers[second].revision, 2u);
}

// ---- Questions before an append ----

using event_store::client::streams::ReadReq;
using event_store::client::streams::ReadResp;

std::string EventFrame(std::uint64_t revision, std::int64_t created) {
  ReadResp response;
  auto* event = response.mutable_event()->mutable_event();
  event->mutable_id()->mutable_structured()->set_least_significant_bits(
      static_cast<std::int64_t>(revision));
  event->set_stream_revision(revision);
  event->set_commit_position(100 + revision);
  event->set_prepare_position(100 + revision);
  (*event->mutable_metadata())["created"] = std::to_string(created);
  return response.SerializeAsString();
}

TEST(AppenderTest, ReadsAStreamsEndBackToATime) {
  FakeServer server([](FakeCall* call) {
    EXPECT_EQ(call->method(), "/event_store.client.streams.Streams/Read");
    ReadReq request;
    EXPECT_TRUE(request.ParseFromString(call->Read().value_or("\xff")));
    EXPECT_EQ(request.options().stream().stream_identifier().stream_name(), "orders");
    EXPECT_TRUE(request.options().stream().has_end());
    EXPECT_EQ(request.options().read_direction(), ReadReq::Options::Backwards);
    for (std::uint64_t revision = 9; revision > 3; --revision) {
      call->Write(EventFrame(revision, static_cast<std::int64_t>(1000 * revision)));
    }
    call->AwaitCancel();
  });
  const auto appender = *Appender::Open(To(server.address()));
  appender->ReadEnd("orders", 7000);
  const AppendAnswer answer = Await(appender.get());

  ASSERT_TRUE(answer.status.ok()) << answer.status.message();
  EXPECT_EQ(answer.revision, 9u);
  EXPECT_EQ(answer.ids, (std::vector<Uuid>{Uuid::FromHalves(0, 9), Uuid::FromHalves(0, 8),
                                           Uuid::FromHalves(0, 7)}));
}

TEST(AppenderTest, AStreamThatIsNotThereHasAnEmptyEnd) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    ReadResp response;
    response.mutable_stream_not_found();
    call->Write(response.SerializeAsString());
    call->Finish(grpc::Status::OK);
  });
  const auto appender = *Appender::Open(To(server.address()));
  appender->ReadEnd("orders", 0);
  const AppendAnswer answer = Await(appender.get());

  ASSERT_TRUE(answer.status.ok()) << answer.status.message();
  EXPECT_EQ(answer.revision, std::nullopt);
  EXPECT_TRUE(answer.ids.empty());
}

TEST(AppenderTest, SaysWhichQuestionFailed) {
  FakeServer server([](FakeCall* call) {
    call->Read();
    call->Finish({grpc::StatusCode::PERMISSION_DENIED, "Access denied"});
  });
  const auto appender = *Appender::Open(To(server.address()));
  appender->ReadEnd("orders", 0);
  const AppendAnswer answer = Await(appender.get());

  EXPECT_EQ(answer.status.code(), Status::Code::kDenied);
  EXPECT_THAT(answer.status.message(), StartsWith("read the end of stream orders: 127.0.0.1:"));
}

TEST(AppenderTest, GivesUpAQuestionWithoutProgress) {
  FakeServer server([](FakeCall* call) { call->AwaitCancel(); });
  ConnectionOptions options = To(server.address());
  options.deadline = std::chrono::milliseconds(200);
  const auto appender = *Appender::Open(options);
  appender->ReadHead();

  EXPECT_EQ(
      Await(appender.get()).status.message(),
      "read the head of the log: " + server.address() + ": UNAVAILABLE: no answer within 200 ms");
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
    const auto appender = *Appender::Open(To(server.address()));
    for (std::uint64_t i = 0; i < 100; ++i) {
      const AppendAnswer answer = Write(appender.get(), MakeEvent(1));
      ASSERT_TRUE(answer.status.ok()) << answer.status.message();
      EXPECT_EQ(answer.revision, i);
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
  const auto appender = *Appender::Open(To(server.address()));

  const AppendAnswer answer = Write(appender.get(), MakeEvent(1));

  ASSERT_TRUE(answer.status.ok()) << answer.status.message();
  EXPECT_EQ(answer.revision, 2u);
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
  EXPECT_THAT(status.message(), StartsWith("append to stream orders: 127.0.0.1:"));
  EXPECT_THAT(status.message(), EndsWith("INVALID_ARGUMENT: MaximumAppendSizeExceeded: it takes "
                                         "1048576 bytes in one append"));
}

// A server that is starting leaves the code at its default, which reads as "fine".
TEST(AppenderTest, TakesAnErrorWithoutACodeForUnavailable) {
  google::rpc::Status error;
  error.set_message("Server Is Not Ready");

  const Status status = AppendAgainst(error);

  EXPECT_EQ(status.code(), Status::Code::kUnavailable);
  EXPECT_THAT(status.message(), EndsWith(": Server Is Not Ready"));
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
  const auto appender = *Appender::Open(To(address));

  const Status status = Write(appender.get(), MakeEvent(1)).status;

  EXPECT_EQ(status.code(), Status::Code::kUnavailable);
  EXPECT_THAT(status.message(),
              StartsWith("append to stream orders: " + address + ": UNAVAILABLE: "));
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
  const auto appender = *Appender::Open(To(server.address()));

  const Status status = Write(appender.get(), MakeEvent(1)).status;
  EXPECT_EQ(status.code(), Status::Code::kDenied);
  EXPECT_THAT(status.message(), HasSubstr("PERMISSION_DENIED: Access denied"));
  EXPECT_THAT(status.message(), EndsWith("(access-denied)"));

  EXPECT_TRUE(Write(appender.get(), MakeEvent(1)).status.ok());
}

TEST(AppenderTest, GivesUpAtTheDeadline) {
  FakeServer server([](FakeCall* call) { call->AwaitCancel(); });
  ConnectionOptions options = To(server.address());
  options.deadline = std::chrono::milliseconds(200);
  const auto appender = *Appender::Open(options);

  const Status status = Write(appender.get(), MakeEvent(1)).status;

  EXPECT_EQ(status.code(), Status::Code::kUnavailable);
  EXPECT_EQ(status.message(), "append to stream orders: " + server.address() +
                                  ": no answer within 200 ms; the events may have been written");
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
