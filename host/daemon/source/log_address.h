#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "host/base/mutex.h"
#include "host/base/status.h"
#include "host/config/config.h"
#include "host/config/credentials.h"
#include "host/daemon/source/connect_patience.h"
#include "host/daemon/source/discovery.h"
#include "host/daemon/threads/reactor.h"
#include "host/daemon/threads/worker_pool.h"
#include "host/engine/prober.h"
#include "host/source/source.h"

namespace catchup {

class SourceThreads;
namespace embedded {
class EmbeddedServer;
}

// Where the log is, and the way to it: a server elsewhere, a cluster of them, or the embedded log,
// whose owner is this process or another one. Serves the connections that it opens by a few threads
// of its own.
class LogAddress {
 public:
  // `config` must outlive it. `credentials`: null where the server asks for none.
  LogAddress(const SourceConfig& config, std::shared_ptr<Credentials> credentials);
  ~LogAddress();
  LogAddress(const LogAddress&) = delete;
  LogAddress& operator=(const LogAddress&) = delete;

  // Makes the threads, and opens an embedded log that nobody serves. kExhausted: not to be had now,
  // try again; it goes on where it stopped. `worker` must outlive it, and `reactor` must run no
  // task of it once Close() is called.
  Status Open(int threads, WorkerPool* worker, Reactor* reactor);

  // Null without any.
  const std::shared_ptr<Credentials>& credentials() const { return credentials_; }

  // Where the server is now. An embedded log that another process served may be served elsewhere,
  // or by nobody: then this process opens it. Of a cluster, the node that is known, else all that
  // are asked for one. Any thread; waits for nothing.
  std::string Now();

  // Null where there is one address and that is the server's. Lives until Close().
  Discovery* discovery() { return discovery_.get(); }
  // How often the server is looked for when it has gone.
  Prober::Pace probe_pace() const;

  // Where to append, for who has just failed at `lost`, empty for none: of a cluster the leader,
  // whatever is preferred for reading, since not every other node takes an append. kUnavailable: it
  // is being looked for, try again. Any thread; waits for nothing.
  Result<std::string> ToWrite(const std::string& lost);

  // A connection to it, named so in the server's log. Any thread.
  Result<std::unique_ptr<Source>> Connect(const std::string& address,
                                          const std::string& name) const;

  // The same, where connecting may take so long.
  Result<std::unique_ptr<Source>> ConnectWithin(std::chrono::milliseconds limit,
                                                const std::string& address,
                                                const std::string& name) const;
  // What Connect and ConnectToLeader go by.
  ConnectPatience& patience() { return patience_; }

  // Whether that may lead to a node that lags behind the leader of its cluster.
  bool may_lag() const;
  // Finds the leader, where another node is preferred; null: as discovery(). Lives until Close().
  Discovery* leaders() { return leaders_.get(); }
  // A connection that serves nobody unless it leads to the leader. Any thread.
  Result<std::unique_ptr<Source>> ConnectToLeader(const std::string& address,
                                                  const std::string& name) const;

  // Opens nothing any more. Any thread.
  void Closing() { closing_ = true; }
  // Ends the threads and an embedded log of this process. Every connection must be gone, and the
  // worker.
  void Close();

 private:
  void Own();

  const SourceConfig& config_;
  const std::shared_ptr<Credentials> credentials_;
  mutable ConnectPatience patience_;
  WorkerPool* worker_ = nullptr;
  std::shared_ptr<SourceThreads> threads_;
  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<Discovery> leaders_;  // Null: the same.
  std::atomic<bool> closing_ = false;
  // What changes when the owner of an embedded log ends.
  Mutex mutex_;
  std::unique_ptr<embedded::EmbeddedServer> server_ CATCHUP_GUARDED_BY(mutex_);
  std::string address_ CATCHUP_GUARDED_BY(mutex_);
  bool owning_ CATCHUP_GUARDED_BY(mutex_) = false;
};

}  // namespace catchup
