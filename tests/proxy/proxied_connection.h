#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "host/base/unique_fd.h"
#include "tests/proxy/fault_proxy.h"
#include "tests/proxy/http2_frames.h"

namespace catchup {

// What the loop of a FaultProxy has of its connections.
namespace proxy {

using Clock = std::chrono::steady_clock;

constexpr std::size_t Index(FaultProxy::Direction direction) {
  return static_cast<std::size_t>(direction);
}

// Whether the peer has not got all yet that was sent to it.
bool HasUnsent(const UniqueFd& socket);

// Bytes that have come and wait for their turn.
struct Chunk {
  Clock::time_point arrived;
  std::string bytes;
  std::size_t passed = 0;
};

// One direction of one connection.
struct Pipe {
  std::deque<Chunk> held;
  std::size_t held_bytes = 0;
  bool ended = false;      // The side it comes from says nothing any more.
  bool end_told = false;   // The other side knows.
  bool blocked = false;    // The other side takes no more at the moment.
  Clock::time_point next;  // When a throttled one goes on.
};

struct Connection {
  // Where each direction ends: [kToServer] is the server's side.
  std::array<UniqueFd, 2> sides;
  std::array<Pipe, 2> pipes;
  bool connecting = true;
  bool over = false;
  // Ends so once the peers have all that was passed on.
  std::optional<FaultProxy::End> ending;
  // Nothing arrives, as where everything is swallowed.
  bool silent = false;
  Http2Frames frames;  // That have come to the client.
  // By this the calls that are answered are ended between two of them.
  std::optional<std::uint32_t> reset_calls;
  // Ended in good order: whatever still comes is read and dropped, since a close would reset.
  bool draining = false;

  const UniqueFd& From(FaultProxy::Direction direction) const {
    return sides[1 - Index(direction)];
  }
  const UniqueFd& To(FaultProxy::Direction direction) const { return sides[Index(direction)]; }

  // Turns to the server at `port` of this machine for `client`; neither socket waits for anything.
  void Begin(UniqueFd client, std::uint16_t port);
  // Sees whether the server has taken it or not.
  void FinishConnecting();
  // Ends it at once, or in good order behind what was passed on.
  void Reset();
  void Fin();
};

// What becomes of the connection that brings a direction's next bytes to `left`.
struct Cut {
  std::size_t left = 0;
  std::optional<FaultProxy::End> end;  // Null: it falls silent.
};

}  // namespace proxy

}  // namespace catchup
