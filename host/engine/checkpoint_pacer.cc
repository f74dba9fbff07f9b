#include "host/engine/checkpoint_pacer.h"

#include <algorithm>
#include <utility>

namespace catchup {

void CheckpointPacer::Reset(std::optional<Position> durable, std::optional<Position> covered) {
  durable_ = durable;
  covered_ = covered;
  writing_.reset();
  writing_events_ = 0;
  new_events_ = 0;
  new_since_.reset();
  hurried_ = false;
}

void CheckpointPacer::GoBack(std::optional<Position> position) {
  if (position < durable_) {
    durable_ = position;
    // The store holds more than that, so even `position` is to be written.
    covered_ = std::nullopt;
  } else {
    // Less, where an earlier step back is not written yet.
    covered_ = std::min(covered_, durable_);
  }
  writing_events_ = 0;
  new_events_ = 0;
  new_since_.reset();
  hurried_ = false;
  writing_is_stale_ = writing_ && writing_ > position;
}

void CheckpointPacer::OnProgress(std::uint64_t events, std::chrono::nanoseconds now) {
  new_events_ += events;
  if (!new_since_) {
    new_since_ = now;
  }
}

std::optional<Position> CheckpointPacer::Next(const std::optional<Position>& watermark,
                                              std::uint64_t pending, std::chrono::nanoseconds now) {
  crowded_at_ = kNever;
  if (writing_) {
    return std::nullopt;
  }
  if (watermark <= covered_) {
    // What was settled here lies below the checkpoint: events that came behind an announcement that
    // was wrong and had been written.
    new_events_ = 0;
    new_since_.reset();
    hurried_ = false;
    return std::nullopt;
  }
  const bool interval_over = new_since_ && now - *new_since_ >= interval_;
  if (!hurried_ && !interval_over && new_events_ < batch_) {
    return std::nullopt;
  }
  const bool spaced = !committed_at_ || now - *committed_at_ >= kCommitSpacing;
  const std::uint64_t half = (bound_ + 1) / 2;
  if (!hurried_ && !spaced && new_events_ + pending < half) {
    crowded_at_ = half - new_events_;
    return std::nullopt;
  }
  hurried_ = false;
  writing_ = watermark;
  writing_events_ = new_events_;
  new_events_ = 0;
  new_since_.reset();
  return writing_;
}

bool CheckpointPacer::OnDurable(Position position, std::chrono::nanoseconds now) {
  if (!writing_ || *writing_ != position) {
    return false;
  }
  if (writing_is_stale_) {
    // The store holds more than the group does: what was written before is to be written again.
    covered_ = std::nullopt;
    new_since_ = new_since_.value_or(now);
  } else {
    durable_ = position;
    covered_ = position;
  }
  writing_is_stale_ = false;
  writing_.reset();
  writing_events_ = 0;
  committed_at_ = now;
  return true;
}

void CheckpointPacer::OnNotBegun() {
  writing_.reset();
  writing_is_stale_ = false;
  new_events_ += std::exchange(writing_events_, 0);
}

void CheckpointPacer::OnExhausted() {
  OnNotBegun();
  hurried_ = true;
}

std::optional<std::chrono::nanoseconds> CheckpointPacer::WakeAt(
    const std::optional<Position>& watermark, std::chrono::nanoseconds now) const {
  if (writing_ || watermark <= covered_ || !new_since_) {
    return std::nullopt;
  }
  // A full batch waits for nothing but the spacing, and so does the interval once it is over.
  const std::chrono::nanoseconds due =
      new_events_ >= batch_ ? *new_since_ : *new_since_ + interval_;
  return due <= now && committed_at_ ? std::max(due, *committed_at_ + kCommitSpacing) : due;
}

}  // namespace catchup
