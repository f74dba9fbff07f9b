#include "host/engine/ledger.h"

#include <algorithm>

#include "host/base/check.h"

namespace catchup {

void Ledger::Reset(std::optional<Position> start, bool hold_passed, std::optional<Position> event) {
  first_ = last() + 1;
  handed_out_ = settled_ = first_ - 1;
  on_lane_ = parking_ = 0;
  items_.clear();
  passed_.clear();
  watermark_ = start;
  stored_ = start;
  last_event_ = event;
  advance_event_.reset();
  events_ = 0;
  bytes_ = 0;
  hold_passed_ = hold_passed;
}

void Ledger::AddPassed(Position position, bool is_event) {
  if (!EndsPassed()) {
    passed_.push_back({.after = last(), .position = position, .event = {}});
  }
  Passed& back = passed_.back();
  back.position = std::max(back.position, position);
  if (is_event) {
    back.event = position;
  }
}

void Ledger::Withdraw(std::optional<Position> to) {
  watermark_ = std::min(watermark_, std::max(to, stored_));
  // Only announcements lie behind the last event, so they are one at the end, or popped.
  if (EndsPassed() && passed_.back().position > to) {
    TrimPassed();
  }
}

// Of what is passed behind the last item the announcements go, and what was skipped by rule stays.
void Ledger::TrimPassed() {
  const std::optional<Position> event = passed_.back().event;
  passed_.pop_back();
  if (event) {
    AddPassed(*event, true);
  }
}

std::optional<Position> Ledger::Passable() const {
  if (!idle() || passed_.empty() || passed_.back().position <= watermark_) {
    return std::nullopt;
  }
  return passed_.back().position;
}

void Ledger::MakeAdvance() {
  const std::optional<Position> position = Passable();
  CATCHUP_CHECK(position.has_value());
  advance_event_ = passed_.back().event;
  passed_.pop_back();
  items_.push_back({.position = *position, .is_advance = true});
}

Ledger::Range Ledger::HandOut(std::uint64_t most) {
  Sequence first = handed_out_ + 1;
  while (first <= last() && At(first).state != State::kWaiting) {
    ++first;  // Done before the runner went that had it, or a letter.
  }
  Sequence end = first;
  for (; end <= last() && end - first < most && At(end).state == State::kWaiting; ++end) {
    At(end).state = State::kOnLane;
  }
  handed_out_ = end - 1;
  on_lane_ += end - first;
  return end == first ? Range{} : Range{first, end - 1};
}

Sequence Ledger::FindEvent(Position position) const {
  // Items lie in the order of their positions.
  Sequence low = first_;
  for (Sequence high = last() + 1; low < high;) {
    const Sequence middle = low + (high - low) / 2;
    if (At(middle).position < position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  while (low <= last() && At(low).position == position && At(low).is_advance) {
    ++low;
  }
  return low <= last() && At(low).position == position ? low : 0;
}

Sequence Ledger::NextWaiting() const {
  Sequence next = in_any_order_ ? first_ : handed_out_ + 1;
  while (next <= last() && At(next).state != State::kWaiting) {
    ++next;
  }
  return next <= last() ? next : 0;
}

void Ledger::HandOutOne(Sequence sequence) {
  At(sequence).state = State::kOnLane;
  handed_out_ = std::max(handed_out_, sequence);
  ++on_lane_;
}

void Ledger::TakeBackOne(Sequence sequence) {
  At(sequence).state = State::kWaiting;
  --on_lane_;
}

Sequence Ledger::FirstOnLane() const {
  for (Sequence sequence = settled() + 1; on_lane_ > 0 && sequence <= handed_out_; ++sequence) {
    if (At(sequence).state == State::kOnLane) {
      return sequence;
    }
  }
  return 0;
}

Sequence Ledger::LastOnLaneBefore(Sequence sequence) const {
  Sequence before = sequence - 1;
  while (before > settled() && !IsOnLane(before)) {
    --before;
  }
  return before > settled() ? before : 0;
}

void Ledger::Park(Sequence sequence) {
  At(sequence).state = State::kParking;
  At(sequence).parked = true;
  handed_out_ = std::max(handed_out_, sequence);
  ++parking_;
}

void Ledger::Skip(Sequence sequence) {
  At(sequence).state = State::kDone;
  At(sequence).parked = true;
  handed_out_ = std::max(handed_out_, sequence);
}

void Ledger::SettleParked(Sequence sequence) {
  if (IsPending(sequence) && At(sequence).state == State::kParking) {
    At(sequence).state = State::kDone;
    --parking_;
  }
}

void Ledger::PassParked(Sequence sequence) {
  if (IsPending(sequence) && At(sequence).state == State::kParking) {
    At(sequence).state = State::kWaiting;
    --parking_;
    handed_out_ = std::min(handed_out_, sequence - 1);
  }
}

void Ledger::TakeBack() {
  for (Sequence sequence = settled() + 1; sequence <= handed_out_; ++sequence) {
    if (At(sequence).state == State::kOnLane) {
      At(sequence).state = State::kWaiting;
    }
  }
  on_lane_ = 0;
  handed_out_ = settled();
}

void Ledger::Settle(Sequence sequence) {
  on_lane_ -= At(sequence).state == State::kOnLane ? 1 : 0;
  parking_ -= At(sequence).state == State::kParking ? 1 : 0;
  At(sequence).state = State::kDone;
}

void Ledger::SettleThrough(Sequence sequence) {
  for (Sequence done = settled() + 1; done <= sequence; ++done) {
    Item& item = At(done);
    if (item.state == State::kOnLane) [[likely]] {
      item.state = State::kDone;
      --on_lane_;
    }
  }
  settled_ = sequence;
}

bool Ledger::SettleAt(Position position) {
  Sequence sequence = last();
  while (sequence >= first_ && At(sequence).position != position) {
    --sequence;
  }
  if (sequence < first_) {
    return false;
  }
  for (Sequence done = first_; done <= sequence; ++done) {
    Settle(done);
  }
  handed_out_ = std::max(handed_out_, sequence);
  return true;
}

bool Ledger::IsTaken(Position position) const {
  for (Sequence sequence = first_; sequence <= last(); ++sequence) {
    if (At(sequence).position == position) {
      return true;
    }
  }
  return stored_ == position;
}

// The passed position in front of all goes under the watermark.
void Ledger::TakePassed() {
  const Passed& passed = passed_.front();
  watermark_ = watermark_ ? std::max(*watermark_, passed.position) : passed.position;
  if (passed.event) {
    last_event_ = passed.event;
  }
  passed_.pop_front();
}

Ledger::Popped Ledger::Pop() {
  Popped popped;
  while (true) {
    const bool passed_first = !passed_.empty() && passed_.front().after < first_;
    const bool done = !items_.empty() && items_.front().state == State::kDone;
    if (passed_first && (done || !hold_passed_)) [[unlikely]] {
      TakePassed();
      ++popped.places;
    }
    if (!done) {
      return popped;
    }
    const Item& front = items_.front();
    if (front.is_advance) {
      if (advance_event_) {
        last_event_ = advance_event_;
      }
      advance_event_.reset();
    } else {
      ++popped.events;
      popped.parked += front.parked ? 1 : 0;
      --events_;
      bytes_ -= front.bytes;
      last_event_ = front.position;
    }
    ++popped.places;
    stored_ = front.position;
    watermark_ = watermark_ ? std::max(*watermark_, front.position) : front.position;
    items_.pop_front();
    ++first_;
    // What was a letter already may go before what is handed out again has come that far.
    handed_out_ = std::max(handed_out_, first_ - 1);
  }
}

std::optional<Position> Ledger::AdvanceAt(Sequence sequence) const {
  if (sequence < first_ || sequence > last()) {
    return std::nullopt;
  }
  const Item& item = At(sequence);
  const bool passes =
      item.parked && (item.state == State::kWaiting || item.state == State::kOnLane);
  return item.is_advance || passes ? std::optional(item.position) : std::nullopt;
}

std::string_view Ledger::CheckInvariants() const {
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  std::size_t advances = 0;
  std::uint64_t on_lane = 0;
  std::uint64_t parking = 0;
  for (Sequence sequence = first_; sequence <= last(); ++sequence) {
    const Item& item = At(sequence);
    if (item.state == State::kOnLane && sequence > handed_out_) {
      return "an item is on a lane that was not handed out";
    }
    on_lane += item.state == State::kOnLane ? 1 : 0;
    parking += item.state == State::kParking ? 1 : 0;
    if (sequence <= settled_ && (item.state == State::kOnLane || item.state == State::kWaiting)) {
      return "an item is to be handled that stands before one which the lane settled";
    }
    item.is_advance ? ++advances : ++events;
    bytes += item.bytes;
  }
  if (handed_out_ < popped()) {
    return "what is gone was not handed out";
  }
  for (Sequence sequence = first_; !in_any_order_ && sequence <= handed_out_; ++sequence) {
    if (At(sequence).state == State::kWaiting) {
      return "an item waits that stands before one which was handed out";
    }
  }
  if (on_lane != on_lane_ || parking != parking_) {
    return "the counts of what is on the lane or becomes a letter are wrong";
  }
  if (events != events_ || bytes != bytes_ || advances > 1) {
    return "the counts of what is pending are wrong, or there are two advances";
  }
  for (std::size_t i = 0; i < passed_.size(); ++i) {
    const Passed& passed = passed_[i];
    if (passed.after < popped() || passed.after > last() ||
        (i > 0 && passed.after <= passed_[i - 1].after)) {
      return "a passed position stands nowhere, or two stand at one place";
    }
    if (passed.event > passed.position) {
      return "a passed event lies behind what was passed";
    }
  }
  if (!items_.empty() && items_.front().state == State::kDone) {
    return "what is done at the front was not popped";
  }
  if (stored_ > watermark_) {
    return "the plugin stores more than is under the watermark";
  }
  return {};
}

}  // namespace catchup
