#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <new>
#include <utility>
#include <vector>

namespace catchup::sim {

// Simulated time: what was asked for first at one instant runs first.
//
// A history is thousands of small pieces of work, so each lies in a slot that is used again, and
// only its time and number move in the queue.
class Scheduler {
 public:
  Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  ~Scheduler() {
    for (const Entry& entry : queue_) {
      entry.slot->Drop();
    }
  }

  std::chrono::nanoseconds now() const { return now_; }

  template <typename Work>
  void After(std::chrono::nanoseconds delay, Work work) {
    if (free_.empty()) {
      free_.push_back(&slots_.emplace_back());
    }
    Slot* const slot = free_.back();
    free_.pop_back();
    slot->Put(std::move(work));
    queue_.push_back({now_ + delay, order_++, slot});
    std::push_heap(queue_.begin(), queue_.end());
  }

  // Runs the next piece of work; false when there is none.
  bool Step() {
    if (queue_.empty()) {
      return false;
    }
    std::pop_heap(queue_.begin(), queue_.end());
    const Entry entry = queue_.back();
    queue_.pop_back();
    now_ = entry.at;
    entry.slot->Run();
    entry.slot->Drop();
    free_.push_back(entry.slot);
    return true;
  }

 private:
  // One piece of work, of whatever type.
  class Slot {
   public:
    template <typename Work>
    void Put(Work work) {
      static_assert(sizeof(Work) <= kBytes && alignof(Work) <= alignof(std::max_align_t));
      ::new (static_cast<void*>(room_)) Work(std::move(work));
      run_ = [](void* at) { (*static_cast<Work*>(at))(); };
      drop_ = [](void* at) { static_cast<Work*>(at)->~Work(); };
    }
    void Run() { run_(room_); }
    void Drop() { drop_(room_); }

   private:
    static constexpr std::size_t kBytes = 128;

    alignas(std::max_align_t) std::byte room_[kBytes];
    void (*run_)(void* at) = nullptr;
    void (*drop_)(void* at) = nullptr;
  };

  struct Entry {
    std::chrono::nanoseconds at{};
    std::uint64_t order = 0;
    Slot* slot = nullptr;
    bool operator<(const Entry& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  std::chrono::nanoseconds now_{};
  std::uint64_t order_ = 0;
  std::deque<Slot> slots_;  // Which stay where they are.
  std::vector<Slot*> free_;
  std::vector<Entry> queue_;  // A heap.
};

}  // namespace catchup::sim
