#include "host/cli/find_node.h"

#include <poll.h>

#include <optional>

#include "host/base/mutex.h"
#include "host/base/wait.h"
#include "host/daemon/discovery.h"
#include "host/daemon/reactor.h"
#include "host/daemon/server_connection.h"
#include "host/source/client/source_threads.h"

namespace catchup {
namespace {

// Between two looks at whether the answer is there.
constexpr int kLookEveryMs = 20;

// What came of one round, handed over by the reactor.
class Round {
 public:
  void Set(const Answer<std::string>& node) {
    const MutexLock lock(&mutex_);
    node_ = node;
  }
  std::optional<Answer<std::string>> Get() {
    const MutexLock lock(&mutex_);
    return node_;
  }

 private:
  Mutex mutex_;
  std::optional<Answer<std::string>> node_ CATCHUP_GUARDED_BY(mutex_);
};

Result<Answer<std::string>> AwaitRound(Discovery* discovery, SignalInbox* signals) {
  const auto round = std::make_shared<Round>();
  discovery->Find([round](const Answer<std::string>& node) { round->Set(node); });
  while (true) {
    if (const auto node = round->Get()) {
      return *node;
    }
    pollfd wake{signals->fd(), POLLIN, 0};
    (void)PollOrPause(&wake, 1, kLookEveryMs);
    if (const auto signal = signals->Take(); signal.has_value()) {
      return Status::Cancelled("stopped by " + SignalName(signal->number));
    }
  }
}

}  // namespace

Result<std::string> FindNode(const SourceUri& uri, const std::shared_ptr<Credentials>& credentials,
                             SignalInbox* signals) {
  CATCHUP_ASSIGN_OR_RETURN(const std::shared_ptr<SourceThreads> threads, SourceThreads::Start(1));
  CATCHUP_ASSIGN_OR_RETURN(const std::unique_ptr<Reactor> reactor, Reactor::Create());
  Discovery discovery(AskNodes(uri, NodePreference::kLeader, credentials, threads), reactor.get());
  Status none;
  for (std::uint32_t round = 0; round < uri.settings.max_discover_attempts; ++round) {
    const auto node = AwaitRound(&discovery, signals);
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

}  // namespace catchup
