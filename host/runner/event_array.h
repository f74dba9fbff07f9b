#pragma once

#include <catchup/plugin.h>

#include <cstdint>
#include <span>
#include <vector>

#include "host/ring/runner_end.h"

namespace catchup {

// The events of one call as the ABI wants them: an array of pointers. Its memory grows with the
// batches that come, since most runners never see a full one, and is reused. One thread.
class EventArray {
 public:
  // Holds `capacity` events, at least 1.
  EventArray(std::uint32_t lane, std::uint32_t capacity) : lane_(lane), capacity_(capacity) {}

  void Clear() { count_ = 0; }
  std::uint32_t count() const { return count_; }
  bool full() const { return count_ == capacity_; }
  // Valid until the next Add or Clear.
  std::span<const catchup_event* const> view() const { return {pointers_.data(), count_}; }

  // Borrows the record's bytes. Not when full.
  void Add(const RecordView& record);

 private:
  void Grow();

  std::uint32_t lane_;
  std::uint32_t capacity_;
  std::uint32_t count_ = 0;
  std::vector<catchup_event> events_;
  std::vector<const catchup_event*> pointers_;
};

}  // namespace catchup
