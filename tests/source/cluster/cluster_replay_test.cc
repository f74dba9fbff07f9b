// Sends what a recorded client sent to the nodes of a real cluster to ours, asks at the same places
// for the same change of leader, and holds every message, status and trailer against what the nodes
// answered: first a leader that resigns, then, on the same logs, one that is killed.
//
// What cannot be the same, beside what tests/source/embedded/recorded_frames.cc names: the ports,
// each of which stands for one of our nodes everywhere; instance ids, likewise; times; how a
// client's library words a connection that is lost. What the nodes wrote by themselves is not
// recorded but for its size: the records before the first append, and one when a leader is elected.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "host/source/embedded/log_server.h"
#include "host/source/proto/gossip.pb.h"
#include "host/source/proto/streams.pb.h"
#include "tests/source/cluster/cluster.h"
#include "tests/source/cluster/log_filler.h"
#include "tests/source/embedded/raw_client.h"
#include "tests/source/embedded/recorded_frames.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

namespace wire = event_store::client::streams;
using embedded::RecordedMessage;
using embedded::RecordedTrailers;
using embedded::SameFrame;
using event_store::client::gossip::ClusterInfo;
using event_store::client::gossip::MemberInfo;
using Json = nlohmann::json;
using test::RawCall;

// Gossip names the nodes in this order.
constexpr int kFirstPort = 2123;
int NodeAt(int port) { return kFirstPort - port; }
int NodeAt(const std::string& address) {
  return NodeAt(std::stoi(address.substr(address.rfind(':') + 1)));
}

// What a recording does not say of itself.
struct Scenario {
  const char* name;
  // Whom a call is made to that begins at this line or behind it. Calls are numbered by node, so
  // that a number is that of one call at a time and of several in the file.
  std::map<int, int> port_by_first_line;
  int leader;  // Ports.
  int next;
  // The first append that the new leader takes.
  int elected_at_line;
  // Where the log ends behind what is written before it.
  std::uint64_t appended_up_to;
  std::uint64_t first_position;
};

Scenario Resign() {
  return {"cluster-resign",
          {{1, 2121},
           {15, 2122},
           {365, 2121},
           {410, 2122},
           {412, 2123},
           {423, 2122},
           {469, 2121},
           {475, 2123},
           {482, 2121},
           {530, 2122}},
          2122,
          2121,
          487,
          7651,
          8291};
}
Scenario Kill() {
  return {"cluster-kill",
          {{1, 2121},
           {8, 2122},
           {15, 2121},
           {365, 2122},
           {410, 2121},
           {412, 2122},
           {414, 2123},
           {425, 2121},
           {474, 2122},
           {480, 2123},
           {487, 2122},
           {540, 2121}},
          2121,
          2122,
          497,
          14992,
          15636};
}

// A status that the recording client's library made, and how it worded it.
bool IsOfALostConnection(const std::string& details) {
  return details == "Connection dropped" || details.starts_with("No connection established.");
}

// A node cannot be asked to be quiet; this long is given to an extra message to show itself. It can
// only find faults, never make one.
constexpr std::chrono::milliseconds kQuiet{20};

// One recorded call, while it is being replayed.
struct Open {
  std::string method;
  int node = 0;
  std::unique_ptr<RawCall> call;
  bool half_closed = false;
  int events = 0;  // Received, those that the recorder counted and did not keep among them.
  std::uint64_t last_revision = 0;
  bool is_over = false;

  bool IsOfStreams() const { return method.find(".Streams/") != std::string::npos; }
  bool IsRead() const { return IsOfStreams() && method.ends_with("/Read"); }

  void HalfCloseOnce() {
    if (!std::exchange(half_closed, true)) {
      call->HalfClose();
    }
  }
  std::optional<std::string> Receive() {
    HalfCloseOnce();
    const std::optional<std::string> bytes = call->Receive();
    wire::ReadResp frame;
    if (bytes && IsRead() && frame.ParseFromString(*bytes) && frame.has_event()) {
      const std::uint64_t revision = frame.event().event().stream_revision();
      EXPECT_TRUE(events == 0 || revision == last_revision + 1) << "an event is missing";
      ++events;
      last_revision = revision;
    }
    return bytes;
  }
  bool HasLeftOut(const std::string& bytes, const Json& line) const {
    wire::ReadResp frame;
    return IsRead() && !line.at("json").contains("event") && frame.ParseFromString(bytes) &&
           frame.has_event();
  }
};

