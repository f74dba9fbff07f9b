#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "host/base/uuid.h"
#include "host/source/proto/gossip.pb.h"
#include "tests/source/cluster/front.h"

namespace catchup {

// A cluster of three nodes before one log, so that each of them holds every event at once, or
// before one log each, so that some lag behind others as the test wants. What a node answers
// depends on its part (protocol notes; [M]: as measured on a real cluster):
//
//   Gossip/Read               all three, as this node sees them                        2.7, 5.2
//   leader                    takes everything
//   follower                  a read that requires the leader, and an append that does, end as
//                             not-leader, with where the leader is, a subscription after its
//                             confirmation [M]; it takes all others, and hands appends on
//                                                                                      3.13, 7.1
//   no leader is known        these end as UNAVAILABLE "Server Is Not Ready", and so does every
//                             append [M]                                               3.13
//   about to lead             likewise; to itself it is PreLeader among Unknowns, to the others,
//                             who call themselves PreReplica, it is the Leader already [M]
//   isolated                  likewise; it calls itself Unknown, the others dead, and what is open
//                             at it stays open and silent [M]                          3.13
//   dead                      its connections are reset and nobody listens             3.14
//
// A leader that resigns keeps its subscriptions, and they go on [M] (3.13). One thread, but for
// calls().
class Cluster {
 public:
  static constexpr int kNodes = 3;

  // `log` is "host:port" of a server in the clear; so are the nodes unless they have certificates.
  // Node 0 leads.
  explicit Cluster(const std::string& log, std::shared_ptr<grpc::ServerCredentials> tls = nullptr)
      : Cluster(std::array{log, log, log}, std::move(tls)) {}
  // A log for each node.
  explicit Cluster(const std::array<std::string, kNodes>& logs,
                   std::shared_ptr<grpc::ServerCredentials> tls = nullptr);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  std::string address(int node) const;
  // A connection string that names these nodes.
  std::string uri(const std::vector<int>& nodes, const std::string& options = "") const;

  // From now on `node` leads, and whoever led before follows.
  void Elect(int node);
  // Nobody leads any more, and `node` is about to.
  void Choose(int node);
  // Nobody leads any more.
  void Depose();
  // The network leaves `node` to itself.
  void Isolate(int node);
  void Kill(int node);
  // The name by which `node` is known from now on, in place of 127.0.0.1.
  void Rename(int node, const std::string& host);
  // From now on each call is judged by this first, which ends or answers it if it does not like who
  // makes it (users.h).
  void AskForUsers(Front::Rule users);
  // From now on nobody says where the leader is when he refuses.
  void HideLeader();
  // Ends the reads that are open at `node` as it ends new ones: their next page is read.
  void ReadOn(int node);

  // How many calls of this method `node` has had.
  int calls(int node, const std::string& method);

 private:
  enum class Part { kUp, kIsolated, kDead };
  struct Node {
    std::unique_ptr<Front> front;
    Uuid id = RandomUuid();  // Its instance.
    Part part = Part::kUp;
    std::int64_t gone_at = 0;        // As gossip has times; once it is not up any more.
    std::vector<std::string> calls;  // Their methods.
  };

  // Has what is open judged by what is so now.
  void JudgeAgain();
  Front::Fate Answer(int node, const Front::Call& call);
  Front::Fate AnswerOpen(int node, const Front::Call& call) const;
  bool KnowsLeader(int node) const;
  event_store::client::gossip::MemberInfo::VNodeState StateOf(int other, int as_seen_by) const;
  std::string Gossip(int node) const;
  Front::Fate Refuse(int node) const;
  // Takes `node` out of the cluster as it has become.
  void Leave(int node, Part part);

  const bool tls_;
  mutable std::mutex mutex_;  // For what follows.
  std::vector<std::string> addresses_;
  int leader_ = 0;   // -1: nobody.
  int chosen_ = -1;  // Who is about to lead; -1: nobody.
  bool hides_leader_ = false;
  Front::Rule users_;  // Null: anybody may do anything.
  int reads_on_ = -1;  // The node whose open reads read their next page now.
  std::vector<Node> nodes_{kNodes};
};

}  // namespace catchup
