#pragma once

#include <catchup/plugin.h>

#include <cstdint>
#include <span>
#include <vector>

#include "host/ring/runner_end.h"

namespace catchup {

// The events of one call as the ABI wants them: an array of pointers. Its memory is reused, so no
// call allocates once the largest batch was seen.
class EventArray {
 public:
  explicit EventArray(std::uint32_t lane, std::uint32_t capacity)
      : lane_(lane), events_(capacity), pointers_(capacity) {
    for (std::uint32_t i = 0; i < capacity; ++i) {
      pointers_[i] = &events_[i];
    }
  }

  void Clear() { count_ = 0; }
  std::uint32_t count() const { return count_; }
  bool full() const { return count_ == events_.size(); }
  std::span<const catchup_event* const> view() const { return {pointers_.data(), count_}; }

  // Borrows the record's bytes.
  void Add(const RecordView& record);

 private:
  std::uint32_t lane_;
  std::uint32_t count_ = 0;
  std::vector<catchup_event> events_;
  std::vector<const catchup_event*> pointers_;
};

}  // namespace catchup
