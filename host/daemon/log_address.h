#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "host/base/mutex.h"
#include "host/base/status.h"
#include "host/config/config.h"
#include "host/config/credentials.h"
#include "host/daemon/worker_pool.h"
#include "host/source/source.h"

namespace catchup {

class SourceThreads;
namespace embedded {
class EmbeddedServer;
}

// Where the log is, and the way to it: a server elsewhere, or the embedded log, whose owner is this
// process or another one. Serves the connections that it opens by a few threads of its own.
class LogAddress {
 public:
  // `config` must outlive it. `credentials`: null where the server asks for none.
  LogAddress(const SourceConfig& config, std::shared_ptr<Credentials> credentials);
  ~LogAddress();
  LogAddress(const LogAddress&) = delete;
  LogAddress& operator=(const LogAddress&) = delete;

  // Makes the threads, and opens an embedded log that nobody serves. kExhausted: not to be had now,
  // try again; it goes on where it stopped. `worker` must outlive it.
  Status Open(int threads, WorkerPool* worker);

  // Null without any.
  const std::shared_ptr<Credentials>& credentials() const { return credentials_; }

  // Where the server is now. An embedded log that another process served may be served elsewhere,
  // or by nobody: then this process opens it. Any thread; waits for nothing.
  std::string Now();

  // A connection to it, named so in the server's log. Any thread.
  Result<std::unique_ptr<Source>> Connect(const std::string& address,
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
  WorkerPool* worker_ = nullptr;
  std::shared_ptr<SourceThreads> threads_;
  std::atomic<bool> closing_ = false;
  // What changes when the owner of an embedded log ends.
  Mutex mutex_;
  std::unique_ptr<embedded::EmbeddedServer> server_ CATCHUP_GUARDED_BY(mutex_);
  std::string address_ CATCHUP_GUARDED_BY(mutex_);
  bool owning_ CATCHUP_GUARDED_BY(mutex_) = false;
};

}  // namespace catchup
