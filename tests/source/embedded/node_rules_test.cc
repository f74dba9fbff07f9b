// What a node does by its own rules where neither the recordings nor the histories of
// node_behaviour_test.cc show it. The facts are those of the node's source, of the recorded line.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/source/embedded/served_log.h"

namespace catchup::embedded {
namespace {

using test::LogClient;
using test::RawCall;
using test::Subscription;
namespace wire = test::wire;

constexpr std::uint64_t kLargest = ~std::uint64_t{0};

class NodeRulesTest : public ServedLogTest {
 protected:
  wire::AppendResp AppendToNone(const std::string& stream, const Events& events) {
    wire::AppendResp reply;
    const grpc::Status status = client_->Append(
        stream, events, &reply, [](auto* options) { options->mutable_no_stream(); });
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply;
  }
  // A compatible read, as "first 3, event 4, last 7".
  std::string Frames(const std::string& stream, std::optional<std::uint64_t> revision,
                     std::uint64_t count, bool backwards = false) {
    wire::ReadReq request = LogClient::ReadStream(stream);
    wire::ReadReq::Options& options = *request.mutable_options();
    if (revision) {
      options.mutable_stream()->set_revision(*revision);
    }
    if (backwards) {
      options.set_read_direction(wire::ReadReq::Options::Backwards);
    }
    options.set_count(count);
    options.mutable_control_option()->set_compatibility(1);
    std::string text;
    for (const wire::ReadResp& frame : Read(request)) {
      text += text.empty() ? "" : ", ";
      switch (frame.content_case()) {
        case wire::ReadResp::kEvent:
          text += "event " + std::to_string(frame.event().event().stream_revision());
          break;
        case wire::ReadResp::kFirstStreamPosition:
          text += "first " + std::to_string(frame.first_stream_position());
          break;
        case wire::ReadResp::kLastStreamPosition:
          text += "last " + std::to_string(frame.last_stream_position());
          break;
        default:
          text += frame.ShortDebugString();
      }
    }
    return text;
  }
};

// ---------------------------------------------------------------------------------------------
// Streams that were deleted, or hold metadata only.

TEST_F(NodeRulesTest, RefusesAnAppendWithoutEventsThatExpectsNoStreamWhereOneWasDeleted) {
  client_->MustAppend("orders", Some(3));
  ASSERT_TRUE(client_->Delete("orders").ok());

  const wire::AppendResp reply = AppendToNone("orders", {});

  EXPECT_EQ(reply.wrong_expected_version().current_revision(), 2u) << reply.ShortDebugString();
  EXPECT_TRUE(reply.wrong_expected_version().has_expected_no_stream());
}

TEST_F(NodeRulesTest, RefusesARepetitionOfTheBeginningOfADeletedStreamThatGoesOnDifferently) {
  const Events events = Some(2);
  client_->MustAppend("orders", events);
  ASSERT_TRUE(client_->Delete("orders").ok());

  EXPECT_TRUE(AppendToNone("orders", {events[0], {}}).has_wrong_expected_version());
  EXPECT_TRUE(AppendToNone("orders", events).success().has_no_position());
  EXPECT_EQ(AppendToNone("orders", {{}, events[1]}).success().current_revision(), 3u);
}

TEST_F(NodeRulesTest, DeletesAStreamThatHasOnlyMetadata) {
  WriteMetadata("orders", R"({"$maxCount":2})");

  EXPECT_TRUE(client_->Delete("orders").ok());

  const std::vector<wire::ReadResp> metadata = Read(LogClient::ReadStream("$$orders"));
  ASSERT_EQ(metadata.size(), 1u);
  EXPECT_EQ(metadata[0].event().event().data(), R"({"$tb":9223372036854775807})");
  client_->MustAppend("orders", Some(1));
  EXPECT_EQ(Frames("orders", std::nullopt, 10), "event 0, last 0");
}

TEST_F(NodeRulesTest, TakesTheLargestNumberForNoStream) {
  const auto expect = [](std::uint64_t revision) {
    return [revision](auto* options) { options->set_revision(revision); };
  };
  wire::AppendResp reply;
  ASSERT_TRUE(client_->Append("orders", Some(1), &reply, expect(kLargest)).ok());
  EXPECT_EQ(reply.success().current_revision(), 0u) << reply.ShortDebugString();

  reply.Clear();
  ASSERT_TRUE(client_->Append("orders", Some(1), &reply, expect(kLargest)).ok());
  EXPECT_EQ(reply.wrong_expected_version().expected_revision(), kLargest);
  EXPECT_EQ(reply.wrong_expected_version().expected_revision_20_6_0(), kLargest);

  reply.Clear();
  ASSERT_TRUE(client_->Append("orders", Some(1), &reply, expect(kLargest / 2)).ok());
  EXPECT_EQ(reply.wrong_expected_version().expected_revision(), kLargest / 2);

  EXPECT_EQ(client_->Append("orders", Some(1), &reply, expect(kLargest - 1)).error_code(),
            grpc::StatusCode::UNKNOWN);
}

// ---------------------------------------------------------------------------------------------
// Reads of a stream that yield nothing.

TEST_F(NodeRulesTest, TellsOnlyTheLastPositionWhereAReadBackwardsYieldsNothing) {
  client_->MustAppend("orders", Some(5));
  WriteMetadata("orders", R"({"$tb":3})");
  EXPECT_EQ(Frames("orders", 2, 10, true), "last 4");
  EXPECT_EQ(Frames("orders", 3, 10, true), "event 3, last 4");
  WriteMetadata("orders", R"({"$tb":5})");
  EXPECT_EQ(Frames("orders", 4, 10, true), "last 4");
}

TEST_F(NodeRulesTest, TellsAfterEveryEmptyPageWhereAReadGoesOn) {
  client_->MustAppend("orders", Some(5));
  WriteMetadata("orders", R"({"$tb":100})");
  EXPECT_EQ(Frames("orders", std::nullopt, 1000), "first 100, first 5, last 4");
  EXPECT_EQ(Frames("orders", 60, 40), "first 100, first 5, last 4");
  EXPECT_EQ(Frames("orders", 90, 40), "first 5, last 4");
  EXPECT_EQ(Frames("orders", 200, 10), "first 5, last 4");
}

TEST_F(NodeRulesTest, FailsAReadOfNoEventsOfAStream) {
  for (const auto direction :
       {wire::ReadReq::Options::Forwards, wire::ReadReq::Options::Backwards}) {
    wire::ReadReq request = LogClient::ReadStream("missing");
    request.mutable_options()->set_read_direction(direction);
    request.mutable_options()->set_count(0);
    std::vector<wire::ReadResp> frames;
    const grpc::Status status = client_->Read(request, &frames);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNKNOWN);
    EXPECT_EQ(status.error_message(), "Unexpected ReadStreamResult: Error");
  }
}

TEST_F(NodeRulesTest, LooksAtThePlaceAndThePatternBeforeTheWindow) {
  wire::ReadReq request = LogClient::ReadAll();
  auto& filter = *request.mutable_options()->mutable_filter();
  filter.mutable_event_type()->set_regex("(");
  std::vector<wire::ReadResp> frames;
  EXPECT_EQ(client_->Read(request, &frames).error_code(), grpc::StatusCode::UNKNOWN);

  filter.mutable_event_type()->set_regex("a");
  EXPECT_EQ(client_->Read(request, &frames).error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  request.mutable_options()->mutable_all()->mutable_position()->set_prepare_position(1);
  EXPECT_EQ(client_->Read(request, &frames).error_code(), grpc::StatusCode::UNKNOWN);
}

// ---------------------------------------------------------------------------------------------
// Metadata that a node cannot read hides nothing.

TEST_F(NodeRulesTest, HidesNothingByMetadataThatANodeCannotRead) {
  client_->MustAppend("orders", Some(2));
  for (const char* wrong : {
           R"({"$maxCount":1,"$tb":99999999999999999999})",
           R"({"$maxCount":1,"$maxAge":922337203686})",
           R"({"$maxCount":1,"$cacheControl":-9223372036854775808})",
           R"({"$maxCount":1,"$tmp":1})",
           R"({"$maxCount":1,"$acl":{"$r":1}})",
           R"({"$maxCount":1,"$acl":{"$r":["a",1]}})",
           R"({"$maxCount":1,"$acl":{"other":"a"}})",
           R"({"$maxCount":1,"$acl":{"a\"b":["a"]}})",
       }) {
    WriteMetadata("orders", wrong);
    EXPECT_EQ(Frames("orders", std::nullopt, 10), "event 0, event 1, last 1") << wrong;
  }
  for (const char* right : {
           R"({"$maxCount":1,"$tb":-5,"$maxAge":922337203685,"$cacheControl":0,"$tmp":false})",
           R"({"$maxCount":1,"$acl":{"$r":"a","$w":["a","b"],"$d":[],"$mr":"a","$mw":"a"}})",
           R"({"$maxCount":1,"$acl":{}, "other":{"$r":1}})",
       }) {
    WriteMetadata("orders", right);
    EXPECT_EQ(Frames("orders", std::nullopt, 10), "event 1, last 1") << right;
  }
}

