#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

namespace catchup::sim {

// What a breaker must keep to, whatever opened it. Each answer is what is wrong; empty when nothing
// is.
class BreakerWatch {
 public:
  using Time = std::chrono::nanoseconds;

  static constexpr std::uint32_t kSuccessesToClose = 3;

  // Opened for `open` at first, and for twice as long as before each time that a probe fails, up to
  // `most`; a quarter more or less.
  BreakerWatch(Time open, Time most) : first_(open), most_(std::max(open, most)) {}

  bool closed() const { return closed_; }

  void OnOpen(Time now) {
    open_for_ = closed_ ? first_ : std::min(open_for_ * 2, most_);
    quiet_until_ = now + open_for_ * 3 / 4;
    closed_ = probe_failed_ = false;
    successes_ = 0;
  }

  std::string OnClose() {
    closed_ = true;
    return successes_ >= kSuccessesToClose
               ? std::string()
               : "the breaker closes after " + std::to_string(successes_) + " successes";
  }

  // What was wrong may be mended, so it may be tried at once.
  void Hurry() { quiet_until_ = {}; }

  // A call begins beside `others`.
  std::string OnCall(Time now, std::size_t others) {
    if (!closed_ && now < quiet_until_) {
      return "the breaker is open";
    }
    return !closed_ && others > 0 ? "another call tries the breaker" : std::string();
  }

  void OnSuccess() { ++successes_; }
  void OnFailure() {
    successes_ = 0;
    probe_failed_ = !closed_;
  }
  // Since it was opened last.
  bool probe_failed() const { return probe_failed_; }

 private:
  Time first_;
  Time most_;
  bool closed_ = true;
  bool probe_failed_ = false;
  std::uint32_t successes_ = 0;  // In a row.
  Time open_for_{};
  Time quiet_until_{};
};

}  // namespace catchup::sim
