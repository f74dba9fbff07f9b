#include "tests/source/cluster/cluster.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "host/base/check.h"
#include "host/base/host_port.h"
#include "host/base/uuid.h"
#include "host/source/proto/gossip.pb.h"
#include "host/source/proto/streams.pb.h"

namespace catchup {
namespace {

namespace wire = event_store::client::streams;
using event_store::client::gossip::ClusterInfo;
using event_store::client::gossip::MemberInfo;

// A page of the log is read for it. Who registers at the end is never refused (protocol notes,
// 3.13), and neither is who is live already.
bool ReadsPages(const Front::Call& call) {
  wire::ReadReq request;
  return call.method.ends_with(".Streams/Read") && request.ParseFromString(call.message) &&
         !(request.options().has_subscription() && request.options().all().has_end());
}

bool Writes(const Front::Call& call) {
  return call.method.ends_with("Append") || call.method.ends_with(".Streams/Delete") ||
         call.method.ends_with(".Streams/Tombstone");
}

// What a node has sent of this call before it reads a page for it; null for nothing.
std::optional<std::string> BeforeThePage(const Front::Call& call) {
  wire::ReadReq request;
  if (!call.method.ends_with(".Streams/Read") || !request.ParseFromString(call.message) ||
      !request.options().has_subscription()) {
    return std::nullopt;
  }
  wire::ReadResp confirmation;
  confirmation.mutable_confirmation()->set_subscription_id(FormatUuid(RandomUuid()));
  return confirmation.SerializeAsString();
}

// As gossip has it: 100 ns since 1970.
std::int64_t Now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() / 100;
}

}  // namespace

Cluster::Cluster(const std::array<std::string, kNodes>& logs,
                 std::shared_ptr<grpc::ServerCredentials> tls)
    : tls_(tls != nullptr) {
  const auto credentials = tls_ ? std::move(tls) : grpc::InsecureServerCredentials();
  for (std::size_t node = 0; node < logs.size(); ++node) {
    nodes_[node].front = std::make_unique<Front>(logs[node], credentials);
    addresses_.push_back(nodes_[node].front->address());
  }
  JudgeAgain();
}

std::string Cluster::uri(const std::vector<int>& nodes, const std::string& options) const {
  std::string hosts;
  for (const int node : nodes) {
    hosts += (hosts.empty() ? "" : ",") + address(node);
  }
  const std::string scheme = nodes.size() == 1 ? "kurrentdb+discover://" : "kurrentdb://";
  return scheme + hosts + (tls_ ? "?tls=true" : "?tls=false") + options;
}

std::string Cluster::address(int node) const {
  const std::lock_guard lock(mutex_);
  return addresses_[static_cast<std::size_t>(node)];
}

void Cluster::Rename(int node, const std::string& host) {
  const std::lock_guard lock(mutex_);
  std::string& address = addresses_[static_cast<std::size_t>(node)];
  address = host + address.substr(address.rfind(':'));
}

void Cluster::AskForUsers(Front::Rule users) {
  {
    const std::lock_guard lock(mutex_);
    users_ = std::move(users);
  }
  JudgeAgain();
}

void Cluster::Elect(int node) {
  {
    const std::lock_guard lock(mutex_);
    leader_ = node;
    chosen_ = -1;
  }
  JudgeAgain();
}

void Cluster::Choose(int node) {
  {
    const std::lock_guard lock(mutex_);
    leader_ = -1;
    chosen_ = node;
  }
  JudgeAgain();
}

void Cluster::Depose() { Elect(-1); }

void Cluster::Isolate(int node) {
  {
    const std::lock_guard lock(mutex_);
    Leave(node, Part::kIsolated);
  }
  JudgeAgain();
}

void Cluster::Kill(int node) {
  std::unique_ptr<Front> front;
  {
    const std::lock_guard lock(mutex_);
    Leave(node, Part::kDead);
    front = std::move(nodes_[static_cast<std::size_t>(node)].front);
  }
  front.reset();  // Its calls ask for their fate while they end.
}

void Cluster::Leave(int node, Part part) {
  Node& self = nodes_[static_cast<std::size_t>(node)];
  self.part = part;
  self.gone_at = Now();
  leader_ = leader_ == node ? -1 : leader_;
  chosen_ = chosen_ == node ? -1 : chosen_;
}

void Cluster::HideLeader() {
  const std::lock_guard lock(mutex_);
  hides_leader_ = true;
}

int Cluster::calls(int node, const std::string& method) {
  const std::lock_guard lock(mutex_);
  const auto& calls = nodes_[static_cast<std::size_t>(node)].calls;
  return static_cast<int>(std::count(calls.begin(), calls.end(), method));
}

