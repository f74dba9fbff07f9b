#pragma once

#include <cerrno>
#include <map>
#include <mutex>

namespace catchup {

// Which of the calls that somebody makes is to fail, for who stands between him and what he calls.
// A kind of call is one bit, chosen by the user. Any thread: a test arms it while others are at
// work.
class ArmedFault {
 public:
  // From now on the n-th of `calls`, a sum of kinds, fails with `error`, and so do all after it
  // when `lasting`. Counts from none again.
  void Arm(unsigned calls, int error, int nth, bool lasting) {
    const std::lock_guard lock(mutex_);
    armed_ = calls;
    error_ = error;
    countdown_ = nth;
    lasts_ = lasting;
    fired_ = 0;
    made_.clear();
  }
  void Disarm() {
    const std::lock_guard lock(mutex_);
    armed_ = 0;
  }

  // Counts this call. Whether it is to fail, with errno as it was armed.
  bool Fires(unsigned call) {
    const std::lock_guard lock(mutex_);
    ++made_[call];
    if ((armed_ & call) == 0) {
      return false;
    }
    if (countdown_ > 0) {
      --countdown_;
    }
    if (countdown_ != 0 || (!lasts_ && fired_ > 0)) {
      return false;
    }
    ++fired_;
    errno = error_;
    return true;
  }

  int error() const {
    const std::lock_guard lock(mutex_);
    return error_;
  }
  // How many calls have failed, and how many of `calls` were made.
  int fired() const {
    const std::lock_guard lock(mutex_);
    return fired_;
  }
  int made(unsigned calls) const {
    const std::lock_guard lock(mutex_);
    int sum = 0;
    for (const auto& [call, count] : made_) {
      sum += (calls & call) != 0 ? count : 0;
    }
    return sum;
  }

 private:
  mutable std::mutex mutex_;
  unsigned armed_ = 0;
  int error_ = 0;
  int countdown_ = 0;
  bool lasts_ = false;
  int fired_ = 0;
  std::map<unsigned, int> made_;
};

}  // namespace catchup
