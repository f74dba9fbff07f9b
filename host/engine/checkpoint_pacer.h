#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

#include "host/base/position.h"

namespace catchup {

// Decides when the watermark is written as checkpoint: after `batch` events or `interval`, or at
// once when hurried; one write at a time, so that whatever comes meanwhile shares the next one.
// Never asks for a position that is written, being written, or below either.
class CheckpointPacer {
 public:
  // A commit costs about 0.6 ms of a disk's time and a wake-up on each side; in a fast catch-up a
  // batch of 10 is full every few microseconds, so the writer would do nothing else. Two
  // milliseconds between commits leave most of the disk to others, and delivery does not wait for
  // them before half of the duplicate bound is used up.
  static constexpr std::chrono::nanoseconds kCommitSpacing = std::chrono::milliseconds(2);

  // `bound` is the most events that may lie beyond the durable checkpoint.
  CheckpointPacer(std::uint64_t batch, std::chrono::nanoseconds interval, std::uint64_t bound)
      : batch_(batch), interval_(interval), bound_(bound) {}

  // The store holds `durable`; what is not above `covered` needs no writing. Not while writing.
  void Reset(std::optional<Position> durable, std::optional<Position> covered);

  // The group goes back to `position`, an explicit reset: what comes after it is new again. A write
  // under way finishes, but covers nothing, and what it passes over is written again.
  void GoBack(std::optional<Position> position);

  // The watermark passed `events` events, or only positions (0).
  void OnProgress(std::uint64_t events, std::chrono::nanoseconds now);

  // Write the watermark at the next chance, without waiting for a batch or the interval.
  void Hurry() { hurried_ = true; }

  // What to write now, if anything; it then counts as being written. `pending` is the number of
  // events that are received and not under the watermark.
  std::optional<Position> Next(const std::optional<Position>& watermark, std::uint64_t pending,
                               std::chrono::nanoseconds now);

  // With so many events pending Next would have another answer than the one it gave last, which
  // waits for the spacing.
  std::uint64_t crowded_at() const { return crowded_at_; }

  // `position` was committed. False when it is not the one being written.
  bool OnDurable(Position position, std::chrono::nanoseconds now);

  // What was being written was not begun, and counts as not asked for.
  void OnNotBegun();

  // What was being written found no room, and nothing was changed by it: to be asked for again at
  // the next chance. When that is, is for whoever asks.
  void OnExhausted();

  // When Next may have another answer without further input.
  std::optional<std::chrono::nanoseconds> WakeAt(const std::optional<Position>& watermark,
                                                 std::chrono::nanoseconds now) const;

  // Whether `position` needs no writing any more; the null position never does.
  bool Covers(const std::optional<Position>& position) const { return position <= covered_; }

  bool writing() const { return writing_.has_value(); }
  const std::optional<Position>& durable() const { return durable_; }

  // Events under the watermark that no durable checkpoint covers.
  std::uint64_t undurable_events() const { return new_events_ + writing_events_; }

 private:
  std::uint64_t batch_;
  std::chrono::nanoseconds interval_;
  std::uint64_t bound_;

  std::optional<Position> durable_;
  std::optional<Position> covered_;
  std::optional<Position> writing_;
  std::uint64_t writing_events_ = 0;
  std::uint64_t new_events_ = 0;                          // Passed since the last write began.
  std::optional<std::chrono::nanoseconds> new_since_;     // When the first of what is new came.
  std::optional<std::chrono::nanoseconds> committed_at_;  // When the last commit was reported.
  bool hurried_ = false;
  bool writing_is_stale_ = false;  // The group went back meanwhile.
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t crowded_at_ = kNever;
};

}  // namespace catchup
