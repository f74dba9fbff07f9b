// Sends what a recorded client sent to our own server and holds every message, status and trailer
// against what the recorded node answered, file by file, on one log that grows with them.
//
// Positions are compared as they are: our records take the bytes that a node's take, so the n-th
// record of one log lies where the n-th of the other does, and positions inside requests need no
// translation either. What may differ is in the table of recorded_frames.cc, and nothing else; what
// the recordings leave out is in recorded_calls.cc.
//
// A call is read when a line wants a message of it, and not before: where the recorded client
// paused (slow-consumer), this one does, though not for as long.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "host/source/embedded/log_server.h"
#include "host/source/proto/gossip.pb.h"
#include "host/source/proto/server_features.pb.h"
#include "host/source/proto/streams.pb.h"
#include "tests/source/embedded/log_client.h"
#include "tests/source/embedded/recorded_calls.h"
#include "tests/source/embedded/recorded_frames.h"
#include "tests/test_files.h"

namespace catchup::embedded {
namespace {

namespace wire = event_store::client::streams;
namespace gossip = event_store::client::gossip;
namespace features = event_store::client::server_features;
using Json = nlohmann::json;
using test::RawCall;

// A node cannot be asked to be quiet; this long is given to an extra message to show itself. It can
// only find faults, never make one.
constexpr std::chrono::milliseconds kQuiet{20};

bool IsEvent(const std::string& bytes) {
  wire::ReadResp frame;
  return frame.ParseFromString(bytes) && frame.has_event();
}

class Replay : public testing::Test {
 protected:
  // A machine busy with other things must not make the live buffer overflow, which would be right
  // but is not what was recorded.
  static constexpr std::size_t kNeverOverflows = 4096;

  void SetUp() override { Serve(kNeverOverflows); }

  // The same log from here on, with a live buffer of this size.
  void Serve(std::size_t live_frames) {
    server_.reset();
    ServerOptions options;
    options.directory = directory_.path();
    options.live_frames = live_frames;
    auto server = EmbeddedServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
    channel_ = test::Connect(server_->address());
  }

  void SeedFirstRecords() {
    ASSERT_TRUE(server_
                    ->Seed("$$$scavenges", "$metadata",
                           R"({"$maxAge":2592000,"$acl":{"$r":"$ops","$w":[],"$d":[],)"
                           R"("$mr":[],"$mw":[]}})")
                    .ok());
    ASSERT_TRUE(server_->Seed("cap-run", "run", "{}").ok());
  }

  void ReplayFile(const std::string& scenario);
  void ReplayNote(const Json& line, int* written);

  TemporaryFolder directory_;
  std::unique_ptr<EmbeddedServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

// One recorded call, while it is being replayed.
struct Open {
  std::string method;  // Without the service.
  std::unique_ptr<RawCall> call;
  bool half_closed = false;
  bool caught_up = false;
  bool is_subscription = false;
  int left_out = 0;  // Events received that the recorder left out.

