#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "host/base/log_level.h"
#include "host/base/mutex.h"
#include "host/base/signals.h"
#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup {

// A line about a signal, with who sent it.
void LogSignal(LogLevel level, std::string_view msg, const ReceivedSignal& signal);

// Hears the signals that mean something to a host, on a thread of its own, and keeps the deadline
// of each stop whatever the rest of the host does: when that is over, the process ends with words
// and the verdict known by then. Nothing can be lost by it: what is durable is durable, and runners
// die with the host. Any thread.
class SignalWatch {
 public:
  using Clock = std::chrono::steady_clock;
  // `at` is when the signal was heard.
  using OnStop = std::function<void(const ReceivedSignal& signal, Clock::time_point at)>;

  struct Limits {
    std::chrono::milliseconds stop;  // From the first signal that asks for the end.
    std::chrono::milliseconds end;   // From Ending() on, where no signal came.
  };

  // BlockHostSignals comes first. Make it before anything that could hang.
  static Result<std::unique_ptr<SignalWatch>> Start(const Limits& limits);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // Waits, but not longer than `time`, for a signal that asks for the end, and returns the first
  // one that came. Before Deliver.
  std::optional<ReceivedSignal> AwaitStop(std::chrono::milliseconds time);

  // From now on such signals go to `on_stop`, those that came before too. It is called on this
  // thread and must not wait.
  void Deliver(OnStop on_stop);

  // The host ends, with this exit code as far as is known.
  void Ending(int verdict);

 private:
  explicit SignalWatch(const Limits& limits, SignalInbox inbox, UniqueFd ended);

  void Run();
  int TimeoutMs() const CATCHUP_REQUIRES(on_thread_);
  void Hear(const ReceivedSignal& signal) CATCHUP_REQUIRES(on_thread_);

  const Limits limits_;
  SignalInbox inbox_;
  const UniqueFd ended_;
  Role on_thread_;
  std::optional<Clock::time_point> deadline_ CATCHUP_GUARDED_BY(on_thread_);
  std::atomic<bool> ending_ = false;
  std::atomic<int> verdict_;

  Mutex mutex_;
  CondVar heard_;
  std::optional<ReceivedSignal> first_stop_ CATCHUP_GUARDED_BY(mutex_);
  std::vector<std::pair<ReceivedSignal, Clock::time_point>> undelivered_ CATCHUP_GUARDED_BY(mutex_);
  OnStop on_stop_ CATCHUP_GUARDED_BY(mutex_);
  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace catchup
