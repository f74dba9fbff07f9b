#pragma once

#include <algorithm>
#include <optional>

#include "host/base/position.h"
#include "host/engine/command.h"

namespace catchup {

// The way to "caught up": the call is live, then everything before that is settled, then the
// watermark of that moment is durable.
class CatchUp {
 public:
  // The call is live, and `last` is the last event that came before. A repeated word must not put
  // off the one that is being followed.
  void OnLive(Sequence last) {
    if (step_ == Step::kNo) {
      step_ = Step::kSettling;
      after_ = last;
    }
  }

  // The call is over, or the group begins somewhere else.
  void Drop() { step_ = Step::kNo; }

  // The watermark went back to `watermark`.
  void Withdraw(const std::optional<Position>& watermark) {
    watermark_ = std::min(watermark_, watermark);
  }

  // Everything up to and including `settled` is under `watermark`. True: that is now to be durable,
  // the sooner the better.
  bool OnSettled(Sequence settled, const std::optional<Position>& watermark) {
    if (step_ != Step::kSettling || settled < after_) {
      return false;
    }
    step_ = Step::kPersisting;
    watermark_ = watermark;
    return true;
  }

  // What is to be durable; for no other step.
  bool persisting() const { return step_ == Step::kPersisting; }
  const std::optional<Position>& watermark() const { return watermark_; }
  void OnDurable() { step_ = Step::kDone; }

  bool begun() const { return step_ != Step::kNo; }
  bool done() const { return step_ == Step::kDone; }

 private:
  enum class Step : std::uint8_t { kNo, kSettling, kPersisting, kDone };

  Step step_ = Step::kNo;
  Sequence after_ = 0;                 // While kSettling.
  std::optional<Position> watermark_;  // While kPersisting.
};

}  // namespace catchup
