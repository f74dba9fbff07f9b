#include "host/daemon/delivery_window.h"

#include <algorithm>
#include <utility>

#include "host/base/check.h"

namespace catchup {

void DeliveryWindow::Add(Sequence sequence, std::unique_ptr<EventFrame> frame) {
  CATCHUP_CHECK(slots_.empty() || sequence == slots_.back().sequence + 1);
  slots_.push_back({sequence, std::move(frame)});
}

void DeliveryWindow::Deliver(Sequence first, Sequence last) {
  if (next_write_ == 0) {
    next_write_ = first;
  }
  // What the engine made up itself, an advance, has no frame.
  if (slots_.empty() || slots_.back().sequence < last) {
    slots_.push_back({last, nullptr});
  }
  deliver_until_ = last;
}

void DeliveryWindow::Release(Sequence last) {
  while (!slots_.empty() && slots_.front().sequence <= last) {
    if (const EventFrame* frame = slots_.front().frame.get(); frame != nullptr) {
      // In place: a name's memory serves the next one.
      Witness& released = last_released_.has_value() ? *last_released_ : last_released_.emplace();
      released.position = frame->event.position;
      released.event_id = frame->event.id;
      released.revision = frame->event.revision;
      const bool is_last = slots_.size() == 1 || slots_[1].sequence > last;
      if (is_last || slots_[1].frame == nullptr) {
        released.stream = frame->event.stream;
      }
    }
    slots_.pop_front();
  }
  if (next_write_ != 0 && next_write_ <= last) {
    next_write_ = last + 1;
  }
  settled_ = last;
}

void DeliveryWindow::BeginRunner() {
  next_write_ = 0;
  deliver_until_ = 0;
  armed_ = 0;
}

std::optional<DeliveryWindow::Slot> DeliveryWindow::Next() const {
  if (next_write_ == 0 || next_write_ > deliver_until_) {
    return std::nullopt;
  }
  CATCHUP_CHECK(!slots_.empty() && next_write_ >= slots_.front().sequence);
  const Entry& entry = slots_[next_write_ - slots_.front().sequence];
  return Slot{entry.sequence, entry.frame.get()};
}

std::optional<Sequence> DeliveryWindow::WakeAt(bool paused) {
  if (next_write_ == 0) {
    return std::nullopt;
  }
  const bool waits = paused || next_write_ <= deliver_until_;
  const Sequence last_written = next_write_ - 1;
  if (!waits || last_written <= settled_ || armed_ > settled_) {
    return std::nullopt;
  }
  // Half of what the runner has: early enough to keep it busy, late enough to be rare.
  armed_ = settled_ + std::max<Sequence>(1, (last_written - settled_) / 2);
  return armed_;
}

const EventFrame* DeliveryWindow::Find(Sequence sequence) const {
  if (sequence == 0 || slots_.empty() || sequence < slots_.front().sequence ||
      sequence > slots_.back().sequence) {
    return nullptr;
  }
  return slots_[sequence - slots_.front().sequence].frame.get();
}

}  // namespace catchup
