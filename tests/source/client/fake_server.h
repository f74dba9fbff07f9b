#pragma once

#include <grpcpp/security/server_credentials.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tests/source/any_call_server.h"

namespace catchup {

// One call at the scripted server. Everything is raw bytes: what a script writes is what the client
// gets, well formed or not. Blocking; the script's thread only.
class FakeCall {
 public:
  explicit FakeCall(AnyCall* call) : call_(*call) {}

  const std::string& method() const { return call_.context.method(); }
  // A header of the request, empty when it is absent.
  std::string Header(const std::string& name) const;

  // The first name of the certificate that the client has shown; empty without one.
  std::string PeerIdentity() const;

  // The next message, or null once the client has sent its last.
  std::optional<std::string> Read();
  // False once the call is dead. Blocks while the client does not read.
  bool Write(const std::string& bytes);
  void AddTrailer(const std::string& name, const std::string& value);
  void Finish(const grpc::Status& status);
  // Blocks until the client has cancelled the call or its connection is gone.
  void AwaitCancel();

 private:
  friend class FakeServer;
  enum class Notice : std::intptr_t { kOver, kOperation };
  // Of what was asked of the stream last, or that the call is over.
  bool Await(Notice wanted);

  AnyCall& call_;
  bool finished_ = false;
  bool over_ = false;  // The notice that the call is over has come out of the queue.
};

// A server on a loopback port that runs `script` for every call, each on a thread of its own. A
// call that its script leaves open is closed with OK.
//
// Destroying it ends open calls, so scripts that wait for something else than their call hang it.
class FakeServer {
 public:
  using Script = std::function<void(FakeCall*)>;

  explicit FakeServer(Script script, const std::shared_ptr<grpc::ServerCredentials>& credentials =
                                         grpc::InsecureServerCredentials());

  std::string address() const { return server_.address(); }

 private:
  static void Run(const Script& script, AnyCall* call);

  AnyCallServer server_;
};

}  // namespace catchup
