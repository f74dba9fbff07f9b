#include "host/daemon/letters/letter_sinks.h"

#include <chrono>
#include <optional>
#include <utility>

#include "host/base/mutex.h"
#include "host/base/test_seams.h"

namespace catchup {

using Clock = std::chrono::steady_clock;
using Kind = LetterSinkConfig::Kind;

SinkStreams SinkStreamsOf(const std::vector<GroupConfig>& groups) {
  SinkStreams streams;
  for (const GroupConfig& group : groups) {
    for (const LetterSinkConfig& sink : group.dead_letters.sinks) {
      if (sink.kind == Kind::kStream) {
        streams.insert(sink.target);
      }
    }
  }
  return streams;
}

// The way to one sink: at most one job of it is on the pool, or one timer set, at a time.
class LetterSinks::Line : public std::enable_shared_from_this<Line> {
 public:
  Line(std::unique_ptr<LetterSink> sink, const std::string& group, const std::string& name,
       LetterFeeder::Store store, WorkerPool* pool, Reactor* reactor)
      : name_(name),
        pool_(*pool),
        reactor_(*reactor),
        sink_(*sink),
        feeder_(group, name, std::move(sink), std::move(store)) {}

  void Wake() {
    const MutexLock lock(&mutex_);
    again_ = true;
    if (!under_way_ && !closed_) {
      under_way_ = true;
      Post();
    }
  }

  void Settle(Clock::time_point deadline) {
    const MutexLock lock(&mutex_);
    while (under_way_ && !fails_ && !closed_ && changed_.WaitUntil(&mutex_, deadline)) {
    }
  }

  SinkStatus Glance() {
    const MutexLock lock(&mutex_);
    return {name_, standing_.behind, standing_.trouble};
  }

  void Close() {
    const MutexLock lock(&mutex_);
    closed_ = true;
    sink_.Cancel();
    changed_.NotifyAll();
  }

 private:
  void Post() {
    pool_.Post([self = shared_from_this()] { self->Run(); });
  }

  void Run() {
    {
      const MutexLock lock(&mutex_);
      if (closed_) {
        return;
      }
      again_ = false;
    }
    const std::optional<std::chrono::nanoseconds> next = feeder_.Feed();
    const MutexLock lock(&mutex_);
    standing_ = feeder_.standing();
    fails_ = next.value_or(std::chrono::nanoseconds(0)).count() > 0;
    changed_.NotifyAll();
    if (closed_ || (!next.has_value() && !again_)) {
      under_way_ = false;
    } else if (!fails_) {
      Post();  // Behind the others of the pool.
    } else {
      reactor_.After(FixedWait(*next), [self = shared_from_this()] { self->Post(); });
    }
  }

  const std::string name_;
  WorkerPool& pool_;
  Reactor& reactor_;
  LetterSink& sink_;     // The feeder's.
  LetterFeeder feeder_;  // Of the job under way.
  Mutex mutex_;
  CondVar changed_;
  LetterFeeder::Standing standing_ CATCHUP_GUARDED_BY(mutex_);
  bool closed_ CATCHUP_GUARDED_BY(mutex_) = false;
  bool fails_ CATCHUP_GUARDED_BY(mutex_) = false;  // Left alone for a while.
  bool under_way_ CATCHUP_GUARDED_BY(mutex_) = false;
  bool again_ CATCHUP_GUARDED_BY(mutex_) = false;  // Woken since the last look at the store.
};

LetterSinks::LetterSinks(const GroupConfig& config, const SinkServices* services, Reactor* reactor,
                         const StoreOf& store_of) {
  for (const LetterSinkConfig& sink : config.dead_letters.sinks) {
    const bool lines = sink.kind == Kind::kLines;
    lines_.push_back(std::make_shared<Line>(lines ? std::make_unique<LineSink>(sink.target)
                                                  : services->open_stream(config.name, sink.target),
                                            config.name, sink.name, store_of(sink.name),
                                            lines ? services->files : services->streams, reactor));
  }
}

LetterSinks::~LetterSinks() { Close(); }

void LetterSinks::Wake() {
  for (const auto& line : lines_) {
    line->Wake();
  }
}

void LetterSinks::Settle(Clock::time_point deadline) {
  for (const auto& line : lines_) {
    line->Settle(deadline);
  }
}

std::vector<SinkStatus> LetterSinks::Glance() const {
  std::vector<SinkStatus> sinks;
  for (const auto& line : lines_) {
    sinks.push_back(line->Glance());
  }
  return sinks;
}

void LetterSinks::Close() {
  for (const auto& line : lines_) {
    line->Close();
  }
}

}  // namespace catchup
