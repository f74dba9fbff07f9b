#pragma once

#include <chrono>
#include <cstddef>
#include <set>
#include <string>

#include "host/base/mutex.h"

namespace catchup {

// How long connecting to a server may take, until it has said its first word. Not long as a rule:
// whoever waits for one that has gone hears late that it is back. But one under load, or behind a
// slow line, takes longer, for its TLS handshake above all, and would never be connected to; so for
// one that is known to be slow it is more. Any thread.
class ConnectPatience {
 public:
  static constexpr std::chrono::milliseconds kUsual = std::chrono::seconds(2);

  // `most`: for a server that is slow.
  explicit ConnectPatience(std::chrono::milliseconds most) : most_(most) {}

  // "host:port".
  std::chrono::milliseconds Of(const std::string& address) {
    const MutexLock lock(&mutex_);
    return slow_.count(address) != 0 ? most_ : kUsual;
  }

  void SetSlow(const std::string& address, bool slow) {
    const MutexLock lock(&mutex_);
    slow_.erase(address);
    if (slow) {
      if (slow_.size() == kMaxKnown) {
        slow_.clear();
      }
      slow_.insert(address);
    }
  }
  // As it has just been tried in vain: the other patience is next.
  void Alternate(const std::string& address) { SetSlow(address, Of(address) == kUsual); }

 private:
  // More addresses than the nodes of a cluster have; nobody is kept from forgetting them.
  static constexpr std::size_t kMaxKnown = 256;

  const std::chrono::milliseconds most_;
  Mutex mutex_;
  std::set<std::string> slow_ CATCHUP_GUARDED_BY(mutex_);
};

}  // namespace catchup
