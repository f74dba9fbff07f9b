// What a node of version 24.10 was seen to do in long random histories and the recordings do not
// show: appends without events, repetitions of what is hidden, deletes, reads between the events,
// links that lead nowhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/base/sqlite.h"
#include "tests/source/embedded/served_log.h"

namespace catchup::embedded {
namespace {

using test::LogClient;
using test::RawCall;
using test::Subscription;
namespace wire = test::wire;
namespace shared = event_store::client;

constexpr std::uint64_t kUnset = ~std::uint64_t{0};

class NodeBehaviourTest : public ServedLogTest {
 protected:
  template <typename Configure>
  wire::AppendResp Append(const std::string& stream, const Events& events, Configure configure) {
    wire::AppendResp reply;
    const grpc::Status status = client_->Append(stream, events, &reply, configure);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply;
  }
  wire::AppendResp AppendAny(const std::string& stream, const Events& events) {
    return Append(stream, events, [](auto* options) { options->mutable_any(); });
  }
  grpc::Status AppendStatus(const std::string& stream, const Events& events) {
    wire::AppendResp reply;
    return client_->Append(stream, events, &reply);
  }

  // The reply of a batch of its own.
  template <typename Configure>
  wire::BatchAppendResp BatchAppend(const std::string& stream, const Events& events,
                                    Configure configure) {
    wire::BatchAppendReq request;
    request.mutable_correlation_id()->set_string(FormatUuid(RandomUuid()));
    request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
    configure(request.mutable_options());
    for (const LogClient::Event& event : events) {
      auto& message = *request.add_proposed_messages();
      message.mutable_id()->set_string(FormatUuid(event.id));
      (*message.mutable_metadata())["type"] = event.type;
      (*message.mutable_metadata())["content-type"] = "application/json";
      message.set_data(event.data);
    }
    request.set_is_final(true);
    RawCall call(client_->channel(), "/event_store.client.streams.Streams/BatchAppend");
    EXPECT_TRUE(call.Send(request.SerializeAsString()));
    const std::optional<std::string> bytes = call.Receive();
    EXPECT_TRUE(bytes.has_value());
    wire::BatchAppendResp reply;
    EXPECT_TRUE(reply.ParseFromString(bytes.value_or("")));
    call.Cancel();
    (void)call.Finish();
    return reply;
  }

  std::vector<std::uint64_t> Revisions(const std::string& stream) {
    std::vector<std::uint64_t> revisions;
    for (const wire::ReadResp& frame : Read(LogClient::ReadStream(stream))) {
      revisions.push_back(frame.has_event() ? frame.event().event().stream_revision() : kUnset);
    }
    return revisions;
  }
  std::string NewestMetadata(const std::string& stream) {
    const std::vector<wire::ReadResp> frames = Read(LogClient::ReadStream("$$" + stream));
    return frames.empty() ? "" : frames.back().event().event().data();
  }
  // Positions of what a read of `$all` from (commit, prepare) gives.
  std::vector<std::uint64_t> AllBackwards(std::uint64_t commit, std::uint64_t prepare) {
    wire::ReadReq request = LogClient::ReadAll();
    request.mutable_options()->set_read_direction(wire::ReadReq::Options::Backwards);
    request.mutable_options()->mutable_all()->mutable_position()->set_commit_position(commit);
    request.mutable_options()->mutable_all()->mutable_position()->set_prepare_position(prepare);
    std::vector<std::uint64_t> positions;
    for (const wire::ReadResp& frame : Read(request)) {
      positions.push_back(frame.event().commit_position());
    }
    return positions;
  }

