#include "host/engine/watermark.h"

#include <algorithm>
#include <utility>

#include "host/base/check.h"

namespace catchup {

void Watermark::Reset(std::optional<Position> start, bool hold_passed,
                      std::optional<Position> event) {
  entries_.clear();
  position_ = start;
  stored_ = start;
  last_event_ = event;
  pending_events_ = 0;
  pending_bytes_ = 0;
  advance_ = 0;
  hold_passed_ = hold_passed;
}

void Watermark::Append(Entry entry) {
  const std::optional<Position> before =
      entries_.empty() ? position_ : std::optional(entries_.back().place);
  entry.place = before ? std::max(*before, entry.position) : entry.position;
  entries_.push_back(entry);
}

void Watermark::AddEvent(std::uint64_t sequence, Position position, std::uint64_t bytes) {
  Append(
      {.place = {}, .position = position, .sequence = sequence, .event = position, .bytes = bytes});
  ++pending_events_;
  pending_bytes_ += bytes;
}

Watermark::Popped Watermark::AddPassed(Position position, bool is_event) {
  if (!entries_.empty() && entries_.back().kind == Kind::kPassed) {
    Entry& back = entries_.back();
    back.position = position;
    back.place = std::max(back.place, position);
    if (is_event) {
      back.event = position;
    }
    return {};
  }
  const std::uint64_t before = entries_.empty() ? 0 : entries_.back().sequence;
  Append({.place = {},
          .position = position,
          .sequence = before,
          .event = is_event ? std::optional(position) : std::nullopt,
          .kind = Kind::kPassed,
          .done = true});
  return Pop();
}

void Watermark::Withdraw(std::optional<Position> to) {
  position_ = std::min(position_, std::max(to, stored_));
  // Only announcements lie behind the last event, so they are one entry at the end, or popped.
  if (!entries_.empty() && entries_.back().kind == Kind::kPassed && entries_.back().place > to) {
    Entry last = entries_.back();
    entries_.pop_back();
    if (last.event) {
      last.position = *last.event;
      Append(last);
    }
  }
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

bool Watermark::SettleAt(Position position, std::uint64_t* last, Popped* popped) {
  std::size_t count = entries_.size();
  while (count > 0 &&
         (entries_[count - 1].kind == Kind::kPassed || entries_[count - 1].position != position)) {
    --count;
  }
  if (count == 0) {
    return false;
  }
  *last = entries_[count - 1].sequence;
  *popped = Pop(count);
  return true;
}

bool Watermark::IsTaken(Position position) const {
  return stored_ == position ||
         std::any_of(entries_.begin(), entries_.end(), [position](const Entry& entry) {
           return entry.kind != Kind::kPassed && entry.position == position;
         });
}

std::optional<Position> Watermark::Passable() const {
  if (!idle() || entries_.empty()) {
    return std::nullopt;
  }
  const Entry& back = entries_.back();
  if (back.kind != Kind::kPassed || (position_ && back.place <= *position_)) {
    return std::nullopt;
  }
  return back.place;
}

void Watermark::MakeAdvance(std::uint64_t sequence) {
  const std::optional<Position> place = Passable();
  CATCHUP_CHECK(place.has_value());
  Entry& back = entries_.back();
  back.kind = Kind::kAdvance;
  back.position = *place;
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
  return Pop(count);
}

Watermark::Popped Watermark::Pop(std::size_t count) {
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
    if (front.kind != Kind::kPassed) {
      stored_ = front.position;
    }
    if (front.event) {
      last_event_ = front.event;
    }
    position_ = front.place;
    entries_.pop_front();
  }
  return popped;
}

}  // namespace catchup