void Cluster::ReadOn(int node) {
  {
    const std::lock_guard lock(mutex_);
    reads_on_ = node;
  }
  JudgeAgain();
  const std::lock_guard lock(mutex_);
  reads_on_ = -1;
}

void Cluster::JudgeAgain() {
  for (int node = 0; node < kNodes; ++node) {
    Front* const front = nodes_[static_cast<std::size_t>(node)].front.get();
    if (front != nullptr) {
      front->SetRule([this, node](const Front::Call& call) { return Answer(node, call); });
    }
  }
}

Front::Fate Cluster::AnswerOpen(int node, const Front::Call& call) const {
  Front::Fate fate;
  if (reads_on_ == node && call.method.ends_with(".Streams/Read")) {
    return Refuse(node);
  }
  fate.swallows = nodes_[static_cast<std::size_t>(node)].part == Part::kIsolated;
  return fate;
}

Front::Fate Cluster::Answer(int node, const Front::Call& call) {
  const std::lock_guard lock(mutex_);
  if (users_ != nullptr) {
    const Front::Fate fate = users_(call);
    if (fate.ends || fate.answer != nullptr) {
      return fate;
    }
  }
  if (call.open) {
    return AnswerOpen(node, call);
  }
  Node& self = nodes_[static_cast<std::size_t>(node)];
  Front::Fate fate;
  self.calls.push_back(call.method);
  if (call.method.ends_with(".Gossip/Read")) {
    fate.answer = [bytes = Gossip(node)](const std::string&) { return bytes; };
    return fate;
  }
  if (Writes(call) && !KnowsLeader(node)) {
    return Refuse(node);
  }
  if (call.Header("requires-leader") == "true" && (ReadsPages(call) || Writes(call)) &&
      leader_ != node) {
    fate = Refuse(node);
    fate.last_words = KnowsLeader(node) ? BeforeThePage(call) : std::nullopt;
  }
  return fate;
}

bool Cluster::KnowsLeader(int node) const {
  return leader_ >= 0 && nodes_[static_cast<std::size_t>(node)].part != Part::kIsolated;
}

MemberInfo::VNodeState Cluster::StateOf(int other, int as_seen_by) const {
  if (nodes_[static_cast<std::size_t>(as_seen_by)].part == Part::kIsolated ||
      nodes_[static_cast<std::size_t>(other)].part != Part::kUp) {
    return MemberInfo::Unknown;
  }
  if (chosen_ >= 0) {
    const bool is_chosen = other == chosen_;
    return as_seen_by == chosen_ ? (is_chosen ? MemberInfo::PreLeader : MemberInfo::Unknown)
                                 : (is_chosen ? MemberInfo::Leader : MemberInfo::PreReplica);
  }
  return other == leader_ ? MemberInfo::Leader
         : leader_ < 0    ? MemberInfo::DiscoverLeader
                          : MemberInfo::Follower;
}

std::string Cluster::Gossip(int node) const {
  const Node& self = nodes_[static_cast<std::size_t>(node)];
  const bool isolated = self.part == Part::kIsolated;
  ClusterInfo info;
  for (int other = 0; other < kNodes; ++other) {
    const Node& its = nodes_[static_cast<std::size_t>(other)];
    const bool seen = isolated ? other == node : its.part == Part::kUp;
    MemberInfo& member = *info.add_members();
    auto& id = *member.mutable_instance_id()->mutable_structured();
    id.set_most_significant_bits(static_cast<std::int64_t>(its.id.most_significant()));
    id.set_least_significant_bits(static_cast<std::int64_t>(its.id.least_significant()));
    member.set_time_stamp(seen ? Now() : isolated ? self.gone_at : its.gone_at);
    member.set_is_alive(seen);
    member.set_state(StateOf(other, node));
    const auto place = ParseHostPort(addresses_[static_cast<std::size_t>(other)]);
    CATCHUP_CHECK(place.ok());
    member.mutable_http_end_point()->set_address(place->host);
    member.mutable_http_end_point()->set_port(*place->port);
  }
  return info.SerializeAsString();
}

Front::Fate Cluster::Refuse(int node) const {
  if (!KnowsLeader(node)) {
    return Front::Fate::End({grpc::StatusCode::UNAVAILABLE, "Server Is Not Ready"});
  }
  if (hides_leader_) {
    return Front::Fate::End({grpc::StatusCode::UNKNOWN, "No leader info available in response"});
  }
  const auto place = ParseHostPort(addresses_[static_cast<std::size_t>(leader_)]);
  CATCHUP_CHECK(place.ok());
  return Front::Fate::End({grpc::StatusCode::NOT_FOUND, "Leader info available"},
                          {{"exception", "not-leader"},
                           {"leader-endpoint-host", place->host},
                           {"leader-endpoint-port", std::to_string(*place->port)}});
}

}  // namespace catchup
