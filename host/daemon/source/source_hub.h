#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
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
//
// A server to which connecting takes long answers no such try, nor would any group ever reach it.
// So beside the tries that follow a first one in vain there is one more that waits longer. If that
// is answered and the next of the others is not, the groups are told so as well, and to wait longer
// there, until one of the others is answered again. On the reactor.
class SourceHub {
 public:
  // What waits longer for a server to be connected to. Empty: nobody does.
  struct Patience {
    // As SourceSide::Services::open, which waits no longer than for one that is not slow.
    std::function<Result<std::unique_ptr<Source>>(const std::string& address,
                                                  const std::string& group)>
        open;
    // Whether the groups are to wait longer at this address from now on.
    std::function<void(const std::string& address, bool slow)> set_slow;
  };

  // `reactor` must outlive it, and run no task of it afterwards; so must what the others name.
  SourceHub(SourceSide::Services services, Reactor* reactor, const Prober::Pace& pace = {},
            Patience patience = {});
  SourceHub(const SourceHub&) = delete;
  SourceHub& operator=(const SourceHub&) = delete;

  // `answers` is called on the reactor, perhaps once more after the watch has ended. Any thread.
  // The watch must end before this does.
  std::unique_ptr<SourceWatch> Watch(std::function<void()> answers);

 private:
  class Member;
  // What a try has come to.
  enum class Tried { kAnswers, kServesNothing, kSilent };
  static Tried WhatCameOf(const Answer<std::optional<Witness>>& head);

  // By the groups' clock, which tests make run faster.
  std::chrono::nanoseconds Now() const;
  void Wake(const Prober::Wakes& wakes) CATCHUP_REQUIRES(on_reactor_);
  // Has the next try begin when it is due.
  void Arm() CATCHUP_REQUIRES(on_reactor_);
  void Try() CATCHUP_REQUIRES(on_reactor_);
  void TryAt(const std::string& address) CATCHUP_REQUIRES(on_reactor_);
  void OnTried(Tried tried) CATCHUP_REQUIRES(on_reactor_);
  void TryPatiently(const std::string& address) CATCHUP_REQUIRES(on_reactor_);
  void EndPatientTry() CATCHUP_REQUIRES(on_reactor_);
  // `tried` at `address`, and what is known besides by who waited longer.
  bool Answers(Tried tried, const std::string& address) CATCHUP_REQUIRES(on_reactor_);

  const SourceSide::Services services_;
  const Patience patience_;
  Reactor& reactor_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  Role on_reactor_;
  Prober prober_ CATCHUP_GUARDED_BY(on_reactor_);
  std::atomic<Prober::Member> last_ = 0;
  std::map<Prober::Member, std::function<void()>> answers_ CATCHUP_GUARDED_BY(on_reactor_);
  std::optional<Reactor::TimerId> timer_ CATCHUP_GUARDED_BY(on_reactor_);
  std::shared_ptr<Source> source_ CATCHUP_GUARDED_BY(on_reactor_);  // Of the try under way.
  bool was_silent_ CATCHUP_GUARDED_BY(on_reactor_) = false;         // The one before.
  // The same of the try that waits longer, its number, and where the last one was answered.
  std::shared_ptr<Source> patient_ CATCHUP_GUARDED_BY(on_reactor_);
  std::uint64_t patient_number_ CATCHUP_GUARDED_BY(on_reactor_) = 0;
  std::string slow_ CATCHUP_GUARDED_BY(on_reactor_);
};

}  // namespace catchup
