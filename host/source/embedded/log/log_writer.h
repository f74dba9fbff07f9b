#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "host/base/mutex.h"
#include "host/base/status.h"
#include "host/source/embedded/log/event_log.h"
#include "host/source/embedded/log/live_hub.h"

namespace catchup::embedded {

// The one thread that writes the log. Writes that wait together share one transaction, and with it
// one sync of the disk; each is answered, in order, once that transaction is durable and shown to
// readers. Callers bound what they have waiting.
class LogWriter {
 public:
  struct Append {
    std::string stream;
    ExpectedRevision expected;
    std::vector<NewEvent> events;
  };
  struct Delete {
    std::string stream;
    ExpectedRevision expected;
    bool tombstone = false;
  };
  // Writes nothing and is answered in its turn.
  struct Nothing {};
  using Work = std::variant<Nothing, Append, Delete>;

  struct Request {
    Work work;
    // Called from the writer's thread. A failed Status: the file could not be written.
    std::function<void(const Result<WriteOutcome>&)> done;
  };

  // Both must outlive the writer.
  LogWriter(EventLog& log, LiveHub& hub);
  // Answers everything submitted, then ends the thread.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Makes the thread, which answers what is submitted. Once; kExhausted: there is none to be had.
  Status Start();

  // Any thread.
  void Submit(Request request);

 private:
  void Run();
  void WriteGroup(std::vector<Request> group);
  Result<WriteOutcome> Write(Work work);

  EventLog& log_;
  LiveHub& hub_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Request> waiting_ CATCHUP_GUARDED_BY(mutex_);
  bool stopping_ CATCHUP_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace catchup::embedded
