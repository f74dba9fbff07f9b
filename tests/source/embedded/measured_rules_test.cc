// What was measured on a node and neither the recordings nor the histories of node_model_test.cc
// can show: calls that stay open. model/README.md says which test holds which measured statement.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "host/base/uuid.h"
#include "tests/source/embedded/served_log.h"

namespace catchup::embedded {
namespace {

using test::LogClient;
using test::RawCall;
namespace wire = test::wire;

class MeasuredRulesTest : public ServedLogTest {
 protected:
  static wire::BatchAppendReq AppendTo(const std::string& stream) {
    wire::BatchAppendReq request;
    request.mutable_correlation_id()->set_string(FormatUuid(RandomUuid()));
    request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
    request.mutable_options()->mutable_any();
    auto& event = *request.add_proposed_messages();
    event.mutable_id()->set_string(FormatUuid(RandomUuid()));
    (*event.mutable_metadata())["type"] = "numbered";
    (*event.mutable_metadata())["content-type"] = "application/json";
    request.set_is_final(true);
    return request;
  }

  // True if the call has not ended: a status that was on its way would have come before the answer
  // to a later call on the same connection, and is no CANCELLED.
  bool IsOpen(RawCall& call) {
    client_->MustAppend("others", Some(1));
    call.Cancel();
    return call.Finish().error_code() == grpc::StatusCode::CANCELLED;
  }
};

// Section 7.3.
TEST_F(MeasuredRulesTest, HalfCloseOfABatchAppendLetsRepliesDrainAndDoesNotEndTheCall) {
  RawCall call(client_->channel(), "/event_store.client.streams.Streams/BatchAppend");
  const std::vector<std::string> streams{"orders", "carts", "orders"};
  for (const std::string& stream : streams) {
    ASSERT_TRUE(call.Send(AppendTo(stream).SerializeAsString()));
  }

  call.HalfClose();

  for (std::size_t i = 0; i < streams.size(); ++i) {
    const std::optional<std::string> bytes = call.Receive();
    ASSERT_TRUE(bytes.has_value()) << "after " << i << " replies";
    wire::BatchAppendResp reply;
    ASSERT_TRUE(reply.ParseFromString(*bytes));
    EXPECT_TRUE(reply.has_success()) << reply.ShortDebugString();
  }
  EXPECT_TRUE(IsOpen(call));
}

// Section 3.1.
TEST_F(MeasuredRulesTest, AReadOfNoEventsOfAllNeverEnds) {
  client_->MustAppend("orders", Some(3));
  wire::ReadReq request = LogClient::ReadAll();
  request.mutable_options()->set_count(0);
  RawCall call(client_->channel(), "/event_store.client.streams.Streams/Read");
  ASSERT_TRUE(call.Send(request.SerializeAsString()));
  call.HalfClose();

  EXPECT_TRUE(IsOpen(call));
}

}  // namespace
}  // namespace catchup::embedded
