#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "host/base/unique_fd.h"

namespace catchup {

// What is done to the bytes of one direction.
struct Fault {
  enum class Kind : std::uint8_t {
    kPass,
    kDelay,     // Each byte arrives `delay` later.
    kThrottle,  // At most `bytes_per_second`.
    kSlice,     // One byte a segment.
    kSwallow,   // Nothing arrives, an end of the other side neither, and nobody is told.
  };

  Kind kind = Kind::kPass;
  std::chrono::milliseconds delay{};
  std::size_t bytes_per_second = 0;
};

// A network that fails on demand: listens on a loopback port and relays each connection to a
// server, byte by byte, with whatever the test has put in the way.
//
//   FaultProxy network(server.address());
//   network.Set({.kind = Fault::Kind::kSwallow});   // both ways: open, and silent
//   network.Reset();                                // every connection, with RST
//   network.Refuse();                               // and the next ones, until Accept()
//
// Faults are of a direction and hold for open connections and new ones alike, from the next byte
// on. What the proxy has taken and not passed on yet is bounded, so a slow or silent direction
// pushes back as a network does. Its port stays its own while it refuses.
//
// A fault loses nothing: what it holds up goes on once it is over, as the segments of a connection
// that outlives an outage do.
//
// Calls from any one thread; each has taken effect when it returns.
class FaultProxy {
 public:
  // As seen from the client.
  enum class Direction : std::uint8_t { kToServer, kToClient };

  // How a connection ends, on both of its sides.
  enum class End : std::uint8_t {
    kFin,    // In good order, behind what was passed on.
    kReset,  // At once.
  };

  // `server` is "127.0.0.1:PORT"; it need not be there yet.
  explicit FaultProxy(const std::string& server);
  // Resets what is open.
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  // Where clients connect to.
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  void Set(Direction direction, Fault fault);
  // Both ways.
  void Set(Fault fault);
  // No fault in either direction, and no connection that has fallen silent.
  void Heal();

  // Ends every connection that is open.
  void EndAll(End end);
  void Reset() { EndAll(End::kReset); }
  void Fin() { EndAll(End::kFin); }

  // Ends the connection that brings the direction's next bytes to `bytes`, which are counted over
  // all connections: not one more arrives. Once.
  void CutAfter(Direction direction, std::size_t bytes, End end);
  // The connection that it is falls silent instead: of it alone everything is swallowed, both ways.
  void SilenceAfter(Direction direction, std::size_t bytes);

  // Ends every call of HTTP/2 that is being answered, by RST_STREAM with `code` and nothing else,
  // as soon as the frame under way is whole. The connections stay, and the server is not told.
  void ResetCalls(std::uint32_t code);

  // New connections are refused by the kernel, or taken again. Open ones go on.
  void Refuse();
  void Accept();

  // Connects to another server from now on; open connections stay with the old one.
  void Redirect(const std::string& server);

  struct Counts {
    std::size_t accepted = 0;  // Connections so far.
    std::size_t open = 0;      // Of these.
    std::size_t silent = 0;    // Of the open ones, by SilenceAfter.
    std::size_t calls_reset = 0;
    std::uint64_t to_server = 0;
    std::uint64_t to_client = 0;  // Bytes passed on so far.
  };
  // With all that a peer has seen.
  Counts counts() const;

  // False when `reached` did not hold for any counts within 30 s.
  bool Await(const std::function<bool(const Counts&)>& reached) const;

 private:
  class Loop;

  std::uint16_t port_ = 0;
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace catchup
