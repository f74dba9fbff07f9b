#pragma once

#include <chrono>
#include <string>

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

// Begins the waits of events whose calls fail, and says so.
class Waits {
 public:
  explicit Waits(EngineParts& parts) : parts_(parts) {}

  // For `why`, by the failure of `place`; closed before.
  void OpenBreaker(const std::string& why, const InPlace& place, Turn& turn);
  // A probe failed, by `last`. Not in a group that ends.
  void ReopenBreaker(const std::string& last, Turn& turn);
  // The event in place is called again after `delay`.
  void WaitToRetry(InPlace* place, std::chrono::nanoseconds delay, Turn& turn);
  // Why events wait from now on. The first of a wait is worth a line; the state shows the others.
  // `place` is the event that waits, if any.
  void SetTrouble(std::string text, const InPlace& place, Turn& turn);

 private:
  EngineParts& parts_;
};

}  // namespace catchup
