#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace catchup::sim {

// Simulated time: what was asked for first at one instant runs first.
class Scheduler {
 public:
  std::chrono::nanoseconds now() const { return now_; }

  void After(std::chrono::nanoseconds delay, std::function<void()> work) {
    queue_.push({now_ + delay, order_++, std::move(work)});
  }

  // Runs the next piece of work; false when there is none.
  bool Step() {
    if (queue_.empty()) {
      return false;
    }
    // The queue gives no other way to move out of it; the entry is popped at once.
    Entry entry = std::move(const_cast<Entry&>(queue_.top()));
    queue_.pop();
    now_ = entry.at;
    entry.work();
    return true;
  }

 private:
  struct Entry {
    std::chrono::nanoseconds at{};
    std::uint64_t order = 0;
    std::function<void()> work;
    bool operator<(const Entry& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  std::chrono::nanoseconds now_{};
  std::uint64_t order_ = 0;
  std::priority_queue<Entry> queue_;
};

}  // namespace catchup::sim
