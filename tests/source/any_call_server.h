#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace catchup {

// The largest message that a server or a client of the tests takes.
inline constexpr int kMaxTestMessageBytes = 32 << 20;

// One call of a client, with what gRPC has for it.
struct AnyCall {
  grpc::GenericServerContext context;
  grpc::GenericServerAsyncReaderWriter stream{&context};
  // What has been asked of `stream` comes out here; and once, whenever that is, under the tag null,
  // that the call is over, whoever ended it.
  grpc::CompletionQueue queue;
};

// A gRPC server on a loopback port that knows no method and takes every call. It does not mind
// pings however often they come, as a node of the database does not.
//
// Destroying it ends open calls and waits for those who serve them.
class AnyCallServer {
 public:
  // Serves a call from its beginning, on a thread of that call's own. Returns once the call is
  // over: what was asked of its stream then comes out of the queue by itself.
  using Serve = std::function<void(AnyCall* call)>;

  AnyCallServer(Serve serve, const std::shared_ptr<grpc::ServerCredentials>& credentials);
  ~AnyCallServer();
  AnyCallServer(const AnyCallServer&) = delete;
  AnyCallServer& operator=(const AnyCallServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  // A call and its thread, both until the end of the server.
  struct Served {
    AnyCall call;
    std::thread thread;
  };

  void Accept();
  // Asks for the next call; null when the server is going away.
  Served* AwaitNext();

  const Serve serve_;
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
