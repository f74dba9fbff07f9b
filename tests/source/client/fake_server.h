#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace catchup {

// One call at the scripted server. Everything is raw bytes: what a script writes is what the client
// gets, well formed or not. Blocking; the script's thread only.
class FakeCall {
 public:
  FakeCall(grpc::GenericServerContext* context, grpc::GenericServerAsyncReaderWriter* stream,
           grpc::CompletionQueue* queue)
      : context_(context), stream_(stream), queue_(queue) {}

  const std::string& method() const { return context_->method(); }
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
  bool Await(int tag);

  grpc::GenericServerContext* context_;
  grpc::GenericServerAsyncReaderWriter* stream_;
  grpc::CompletionQueue* queue_;
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
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  struct Served;

  void Accept();
  // Asks for the next call; null when the server is going away.
  Served* AwaitNext();
  void Serve(Served* served);

  const Script script_;
  int port_ = 0;
  grpc::AsyncGenericService service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Served>> calls_;  // The accepting thread's, until it is joined.
  std::thread accepting_;
};

}  // namespace catchup
