// Behaviour that the recordings show in part or not at all: see replay_test.cc for the rest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "host/source/embedded/log_server.h"
#include "tests/source/embedded/disk_fault.h"
#include "tests/source/embedded/served_log.h"

namespace catchup::embedded {
namespace {

using testing::HasSubstr;

using test::LogClient;
using test::RawCall;
using test::Subscription;
namespace wire = test::wire;

class ServerTest : public ServedLogTest {};

wire::ReadReq SubscribeToStream(const std::string& stream) {
  wire::ReadReq request = LogClient::ReadStream(stream);
  request.mutable_options()->mutable_subscription();
  return request;
}

wire::ReadReq Filtered(std::uint32_t window) {
  wire::ReadReq request = LogClient::SubscribeAll();
  auto& filter = *request.mutable_options()->mutable_filter();
  filter.mutable_event_type()->add_prefix("numbered");
  filter.set_max(window);
  filter.set_checkpointintervalmultiplier(1);
  return request;
}

TEST_F(ServerTest, FallsBackToTheLogWhenTheLiveBufferOverflowsAndIsCaughtUpAgain) {
  Start(8);
  client_->MustAppend("orders", Some(1));
  Subscription subscription(*client_, Filtered(32));
  ASSERT_TRUE(subscription.UntilCaughtUp().has_caught_up());

  // One append of more frames than the buffer holds cannot but overflow it.
  client_->MustAppend("orders", Some(100));

  std::uint64_t next = 1;
  int checkpoints = 0;
  std::uint64_t last_checkpoint = 0;
  while (true) {
    const wire::ReadResp frame = subscription.Next();
    ASSERT_NE(frame.content_case(), wire::ReadResp::CONTENT_NOT_SET);
    if (frame.has_caught_up()) {
      break;
    }
    if (frame.has_event()) {
      EXPECT_EQ(frame.event().event().stream_revision(), next++);
    } else {
      ++checkpoints;
      EXPECT_GT(frame.checkpoint().commit_position(), last_checkpoint);
      last_checkpoint = frame.checkpoint().commit_position();
    }
  }
  EXPECT_EQ(next, 101u);
  EXPECT_GE(checkpoints, 3);
}

TEST_F(ServerTest, DeliversEachEventOnceAcrossTheSeamBetweenLogAndLive) {
  client_->MustAppend("orders", Some(500));
  Subscription subscription(*client_, Filtered(1024));
  std::thread writer([this] {
    for (int i = 0; i < 200; ++i) {
      client_->MustAppend("orders", Some(1));
    }
  });
  for (std::uint64_t revision = 0; revision < 700; ++revision) {
    const auto event = subscription.NextEvent();
    ASSERT_TRUE(event.has_value());
    ASSERT_EQ(event->stream_revision(), revision);
  }
  writer.join();
}

// Nobody reads for a while: the server holds a page, not the log, and others are served meanwhile.
TEST_F(ServerTest, WaitsForASlowConsumerWithoutLosingAnythingOrHoldingUpOthers) {
  constexpr int kAppends = 40;
  constexpr int kEvents = 200;
  Subscription slow(*client_, LogClient::SubscribeAll());
  ASSERT_TRUE(slow.Next().has_confirmation());
  for (int i = 0; i < kAppends; ++i) {
    client_->MustAppend("orders", Some(kEvents, 4000));
  }
  EXPECT_EQ(Read(LogClient::ReadAll()).size(), std::size_t{kAppends * kEvents});

  for (std::uint64_t revision = 0; revision < kAppends * kEvents; ++revision) {
    const auto event = slow.NextEvent();
    ASSERT_TRUE(event.has_value());
    ASSERT_EQ(event->stream_revision(), revision);
  }
}

TEST_F(ServerTest, ServesManySubscriptionsAtOnceAndForgetsThemWhenCancelled) {
  // As many as a connection carries; the second round only fits when the first is really gone.
  constexpr int kSubscriptions = 99;
  for (int round = 0; round < 2; ++round) {
    std::vector<std::unique_ptr<Subscription>> all;
    for (int i = 0; i < kSubscriptions; ++i) {
      wire::ReadReq request = Filtered(32);
      request.mutable_options()->mutable_all()->mutable_end();
      all.push_back(std::make_unique<Subscription>(*client_, request));
    }
    for (const auto& subscription : all) {
      ASSERT_TRUE(subscription->UntilCaughtUp().has_caught_up());
    }
    const std::uint64_t position = client_->MustAppend("orders", Some(1));
    for (const auto& subscription : all) {
      const auto event = subscription->NextEvent();
      ASSERT_TRUE(event.has_value());
      EXPECT_EQ(event->commit_position(), position);
    }
  }
}

TEST_F(ServerTest, StoresAnEventJustUnderTheLimitAndDeliversIt) {
  const std::string data(kDefaultMaxAppendBytes - 2 * std::string("big").size(), 'x');
  Subscription subscription(*client_, LogClient::SubscribeAll());
  ASSERT_TRUE(subscription.UntilCaughtUp().has_caught_up());
  client_->MustAppend("orders", {{"big", data}});

  EXPECT_EQ(subscription.NextEvent()->data(), data);
  EXPECT_EQ(Read(LogClient::ReadAll()).back().event().event().data(), data);
}

TEST_F(ServerTest, RefusesAnAppendOverTheLimitAndWritesNothingOfIt) {
  const std::string data(kDefaultMaxAppendBytes, 'x');
  wire::AppendResp reply;

  const grpc::Status status = client_->Append("orders", {{"small", "{}"}, {"big", data}}, &reply);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "Maximum Append Size of 1048576 Exceeded.");
  EXPECT_TRUE(Read(LogClient::ReadAll()).empty());
}

TEST_F(ServerTest, RefusesAMessageOverANodesLimitInANodesWords) {
  RawCall call(client_->channel(), "/event_store.client.streams.Streams/Append");
  (void)call.Send(std::string(16'767'217, 'x'));

  const grpc::Status status = call.Finish();

  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(),
            "Received message exceeds the maximum configured message size.");
}

