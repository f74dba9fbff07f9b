#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "host/base/event_size.h"
#include "host/base/host_port.h"
#include "host/base/status.h"
#include "host/source/embedded/data_directory.h"

namespace catchup::embedded {

// The largest append of the recorded node line, which refuses more in one call.
inline constexpr std::uint64_t kDefaultMaxAppendBytes = 1 << 20;
static_assert(kDefaultMaxAppendBytes <= kMaxAppendBytes);

// Frames that a live subscription may have waiting before it reads the log again, as on a node.
inline constexpr std::size_t kDefaultLiveFrames = 32;

// A node's own: after so long without a byte of a client it pings, and after as long again without
// an answer it gives the connection up.
inline constexpr std::chrono::milliseconds kDefaultServerKeepalive{10'000};

// For calls that are about to end anyway when the server stops. A node takes 5 s, which nobody who
// ends a program of his own wants to wait.
inline constexpr std::chrono::milliseconds kDefaultShutdownGrace{50};

struct ServerOptions {
  std::filesystem::path directory;  // Created if missing; see data_directory.h for its files.
  ListenAddress listen{"127.0.0.1", 0};
  std::uint64_t max_append_bytes = kDefaultMaxAppendBytes;
  std::size_t live_frames = kDefaultLiveFrames;
  std::chrono::milliseconds keepalive = kDefaultServerKeepalive;
  std::chrono::milliseconds shutdown_grace = kDefaultShutdownGrace;
};

// An event log of its own behind the wire protocol of KurrentDB: for development, first runs and
// tests. NOT FOR PRODUCTION: one file on one machine, no replication, no TLS, no authentication, no
// scavenging. To a client it is a single node without TLS: frames, their order, checkpoint cadence,
// errors and trailers are those of a recorded node, and what was acknowledged survives a kill of
// the process (see event_log.h).
//
// Where it differs, on purpose:
//
//   - Of a node's services it has Streams, Gossip and ServerFeatures, and lists these three. A call
//     of another one ends as UNIMPLEMENTED "Service is unimplemented.": no group uses persistent
//     subscriptions, projections or monitoring; there are no users to manage, no chunks to scavenge
//     or redact, and no other node to resign to (Operations). The second protocol
//     (kurrentdb.protocol.v2) is that of later nodes.
//   - It speaks HTTP/2 alone: no pages, no AtomPub, no /health/live, /stats or /subscriptions. A
//     client that asks for one over HTTP/1.1 loses that connection, and no other.
//   - Filter patterns are RE2's, without look-ahead, look-behind and back references.
//   - Calls that are open at Shutdown() have less time to end (kDefaultShutdownGrace).
//   - A `$all` read of 0 events stays open without burning a core.
//   - A failure that has to name a stream in a trailer is UNKNOWN where the name is not printable
//     ASCII. The web server that a node is built on ends such a call with HTTP 500, which clients
//     call UNKNOWN, too, or behind the first frame with RST_STREAM.
//
// Runs on threads of its own: two for calls, one that writes, one that accepts connections. Calls
// of this class from one thread.
class EmbeddedServer {
 public:
  // Owns the directory from here on: kInUse names the process that has it. kInvalid for an address
  // that nobody knows, kUnavailable for one that cannot be listened on.
  static Result<std::unique_ptr<EmbeddedServer>> Start(const ServerOptions& options);

  // Shuts down.
  ~EmbeddedServer();
  EmbeddedServer(const EmbeddedServer&) = delete;
  EmbeddedServer& operator=(const EmbeddedServer&) = delete;

  // "host:port" as listened on, with the port that port 0 became.
  const std::string& address() const;
  // "host:port" to connect to: differs from address() where that is a wildcard.
  const std::string& endpoint() const;

  // Takes no more connections and calls, tells clients so (GOAWAY), and ends the connections that
  // still have calls after `shutdown_grace`, by RST and without a status, as a node does. Writes
  // what was submitted, closes the log and gives up the directory. A second call does nothing.
  void Shutdown();

  // Writes one event into stream `stream`, whatever its revision, past every check that a client's
  // append meets: for tests that need records only a node itself would write.
  Status Seed(const std::string& stream, const std::string& type, const std::string& data);
  // Writes a record that no read shows and that the end of the log counts, as a node does by itself
  // whenever it becomes the leader.
  Status SeedHidden();

 private:
  class Impl;
  explicit EmbeddedServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

// How to reach the log of a directory: through its owner, wherever that runs, or through a server
// of our own.
struct EmbeddedEndpoint {
  std::string address;                     // "host:port"
  std::unique_ptr<EmbeddedServer> server;  // Set when this process is the owner.
};

// What `uri = "embedded:PATH"` asks for: the endpoint of a live owner of the directory, else opens
// the log here and serves it. Two processes that do this at once agree on one owner.
// `owner_patience` is for an owner that is only starting.
Result<EmbeddedEndpoint> OpenEmbedded(
    const ServerOptions& options,
    std::chrono::milliseconds owner_patience = DataDirectory::kStartWait);

// What OpenEmbedded would say, found without creating, locking or changing anything. An owner
// elsewhere is no fault.
struct EmbeddedLook {
  std::string note;  // Who owns the log, if somebody does; then the rest was not looked at.
  Status log;        // What is wrong with the directory or its files.
  Status listen;     // What is wrong with the address.
};
EmbeddedLook LookAtEmbedded(const ServerOptions& options);

// Whether `directory` holds a log, which OpenEmbedded would make otherwise. Changes nothing.
bool LogExists(const std::filesystem::path& directory);

// Where the log of `directory` is served now, if it is; looks at two small files and waits for
// nothing. For who was told by OpenEmbedded to use another process, which may have moved since.
std::optional<std::string> LiveEmbeddedAddress(const std::filesystem::path& directory);

}  // namespace catchup::embedded
