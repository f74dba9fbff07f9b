#pragma once

#include <functional>
#include <string>
#include <thread>

#include "host/base/unique_fd.h"
#include "tests/loopback.h"

namespace catchup {

// Listens and never accepts: the kernel completes a connection on which nobody ever speaks.
class DeafListener {
 public:
  DeafListener();
  std::string address() const { return test::AddressOf(listener_); }

 private:
  UniqueFd listener_;
};

// A server below gRPC: it speaks just enough HTTP/2 to answer the first request of one connection
// with bytes of the test's choice, so that messages can break off where no gRPC server would let
// them.
class RawServer {
 public:
  // What to do once the request has come: `send` writes a DATA frame of the answer's body. When the
  // function returns the connection is closed. `peer_gone` blocks until the client has closed it.
  struct Answer {
    std::function<void(const std::string& body)> send;
    std::function<void()> peer_gone;
  };
  using Script = std::function<void(const Answer&)>;

  explicit RawServer(Script script);
  // One that answers with nothing but HTTP's "500 Internal Server Error".
  RawServer();
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::string address() const { return test::AddressOf(listener_); }

 private:
  void Serve();
  bool AwaitRequest(int fd);

  const Script script_;  // Null: see above.
  UniqueFd listener_;
  std::thread thread_;
};

}  // namespace catchup