  void HalfCloseOnce() {
    // A recorded BatchAppend was never half-closed: a node would keep it open all the same.
    if (!half_closed && method != "BatchAppend") {
      half_closed = true;
      call->HalfClose();
    }
  }
};

void ExpectQuiet(Open& open) {
  const std::optional<std::string> extra = open.call->Receive(kQuiet);
  EXPECT_FALSE(extra.has_value()) << "a message more than recorded";
  EXPECT_TRUE(extra.has_value() || open.call->timed_out()) << "the call ended, and was not to";
}

// The events that the recorder counted behind the last that it kept, in order and none missing.
void ReadLeftOut(const std::string& scenario, int number, Open& open) {
  std::uint64_t last = 0;
  while (open.left_out < EventsLeftOut(scenario, number)) {
    const std::optional<std::string> bytes = open.call->Receive();
    ASSERT_TRUE(bytes.has_value()) << "after " << open.left_out << " events";
    if (wire::ReadResp frame; IsEvent(*bytes) && frame.ParseFromString(*bytes)) {
      ASSERT_GT(frame.event().commit_position(), last);
      last = frame.event().commit_position();
      ++open.left_out;
    }
  }
}

void ReplayStatus(const std::string& scenario, int number, const Json& line, Open& open) {
  open.HalfCloseOnce();
  const int code = line.at("code");
  if (IsOfTheClient(code)) {
    ReadLeftOut(scenario, number, open);
    EXPECT_EQ(open.left_out, EventsLeftOut(scenario, number));
    if (!IsCutShort(scenario, number)) {
      EXPECT_TRUE(!open.is_subscription || open.caught_up) << "recorded in part, but not listed";
      ExpectQuiet(open);
    }
    open.call->Cancel();
    EXPECT_EQ(open.call->Finish().error_code(), grpc::StatusCode::CANCELLED);
    return;
  }
  const std::optional<std::string> extra = open.call->Receive();
  EXPECT_FALSE(extra.has_value()) << "a message more than recorded";
  const grpc::Status status = open.call->Finish();
  EXPECT_EQ(static_cast<int>(status.error_code()), code);
  EXPECT_EQ(status.error_message(), line.at("details").get<std::string>());
}

void ReplayTrailer(const Json& line, const Open& open) {
  EXPECT_EQ(open.call->Trailers(), RecordedTrailers(line));
}

// `written` counts the events of the scenario.
void Replay::ReplayNote(const Json& line, int* written) {
  int events = 0;
  int appends = 0;
  char how[12] = "";
  const std::string text = line.at("text");
  if (std::sscanf(text.c_str(), "seeded %d events in %d appends, %11s", &events, &appends, how) !=
      3) {
    return;
  }
  if (std::string(how) == "unrecorded") {
    const std::string stream = line.at("streams").at(0);
    const UnrecordedEvent& unrecorded = UnrecordedEventOf(stream);
    test::LogClient client(server_->address());
    for (int append = 0; append < appends; ++append) {
      std::vector<test::LogClient::Event> batch;
      for (int i = 1; i <= events / appends; ++i) {
        const int number = *written + append * (events / appends) + i;
        batch.push_back({unrecorded.type, "{\"n\":" + std::to_string(number) + unrecorded.rest});
      }
      client.MustAppend(stream, batch);
    }
  }
  *written += events;
}

void ReplayMessage(const std::string& message, Open& open) {
  (void)open.call->Send(message);  // Fails where the call is over: the status tells.
  if (open.method == "Read") {
    wire::ReadReq request;
    ASSERT_TRUE(request.ParseFromString(message));
    open.is_subscription = request.options().has_subscription();
  }
  if (open.method != "Append") {
    open.HalfCloseOnce();
  }
}

void ReplayAnswer(const std::string& scenario, int number, const Json& line, Open& open) {
  open.HalfCloseOnce();
  std::optional<std::string> frame = open.call->Receive();
  while (frame && EventsLeftOut(scenario, number) > 0 && !line.at("json").contains("event") &&
         IsEvent(*frame)) {
    ++open.left_out;
    frame = open.call->Receive();
  }
  ASSERT_TRUE(frame.has_value()) << (open.call->timed_out() ? "no message" : "the call ended")
                                 << ", wanted " << line.at("json");
  ASSERT_TRUE(SameFrame(open.method, *frame, RecordedMessage(line)));
  open.caught_up = open.caught_up || line.at("json").contains("caught_up");
}

void Replay::ReplayFile(const std::string& scenario) {
  const std::string path = std::string(CATCHUP_CAPTURES) + "/" + scenario + ".jsonl";
  std::ifstream file(path);
  ASSERT_TRUE(file.is_open()) << path;
  std::map<int, Open> calls;
  std::string text;
  int frames = 0;
  int written = 0;
  for (int number = 1; std::getline(file, text) && !HasFailure(); ++number) {
    SCOPED_TRACE(scenario + ".jsonl:" + std::to_string(number));
    const Json line = Json::parse(text);
    const std::string dir = line.value("dir", "");
    if (dir == "note") {
      ReplayNote(line, &written);
    }
    if (!line.contains("call")) {
      continue;  // The header, a note or a claim.
    }
    const int id = CallOf(scenario, number, line);
    if (dir == "call") {
      calls.erase(id);
    }
    Open& open = calls[id];
    if (dir == "call") {
      const std::string method = line.at("method");
      open.method = method.substr(method.rfind('/') + 1);
      open.call = std::make_unique<RawCall>(
          channel_, method, line.at("headers").get<std::map<std::string, std::string>>());
    } else if (dir == "send") {
      ReplayMessage(RecordedMessage(line), open);
    } else if (dir == "recv") {
      ReplayAnswer(scenario, id, line, open);
      ++frames;
    } else if (dir == "status") {
      ReplayStatus(scenario, id, line, open);
    } else if (dir == "trailer") {
      ReplayTrailer(line, open);
    }
  }
  EXPECT_GT(frames, 0) << scenario << " compares nothing";
}

TEST_F(Replay, AnswersLikeTheRecordedNodeFrameByFrame) {
  SeedFirstRecords();
  for (const char* scenario : {"append-revisions",
                               "append-idempotent",
                               "append-bad",
                               "batch-append",
                               "read-all",
                               "head-read",
                               "sub-start-type",
                               "sub-start-stream",
                               "sub-prefixes",
                               "sub-unfiltered",
                               "sub-end",
                               "sub-position",
                               "sub-page-start",
                               "sub-ahead",
                               "sub-positions-bad",
                               "sub-max-position",
                               "sub-bad-requests",
                               "sub-window-1",
                               "links",
                               "deleted",
                               "metadata-stream",
                               "big-events",
                               "requires-leader",
                               "deadline",
                               "cancel",
                               "gzip",
                               "keepalive",
                               "live-burst",
                               "sub-cadence",
                               "slow-consumer"}) {
    const bool overflows = scenario == std::string("live-burst");
    if (overflows) {
      Serve(kDefaultLiveFrames);
    }
    ReplayFile(scenario);
    if (HasFailure()) {
      return;  // Every file builds on those before it.
    }
    if (overflows) {
      Serve(kNeverOverflows);
    }
  }
}

// Reads the one message of a recorded unary call and of ours.
template <typename Message>
void CompareUnary(const std::shared_ptr<grpc::Channel>& channel, const std::string& scenario,
                  Message* found, Message* wanted) {
  std::ifstream file(std::string(CATCHUP_CAPTURES) + "/" + scenario + ".jsonl");
  ASSERT_TRUE(file.is_open());
  std::unique_ptr<RawCall> call;
  std::string text;
  while (std::getline(file, text)) {
    const Json line = Json::parse(text);
    const std::string dir = line.value("dir", "");
    if (dir == "call") {
      call = std::make_unique<RawCall>(channel, line.at("method").get<std::string>());
    } else if (dir == "send") {
      ASSERT_TRUE(call->Send(RecordedMessage(line)));
      call->HalfClose();
    } else if (dir == "recv") {
      const std::optional<std::string> message = call->Receive();
      ASSERT_TRUE(message.has_value());
      ASSERT_TRUE(found->ParseFromString(*message));
      ASSERT_TRUE(wanted->ParseFromString(RecordedMessage(line)));
    } else if (dir == "status") {
      EXPECT_TRUE(call->Finish().ok());
      EXPECT_TRUE(call->Trailers().empty());
    }
  }
}

// Differs: the instance (a node of its own), the time, and the port that the test was given.
TEST_F(Replay, GossipsAsASingleLeader) {
  gossip::ClusterInfo found;
  gossip::ClusterInfo wanted;
  CompareUnary(channel_, "gossip", &found, &wanted);
  ASSERT_EQ(found.members_size(), 1);
  ASSERT_TRUE(found.members(0).instance_id().has_structured());
  EXPECT_GT(found.members(0).time_stamp(), wanted.members(0).time_stamp() / 2);
  EXPECT_EQ("127.0.0.1:" + std::to_string(found.members(0).http_end_point().port()),
            server_->address());
  for (gossip::ClusterInfo* info : {&found, &wanted}) {
    info->mutable_members(0)->clear_instance_id();
    info->mutable_members(0)->clear_time_stamp();
    info->mutable_members(0)->mutable_http_end_point()->clear_port();
  }
  EXPECT_EQ(found.ShortDebugString(), wanted.ShortDebugString());
}

// Differs: services that this server does not have, and the version. The recorded node was built
// from source and says so by a suffix, with which the official client for Rust connects to no
// server.
TEST_F(Replay, OffersTheMethodsThatItHasAsANodeDoes) {
  features::SupportedMethods found;
  features::SupportedMethods wanted;
  CompareUnary(channel_, "server-features", &found, &wanted);
  const std::set<std::string> ours = {"event_store.client.streams.streams",
                                      "event_store.client.gossip.gossip",
                                      "event_store.client.server_features.serverfeatures"};
  features::SupportedMethods expected;
  for (const features::SupportedMethod& method : wanted.methods()) {
    if (ours.contains(method.service_name())) {
      *expected.add_methods() = method;
    }
  }
  expected.set_event_store_server_version("24.10.14");
  EXPECT_EQ(found.ShortDebugString(), expected.ShortDebugString());
}

}  // namespace
}  // namespace catchup::embedded