TEST_F(ServerTest, NeverDeletesAMissingStreamButTombstonesOne) {
  const grpc::Status deleted = client_->Delete("nobody");
  EXPECT_EQ(deleted.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(deleted.error_message(),
            "Delete failed due to WrongExpectedVersion. Stream: nobody, Expected version: -2, "
            "Actual version: -1");

  EXPECT_TRUE(client_->Tombstone("nobody").ok());
  wire::AppendResp reply;
  EXPECT_EQ(client_->Append("nobody", Some(1), &reply).error_message(),
            "Event stream 'nobody' is deleted.");
}

// Metadata that replaced the delete's would show again what the delete hid.
TEST_F(ServerTest, KeepsDeletedEventsHiddenWhenMetadataIsWritten) {
  client_->MustAppend("orders", Some(3));
  ASSERT_TRUE(client_->Delete("orders").ok());

  client_->MustAppend("$$orders", {{"$metadata", R"({"owner":"sales"})"}});

  EXPECT_EQ(Read(LogClient::ReadStream("$$orders")).back().event().event().data(),
            R"({"owner":"sales","$tb":3})");
  EXPECT_TRUE(Read(LogClient::ReadStream("orders")).empty());
}

TEST_F(ServerTest, SubscribesToAStreamThatDoesNotExistYet) {
  Subscription subscription(*client_, SubscribeToStream("orders"));
  ASSERT_TRUE(subscription.Next().has_confirmation());
  const wire::ReadResp caught_up = subscription.Next();
  ASSERT_TRUE(caught_up.has_caught_up());
  EXPECT_FALSE(caught_up.caught_up().has_stream_revision());

  client_->MustAppend("others", Some(1));
  client_->MustAppend("orders", Some(2));

  EXPECT_EQ(subscription.NextEvent()->stream_revision(), 0u);
  EXPECT_EQ(subscription.NextEvent()->stream_revision(), 1u);
}

TEST_F(ServerTest, SubscribesToAStreamAfterARevisionAndEndsWithItsTombstone) {
  client_->MustAppend("orders", Some(40));
  wire::ReadReq request = SubscribeToStream("orders");
  request.mutable_options()->mutable_stream()->set_revision(37);
  Subscription subscription(*client_, request);
  EXPECT_EQ(subscription.NextEvent()->stream_revision(), 38u);
  EXPECT_EQ(subscription.NextEvent()->stream_revision(), 39u);
  const wire::ReadResp caught_up = subscription.Next();
  EXPECT_EQ(caught_up.caught_up().stream_revision(), 39);
  EXPECT_FALSE(caught_up.caught_up().has_position());

  ASSERT_TRUE(client_->Tombstone("orders").ok());

  const auto tombstone = subscription.NextEvent();
  ASSERT_TRUE(tombstone.has_value());
  EXPECT_EQ(tombstone->metadata().at("type"), "$streamDeleted");
  EXPECT_FALSE(subscription.NextEvent().has_value());
  EXPECT_EQ(subscription.Finish().error_message(), "Event stream 'orders' is deleted.");
}

// On a connection where nothing else makes the transport write, an answer of several frames once
// waited for the next keepalive, ten seconds later.
TEST_F(ServerTest, SendsTheFirstOfSeveralFramesAtOnce) {
  client_->MustAppend("orders", Some(40));
  grpc::ChannelArguments quiet;
  quiet.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  quiet.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto stub = wire::Streams::NewStub(
      grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(), quiet));
  for (int round = 0; round < 10; ++round) {
    for (wire::ReadReq request : {LogClient::ReadAll(), LogClient::SubscribeAll()}) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
      const auto reader = stub->Read(&context, request);
      wire::ReadResp frame;
      EXPECT_TRUE(reader->Read(&frame)) << "round " << round << ": " << request.ShortDebugString();
      context.TryCancel();
      (void)reader->Finish();
    }
  }
}

