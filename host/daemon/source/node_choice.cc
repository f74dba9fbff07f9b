#include "host/daemon/source/node_choice.h"

#include <algorithm>
#include <array>
#include <random>

namespace catchup {
namespace {

using State = ClusterMember::State;
using Order = std::array<State, 5>;

constexpr Order kLeaderFirst = {State::kLeader, State::kFollower, State::kReadOnlyReplica,
                                State::kPreReadOnlyReplica, State::kReadOnlyLeaderless};
constexpr Order kFollowerFirst = {State::kFollower, State::kLeader, State::kReadOnlyReplica,
                                  State::kPreReadOnlyReplica, State::kReadOnlyLeaderless};
constexpr Order kReplicaFirst = {State::kReadOnlyReplica, State::kPreReadOnlyReplica,
                                 State::kReadOnlyLeaderless, State::kLeader, State::kFollower};

// Behind every one of an order.
constexpr std::size_t kLastRank = std::tuple_size_v<Order>;

// The smaller the better.
std::size_t Rank(State state, NodePreference preference) {
  const Order* order = nullptr;
  switch (preference) {
    case NodePreference::kLeader:
      order = &kLeaderFirst;
      break;
    case NodePreference::kFollower:
      order = &kFollowerFirst;
      break;
    case NodePreference::kReadOnlyReplica:
      order = &kReplicaFirst;
      break;
    case NodePreference::kRandom:
      return 0;
  }
  return static_cast<std::size_t>(std::find(order->begin(), order->end(), state) - order->begin());
}

}  // namespace

const ClusterMember* ChooseNode(std::span<const ClusterMember> members, NodePreference preference,
                                const std::string& avoided, std::uint64_t random) {
  const auto rank_of = [&](const ClusterMember& member) {
    const bool last = preference != NodePreference::kLeader && member.address == avoided;
    return last ? kLastRank : Rank(member.state, preference);
  };
  std::vector<const ClusterMember*> best;
  for (const ClusterMember& member : members) {
    if (!member.alive || member.state == State::kOther) {
      continue;
    }
    const std::size_t rank = rank_of(member);
    if (!best.empty() && rank < rank_of(*best.front())) {
      best.clear();
    }
    if (best.empty() || rank == rank_of(*best.front())) {
      best.push_back(&member);
    }
  }
  return best.empty() ? nullptr : best[random % best.size()];
}

std::vector<std::string> OrderOfAsking(std::span<const ClusterMember> members,
                                       std::span<const std::string> seeds, const std::string& last,
                                       std::uint64_t random) {
  std::mt19937_64 chance(random);
  std::vector<std::string> order;
  const auto add = [&order](const std::string& address) {
    if (std::find(order.begin(), order.end(), address) == order.end()) {
      order.push_back(address);
    }
  };
  for (const ClusterMember& member : members) {
    add(member.address);
  }
  const auto known = static_cast<std::ptrdiff_t>(order.size());
  for (const std::string& seed : seeds) {
    add(seed);
  }
  std::shuffle(order.begin(), order.begin() + known, chance);
  std::shuffle(order.begin() + known, order.end(), chance);
  std::stable_partition(order.begin(), order.end(),
                        [&last](const std::string& address) { return address != last; });
  return order;
}

}  // namespace catchup