class ClusterReplay : public testing::Test {
 protected:
  ClusterReplay() {
    embedded::ServerOptions options;
    options.directory = folder_.path();
    log_ = *embedded::EmbeddedServer::Start(options);
    LogFiller(log_.get()).FillTo("$$$scavenges", "$metadata", 1500, kOwnRecords);
    cluster_ = std::make_unique<Cluster>(log_->address());
    for (int node = 0; node < Cluster::kNodes; ++node) {
      channels_[static_cast<std::size_t>(node)] = test::Connect(cluster_->address(node));
    }
  }

  void ReplayFile(const Scenario& scenario);

 private:
  // Before the first append, beside the hidden one at the beginning of every log: the first page of
  // the first subscription considers 32 records, of which 28 were appended.
  static constexpr int kOwnRecords = 3;

  void ReplayCall(const Scenario& scenario, int number, const Json& line);
  void ReplayAnswer(const Json& line, Open& open);
  void ReplayGossip(const std::string& bytes, const Json& line, const Open& open);
  void ReplayStatus(const Json& line, Open& open);
  void ReplayTrailer(const Json& line, const Open& open) const;
  void ReplayNote(const Scenario& scenario, const Json& line);
  void ReplayLive(const Json& line);

  const TemporaryFolder folder_;
  std::unique_ptr<embedded::EmbeddedServer> log_;
  std::unique_ptr<Cluster> cluster_;
  std::array<std::shared_ptr<grpc::Channel>, Cluster::kNodes> channels_;
  std::map<int, Open> calls_;
  // By the recorded instance; and when a node was last alive, as (asked, of) says.
  std::map<std::int64_t, std::int64_t> instances_;
  std::map<std::pair<int, int>, std::int64_t> last_alive_;
};

void ClusterReplay::ReplayCall(const Scenario& scenario, int number, const Json& line) {
  if (number == scenario.elected_at_line) {
    LogFiller(log_.get(), scenario.appended_up_to)
        .FillTo("$epoch-information", "$epoch-information", scenario.first_position);
    cluster_->Elect(NodeAt(scenario.next));
  }
  const int id = line.at("call");
  calls_.erase(id);
  Open& open = calls_[id];
  open.method = line.at("method");
  open.node = NodeAt(std::prev(scenario.port_by_first_line.upper_bound(number))->second);
  open.call =
      std::make_unique<RawCall>(channels_[static_cast<std::size_t>(open.node)], open.method,
                                line.at("headers").get<std::map<std::string, std::string>>());
}

void ClusterReplay::ReplayAnswer(const Json& line, Open& open) {
  std::optional<std::string> bytes = open.Receive();
  while (bytes && open.HasLeftOut(*bytes, line)) {
    bytes = open.Receive();
  }
  ASSERT_TRUE(bytes.has_value()) << "no message, wanted " << line.at("json");
  if (open.IsOfStreams()) {
    ASSERT_TRUE(
        SameFrame(open.method.substr(open.method.rfind('/') + 1), *bytes, RecordedMessage(line)));
  } else {
    ReplayGossip(*bytes, line, open);
  }
}

void ClusterReplay::ReplayGossip(const std::string& bytes, const Json& line, const Open& open) {
  ClusterInfo found;
  ClusterInfo wanted;
  ASSERT_TRUE(found.ParseFromString(bytes));
  ASSERT_TRUE(wanted.ParseFromString(RecordedMessage(line)));
  ASSERT_EQ(found.members_size(), wanted.members_size());
  for (int node = 0; node < found.members_size(); ++node) {
    MemberInfo& ours = *found.mutable_members(node);
    MemberInfo& theirs = *wanted.mutable_members(node);
    EXPECT_EQ(ours.http_end_point().address() + ":" + std::to_string(ours.http_end_point().port()),
              cluster_->address(node));
    EXPECT_EQ(node, NodeAt(static_cast<int>(theirs.http_end_point().port())));
    ours.mutable_http_end_point()->set_port(theirs.http_end_point().port());
    ASSERT_TRUE(ours.instance_id().has_structured());
    const std::int64_t id = ours.instance_id().structured().most_significant_bits();
    EXPECT_EQ(instances_.emplace(theirs.instance_id().structured().most_significant_bits(), id)
                  .first->second,
              id);
    *ours.mutable_instance_id() = theirs.instance_id();
    // Both clocks are of this age; that of a node which is gone stands still.
    EXPECT_GT(ours.time_stamp(), theirs.time_stamp() / 2);
    EXPECT_LT(ours.time_stamp(), theirs.time_stamp() * 2);
    if (!ours.is_alive()) {
      const auto of = std::pair(open.node, node);
      EXPECT_EQ(last_alive_.emplace(of, ours.time_stamp()).first->second, ours.time_stamp());
    }
    ours.set_time_stamp(theirs.time_stamp());
  }
  EXPECT_EQ(found.ShortDebugString(), wanted.ShortDebugString());
}