  static wire::ReadReq Filtered() {
    wire::ReadReq request = LogClient::SubscribeAll();
    auto& filter = *request.mutable_options()->mutable_filter();
    filter.mutable_event_type()->add_prefix("numbered");
    filter.mutable_count();
    filter.set_checkpointintervalmultiplier(1);
    return request;
  }
  static wire::ReadReq From(wire::ReadReq request, std::uint64_t commit, std::uint64_t prepare) {
    auto& position = *request.mutable_options()->mutable_all()->mutable_position();
    position.set_commit_position(commit);
    position.set_prepare_position(prepare);
    return request;
  }
  static wire::ReadReq Compatible(const std::string& stream, std::uint64_t revision,
                                  std::uint64_t count) {
    wire::ReadReq request = LogClient::ReadStream(stream);
    request.mutable_options()->mutable_stream()->set_revision(revision);
    request.mutable_options()->set_count(count);
    request.mutable_options()->mutable_control_option()->set_compatibility(1);
    return request;
  }
  // First and last stream position of a compatible read; kUnset where a frame is missing.
  std::pair<std::uint64_t, std::uint64_t> Bounds(const std::string& stream, std::uint64_t revision,
                                                 std::uint64_t count) {
    std::pair<std::uint64_t, std::uint64_t> bounds{kUnset, kUnset};
    for (const wire::ReadResp& frame : Read(Compatible(stream, revision, count))) {
      if (frame.content_case() == wire::ReadResp::kFirstStreamPosition) {
        EXPECT_EQ(bounds.second, kUnset) << "the last position came first";
        bounds.first = frame.first_stream_position();
      } else if (frame.content_case() == wire::ReadResp::kLastStreamPosition) {
        bounds.second = frame.last_stream_position();
      }
    }
    return bounds;
  }
};

// ---------------------------------------------------------------------------------------------
// Appends without events.

TEST_F(NodeBehaviourTest, ChecksTheRevisionOfAnAppendWithoutEvents) {
  client_->MustAppend("orders", Some(3));
  const std::uint64_t end = client_->MustAppend("others", Some(1));

  for (const std::uint64_t wrong : {0u, 1u, 7u}) {
    const auto reply = Append("orders", {}, [&](auto* options) { options->set_revision(wrong); });
    ASSERT_TRUE(reply.has_wrong_expected_version()) << wrong;
    EXPECT_EQ(reply.wrong_expected_version().current_revision(), 2u);
    EXPECT_EQ(reply.wrong_expected_version().expected_revision(), wrong);
  }
  const auto none = Append("orders", {}, [](auto* options) { options->mutable_no_stream(); });
  EXPECT_TRUE(none.wrong_expected_version().has_expected_no_stream()) << none.ShortDebugString();
  const auto exists = Append("nobody", {}, [](auto* options) { options->mutable_stream_exists(); });
  EXPECT_TRUE(exists.wrong_expected_version().has_current_no_stream()) << exists.ShortDebugString();
  const auto right = Append("orders", {}, [](auto* options) { options->set_revision(2); });
  EXPECT_EQ(right.success().current_revision(), 2u);
  // The first record that any of them left behind.
  EXPECT_EQ(right.success().position().commit_position(),
            end + 90 + std::string("others").size() + std::string("numbered").size() + 1);
}

TEST_F(NodeBehaviourTest, ChecksTheRevisionOfABatchWithoutEvents) {
  client_->MustAppend("orders", Some(3));

  const auto reply =
      BatchAppend("orders", {}, [](auto* options) { options->set_stream_position(1); });

  EXPECT_EQ(static_cast<int>(reply.error().code()), 6);
  EXPECT_EQ(reply.error().message(), "WrongExpectedVersion");
  shared::WrongExpectedVersion details;
  ASSERT_TRUE(reply.error().details().UnpackTo(&details));
  EXPECT_EQ(details.current_stream_revision(), 2u);
  EXPECT_EQ(details.expected_stream_position(), 1u);
  EXPECT_TRUE(BatchAppend("orders", {}, [](auto* options) {
                options->set_stream_position(2);
              }).has_success());
}

TEST_F(NodeBehaviourTest, OpensADeletedStreamAgainByAnAppendWithoutEvents) {
  client_->MustAppend("orders", Some(3));
  ASSERT_TRUE(client_->Delete("orders").ok());

  EXPECT_EQ(AppendAny("orders", {}).success().current_revision(), 2u);

  EXPECT_EQ(NewestMetadata("orders"), R"({"$tb":3})");
  EXPECT_TRUE(Revisions("orders").empty());
}

// ---------------------------------------------------------------------------------------------
// Repetitions.

TEST_F(NodeBehaviourTest, RecognisesWhatWasTruncatedButTellsNoPositionOfIt) {
  const Events events = Some(3);
  client_->MustAppend("orders", events);
  client_->MustAppend("orders", Some(2));
  WriteMetadata("orders", R"({"$tb":3})");

  for (const auto& reply :
       {AppendAny("orders", events),
        Append("orders", events, [](auto* options) { options->mutable_no_stream(); }),
        Append("orders", events, [](auto* options) { options->mutable_stream_exists(); }),
        Append("orders", {events[1], events[2]},
               [](auto* options) { options->set_revision(0); })}) {
    EXPECT_EQ(reply.success().current_revision(), 2u) << reply.ShortDebugString();
    EXPECT_TRUE(reply.success().has_no_position()) << reply.ShortDebugString();
  }
  const auto batch = BatchAppend("orders", events, [](auto* options) { options->mutable_any(); });
  EXPECT_EQ(batch.success().current_revision(), 2u);
  EXPECT_TRUE(batch.success().has_no_position()) << batch.ShortDebugString();
}

TEST_F(NodeBehaviourTest, TellsThePositionOfARepetitionThatIsShownInPart) {
  const Events events = Some(3);
  const std::uint64_t position = client_->MustAppend("orders", events);
  WriteMetadata("orders", R"({"$maxCount":1})");

  EXPECT_EQ(AppendAny("orders", events).success().position().commit_position(), position);
  EXPECT_TRUE(AppendAny("orders", {events[0], events[1]}).success().has_no_position());
}

TEST_F(NodeBehaviourTest, RecognisesWhatWasDeletedAndLeavesItDeleted) {
  const Events events = Some(2);
  client_->MustAppend("orders", events);
  ASSERT_TRUE(client_->Delete("orders").ok());

  const auto reply = AppendAny("orders", events);

  EXPECT_EQ(reply.success().current_revision(), 1u);
  EXPECT_TRUE(reply.success().has_no_position());
  EXPECT_EQ(Revisions("orders"), std::vector<std::uint64_t>{kUnset});
}

// ---------------------------------------------------------------------------------------------
// Reads of `$all` backwards.

TEST_F(NodeBehaviourTest, LeavesOutTheRecordBeforeThePlaceInTheMiddleOfAWrite) {
  // Three writes: two records, three, one.
  client_->MustAppend("a", Some(2));
  client_->MustAppend("b", Some(3));
  client_->MustAppend("c", Some(1));
  const std::vector<wire::ReadResp> all = Read(LogClient::ReadAll());
  ASSERT_EQ(all.size(), 6u);
  std::vector<std::uint64_t> at;
  for (const wire::ReadResp& frame : all) {
    at.push_back(frame.event().commit_position());
  }
  const std::vector<bool> begins_write = {true, false, true, false, false, true};
  for (int round = 0; round < 2; ++round) {
    for (std::size_t n = 0; n < at.size(); ++n) {
      std::vector<std::uint64_t> before(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(n));
      std::reverse(before.begin(), before.end());
      EXPECT_EQ(AllBackwards(at[n], at[n]), before) << n;
      if (!begins_write[n]) {
        before.erase(before.begin());
      }
      EXPECT_EQ(AllBackwards(at[n], 0), before) << n;
    }
    Start();  // The file knows it too.
  }
}

// A file of an earlier version does not say which records were written together.
TEST_F(NodeBehaviourTest, OpensALogThatDoesNotKnowItsWrites) {
  client_->MustAppend("a", Some(2));
  server_.reset();
  {
    auto file =
        Connection::Open(directory_.path() / "events.db", Connection::Mode::kCreate, "event log");
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Execute("ALTER TABLE records DROP COLUMN continues").ok());
  }
  Start();
  const std::uint64_t second = Read(LogClient::ReadAll()).back().event().commit_position();
  EXPECT_EQ(AllBackwards(second, 0).size(), 1u);

