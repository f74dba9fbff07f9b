#pragma once

#include <poll.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "host/base/mutex.h"
#include "host/base/signals.h"
#include "host/base/status.h"
#include "host/base/wait.h"

namespace catchup {

// Has `ask` put a question whose answer comes on another thread, once or never, and waits for it as
// long as `limit`. kCancelled: a signal came, which is taken. kUnavailable: no answer in that time.
// An answer that comes after either is dropped. Blocks.
template <typename T>
Result<T> AwaitAnswer(const std::function<void(std::function<void(const T&)> answer)>& ask,
                      std::chrono::milliseconds limit, SignalInbox* signals) {
  struct Given {
    Mutex mutex;
    std::optional<T> answer CATCHUP_GUARDED_BY(mutex);
  };
  constexpr int kLookEveryMs = 20;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const auto given = std::make_shared<Given>();
  ask([given](const T& answer) {
    const MutexLock lock(&given->mutex);
    given->answer = answer;
  });
  while (true) {
    {
      const MutexLock lock(&given->mutex);
      if (given->answer.has_value()) {
        return *given->answer;
      }
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return Status::Unavailable("no answer in time");
    }
    pollfd wake{signals->fd(), POLLIN, 0};
    (void)PollOrPause(&wake, 1, kLookEveryMs);
    if (const auto signal = signals->Take(); signal.has_value()) {
      return Status::Cancelled("stopped by " + SignalName(signal->number));
    }
  }
}

}  // namespace catchup
