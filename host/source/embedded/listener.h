#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "host/base/host_port.h"
#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup::embedded {

// Whether Listener::Open() would find this address free, without listening on it.
Status CheckListenable(const ListenAddress& address);

// One in so many of the descriptors that this process may have, and kMostKept at the most, stay
// free for everything else it does: a connection that would take one of them waits. A flood of
// clients then keeps no file from being opened and no runner from being started.
inline constexpr unsigned kKeptPart = 16;
inline constexpr unsigned kMostKept = 16;

// No connection gets a descriptor with this number or a higher one, whatever the limit of this
// process: so many connections are a flood or a leak of a client's, and each costs memory.
inline constexpr int kMaxDescriptor = 16'384;

// Listens on every address that a name stands for, and hands over the connections of clients.
//
// A library's own listener is not used because it ends for good with the first connection that it
// has no descriptor for. Here a connection that there is nothing left for waits in the kernel's
// queue, its client waits with it, and both go on when there is room again; the log says when that
// begins and when it is over.
//
// Calls from one thread; the connections come on a thread of its own.
class Listener {
 public:
  // Takes a connection, ready for use: non-blocking, close-on-exec, without delay.
  using Take = std::function<void(UniqueFd)>;

  // Binds and listens; clients can connect, and wait until Start(). kUnavailable: one of the
  // addresses is in use, or none of them is this machine's. kInvalid: there is no such name.
  static Result<std::unique_ptr<Listener>> Open(const ListenAddress& address);

  // Stops.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::uint16_t port() const { return address_.port; }

  // Once. kExhausted: there is no thread to be had.
  Status Start(Take take);
  // Takes no more and closes the sockets; `take` is not called any more. A second call does
  // nothing.
  void Stop();

 private:
  Listener(ListenAddress address, std::vector<UniqueFd> sockets, UniqueFd wake);

  void Run();
  // Both true at the end: waits for a client, or at most so long.
  bool AwaitClient();
  bool Pause(int wait_ms);
  // Takes everybody who waits; false where there is no room for somebody.
  bool TakeAll();
  Status TakeFrom(int socket);

  const ListenAddress address_;
  std::vector<UniqueFd> sockets_;
  const UniqueFd wake_;  // Readable once the thread shall end.
  Take take_;
  std::thread thread_;

  // The thread's.
  std::vector<pollfd> waits_;  // The sockets, and last the end.
  bool short_ = false;         // Somebody waits for whom there was no room.
};

}  // namespace catchup::embedded
