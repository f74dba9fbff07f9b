#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/status.h"
#include "host/source/client/connection_options.h"
#include "host/source/client/source_threads.h"
#include "host/source/source.h"

namespace catchup {

// One node of a cluster, as a node of it says.
struct ClusterMember {
  enum class State : std::uint8_t {
    kLeader,
    kFollower,
    kReadOnlyReplica,
    kPreReadOnlyReplica,
    kReadOnlyLeaderless,
    kOther,  // On its way to one of these, or out: it serves nobody.
  };

  std::string address;  // "host:port" that it wants clients to use, which may not be where it is.
  State state = State::kOther;
  std::string state_name;  // In the database's own words, as "Leader".
  bool alive = false;
};

// No cluster has more; what a node says beyond that is not taken.
inline constexpr std::size_t kMaxClusterMembers = 64;

// The members in a node's answer, in its order, without those that name no address that a client
// could use. kInvalid for bytes that are no such answer.
Result<std::vector<ClusterMember>> ParseGossip(std::string_view message);

// The question to one node who is in its cluster. It has a connection of its own.
class GossipQuestion {
 public:
  // Comes once, on the thread that serves the question, also after it was cut short.
  using Callback = std::function<void(const Answer<std::vector<ClusterMember>>& members)>;

  // Asks; waits for nothing. The answer takes no longer than the deadline of `options`.
  GossipQuestion(const ConnectionOptions& options, std::shared_ptr<SourceThreads> threads,
                 Callback callback);
  // Cuts the question short, and waits until the callback has returned. Not from inside it, and not
  // while its thread could wait for the caller.
  ~GossipQuestion();
  GossipQuestion(const GossipQuestion&) = delete;
  GossipQuestion& operator=(const GossipQuestion&) = delete;

 private:
  class Call;

  const std::shared_ptr<SourceThreads> threads_;
  const std::unique_ptr<Call> call_;
};

}  // namespace catchup
