#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/status.h"

namespace catchup {

// Which node of a cluster is preferred, where there is a choice.
enum class NodePreference : std::uint8_t { kLeader, kFollower, kRandom, kReadOnlyReplica };

// How a server is reached and spoken to: the options behind the "?" of a connection string, with
// the defaults of the protocol's official clients. A value type.
struct ConnectionSettings {
  // The longest connection_name.
  static constexpr std::size_t kMaxName = 128;

  bool tls = true;                           // tls
  bool verify_certificate = true;            // tlsVerifyCert
  std::filesystem::path ca_file;             // tlsCaFile, as written; empty: the system's.
  std::filesystem::path certificate_file;    // userCertFile, as written, and its key: the client's
  std::filesystem::path key_file;            // own, both or neither.
  NodePreference node_preference{};          // nodePreference
  std::uint32_t max_discover_attempts = 10;  // maxDiscoverAttempts: rounds of questions.
  std::chrono::milliseconds discovery_interval{100};  // discoveryInterval: between two rounds.
  std::chrono::milliseconds gossip_timeout{5'000};    // gossipTimeout: of one question.
  // keepAliveInterval: silence before a ping; keepAliveTimeout: what its answer may take. Null: no
  // pings, and for the second: an answer is not waited for.
  std::optional<std::chrono::milliseconds> keepalive_interval{10'000};
  std::optional<std::chrono::milliseconds> keepalive_timeout{10'000};
  std::chrono::milliseconds deadline{
      10'000};                  // defaultDeadline: of calls that are no subscription.
  std::string connection_name;  // connectionName, printable ASCII; empty: ours.
};

// Reads "key=value&key=value" into `settings`; keys, and words among the values, in any case.
// Values are percent-decoded. All times are milliseconds. Whatever is valid and still likely a
// mistake is added to `warnings`.
//
// kInvalid for an unknown key, with the nearest known one; for a key given twice, a value that is
// none for its key, and a client certificate without its key. throwOnAppendFailure is checked and
// has no effect: what becomes of an append is its caller's business here.
Status ReadConnectionSettings(std::string_view query, ConnectionSettings* settings,
                              std::vector<std::string>* warnings);

}  // namespace catchup