void ClusterReplay::ReplayStatus(const Json& line, Open& open) {
  const int code = line.at("code");
  const std::string details = line.at("details");
  if (embedded::IsOfTheClient(code)) {
    open.call->Cancel();
    EXPECT_EQ(open.call->Finish().error_code(), grpc::StatusCode::CANCELLED);
    return;
  }
  const std::optional<std::string> extra = open.Receive();
  EXPECT_FALSE(extra.has_value()) << "a message more than recorded";
  const grpc::Status status = open.call->Finish();
  EXPECT_EQ(static_cast<int>(status.error_code()), code) << status.error_message();
  if (!IsOfALostConnection(details)) {
    EXPECT_EQ(status.error_message(), details);
  }
}

void ClusterReplay::ReplayTrailer(const Json& line, const Open& open) const {
  std::map<std::string, std::string> wanted = RecordedTrailers(line);
  if (const auto port = wanted.find("leader-endpoint-port"); port != wanted.end()) {
    const std::string address = cluster_->address(NodeAt(std::stoi(port->second)));
    port->second = address.substr(address.rfind(':') + 1);
  }
  EXPECT_EQ(open.call->Trailers(), wanted);
}

void ClusterReplay::ReplayNote(const Scenario& scenario, const Json& line) {
  const std::string text = line.at("text");
  if (text == "kill") {
    cluster_->Kill(NodeAt(scenario.leader));
  }
  if (text == "kill" || text == "resign") {
    cluster_->Choose(NodeAt(scenario.next));
  }
  if (text == "live before" || text == "live after") {
    ReplayLive(line);
  }
}

// What the subscriptions to the three nodes have had so far, and whether they are open.
void ClusterReplay::ReplayLive(const Json& line) {
  for (const char* index : {"0", "1", "2"}) {
    const Json& wanted = line.at(index);
    const int node = NodeAt(wanted.at("a").get<std::string>());
    SCOPED_TRACE("node " + std::to_string(node));
    Open* live = nullptr;
    for (auto& [id, open] : calls_) {
      live = open.IsRead() && open.node == node && !open.is_over ? &open : live;
    }
    const bool is_open = wanted.value("status", Json("still open")) == "still open";
    ASSERT_EQ(live != nullptr, is_open);
    if (live == nullptr) {
      continue;
    }
    while (live->events < wanted.at("events").get<int>()) {
      ASSERT_TRUE(live->Receive().has_value()) << "after " << live->events << " events";
    }
    EXPECT_FALSE(live->call->Receive(kQuiet).has_value()) << "a message more than recorded";
    EXPECT_TRUE(live->call->timed_out()) << "the call ended, and was not to";
  }
}

void ClusterReplay::ReplayFile(const Scenario& scenario) {
  std::ifstream file(std::string(CATCHUP_CAPTURES) + "/" + scenario.name + ".jsonl");
  ASSERT_TRUE(file.is_open()) << scenario.name;
  calls_.clear();
  cluster_->Elect(NodeAt(scenario.leader));
  std::string text;
  for (int number = 1; std::getline(file, text) && !HasFailure(); ++number) {
    SCOPED_TRACE(std::string(scenario.name) + ".jsonl:" + std::to_string(number));
    const Json line = Json::parse(text);
    const std::string dir = line.value("dir", "");
    if (dir == "note") {
      ReplayNote(scenario, line);
    } else if (dir == "call") {
      ReplayCall(scenario, number, line);
    }
    if (!line.contains("call")) {
      continue;
    }
    Open& open = calls_.at(line.at("call").get<int>());
    if (dir == "send") {
      (void)open.call->Send(RecordedMessage(line));  // Fails where it is over: the status tells.
      // An append has one event each; live frames of it may be recorded before its reply.
      if (!open.method.ends_with("/Append") || line.at("json").contains("proposed_message")) {
        open.HalfCloseOnce();
      }
    } else if (dir == "recv") {
      ReplayAnswer(line, open);
    } else if (dir == "status") {
      ReplayStatus(line, open);
      open.is_over = true;
    } else if (dir == "trailer") {
      ReplayTrailer(line, open);
    }
  }
}

TEST_F(ClusterReplay, AnswersLikeTheRecordedNodesWhoseLeaderResignsAndThenIsKilled) {
  ReplayFile(Resign());
  if (!HasFailure()) {
    ReplayFile(Kill());
  }
}

}  // namespace
}  // namespace catchup