// ---------------------------------------------------------------------------------------------
// Subscriptions.

TEST_F(NodeRulesTest, EndsASubscriptionToAStreamWithAnEventOfTheTombstonesType) {
  wire::ReadReq request = LogClient::ReadStream("orders");
  request.mutable_options()->mutable_subscription();
  Subscription live(*client_, request);
  ASSERT_TRUE(live.UntilCaughtUp().has_caught_up());

  client_->MustAppend("orders", {{"$streamDeleted"}, {}});

  Subscription later(*client_, request);
  for (Subscription* subscription : {&live, &later}) {
    EXPECT_EQ(subscription->NextEvent()->metadata().at("type"), "$streamDeleted");
    EXPECT_EQ(subscription->NextEvent(), std::nullopt);
    EXPECT_EQ(subscription->Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  }
}

TEST_F(NodeRulesTest, SendsACheckpointAtThePlaceAskedForAheadOfTheLog) {
  const std::uint64_t first = client_->MustAppend("orders", Some(1));
  const std::uint64_t second = client_->MustAppend("orders", Some(1));
  wire::ReadReq request = LogClient::SubscribeAll();
  auto& position = *request.mutable_options()->mutable_all()->mutable_position();
  position.set_commit_position(second + (second - first));
  position.set_prepare_position(second + (second - first));
  auto& filter = *request.mutable_options()->mutable_filter();
  filter.mutable_event_type()->add_prefix("numbered");
  filter.set_max(1);
  filter.set_checkpointintervalmultiplier(1);
  Subscription ahead(*client_, request);
  ASSERT_TRUE(ahead.UntilCaughtUp().has_caught_up());

  const std::uint64_t third = client_->MustAppend("orders", Some(1));
  const std::uint64_t fourth = client_->MustAppend("orders", Some(1));

  ASSERT_EQ(third, second + (second - first));
  EXPECT_EQ(ahead.Next().checkpoint().commit_position(), third);
  EXPECT_EQ(ahead.Next().event().event().commit_position(), fourth);
}

TEST_F(NodeRulesTest, ShowsNothingInAllOfANodesOwnBookkeeping) {
  const std::string persistent = "$persistentsubscription-$all::group-";
  for (const std::string& hidden :
       {std::string("$epoch-information"), persistent + "checkpoint", persistent + "parked"}) {
    client_->MustAppend(hidden, Some(1));
    EXPECT_EQ(Frames(hidden, std::nullopt, 10), "event 0, last 0") << hidden;
  }
  client_->MustAppend(persistent + "other", Some(1));
  wire::ReadReq request = LogClient::ReadAll();
  EXPECT_EQ(Read(request).size(), 1u);
  auto& filter = *request.mutable_options()->mutable_filter();
  filter.mutable_stream_identifier()->add_prefix("$");
  filter.mutable_count();
  EXPECT_EQ(Read(request).size(), 1u);
}

// ---------------------------------------------------------------------------------------------
// What is not there.

TEST_F(NodeRulesTest, TellsAnUnknownMethodFromAnUnknownService) {
  RawCall method(client_->channel(), "/event_store.client.streams.Streams/Nothing");
  EXPECT_EQ(method.Finish().error_message(), "Method is unimplemented.");
  RawCall service(client_->channel(), "/event_store.client.nothing.Nothing/Read");
  const grpc::Status status = service.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(), "Service is unimplemented.");
}

