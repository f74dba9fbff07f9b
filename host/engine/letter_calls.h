#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "host/engine/command.h"
#include "host/engine/letter_book.h"

namespace catchup {

// The calls of a group's letters, one at a time: which letter is called on which lane, and what its
// call leaves behind for the next. What comes of a call is heal.h's.
class LetterCalls {
 public:
  using Id = LetterBook::Id;
  using Time = std::chrono::nanoseconds;

  // After a healing call that failed, others have so many times its duration for themselves:
  // healing costs a tenth of the group's time at most.
  static constexpr int kHealShare = 9;

  // None is called. The next turn is an event's.
  void Begin(const Id& id, LaneNumber lane, std::string_view stream, Time now) {
    called_ = id;
    lane_ = lane;
    stream_ = stream;
    lost_ = false;
    begun_at_ = now;
    was_last_ = true;
  }

  // The call is over. Returns whose it was.
  Id End() { return *std::exchange(called_, std::nullopt); }

  // It failed: see kHealShare.
  void Rest(Time now) { free_at_ = now + (now - begun_at_) * kHealShare; }

  // A letter was dropped; nothing comes of its call any more.
  void Lose(const Id& id) { lost_ = lost_ || called_ == id; }

  // The letter that is called, if any; the next three are that call's.
  const std::optional<Id>& called() const { return called_; }
  LaneNumber lane() const { return lane_; }
  const std::string& stream() const { return stream_; }
  bool lost() const { return lost_; }

  bool On(LaneNumber lane) const { return called_.has_value() && lane_ == lane; }
  bool Of(std::string_view stream) const { return called_.has_value() && stream_ == stream; }

  // When healing calls may go on.
  Time free_at() const { return free_at_; }

  // Letters and events take turns: whether no event was called since the last letter.
  bool was_last() const { return was_last_; }
  void OnEvent() { was_last_ = false; }
  // The same of probes while the store is full.
  bool probed_last() const { return probed_last_; }
  void SetProbedLast(bool letter) { probed_last_ = letter; }

 private:
  std::optional<Id> called_;
  LaneNumber lane_ = 0;
  std::string stream_;
  bool lost_ = false;
  Time begun_at_{};
  Time free_at_{};
  bool was_last_ = false;
  bool probed_last_ = false;
};

}  // namespace catchup
