#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/engine/backoff.h"
#include "host/engine/turn.h"

namespace catchup {

// One thing that the store could not do for want of something that may come back, room on the disk
// above all: when it is tried again, and what is said of it meanwhile. What the thing is, and
// whether it is still wanted, is its user's business.
class StoreWait {
 public:
  // A full disk is looked at about once a second at first; and the group goes on within five
  // seconds of room, which leaves one for the write itself.
  static constexpr Backoff kRetry{std::chrono::seconds(1), std::chrono::seconds(4)};

  // A try has failed for `text`, and another is to follow. A notice says so, once for each text.
  void OnExhausted(Notice notice, std::string_view text, Turn& turn);

  // The next try begins.
  void OnTry() { retry_at_.reset(); }

  // It was done; a notice says that the wait is over. Nothing where there was no wait.
  void OnDone(Turn& turn);

  // It is not wanted any more. Cheap where there is no wait.
  void Forget() {
    if (!trouble_.empty()) [[unlikely]] {
      Clear();
    }
  }

  // The next try is not to wait for its time: whoever waits for it is about to end.
  void Hurry();

  // Whether the next try has to wait still.
  bool holds(std::chrono::nanoseconds now) const { return retry_at_ && now < *retry_at_; }

  // When the next try is due; null where none is to come, or one is under way.
  const std::optional<std::chrono::nanoseconds>& retry_at() const { return retry_at_; }

  // What is waited for and how long, for people; empty while nothing is.
  const std::string& trouble() const { return trouble_; }

 private:
  void Clear();

  std::string what_;  // As it was told.
  std::string trouble_;
  std::uint32_t tries_ = 0;  // That failed, in a row.
  std::optional<std::chrono::nanoseconds> retry_at_;
};

}  // namespace catchup
