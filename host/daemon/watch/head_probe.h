#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/mutex.h"
#include "host/daemon/group/group_status.h"
#include "host/daemon/source/source_side.h"
#include "host/daemon/threads/reactor.h"

namespace catchup {

// Asks for the newest event of the log now and then, once for all groups: every 5 s while one of
// them moves, every 10 s while all are live, every minute where the server refuses it, never
// without one that lives. It is for a display and for subscriptions that are silent, so what fails
// is silent too; the groups say by themselves what they wait for.
//
// Of a cluster the leader is asked: of what another node knows nobody can say whether it is all.
// Where the groups are to be at the leader, too, it also finds out when their node has stopped
// being that, or serves no more, of which an open subscription may never hear: the question is
// refused there, and once another node is found that answers it, that is told. On the reactor.
class HeadProbe {
 public:
  using Clock = std::chrono::steady_clock;
  // Comes on the reactor.
  using Found = std::function<void(const std::optional<Witness>& head)>;
  // Comes on the reactor: what was open at `from` is to move to `to`.
  using Moved = std::function<void(const std::string& from, const std::string& to)>;

  // Null `moved`: the groups stay where they are. `reactor` must outlive it, and run no task of it
  // afterwards.
  HeadProbe(SourceSide::Services services, Reactor* reactor, Found found, Moved moved);
  HeadProbe(const HeadProbe&) = delete;
  HeadProbe& operator=(const HeadProbe&) = delete;

  // Asks if it is time to.
  void Look(const std::vector<GroupStatus>& groups, Clock::time_point now);
  // Source::ReadNext on this connection, which leads to where the server is now. Called back on any
  // thread, from outside. Any thread.
  void ReadNext(std::optional<Position> behind, const EventFilter& filter,
                Source::PlaceCallback callback);
  // Whoever this host is for the server is another now.
  void AccessChanged();

 private:
  Result<std::string> Address() CATCHUP_REQUIRES(on_reactor_);
  // Has the connection be one to there.
  Status Connect() CATCHUP_REQUIRES(on_reactor_);
  void OnAnswer(const Answer<std::optional<Witness>>& head, Clock::time_point asked_at)
      CATCHUP_REQUIRES(on_reactor_);

  const SourceSide::Services services_;
  Reactor& reactor_;
  const Found found_;
  const Moved moved_;
  Role on_reactor_;
  std::shared_ptr<Source> source_ CATCHUP_GUARDED_BY(on_reactor_);
  bool asked_ CATCHUP_GUARDED_BY(on_reactor_) = false;
  Clock::time_point next_ CATCHUP_GUARDED_BY(on_reactor_){};
  // The node that was asked last of those that answered, once it has refused.
  std::optional<std::string> left_ CATCHUP_GUARDED_BY(on_reactor_);
};

}  // namespace catchup
