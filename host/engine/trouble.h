#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "host/engine/failure.h"

namespace catchup {

// Why the events of a group wait although its source and its runners are there: in words, for the
// state, for the log and for an operator who is to decide. It follows from nothing here whether
// they do; the breaker, the event in place and the room for letters say that.
class Trouble {
 public:
  using Time = std::chrono::nanoseconds;

  // What has kept the breaker from closing for so long may need a person, who is told so often.
  static constexpr Time kAlarmAfter = std::chrono::minutes(5);
  static constexpr Time kAlarmEvery = std::chrono::minutes(1);

  // They wait, for what `text` says. True: they did not before, which is worth a line.
  bool Wait(std::string text) {
    const bool first = text_.empty();
    text_ = std::move(text);
    return first;
  }
  // They go on.
  void End();
  bool waits() const { return !text_.empty(); }
  const std::string& text() const { return text_; }

  // Why the breaker is not closed; the last word counts.
  void SetOpened(std::string why) { opened_ = std::move(why); }
  const std::string& opened() const { return opened_; }

  // A call failed, of an event of `type`; none where it was of a place without one.
  void OnFailure(FailureClass failure, const std::optional<std::string_view>& type);
  // Of what failed last, where that may be the event's fault as well as an outage. A REJECT of
  // another event says nothing against that.
  const std::optional<std::string>& doubted_type() const { return doubted_type_; }

  // When an operator is to be told that a breaker which has been open since `opened_at` still is;
  // while they wait for it: in a quiet log nothing does.
  std::optional<Time> AlarmAt(Time opened_at) const {
    return waits() ? std::optional(std::max(opened_at + kAlarmAfter, next_alarm_)) : std::nullopt;
  }
  void OnAlarm(Time now) { next_alarm_ = now + kAlarmEvery; }

 private:
  std::string text_;
  std::string opened_;
  std::optional<std::string> doubted_type_;
  Time next_alarm_{};
};

}  // namespace catchup
