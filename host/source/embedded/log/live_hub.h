#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "host/base/mutex.h"
#include "host/source/embedded/log/log_reader.h"
#include "host/source/embedded/log/record.h"

namespace catchup::embedded {

// Events of one commit, in log order. Each is shared by itself, so that a feed which has one of
// them queued does not keep the others.
using LiveBatch = std::vector<std::shared_ptr<const Record>>;

// The committed end of the log, as shown to readers.
struct Head {
  std::uint64_t last = 0;        // Position of the record written last, with or without an event.
  std::uint64_t last_event = 0;  // Position of the last record with an event.
  std::uint64_t end = 0;         // The first position after `last`.
  std::uint64_t commits = 0;     // Events committed since the process started.
};

class LiveFeed;

// Tells the log's end to readers and hands what was committed to the feeds that have joined.
// Any thread.
class LiveHub {
 public:
  Head head() const;

  // Sets the head without telling anybody: the log as it was opened.
  void Start(const LogReader::Tail& tail);
  // After a commit. `batch` may be empty, when only records without events were written.
  void Publish(const LiveBatch& batch, const LogReader::Tail& tail);

 private:
  friend class LiveFeed;

  mutable Mutex mutex_;
  Head head_ CATCHUP_GUARDED_BY(mutex_);
  std::vector<LiveFeed*> joined_ CATCHUP_GUARDED_BY(mutex_);
};

// What one subscription still has to send of the events committed since it became live: bounded,
// and given up as a whole when full, after which the subscription reads the log again.
//
// The consumer's calls come from one thread; the hub calls from the writer's. The hub must outlive
// the feed.
class LiveFeed {
 public:
  struct Entry {
    std::shared_ptr<const Record> event;  // To send; null: only a checkpoint.
    std::uint64_t position = 0;           // Of the event, or of one that does not match.
    bool checkpoint = false;              // Send a checkpoint at `position`, after the event.
  };
  struct Options {
    std::function<bool(const Record&)> matches;  // Called from the writer's thread.
    std::uint64_t checkpoint_interval = 0;       // In events committed; 0: no checkpoints.
    std::size_t limit = 0;                       // The most frames held.
    std::uint64_t limit_bytes = 0;               // Bytes of the matching events held.
    std::function<void()> wake;                  // Called when entries came or the feed was lost.
  };

  // Registers: from here on commits count towards the live checkpoints, joined or not.
  LiveFeed(LiveHub& hub, Options options);
  ~LiveFeed();
  LiveFeed(const LiveFeed&) = delete;
  LiveFeed& operator=(const LiveFeed&) = delete;

  // Goes live if nothing was committed at or after `end`, so that there is no seam: what the reader
  // has read and what the feed brings are the whole log.
  bool JoinAt(std::uint64_t end);

  // The next entry, if any.
  std::optional<Entry> Take();
  bool HasMore() const;
  // True once after the buffer overflowed: entries are gone and the feed has left the hub.
  bool TakeLost();

 private:
  friend class LiveHub;
  // Called by the hub, under its lock. `first_commit` is the ordinal of the batch's first event.
  // False when the feed overflowed and must leave.
  bool Offer(const LiveBatch& batch, std::uint64_t first_commit);

  LiveHub& hub_;
  const Options options_;
  std::uint64_t registered_at_ = 0;  // Head::commits then.

  mutable Mutex mutex_;
  std::deque<Entry> entries_ CATCHUP_GUARDED_BY(mutex_);
  std::size_t frames_ CATCHUP_GUARDED_BY(mutex_) = 0;
  std::uint64_t bytes_ CATCHUP_GUARDED_BY(mutex_) = 0;
  bool lost_ CATCHUP_GUARDED_BY(mutex_) = false;
};

}  // namespace catchup::embedded
