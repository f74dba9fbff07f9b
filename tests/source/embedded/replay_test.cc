// Sends what a recorded client sent to our own server and holds every message, status and trailer
// against what the recorded node answered, file by file, on one log that grows with them.
//
// Positions are compared as they are: our records take the bytes that a node's take, so the n-th
// record of one log lies where the n-th of the other does, and positions inside requests need no
// translation either. What may differ is in the table below, and nothing else.
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "host/base/uuid.h"
#include "host/source/embedded/log_server.h"
#include "host/source/proto/gossip.pb.h"
#include "host/source/proto/server_features.pb.h"
#include "host/source/proto/streams.pb.h"
#include "tests/source/embedded/raw_client.h"
#include "tests/test_files.h"

namespace catchup::embedded {
namespace {

namespace wire = event_store::client::streams;
namespace gossip = event_store::client::gossip;
namespace features = event_store::client::server_features;
using Json = nlohmann::json;
using test::RawCall;

// ---------------------------------------------------------------------------------------------
// What is allowed to differ, and why. Each entry checks that both sides carry the thing where one
// does, then blanks it, so that its presence and everything around it are still compared.

void BlankCreated(wire::ReadResp::ReadEvent::RecordedEvent* event) {
  auto& properties = *event->mutable_metadata();
  const auto created = properties.find("created");
  if (created != properties.end() && created->second.size() == 17 &&
      created->second.find_first_not_of("0123456789") == std::string::npos) {
    created->second = "ticks";
  }
}

// The two records that were there before the recording began have ids of their writers.
void BlankSeededId(wire::ReadResp::ReadEvent::RecordedEvent* event) {
  const std::string& stream = event->stream_identifier().stream_name();
  const std::string& type = event->metadata().at("type");
  // So do the records that a server writes by itself when a stream is deleted or opened again.
  if (stream == "$$$scavenges" || stream == "cap-run" || type == "$streamDeleted" ||
      stream == "$$cap-deleted-soft" || stream == "$$cap-links-soft") {
    if (event->id().structured().most_significant_bits() != 0) {
      event->mutable_id()->mutable_structured()->set_most_significant_bits(1);
      event->mutable_id()->mutable_structured()->set_least_significant_bits(1);
    }
  }
}

struct Allowance {
  const char* what;
  const char* why;
  std::function<void(wire::ReadResp*)> blank;
};

const std::vector<Allowance>& Allowances() {
  static const std::vector<Allowance> table = {
      {"confirmation.subscription_id", "made anew for every subscription",
       [](wire::ReadResp* frame) {
         if (frame->has_confirmation() &&
             ParseUuid(frame->confirmation().subscription_id()).has_value()) {
           frame->mutable_confirmation()->set_subscription_id("uuid");
         }
       }},
      {"checkpoint.timestamp, caught_up.timestamp", "the server's clock",
       [](wire::ReadResp* frame) {
         if (frame->has_checkpoint() && frame->checkpoint().timestamp().seconds() > 0) {
           frame->mutable_checkpoint()->mutable_timestamp()->Clear();
         }
         if (frame->has_caught_up() && frame->caught_up().timestamp().seconds() > 0) {
           frame->mutable_caught_up()->mutable_timestamp()->Clear();
         }
       }},
      {"metadata[created]", "the clock when the event was written",
       [](wire::ReadResp* frame) {
         if (frame->has_event() && frame->event().has_event()) {
           BlankCreated(frame->mutable_event()->mutable_event());
         }
         if (frame->has_event() && frame->event().has_link()) {
           BlankCreated(frame->mutable_event()->mutable_link());
         }
       }},
      {"id of records written by the server", "chosen by whoever wrote them, at random",
       [](wire::ReadResp* frame) {
         if (frame->has_event() && frame->event().has_event()) {
           BlankSeededId(frame->mutable_event()->mutable_event());
         }
       }},
  };
  return table;
}

// Trailers of a recording that are HTTP headers in truth: grpc-js shows the headers of an answer
// without a body as trailers. They are the web server's, not the protocol's.
const std::set<std::string>& HttpHeaders() {
  static const std::set<std::string> names = {"content-type", "date", "server", "content-length"};
  return names;
}

// Calls that the recorder left before they had said all they had to say. Everything up to there is
// compared; what follows was never recorded.
const std::set<std::pair<std::string, int>>& CutShort() {
  static const std::set<std::pair<std::string, int>> calls = {
      {"sub-position", 4}, {"sub-position", 5}, {"sub-page-start", 4}, {"sub-page-start", 5}};
  return calls;
}

// ---------------------------------------------------------------------------------------------

// Calls of which the recorder kept only the first few events, and how many it left out.
int EventsLeftOut(const std::string& scenario, int call) {
  return scenario == "metadata-stream" && call == 5 ? 1724 : 0;
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// A node cannot be asked to be quiet; this long is given to an extra message to show itself. It can
// only find faults, never make one.
constexpr std::chrono::milliseconds kQuiet{20};

template <typename Message>
testing::AssertionResult SameMessage(const std::string& found_bytes,
                                     const std::string& wanted_bytes,
                                     const std::function<void(Message*)>& blank) {
  Message found;
  Message wanted;
  if (!found.ParseFromString(found_bytes) || !wanted.ParseFromString(wanted_bytes)) {
    return testing::AssertionFailure() << "not a " << Message::descriptor()->full_name();
  }
  blank(&found);
  blank(&wanted);
  if (google::protobuf::util::MessageDifferencer::Equals(found, wanted)) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure()
         << "found  " << found.ShortDebugString() << "\nwanted " << wanted.ShortDebugString();
}

testing::AssertionResult SameFrame(const std::string& method, const std::string& found,
                                   const std::string& wanted) {
  if (method == "Read") {
    return SameMessage<wire::ReadResp>(found, wanted, [](wire::ReadResp* frame) {
      for (const Allowance& allowance : Allowances()) {
        allowance.blank(frame);
      }
    });
  }
  // The replies of appends and deletes have no allowance: they are the same bytes.
  if (found == wanted) {
    return testing::AssertionSuccess();
  }
  if (method == "BatchAppend") {
    return SameMessage<wire::BatchAppendResp>(found, wanted, [](auto*) {});
  }
  return SameMessage<wire::AppendResp>(found, wanted, [](auto*) {});
}

bool IsEvent(const std::string& bytes) {
  wire::ReadResp frame;
  return frame.ParseFromString(bytes) && frame.has_event();
}

class Replay : public testing::Test {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.directory = directory_.path();
    // A machine busy with other things must not make the live buffer overflow, which would be
    // right but is not what was recorded.
    options.live_frames = 4096;
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

void ReplayStatus(const std::string& scenario, int number, const Json& line, Open& open) {
  open.HalfCloseOnce();
  const int code = line.at("code");
  if (code == grpc::StatusCode::CANCELLED) {
    EXPECT_EQ(open.left_out, EventsLeftOut(scenario, number));
    if (!CutShort().contains({scenario, number})) {
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
  std::map<std::string, std::string> wanted;
  for (const auto& [key, value] : line.at("trailers").items()) {
    if (!HttpHeaders().contains(key)) {
      wanted.emplace(key, value.get<std::string>());
    }
  }
  EXPECT_EQ(open.call->Trailers(), wanted);
}

void Replay::ReplayFile(const std::string& scenario) {
  const std::string path = std::string(CATCHUP_CAPTURES) + "/" + scenario + ".jsonl";
  std::ifstream file(path);
  ASSERT_TRUE(file.is_open()) << path;
  std::map<int, Open> calls;
  std::string text;
  int frames = 0;
  for (int number = 1; std::getline(file, text) && !HasFailure(); ++number) {
    SCOPED_TRACE(scenario + ".jsonl:" + std::to_string(number));
    const Json line = Json::parse(text);
    const std::string dir = line.value("dir", "");
    if (!line.contains("call")) {
      continue;  // The header, a note or a claim.
    }
    const int id = line.at("call");
    Open& open = calls[id];
    if (dir == "call") {
      const std::string method = line.at("method");
      open.method = method.substr(method.rfind('/') + 1);
      open.call = std::make_unique<RawCall>(channel_, method);
    } else if (dir == "send") {
      const std::string message = FromHex(line.at("hex"));
      (void)open.call->Send(message);  // Fails where the call is over: the status tells.
      if (open.method == "Read") {
        wire::ReadReq request;
        ASSERT_TRUE(request.ParseFromString(message));
        open.is_subscription = request.options().has_subscription();
      }
      if (open.method != "Append") {
        open.HalfCloseOnce();
      }
    } else if (dir == "recv") {
      open.HalfCloseOnce();
      std::optional<std::string> frame = open.call->Receive();
      while (frame && EventsLeftOut(scenario, id) > 0 && !line.at("json").contains("event") &&
             IsEvent(*frame)) {
        ++open.left_out;
        frame = open.call->Receive();
      }
      ASSERT_TRUE(frame.has_value()) << (open.call->timed_out() ? "no message" : "the call ended")
                                     << ", wanted " << line.at("json");
      ASSERT_TRUE(SameFrame(open.method, *frame, FromHex(line.at("hex"))));
      open.caught_up = open.caught_up || line.at("json").contains("caught_up");
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
                               "metadata-stream"}) {
    ReplayFile(scenario);
    if (HasFailure()) {
      return;  // Every file builds on those before it.
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
      ASSERT_TRUE(call->Send(FromHex(line.at("hex"))));
      call->HalfClose();
    } else if (dir == "recv") {
      const std::optional<std::string> message = call->Receive();
      ASSERT_TRUE(message.has_value());
      ASSERT_TRUE(found->ParseFromString(*message));
      ASSERT_TRUE(wanted->ParseFromString(FromHex(line.at("hex"))));
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

// Differs: services that this server does not have, and the suffix of the version, which says that
// it is no node.
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
  expected.set_event_store_server_version("24.10.0-embedded");
  EXPECT_EQ(found.ShortDebugString(), expected.ShortDebugString());
}

}  // namespace
}  // namespace catchup::embedded
