#include "tests/source/cluster/cluster.h"

#include <algorithm>
#include <utility>

#include "host/base/check.h"
#include "host/base/host_port.h"
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
  return request.ParseFromString(call.message) &&
         !(request.options().has_subscription() && request.options().all().has_end());
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
  }
  JudgeAgain();
}

void Cluster::Depose() { Elect(-1); }

void Cluster::Isolate(int node) {
  {
    const std::lock_guard lock(mutex_);
    nodes_[static_cast<std::size_t>(node)].part = Part::kIsolated;
    leader_ = leader_ == node ? -1 : leader_;
  }
  JudgeAgain();
}

void Cluster::Kill(int node) {
  std::unique_ptr<Front> front;
  {
    const std::lock_guard lock(mutex_);
    Node& dead = nodes_[static_cast<std::size_t>(node)];
    dead.part = Part::kDead;
    front = std::move(dead.front);
    leader_ = leader_ == node ? -1 : leader_;
  }
  front.reset();  // Its calls ask for their fate while they end.
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
  const bool reads = call.method.ends_with(".Streams/Read") && ReadsPages(call);
  const bool wants_leader =
      call.Header("requires-leader") == "true" && (reads || call.method.ends_with("Append"));
  return wants_leader && leader_ != node ? Refuse(node) : fate;
}

std::string Cluster::Gossip(int node) const {
  const bool isolated = nodes_[static_cast<std::size_t>(node)].part == Part::kIsolated;
  ClusterInfo info;
  for (int other = 0; other < kNodes; ++other) {
    const bool up = nodes_[static_cast<std::size_t>(other)].part == Part::kUp;
    const bool seen = isolated ? other == node : up;
    MemberInfo& member = *info.add_members();
    member.set_is_alive(seen);
    member.set_state(isolated || !up    ? MemberInfo::Unknown
                     : other == leader_ ? MemberInfo::Leader
                     : leader_ < 0      ? MemberInfo::DiscoverLeader
                                        : MemberInfo::Follower);
    const auto place = ParseHostPort(addresses_[static_cast<std::size_t>(other)]);
    CATCHUP_CHECK(place.ok());
    member.mutable_http_end_point()->set_address(place->host);
    member.mutable_http_end_point()->set_port(*place->port);
  }
  return info.SerializeAsString();
}

Front::Fate Cluster::Refuse(int node) const {
  if (leader_ < 0 || nodes_[static_cast<std::size_t>(node)].part == Part::kIsolated) {
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
