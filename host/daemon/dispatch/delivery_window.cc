#include "host/daemon/dispatch/delivery_window.h"

#include <algorithm>
#include <utility>

#include "host/base/check.h"

namespace catchup {

void DeliveryWindow::Add(Sequence sequence, std::unique_ptr<EventFrame> frame) {
  CATCHUP_CHECK(slots_.empty() || sequence == slots_.back().sequence + 1);
  slots_.push_back({sequence, std::move(frame)});
}

void DeliveryWindow::Deliver(const Command& command) {
  // What the engine made up itself, an advance, has no frame.
  if (slots_.empty() || slots_.back().sequence < command.last) {
    slots_.push_back({command.last, nullptr});
  }
  const auto attempt = static_cast<std::uint32_t>(command.number);
  const Range range{command.first, command.last, attempt, command.alone, command.advance};
  std::deque<Range>& to_write = outlets_[command.lane].to_write;
  if (!to_write.empty()) {
    Range& back = to_write.back();
    if (back.last + 1 == range.first && back.attempt == range.attempt && !back.alone &&
        !range.alone && !back.advance && !range.advance) {
      back.last = range.last;
      return;
    }
  }
  to_write.push_back(range);
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
  for (Outlet& outlet : outlets_) {
    std::deque<Range>& to_write = outlet.to_write;
    while (!to_write.empty() && to_write.front().first <= last) {
      Range& range = to_write.front();
      range.first = std::min(range.last, last) + 1;
      if (range.first > range.last) {
        to_write.pop_front();
      }
    }
  }
  settled_ = last;
}

void DeliveryWindow::CallLetter(LaneNumber lane, std::unique_ptr<EventFrame> letter,
                                std::uint32_t attempt) {
  letter_ = std::move(letter);
  letter_lane_ = lane;
  letter_attempt_ = attempt;
  letter_waits_ = true;
}

void DeliveryWindow::ForgetLetter() {
  letter_.reset();
  letter_waits_ = false;
}

void DeliveryWindow::BeginRunner(LaneNumber lane) { TakeBack(lane); }

// The wake-up that was asked for goes with what was to bring it about.
void DeliveryWindow::TakeBack(LaneNumber lane) {
  outlets_[lane] = {};
  if (letter_lane_ == lane) {
    ForgetLetter();
  }
}

std::optional<DeliveryWindow::Slot> DeliveryWindow::Next(LaneNumber lane) const {
  if (LetterWaitsFor(lane)) [[unlikely]] {
    return Slot{kLetterCall, letter_.get(), letter_attempt_, true};
  }
  const std::deque<Range>& to_write = outlets_[lane].to_write;
  if (to_write.empty()) {
    return std::nullopt;
  }
  const Range& range = to_write.front();
  CATCHUP_CHECK(!slots_.empty() && range.first >= slots_.front().sequence);
  const Entry& entry = slots_[range.first - slots_.front().sequence];
  return Slot{entry.sequence, range.advance ? nullptr : entry.frame.get(), range.attempt,
              range.alone};
}

void DeliveryWindow::Wrote(LaneNumber lane) {
  if (LetterWaitsFor(lane)) [[unlikely]] {
    letter_waits_ = false;
    return;
  }
  Outlet& outlet = outlets_[lane];
  Range& range = outlet.to_write.front();
  outlet.last_written = range.first;
  if (range.first++ == range.last) {
    outlet.to_write.pop_front();
  }
}

std::optional<Sequence> DeliveryWindow::WakeAt(bool paused, LaneNumber lane) {
  Outlet& outlet = outlets_[lane];
  if (outlets_.size() > 1) {
    // In any order, so what was settled of the group says nothing.
    return outlet.armed == outlet.last_written ? std::nullopt
                                               : std::optional(outlet.armed = outlet.last_written);
  }
  const bool waits = paused || !outlet.to_write.empty();
  if (!waits || outlet.last_written <= settled_ || outlet.armed > settled_) {
    return std::nullopt;
  }
  // Half of what the runner has: early enough to keep it busy, late enough to be rare.
  outlet.armed = settled_ + std::max<Sequence>(1, (outlet.last_written - settled_) / 2);
  return outlet.armed;
}

EventName DeliveryWindow::NameOf(Sequence sequence) const {
  const EventFrame* frame = Find(sequence);
  return frame == nullptr ? EventName{} : EventName{frame->event.stream, frame->event.type};
}

const EventFrame* DeliveryWindow::Find(Sequence sequence) const {
  if (sequence == kLetterCall) {
    return letter_.get();
  }
  if (sequence == 0 || slots_.empty() || sequence < slots_.front().sequence ||
      sequence > slots_.back().sequence) {
    return nullptr;
  }
  return slots_[sequence - slots_.front().sequence].frame.get();
}

}  // namespace catchup
