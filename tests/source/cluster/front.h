#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/server_credentials.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/source/any_call_server.h"

namespace catchup {

// What stands before an embedded log and makes a node of the database of it: real calls pass
// through it byte for byte, with their headers, statuses and trailers, unless a rule of the test
// says what becomes of them. So a test of what the embedded log lacks (users, roles) has real calls
// that fail, on the real gRPC.
//
// On a loopback port, each call on a thread of its own. All functions: any thread.
class Front {
 public:
  // What a rule sees of a call: its first message has come, or the client has half-closed.
  struct Call {
    std::string method;  // "/event_store.client.streams.Streams/Read"
    std::string message;
    std::vector<std::pair<std::string, std::string>> headers;
    bool open = false;  // It has passed before, and is judged by a rule that was set later.

    // Empty when it is absent.
    std::string Header(const std::string& name) const;
  };

  // What becomes of a call. As it is made: it passes.
  struct Fate {
    // It ends with these, without having reached the log.
    bool ends = false;
    grpc::Status status;
    std::vector<std::pair<std::string, std::string>> trailers;
    // What is sent before that; null for nothing. Only for a call that is new.
    std::optional<std::string> last_words;
    // The call stays open and silent: what the log sends from now on does not come through.
    bool swallows = false;
    // Each message of the client is answered so, and none reaches the log.
    std::function<std::string(const std::string& message)> answer;

    static Fate End(grpc::Status status,
                    std::vector<std::pair<std::string, std::string>> trailers = {});
  };
  // Called on the threads of calls.
  using Rule = std::function<Fate(const Call& call)>;

  // `log` is "host:port" of a server in the clear.
  explicit Front(const std::string& log,
                 const std::shared_ptr<grpc::ServerCredentials>& credentials =
                     grpc::InsecureServerCredentials());

  std::string address() const { return server_.address(); }

  // Holds for calls from now on. One that is open and that it ends, ends, and one that it swallows
  // is silent from now on.
  void SetRule(Rule rule);

  // How many calls the rules have ended so far.
  int ended();

 private:
  class Relay;

  void Serve(AnyCall* call);
  Fate Judge(const Call& call);
  // The connection to the log that calls from this address of a client go over.
  std::shared_ptr<grpc::Channel> LogFor(const std::string& client);

  const std::string log_;
  std::mutex mutex_;
  // One for each of a client's, since a server takes no more than 100 calls on one.
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
  Rule rule_;
  int ended_ = 0;
  std::vector<std::shared_ptr<Relay>> relays_;  // Of every call so far: a new rule may mean any.
  AnyCallServer server_;                        // Last: its threads use the rest.
};

}  // namespace catchup