TEST_F(NodeRulesTest, EndsACallThatIsHalfClosedBeforeItsOneRequest) {
  for (const char* method :
       {"streams.Streams/Read", "streams.Streams/Delete", "streams.Streams/Tombstone",
        "gossip.Gossip/Read", "server_features.ServerFeatures/GetSupportedMethods"}) {
    SCOPED_TRACE(method);
    RawCall call(client_->channel(), std::string("/event_store.client.") + method);
    call.HalfClose();
    const grpc::Status status = call.Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
    EXPECT_EQ(status.error_message(), "Incomplete message.");
  }
}

// ---------------------------------------------------------------------------------------------
// Links.

TEST_F(NodeRulesTest, FollowsALinkWhoseNumberStandsBetweenSpaces) {
  client_->MustAppend("orders", Some(2));
  client_->MustAppend("links", {{"$>", " 1@orders"},
                                {"$>", "+1\t@orders"},
                                {"$>", "1 0@orders"},
                                {"$>", "+-1@orders"},
                                {"$>", "+@orders"}});
  wire::ReadReq request = LogClient::ReadStream("links");
  request.mutable_options()->set_resolve_links(true);

  std::string found;
  for (const wire::ReadResp& frame : Read(request)) {
    found += frame.event().has_link() ? frame.event().event().data() : "unresolved";
    found += ' ';
  }

  EXPECT_EQ(found, "1 1 unresolved unresolved unresolved ");
}

}  // namespace
}  // namespace catchup::embedded
