#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "host/base/mutex.h"
#include "host/daemon/source/source_side.h"
#include "host/daemon/threads/reactor.h"
#include "host/engine/prober.h"

namespace catchup {

// What the groups of one source share: they look for it together when it has gone (Prober). A try
// is a read of the head of the log on a connection of its own, since a server that has just begun
// answers other questions before it serves reads; of a cluster, at the node that is found for it.
// On the reactor.
class SourceHub {
 public:
  // `reactor` must outlive it, and run no task of it afterwards; so must what `services` names.
  SourceHub(SourceSide::Services services, Reactor* reactor, const Prober::Pace& pace = {});
  SourceHub(const SourceHub&) = delete;
  SourceHub& operator=(const SourceHub&) = delete;

  // `answers` is called on the reactor, perhaps once more after the watch has ended. Any thread.
  // The watch must end before this does.
  std::unique_ptr<SourceWatch> Watch(std::function<void()> answers);

 private:
  class Member;

  // By the groups' clock, which tests make run faster.
  std::chrono::nanoseconds Now() const;
  void Wake(const Prober::Wakes& wakes) CATCHUP_REQUIRES(on_reactor_);
  // Has the next try begin when it is due.
  void Arm() CATCHUP_REQUIRES(on_reactor_);
  void Try() CATCHUP_REQUIRES(on_reactor_);
  void TryAt(const std::string& address) CATCHUP_REQUIRES(on_reactor_);
  void OnTried(bool answers) CATCHUP_REQUIRES(on_reactor_);

  const SourceSide::Services services_;
  Reactor& reactor_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  Role on_reactor_;
  Prober prober_ CATCHUP_GUARDED_BY(on_reactor_);
  std::atomic<Prober::Member> last_ = 0;
  std::map<Prober::Member, std::function<void()>> answers_ CATCHUP_GUARDED_BY(on_reactor_);
  std::optional<Reactor::TimerId> timer_ CATCHUP_GUARDED_BY(on_reactor_);
  std::shared_ptr<Source> source_ CATCHUP_GUARDED_BY(on_reactor_);  // Of the try under way.
};

}  // namespace catchup
