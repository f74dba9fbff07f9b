#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/end_of_call.h"
#include "host/base/mutex.h"
#include "host/config/connection_settings.h"
#include "host/daemon/threads/reactor.h"
#include "host/source/client/gossip.h"
#include "host/source/source.h"

namespace catchup {

// Knows which node of a cluster to connect to, for all that connect to it.
//
// Somebody who wants a node and knows none asks. Then one after the other is asked who is in the
// cluster, those that were heard of last and then the seeds, until one of them names a node that
// can be connected to: that is a round. Rounds are made only while somebody waits for one, and all
// that wait get the answer of the same one. From one to the next `interval` passes at least; once
// `attempts` in a row have found nothing, 5 s. It never gives up.
//
// What it has found counts until somebody says that it is lost. On the reactor.
class Discovery {
 public:
  using Members = Answer<std::vector<ClusterMember>>;
  struct Services {
    std::vector<std::string> seeds;  // "host:port", one at least.
    NodePreference preference{};
    std::uint32_t attempts = 0;
    std::chrono::milliseconds interval{};
    // Asks the node at an address; `answer` comes once, on any thread. What is returned cuts the
    // question short when it goes, and is kept until the answer is there.
    std::function<std::shared_ptr<void>(const std::string& address,
                                        std::function<void(const Members&)> answer)>
        ask;
    // Fresh random bits.
    std::function<std::uint64_t()> random;
  };

  // `reactor` must outlive it, and run no task of it afterwards.
  Discovery(Services services, Reactor* reactor);
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  // The address of the node to connect to; null: it has to be looked for. Any thread.
  std::optional<std::string> known();

  // Calls back on the reactor, once: with the node, after a round if need be, or with why that has
  // found none. The number is for Forget. Any thread; waits for nothing.
  using Callback = std::function<void(const Answer<std::string>& node)>;
  using Number = std::uint64_t;
  Number Find(Callback callback);
  // Whoever asked wants to know it no more, and is told that it was cut short, if it was not told
  // anything yet. Any thread.
  void Forget(Number number);

  // The node at `address` did not serve, so it has to be looked for again, if it is the one that is
  // known. Any thread.
  void Lost(const std::string& address);

  // The node at `address` takes calls and keeps back what they should bring: it is lost, and the
  // last that is chosen for the next 5 minutes, whatever the others say of it, but for the leader
  // where that is wanted. Of several that are silent the last one counts. Any thread.
  void Silent(const std::string& address);

  // From one round to the next, of which so many in a row have found nothing.
  static std::chrono::nanoseconds PauseAfter(std::uint32_t failed_rounds, std::uint32_t attempts,
                                             std::chrono::milliseconds interval);

 private:
  using Clock = std::chrono::steady_clock;

  // Answers who waits, or sees to the next round.
  void Serve() CATCHUP_REQUIRES(on_reactor_);
  std::string ToAvoid();
  void BeginRound() CATCHUP_REQUIRES(on_reactor_);
  void AskNext() CATCHUP_REQUIRES(on_reactor_);
  void OnMembers(const std::string& asked, const Members& members) CATCHUP_REQUIRES(on_reactor_);
  void Found(const ClusterMember& node, const std::string& asked) CATCHUP_REQUIRES(on_reactor_);
  void FoundNone(EndClass why) CATCHUP_REQUIRES(on_reactor_);
  void AnswerAll(const Answer<std::string>& node) CATCHUP_REQUIRES(on_reactor_);

  const Services services_;
  Reactor& reactor_;
  Role on_reactor_;

  Mutex mutex_;
  std::optional<std::string> known_ CATCHUP_GUARDED_BY(mutex_);
  // The last one that was. It is asked last: it may not be there.
  std::string lost_ CATCHUP_GUARDED_BY(mutex_);
  // The last one that was, and until when it is chosen last: it may say well who is in the cluster.
  std::string silent_ CATCHUP_GUARDED_BY(mutex_);
  Clock::time_point silent_until_ CATCHUP_GUARDED_BY(mutex_){};
  Number last_number_ CATCHUP_GUARDED_BY(mutex_) = 0;

  std::map<Number, Callback> waiting_ CATCHUP_GUARDED_BY(on_reactor_);
  std::optional<Reactor::TimerId> timer_ CATCHUP_GUARDED_BY(on_reactor_);
  Clock::time_point last_round_ CATCHUP_GUARDED_BY(on_reactor_){};   // When it began.
  std::uint32_t failed_rounds_ CATCHUP_GUARDED_BY(on_reactor_) = 0;  // Since a node was found.
  std::vector<ClusterMember> members_ CATCHUP_GUARDED_BY(on_reactor_);
  std::string told_ CATCHUP_GUARDED_BY(on_reactor_);  // The node that the log names.

  // The round under way.
  std::vector<std::string> to_ask_ CATCHUP_GUARDED_BY(on_reactor_);  // The next one last.
  std::string tried_ CATCHUP_GUARDED_BY(on_reactor_);                // What came of the others.
  bool round_ CATCHUP_GUARDED_BY(on_reactor_) = false;
  std::shared_ptr<void> question_ CATCHUP_GUARDED_BY(on_reactor_);
};

}  // namespace catchup