  client_->MustAppend("a", Some(2));

  const std::uint64_t fourth = Read(LogClient::ReadAll()).back().event().commit_position();
  EXPECT_EQ(AllBackwards(fourth, 0).size(), 2u);
}

TEST_F(NodeBehaviourTest, RefusesAReadBackwardsFromBehindTheEnd) {
  const std::uint64_t position = client_->MustAppend("orders", Some(1));
  wire::ReadReq request = From(LogClient::ReadAll(), position + 1000, position + 1000);
  request.mutable_options()->set_read_direction(wire::ReadReq::Options::Backwards);
  std::vector<wire::ReadResp> frames;

  const grpc::Status status = client_->Read(request, &frames);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_EQ(status.error_message(), "Unexpected ReadAllResult: Error");
}

// ---------------------------------------------------------------------------------------------
// Subscriptions after an append without events.

TEST_F(NodeBehaviourTest, SendsNoCheckpointWhenOnlyRecordsWithoutEventsFollow) {
  const std::uint64_t last = client_->MustAppend("orders", Some(2));
  client_->MustAppend("orders", {});
  for (int round = 0; round < 2; ++round) {
    for (const char* type : {"numbered", "nothing"}) {
      wire::ReadReq request = From(Filtered(), last, last);
      request.mutable_options()->mutable_filter()->mutable_event_type()->set_prefix(0, type);
      Subscription subscription(*client_, request);
      EXPECT_TRUE(subscription.Next().has_confirmation());
      const wire::ReadResp caught_up = subscription.Next();
      ASSERT_TRUE(caught_up.has_caught_up()) << caught_up.ShortDebugString();
      EXPECT_EQ(caught_up.caught_up().position().commit_position(), last);
    }
    Start();
  }
}

TEST_F(NodeBehaviourTest, RefusesAPlaceBetweenTheLastEventAndTheEndThatIsNoRecord) {
  const std::uint64_t last = client_->MustAppend("orders", Some(1));
  client_->MustAppend("orders", {});
  Subscription subscription(*client_, From(Filtered(), last + 1, last + 1));

  EXPECT_TRUE(subscription.Next().has_confirmation());
  EXPECT_FALSE(subscription.NextEvent().has_value());
  EXPECT_EQ(subscription.Finish().error_message(), "Trying to read from an invalid position.");
}

TEST_F(NodeBehaviourTest, IsCaughtUpAtTheLastRecordWhenSubscribedFromTheEnd) {
  client_->MustAppend("orders", Some(1));
  const std::uint64_t last = client_->MustAppend("orders", {});
  wire::ReadReq request = Filtered();
  request.mutable_options()->mutable_all()->mutable_end();
  Subscription subscription(*client_, request);

  EXPECT_EQ(subscription.UntilCaughtUp().caught_up().position().commit_position(), last);
  const std::uint64_t next = client_->MustAppend("orders", Some(1));
  EXPECT_EQ(subscription.NextEvent()->commit_position(), next);
}

// ---------------------------------------------------------------------------------------------
// Deletes.

TEST_F(NodeBehaviourTest, ReplacesAllMetadataWhenAStreamIsDeleted) {
  client_->MustAppend("orders", Some(3));
  WriteMetadata("orders", R"({"$maxCount":1,"owner":"sales"})");
  EXPECT_EQ(Revisions("orders"), std::vector<std::uint64_t>{2});
  ASSERT_TRUE(client_->Delete("orders").ok());
  EXPECT_EQ(NewestMetadata("orders"), R"({"$tb":9223372036854775807})");
  EXPECT_EQ(Revisions("orders"), std::vector<std::uint64_t>{kUnset});

  client_->MustAppend("orders", Some(2));

  EXPECT_EQ(NewestMetadata("orders"), R"({"$tb":3})");
  EXPECT_EQ(Revisions("orders"), (std::vector<std::uint64_t>{3, 4}));
}

TEST_F(NodeBehaviourTest, ShowsAllAgainWhenTheMetadataOfADeletedStreamBecomesUnreadable) {
  client_->MustAppend("orders", Some(2));
  ASSERT_TRUE(client_->Delete("orders").ok());

  WriteMetadata("orders", "no object");

  EXPECT_EQ(NewestMetadata("orders"), "no object");
  EXPECT_EQ(Revisions("orders"), (std::vector<std::uint64_t>{0, 1}));
}

TEST_F(NodeBehaviourTest, HidesNothingByMetadataOfAWrongType) {
  client_->MustAppend("orders", Some(3));
  WriteMetadata("orders", R"({"$tb":2,"$maxCount":"one"})");
  EXPECT_EQ(Revisions("orders").size(), 3u);
  WriteMetadata("orders", R"({"$tb":2,"other":"one"})");
  EXPECT_EQ(Revisions("orders").size(), 1u);
}

TEST_F(NodeBehaviourTest, ChecksDeletesAndTombstonesAsItChecksAppends) {
  client_->MustAppend("soft", Some(2));
  ASSERT_TRUE(client_->Delete("soft").ok());
  const auto exists = [](auto* options) { options->mutable_stream_exists(); };
  const auto none = [](auto* options) { options->mutable_no_stream(); };
  const auto remove = [&](auto configure) {
    return client_->Remove<wire::DeleteReq, wire::DeleteResp>("soft", configure,
                                                              &wire::Streams::Stub::Delete);
  };
  const auto tombstone = [&](const std::string& stream, auto configure) {
    return client_->Remove<wire::TombstoneReq, wire::TombstoneResp>(
        stream, configure, &wire::Streams::Stub::Tombstone);
  };

  EXPECT_EQ(remove(exists).error_message(), "Event stream 'soft' is deleted.");
  EXPECT_EQ(tombstone("soft", exists).error_message(), "Event stream 'soft' is deleted.");
  EXPECT_TRUE(remove(none).ok());  // Deleted counts as "no stream", here as for an append.
  EXPECT_TRUE(tombstone("soft", none).ok());
  EXPECT_EQ(tombstone("nobody", exists).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  WriteMetadata("nobody", "{}");
  EXPECT_TRUE(tombstone("nobody", exists).ok());
}

TEST_F(NodeBehaviourTest, ClosesTheMetadataOfAStreamTogetherWithIt) {
  client_->MustAppend("orders", Some(1));
  WriteMetadata("orders", R"({"owner":"sales"})");
  ASSERT_TRUE(client_->Tombstone("orders").ok());

  EXPECT_EQ(AppendStatus("$$orders", {{"$metadata", "{}"}}).error_message(),
            "Event stream '$$orders' is deleted.");
  std::vector<wire::ReadResp> frames;
  EXPECT_EQ(client_->Read(LogClient::ReadStream("$$orders"), &frames).error_message(),
            "Event stream '$$orders' is deleted.");
  EXPECT_TRUE(frames.empty());
}

// ---------------------------------------------------------------------------------------------
// Where a stream begins and ends.

TEST_F(NodeBehaviourTest, TellsWhereAStreamBeginsAlsoWhenNothingOfItIsShown) {
  client_->MustAppend("orders", Some(3));
  WriteMetadata("orders", R"({"$tb":3})");
  EXPECT_EQ(Bounds("orders", 0, 10), std::make_pair(std::uint64_t{3}, std::uint64_t{2}));
  EXPECT_EQ(Bounds("orders", 0, 2), std::make_pair(std::uint64_t{3}, std::uint64_t{2}));

  WriteMetadata("orders", R"({"$maxAge":1})");
  // Shown as long as they are young.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!Revisions("orders").empty() && std::chrono::steady_clock::now() < until) {
  }
  EXPECT_EQ(Bounds("orders", 0, 10), std::make_pair(std::uint64_t{3}, std::uint64_t{2}));
}

TEST_F(NodeBehaviourTest, TellsWhereToGoOnAfterAReadFromBehindTheEndOfAStream) {
  client_->MustAppend("orders", Some(3));
  EXPECT_EQ(Bounds("orders", 7, 10), std::make_pair(std::uint64_t{3}, std::uint64_t{2}));
  // Nothing is to be told where a read goes on just where it was asked to begin.
  EXPECT_EQ(Bounds("orders", 3, 10), std::make_pair(kUnset, std::uint64_t{2}));
  EXPECT_EQ(Bounds("orders", 1, 10), std::make_pair(kUnset, std::uint64_t{2}));
}

// ---------------------------------------------------------------------------------------------
// Links.

TEST_F(NodeBehaviourTest, SendsALinkWithoutItsEventForAMalformedOneMetLive) {
  wire::ReadReq request = LogClient::SubscribeAll();
  request.mutable_options()->set_resolve_links(true);
  wire::ReadReq stream = LogClient::ReadStream("links");
  stream.mutable_options()->mutable_subscription();
  stream.mutable_options()->set_resolve_links(true);
  Subscription all(*client_, request);
  Subscription one(*client_, stream);
  ASSERT_TRUE(all.UntilCaughtUp().has_caught_up());
  ASSERT_TRUE(one.UntilCaughtUp().has_caught_up());

  client_->MustAppend("links", {{"$>", "no link at all"}});

  for (Subscription* live : {&all, &one}) {
    const wire::ReadResp frame = live->Next();
    EXPECT_FALSE(frame.event().has_event()) << frame.ShortDebugString();
    EXPECT_EQ(frame.event().link().data(), "no link at all");
  }
  Subscription later(*client_, request);
  ASSERT_TRUE(later.Next().has_confirmation());
  EXPECT_EQ(later.Next().event().event().data(), "no link at all");
}

TEST_F(NodeBehaviourTest, SendsALinkWithoutItsEventWhereItsTargetIsNotShown) {
  client_->MustAppend("orders", Some(3));
  WriteMetadata("orders", R"({"$tb":1})");
  client_->MustAppend("links", {{"$>", "0@orders"},
                                {"$>", "1@orders"},
                                {"$>", "-1@orders"},
                                {"$>", "-2@orders"},
                                {"$>", "1@"},
                                {"$>", "1"},
                                {"$>", "first@orders"}});
  wire::ReadReq request = LogClient::ReadStream("links");
  request.mutable_options()->set_resolve_links(true);

  std::string found;
  for (const wire::ReadResp& frame : Read(request)) {
    const auto& event = frame.event();
    found += event.has_event() ? event.event().data() : "none";
    found += event.has_link() ? "<-" + event.link().data() + "\n" : "\n";
  }

  EXPECT_EQ(found,
            "none<-0@orders\n1<-1@orders\n2<--1@orders\nnone<--2@orders\nnone<-1@\nnone<-1\n"
            "first@orders\n");
}

}  // namespace
}  // namespace catchup::embedded
