#include "host/source/embedded/log/live_hub.h"

#include <algorithm>
#include <utility>

namespace catchup::embedded {
namespace {

std::size_t FramesOf(const LiveFeed::Entry& entry) {
  return (entry.event != nullptr ? 1u : 0u) + (entry.checkpoint ? 1u : 0u);
}

}  // namespace

Head LiveHub::head() const {
  const MutexLock lock(&mutex_);
  return head_;
}

void LiveHub::Start(const LogReader::Tail& tail) {
  const MutexLock lock(&mutex_);
  head_ = {tail.last, tail.last_event, tail.end, 0};
}

void LiveHub::Publish(const LiveBatch& batch, const LogReader::Tail& tail) {
  const MutexLock lock(&mutex_);
  const std::uint64_t first_commit = head_.commits + 1;
  head_.last = tail.last;
  head_.last_event = tail.last_event;
  head_.end = tail.end;
  head_.commits += batch.size();
  std::erase_if(joined_, [&](LiveFeed* feed) { return !feed->Offer(batch, first_commit); });
}

LiveFeed::LiveFeed(LiveHub& hub, Options options) : hub_(hub), options_(std::move(options)) {
  registered_at_ = hub_.head().commits;
}

LiveFeed::~LiveFeed() {
  const MutexLock lock(&hub_.mutex_);
  std::erase(hub_.joined_, this);
}

bool LiveFeed::JoinAt(std::uint64_t end) {
  const MutexLock lock(&hub_.mutex_);
  if (hub_.head_.end != end) {
    return false;
  }
  hub_.joined_.push_back(this);
  return true;
}

std::optional<LiveFeed::Entry> LiveFeed::Take() {
  const MutexLock lock(&mutex_);
  if (entries_.empty()) {
    return std::nullopt;
  }
  Entry entry = std::move(entries_.front());
  entries_.pop_front();
  frames_ -= FramesOf(entry);
  if (entry.event != nullptr) {
    bytes_ -= entry.event->view().size();
  }
  return entry;
}

bool LiveFeed::HasMore() const {
  const MutexLock lock(&mutex_);
  return !entries_.empty() || lost_;
}

bool LiveFeed::TakeLost() {
  const MutexLock lock(&mutex_);
  return std::exchange(lost_, false);
}

bool LiveFeed::Offer(const LiveBatch& batch, std::uint64_t first_commit) {
  bool news = false;
  bool lost = false;
  {
    const MutexLock lock(&mutex_);
    for (std::size_t i = 0; i < batch.size() && !lost_; ++i) {
      Entry entry{nullptr, batch[i]->position, false};
      if (options_.matches(*batch[i])) {
        entry.event = batch[i];
      }
      const std::uint64_t since = first_commit + i - registered_at_;
      entry.checkpoint =
          options_.checkpoint_interval != 0 && since % options_.checkpoint_interval == 0;
      const std::size_t frames = FramesOf(entry);
      if (frames == 0) {
        continue;
      }
      frames_ += frames;
      if (entry.event != nullptr) {
        bytes_ += entry.event->view().size();
      }
      entries_.push_back(std::move(entry));
      news = true;
      // One entry is always held, however big: else a big event would never be delivered live.
      if (entries_.size() > 1 && (frames_ > options_.limit || bytes_ > options_.limit_bytes)) {
        entries_.clear();
        frames_ = 0;
        bytes_ = 0;
        lost_ = true;
      }
    }
    lost = lost_;
  }
  if (news || lost) {
    options_.wake();
  }
  return !lost;
}

}  // namespace catchup::embedded
