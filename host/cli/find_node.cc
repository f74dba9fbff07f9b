#include "host/cli/find_node.h"

#include <chrono>
#include <cstdint>
#include <utility>

#include "host/cli/await_answer.h"
#include "host/daemon/source/discovery.h"
#include "host/daemon/source/server_connection.h"
#include "host/daemon/threads/reactor.h"
#include "host/source/client/source_threads.h"

namespace catchup {
namespace {

// A round ends by itself: each question of it has the limit that the connection string sets.
constexpr std::chrono::hours kRoundLimit{24};

Result<std::string> FindLeader(const SourceUri& uri,
                               const std::shared_ptr<Credentials>& credentials,
                               SignalInbox* signals) {
  using Node = Answer<std::string>;
  CATCHUP_ASSIGN_OR_RETURN(const std::shared_ptr<SourceThreads> threads, SourceThreads::Start(1));
  CATCHUP_ASSIGN_OR_RETURN(const std::unique_ptr<Reactor> reactor, Reactor::Create());
  Discovery discovery(AskNodes(uri, NodePreference::kLeader, credentials, threads), reactor.get());
  Status none;
  for (std::uint32_t round = 0; round < uri.settings.max_discover_attempts; ++round) {
    const auto node = AwaitAnswer<Node>(
        [&](std::function<void(const Node&)> answer) { discovery.Find(std::move(answer)); },
        kRoundLimit, signals);
    if (!node.ok() || node->ok()) {
      reactor->Stop();
      return node.ok() ? Result<std::string>(**node) : node.status();
    }
    none = Status::Unavailable(node->end().text);
    if (IsRefusal(node->end().kind)) {
      none = Status(Status::Code::kDenied, node->end().text);
      break;
    }
  }
  reactor->Stop();
  return none;
}

}  // namespace

Result<LogTarget> OpenTarget(const SourceUri& uri, const std::shared_ptr<Credentials>& credentials,
                             SignalInbox* signals) {
  LogTarget target;
  if (uri.discover) {
    CATCHUP_ASSIGN_OR_RETURN(target.address, FindLeader(uri, credentials, signals));
    return target;
  }
  if (uri.kind == SourceUri::Kind::kServer) {
    target.address = uri.target();
    return target;
  }
  embedded::ServerOptions options;
  options.directory = uri.path;
  CATCHUP_ASSIGN_OR_RETURN(auto endpoint, embedded::OpenEmbedded(options));
  target.endpoint = std::move(endpoint);
  target.address = target.endpoint.address;
  return target;
}

}  // namespace catchup