TEST_F(ServerTest, TellsWhereAStreamBeginsWhenItBeginsLaterThanAsked) {
  client_->MustAppend("orders", Some(50));
  client_->MustAppend("$$orders", {{"$metadata", R"({"$tb":45})"}});
  wire::ReadReq request = LogClient::ReadStream("orders");
  request.mutable_options()->mutable_control_option()->set_compatibility(1);

  const std::vector<wire::ReadResp> frames = Read(request);

  ASSERT_EQ(frames.size(), 7u);
  EXPECT_EQ(frames.front().first_stream_position(), 45u);
  EXPECT_EQ(frames[1].event().event().stream_revision(), 45u);
  EXPECT_EQ(frames.back().last_stream_position(), 49u);
}

TEST_F(ServerTest, ReadsAStreamBackwardsFromItsEnd) {
  client_->MustAppend("orders", Some(5));
  wire::ReadReq request = LogClient::ReadStream("orders");
  request.mutable_options()->mutable_stream()->mutable_end();
  request.mutable_options()->set_read_direction(wire::ReadReq::Options::Backwards);
  request.mutable_options()->set_count(2);

  const std::vector<wire::ReadResp> frames = Read(request);

  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].event().event().stream_revision(), 4u);
  EXPECT_EQ(frames[1].event().event().stream_revision(), 3u);
}

TEST_F(ServerTest, NumbersGoOnAfterItWasClosedAndOpened) {
  const std::uint64_t before = client_->MustAppend("orders", Some(2));
  Start();

  // 90 bytes of fixed fields, the names and the data "1" of the record before.
  EXPECT_EQ(client_->MustAppend("orders", Some(1)),
            before + 90 + std::string("orders").size() + std::string("numbered").size() + 1);
}

class ServerOnAFailingDiskTest : public ServerTest {
 protected:
  void SetUp() override {
    test::DiskFault::Install();
    ServerTest::SetUp();
  }
  void TearDown() override { test::DiskFault::Disarm(); }

  grpc::Status TryAppend(const std::vector<LogClient::Event>& events) {
    wire::AppendResp reply;
    return client_->Append("orders", events, &reply);
  }
};

// Whoever imports a file repeats all of it once there is room.
TEST_F(ServerOnAFailingDiskTest, RecognisesWhatWasWrittenBeforeTheDiskWasFull) {
  const std::vector<LogClient::Event> before = Some(20);
  const std::vector<LogClient::Event> after = Some(20);
  const std::uint64_t position = client_->MustAppend("orders", before);
  test::DiskFault::Arm(test::DiskFault::Kind::kFull);
  EXPECT_EQ(TryAppend(after).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_GT(test::DiskFault::Disarm(), 0);

  EXPECT_EQ(client_->MustAppend("orders", before), position);
  EXPECT_GT(client_->MustAppend("orders", after), position);
  EXPECT_EQ(Read(LogClient::ReadAll()).size(), before.size() + after.size());
}

TEST_F(ServerOnAFailingDiskTest, OnlyReadsAfterAFailedSyncUntilItIsStartedAgain) {
  client_->MustAppend("orders", Some(2));
  test::DiskFault::Arm(test::DiskFault::Kind::kSync);
  EXPECT_EQ(TryAppend(Some(1)).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_GT(test::DiskFault::Disarm(), 0);

  const grpc::Status refused = TryAppend(Some(1));

  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(refused.error_message(), HasSubstr("nothing is written until it is opened again"));
  EXPECT_EQ(Read(LogClient::ReadAll()).size(), 2u);
  Start();
  client_->MustAppend("orders", Some(1));
}

TEST_F(ServerTest, RefusesAnAddressThatIsTaken) {
  ServerOptions options;
  options.directory = directory_.path() / "other";
  options.listen = *ParseListenAddress(server_->address());

  auto server = EmbeddedServer::Start(options);

  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.status().code(), Status::Code::kUnavailable);
}

void RunSql(const std::filesystem::path& file, const char* sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
}

TEST_F(ServerTest, RefusesALogOfANewerFormat) {
  server_->Shutdown();
  RunSql(directory_.path() / "events.db", "PRAGMA user_version = 2");
  ServerOptions options;
  options.directory = directory_.path();

  auto server = EmbeddedServer::Start(options);

  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.status().code(), Status::Code::kIncompatible);
  EXPECT_THAT(server.status().message(), HasSubstr("event log format 2, this version reads 1"));
}

TEST_F(ServerTest, RefusesADatabaseThatIsNoEventLog) {
  ServerOptions options;
  options.directory = directory_.path() / "other";
  std::filesystem::create_directories(options.directory);
  RunSql(options.directory / "events.db", "CREATE TABLE customers (name TEXT)");

  auto server = EmbeddedServer::Start(options);

  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.status().code(), Status::Code::kIncompatible);
}

}  // namespace
}  // namespace catchup::embedded
