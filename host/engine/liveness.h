#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "host/base/position.h"

namespace catchup {

// Whether a call that says nothing is well. An open connection proves nothing: the node at its
// other end may have lost its part of the cluster, or the call, and not know. Nor does a log that
// grows: of a filter that matches nothing a thousand records pass without a frame. So what is
// missing is looked for:
//
//   listening ──► looking ──────────► owed ──────► replace the call
//       ▲         after 30 s without  the log has   10 s later
//       │         a frame, once the   an event that
//       │         head of the log     the call has
//       │         lies behind what    not brought
//       │         the call has told
//       └──────── at a frame, and where the log has none: not again before the head has moved
//
// Pure; times are of the engine's clock. `told` is how far the call has told of the log, null for
// its beginning.
class Liveness {
 public:
  static constexpr std::chrono::nanoseconds kSilence = std::chrono::seconds(30);
  static constexpr std::chrono::nanoseconds kGrace = std::chrono::seconds(10);

  // Silence counts from `now`: a frame has come, the call was opened, or none was asked for so far.
  void Rest(std::chrono::nanoseconds now) {
    since_ = now;
    step_ = Step::kListening;
  }

  // The newest event of the log, as somebody has read it; null for an empty one.
  void OnHead(const std::optional<Position>& head) { head_ = head; }

  // True, once: what the call owes is to be looked for now, as the first event behind `told`.
  bool BeginLook(const std::optional<Position>& told, std::chrono::nanoseconds now) {
    if (!MayLook(told) || now < since_ + kSilence) {
      return false;
    }
    step_ = Step::kLooking;
    looked_up_to_ = head_;
    return true;
  }

  // What the look has found, null for nothing. It may have been overtaken by a frame.
  void OnFound(const std::optional<Position>& found, const std::optional<Position>& told,
               std::chrono::nanoseconds now) {
    if (step_ != Step::kLooking) {
      return;
    }
    if (found > told) {
      step_ = Step::kOwed;
      owed_ = *found;
      found_at_ = now;
      looked_up_to_.reset();
    } else {
      Rest(now);
    }
  }

  // The look has failed: another one follows after as much silence again. False: it had been
  // overtaken, and does not matter.
  bool OnUnknown(std::chrono::nanoseconds now) {
    if (step_ != Step::kLooking) {
      return false;
    }
    Rest(now);
    looked_up_to_.reset();
    return true;
  }

  // The event for which the call is to be replaced, if it is.
  std::optional<Position> Overdue(std::chrono::nanoseconds now) const {
    return step_ == Step::kOwed && now >= found_at_ + kGrace ? std::optional(owed_) : std::nullopt;
  }

  // Since when there was no frame.
  std::chrono::nanoseconds since() const { return since_; }

  // When BeginLook or Overdue will have another answer, if nothing is heard until then.
  std::optional<std::chrono::nanoseconds> wake_at(const std::optional<Position>& told) const {
    if (step_ == Step::kOwed) {
      return found_at_ + kGrace;
    }
    return MayLook(told) ? std::optional(since_ + kSilence) : std::nullopt;
  }

 private:
  enum class Step : std::uint8_t { kListening, kLooking, kOwed };

  bool MayLook(const std::optional<Position>& told) const {
    return step_ == Step::kListening && head_ > told && head_ != looked_up_to_;
  }

  Step step_ = Step::kListening;
  std::chrono::nanoseconds since_{};
  std::optional<Position> head_;
  std::optional<Position> looked_up_to_;  // The head when a look began that found nothing.
  Position owed_;                         // While kOwed, as the next.
  std::chrono::nanoseconds found_at_{};
};

}  // namespace catchup
