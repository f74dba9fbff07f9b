#pragma once

#include <filesystem>
#include <memory>

#include "host/admin/router.h"
#include "host/base/status.h"

namespace catchup {

// Serves a router over HTTP/1.1 on the control socket of a state directory (admin_socket.h), by one
// thread of its own. One request a connection; every answer is JSON and closes it. What a client
// may take of the host stands in limits.h: one that is slow, silent or sends garbage gets an error
// or is let go, and holds up nobody.
//
// While the socket cannot be made, or after its name was removed, it is made anew every second or
// two, with a warning for each reason: a host does not stop because nobody can command it.
class AdminServer {
 public:
  // The caller holds the lock of `directory` for as long as the server lives. `router` may be asked
  // on the server's thread only. kExhausted: no thread or descriptors to be had.
  static Result<std::unique_ptr<AdminServer>> Start(std::filesystem::path directory, Router router);

  // Lets every connection go, removes the socket. Replies may still come later, to nobody.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

 private:
  class Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace catchup
