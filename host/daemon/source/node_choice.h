#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/config/connection_settings.h"
#include "host/source/client/gossip.h"

namespace catchup {

// Which node of a cluster is connected to. Pure; `random` is 64 fresh random bits.

// The one of `members` that `preference` puts first, by chance among equals; null where none is
// alive and in a state in which it serves clients. In these orders, as the official clients have
// them:
//
//   kLeader           leader, follower, read-only replica, one becoming that, leaderless one
//   kFollower         follower, leader, the others as above
//   kReadOnlyReplica  read-only replica, one becoming that, leaderless one, leader, follower
//   kRandom           all alike
//
// Who prefers the leader gets another one where there is none. It refuses what only a leader may
// answer until it knows one.
//
// The one at the address `avoided`, empty for none, comes behind all others, unless the leader is
// preferred: no other will do in its place.
const ClusterMember* ChooseNode(std::span<const ClusterMember> members, NodePreference preference,
                                const std::string& avoided, std::uint64_t random);

// The order in which to ask: first what was heard of last, `members`, then those of `seeds` that
// are not among them, each by chance; `last` at the very end, as the one that was lost just now.
// Each address once.
std::vector<std::string> OrderOfAsking(std::span<const ClusterMember> members,
                                       std::span<const std::string> seeds, const std::string& last,
                                       std::uint64_t random);

}  // namespace catchup
