// What clients are told who ask for what is not to be had.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/source/embedded/served_log.h"

namespace catchup::embedded {
namespace {

using test::RawCall;
namespace wire = test::wire;

class RefusalsTest : public ServedLogTest {};

// A trailer holds printable ASCII only, and a name may be anything. Spaces at its ends are sent, as
// by the web server that a node is built on.
TEST_F(RefusalsTest, FailsWithoutAWordAboutAStreamWhoseNameNoTrailerCanHold) {
  const std::string deleted = "stream-deleted";
  const std::map<std::string, std::string> exceptions{
      {"a b~", deleted}, {" a", deleted}, {"a ", deleted}, {"\xc3\xbc", ""},
      {"a\nb", ""},      {"a\x7f", ""},   {"\xff", ""}};
  for (const auto& [name, exception] : exceptions) {
    SCOPED_TRACE(name);
    client_->MustAppend(name, Some(1));
    EXPECT_TRUE(client_->Tombstone(name).ok());
    RawCall call(client_->channel(), "/event_store.client.streams.Streams/Delete");
    wire::DeleteReq request;
    request.mutable_options()->mutable_stream_identifier()->set_stream_name(name);
    request.mutable_options()->mutable_any();
    call.Send(request.SerializeAsString());

    const grpc::Status status = call.Finish();

    EXPECT_EQ(status.error_code(), exception.empty() ? grpc::StatusCode::UNKNOWN
                                                     : grpc::StatusCode::FAILED_PRECONDITION);
    std::map<std::string, std::string> trailers = call.Trailers();
    EXPECT_EQ(trailers["exception"], exception);
    EXPECT_EQ(trailers["stream-name"], exception.empty() ? "" : name);
  }
}

// Of each service that a node has and this log lacks, a method of each kind: those that answer with
// a stream, too, end without the client's doing anything more.
TEST_F(RefusalsTest, EndsACallOfAServiceThatIsLackingAtOnceAndGoesOn) {
  const std::string v1 = "/event_store.client.";
  for (const std::string& method :
       {v1 + "persistent_subscriptions.PersistentSubscriptions/Create",
        v1 + "persistent_subscriptions.PersistentSubscriptions/Read", v1 + "users.Users/Create",
        v1 + "users.Users/Details", v1 + "projections.Projections/Create",
        v1 + "projections.Projections/Statistics", v1 + "operations.Operations/StartScavenge",
        v1 + "monitoring.Monitoring/Stats", v1 + "redaction.Redaction/GetEventPositions",
        std::string("/kurrentdb.protocol.v2.streams.StreamsService/AppendSession")}) {
    SCOPED_TRACE(method);
    RawCall call(client_->channel(), method);

    const grpc::Status status = call.Finish();

    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(status.error_message(), "Service is unimplemented.");
    client_->MustAppend("orders", Some(1));
  }
}

}  // namespace
}  // namespace catchup::embedded
