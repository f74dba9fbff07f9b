#include "host/engine/watermark.h"

#include "host/base/check.h"

namespace catchup {

void Watermark::Reset(std::optional<Position> start, bool hold_passed) {
  entries_.clear();
  position_ = start;
  pending_events_ = 0;
  pending_bytes_ = 0;
  advance_ = 0;
  hold_passed_ = hold_passed;
}

void Watermark::AddEvent(std::uint64_t sequence, Position position, std::uint64_t bytes) {
  entries_.push_back({.position = position, .sequence = sequence, .bytes = bytes});
  ++pending_events_;
  pending_bytes_ += bytes;
}

Watermark::Popped Watermark::AddPassed(Position position) {
  if (!entries_.empty() && entries_.back().kind == Kind::kPassed) {
    entries_.back().position = position;
    return {};
  }
  const std::uint64_t before = entries_.empty() ? 0 : entries_.back().sequence;
  entries_.push_back(
      {.position = position, .sequence = before, .kind = Kind::kPassed, .done = true});
  return Pop();
}

Watermark::Popped Watermark::SettleThrough(std::uint64_t sequence) {
  for (Entry& entry : entries_) {
    if (entry.sequence > sequence) {
      break;
    }
    entry.done = true;
  }
  return Pop();
}

Watermark::Popped Watermark::SettleAt(Position position, std::uint64_t* last) {
  Popped popped;
  while (!entries_.empty() && entries_.front().position <= position) {
    const Entry& front = entries_.front();
    if (front.kind == Kind::kEvent) {
      ++popped.events;
      --pending_events_;
      pending_bytes_ -= front.bytes;
    } else if (front.kind == Kind::kAdvance) {
      advance_ = 0;
    }
    if (front.kind != Kind::kPassed) {
      *last = front.sequence;
    }
    ++popped.entries;
    entries_.pop_front();
  }
  position_ = position;
  return popped;
}

std::optional<Position> Watermark::Passable() const {
  if (!idle() || entries_.empty()) {
    return std::nullopt;
  }
  const Entry& back = entries_.back();
  if (back.kind != Kind::kPassed || (position_ && back.position <= *position_)) {
    return std::nullopt;
  }
  return back.position;
}

void Watermark::MakeAdvance(std::uint64_t sequence) {
  CATCHUP_CHECK(Passable().has_value());
  Entry& back = entries_.back();
  back.kind = Kind::kAdvance;
  back.sequence = sequence;
  back.done = false;
  advance_ = sequence;
}

std::optional<Position> Watermark::AdvanceAt(std::uint64_t sequence) const {
  if (advance_ == 0 || sequence != advance_) {
    return std::nullopt;
  }
  // It was alone when it was made, so nothing but what came later lies behind it.
  return entries_.front().position;
}

Watermark::Popped Watermark::Pop() {
  std::size_t count = 0;
  for (std::size_t i = 0; i < entries_.size() && entries_[i].done; ++i) {
    if (!hold_passed_ || entries_[i].kind != Kind::kPassed) {
      count = i + 1;
    }
  }
  Popped popped{.events = 0, .entries = count};
  for (; count > 0; --count) {
    const Entry& front = entries_.front();
    if (front.kind == Kind::kEvent) {
      ++popped.events;
      --pending_events_;
      pending_bytes_ -= front.bytes;
    } else if (front.kind == Kind::kAdvance) {
      advance_ = 0;
    }
    position_ = front.position;
    entries_.pop_front();
  }
  return popped;
}

}  // namespace catchup
