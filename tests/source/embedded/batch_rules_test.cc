// What a node does with a BatchAppend by its own rules, where neither the recordings nor the
// histories of node_model_test.cc show it.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/base/uuid.h"
#include "tests/source/embedded/served_log.h"

namespace catchup::embedded {
namespace {

using test::RawCall;
namespace wire = test::wire;
namespace shared = event_store::client;

class BatchRulesTest : public ServedLogTest {
 protected:
  void SetUp() override {
    ServedLogTest::SetUp();
    call_.emplace(client_->channel(), "/event_store.client.streams.Streams/BatchAppend");
  }
  void TearDown() override { call_.reset(); }

  // A piece of an append with one event; without options unless they are set.
  static wire::BatchAppendReq Piece(std::uint64_t number) {
    wire::BatchAppendReq request;
    request.mutable_correlation_id()->set_string(FormatUuid(Uuid::FromHalves(7, number)));
    AddEvent(&request);
    return request;
  }
  static wire::BatchAppendReq First(std::uint64_t number) {
    wire::BatchAppendReq request = Piece(number);
    request.mutable_options()->mutable_stream_identifier()->set_stream_name("orders");
    request.mutable_options()->mutable_any();
    return request;
  }
  static void AddEvent(wire::BatchAppendReq* request) {
    auto& message = *request->add_proposed_messages();
    message.mutable_id()->set_string(FormatUuid(RandomUuid()));
    (*message.mutable_metadata())["type"] = "t";
    (*message.mutable_metadata())["content-type"] = "application/json";
    message.set_data("{}");
  }

  void Send(const wire::BatchAppendReq& request) {
    EXPECT_TRUE(call_->Send(request.SerializeAsString()));
  }
  void SendLast(wire::BatchAppendReq request) {
    request.set_is_final(true);
    Send(request);
  }
  wire::BatchAppendResp Receive() {
    wire::BatchAppendResp reply;
    EXPECT_TRUE(reply.ParseFromString(call_->Receive().value_or("")));
    return reply;
  }
  std::string Complaint() {
    const wire::BatchAppendResp reply = Receive();
    shared::BadRequest bad;
    EXPECT_TRUE(reply.error().details().UnpackTo(&bad)) << reply.ShortDebugString();
    return bad.message();
  }

  std::optional<RawCall> call_;
};

TEST_F(BatchRulesTest, TakesTheEventsOfAPieceThatHasOptionsAgain) {
  Send(First(1));
  wire::BatchAppendReq again = First(1);
  again.mutable_options()->mutable_stream_identifier()->set_stream_name("another");
  SendLast(again);

  const wire::BatchAppendResp reply = Receive();

  EXPECT_EQ(reply.success().current_revision(), 1u) << reply.ShortDebugString();
  EXPECT_EQ(reply.stream_identifier().stream_name(), "orders");
}

// As clients of servers before 21.10 state it, by their own clock.
TEST_F(BatchRulesTest, TakesADeadlineThatIsATimeOfDay) {
  const auto with_deadline = [](std::uint64_t number, std::chrono::seconds from_now) {
    wire::BatchAppendReq request = First(number);
    request.mutable_options()->mutable_deadline_21_10_0()->set_seconds(
        std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() + from_now));
    return request;
  };
  SendLast(with_deadline(1, std::chrono::hours(1)));
  const wire::BatchAppendResp written = Receive();
  EXPECT_TRUE(written.has_success()) << written.ShortDebugString();

  SendLast(with_deadline(2, -std::chrono::hours(1)));
  EXPECT_EQ(Receive().error().message(), "Timeout");
}

TEST_F(BatchRulesTest, ForgetsAnAppendThatIsTooLarge) {
  wire::BatchAppendReq large = First(1);
  large.mutable_proposed_messages(0)->set_data(std::string(kDefaultMaxAppendBytes + 1, 'x'));
  Send(large);
  EXPECT_EQ(Receive().error().message(), "MaximumAppendSizeExceeded");
  SendLast(Piece(1));  // Of nothing that has begun.
  SendLast(First(1));
  const wire::BatchAppendResp reply = Receive();
  EXPECT_TRUE(reply.has_success()) << reply.ShortDebugString();
  EXPECT_EQ(reply.success().current_revision(), 0u);
}

TEST_F(BatchRulesTest, GoesOnWithAnAppendAfterAnEventThatIsNotTaken) {
  wire::BatchAppendReq bad = First(1);
  AddEvent(&bad);
  AddEvent(&bad);
  bad.mutable_proposed_messages(1)->mutable_metadata()->erase("type");
  Send(bad);
  EXPECT_EQ(Complaint(), "The given key was not present in the dictionary.");
  SendLast(Piece(1));
  const wire::BatchAppendResp reply = Receive();
  EXPECT_EQ(reply.success().current_revision(), 1u) << reply.ShortDebugString();
}

TEST_F(BatchRulesTest, EndsTheCallWithAPieceWithoutOptionsThatIsNotTaken) {
  Send(First(1));
  wire::BatchAppendReq bad = Piece(1);
  bad.mutable_proposed_messages(0)->mutable_metadata()->erase("type");
  Send(bad);

  const grpc::Status status = call_->Finish();

  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_EQ(status.error_message(), "Exception was thrown by handler.");
}

TEST_F(BatchRulesTest, SaysInANodesWordsWhatItDoesNotTake) {
  wire::BatchAppendReq request = First(1);
  request.mutable_proposed_messages(0)->clear_id();
  SendLast(request);
  EXPECT_EQ(Complaint(), "Value cannot be null. (Parameter 'dto')");

  request.mutable_proposed_messages(0)->mutable_id();
  SendLast(request);
  EXPECT_EQ(Complaint(), "Invalid argument: None (Parameter 'dto')");

  request.mutable_proposed_messages(0)->mutable_id()->mutable_structured();
  SendLast(request);
  EXPECT_EQ(Complaint(), "Empty eventId provided. (Parameter 'eventId')");

  request = First(2);
  (*request.mutable_proposed_messages(0)->mutable_metadata())["type"] = "";
  SendLast(request);
  EXPECT_EQ(Complaint(), "Empty eventType provided. (Parameter 'eventType')");

  request = First(3);
  request.mutable_options()->clear_any();
  SendLast(request);
  EXPECT_EQ(Complaint(),
            "Status(StatusCode=\"InvalidArgument\", Detail=\"'None' is not a valid "
            "EventStore.Client.Streams.BatchAppendReq+Types+Options+"
            "ExpectedStreamPositionOneofCase\")");

  request.mutable_options()->set_stream_position(std::numeric_limits<std::uint64_t>::max() - 1);
  SendLast(request);
  EXPECT_EQ(Complaint(),
            "Specified argument was out of the range of valid values. (Parameter 'value')");

  request = First(4);
  request.mutable_options()->clear_stream_identifier();
  SendLast(request);
  EXPECT_EQ(Complaint(), "Required field StreamIdentifier not set.");
}

// Official clients read the name in every reply that is an error.
TEST_F(BatchRulesTest, SendsAnEmptyStreamNameBack) {
  wire::BatchAppendReq request = First(1);
  request.mutable_options()->mutable_stream_identifier()->clear_stream_name();
  SendLast(request);

  const wire::BatchAppendResp reply = Receive();

  EXPECT_EQ(reply.error().message(), "BadRequest");
  EXPECT_TRUE(reply.has_stream_identifier());
}

}  // namespace
}  // namespace catchup::embedded
