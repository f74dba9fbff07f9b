#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "host/base/mutex.h"
#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup {

// One thread that waits for descriptors and timers and runs what is posted to it. It lives as long
// as the host, so it also spawns the runners, whose death signal is tied to the spawning thread.
//
// Tasks run one at a time and must not block. All functions: any thread.
class Reactor {
 public:
  using Task = std::function<void()>;
  using TimerId = std::uint64_t;

  static Result<std::unique_ptr<Reactor>> Create();
  // Stops.
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Ends the loop after the task in progress and joins the thread. What is posted or due later is
  // kept and never run. Not from a task.
  void Stop();

  void Post(Task task);
  TimerId After(std::chrono::nanoseconds delay, Task task);
  // A timer that has fired or was never set is fine. When called on the reactor's thread the task
  // will not run; from elsewhere it may be running.
  void Cancel(TimerId id);

  // Runs `task` whenever `fd` is readable, until Unwatch, which must come before fd is closed.
  Status Watch(int fd, Task task);
  void Unwatch(int fd);

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::time_point kAwake = Clock::time_point::min();

  Reactor() = default;

  void Run();
  void RunDue();
  int FallAsleep();  // Milliseconds, at most.
  void WakeUp();
  // Whether the loop would sleep on beyond `due`, so that whoever asks has to wake it; whoever asks
  // next need not.
  bool EndsSleep(Clock::time_point due) CATCHUP_REQUIRES(mutex_);
  void Wake();

  struct Timer {
    TimerId id;
    Task task;
  };
  using Timers = std::multimap<Clock::time_point, Timer>;

  UniqueFd epoll_;
  UniqueFd wake_;
  Mutex mutex_;
  bool stopping_ CATCHUP_GUARDED_BY(mutex_) = false;
  // When the loop looks around by itself; kAwake: before it sleeps again, so that nobody has to
  // make a system call for that.
  Clock::time_point sleeps_until_ CATCHUP_GUARDED_BY(mutex_) = kAwake;
  TimerId next_timer_ CATCHUP_GUARDED_BY(mutex_) = 1;
  std::vector<Task> posted_ CATCHUP_GUARDED_BY(mutex_);
  Timers timers_ CATCHUP_GUARDED_BY(mutex_);
  // Every group cancels timers all the time, most of which have fired.
  std::unordered_map<TimerId, Timers::iterator> timer_places_ CATCHUP_GUARDED_BY(mutex_);
  std::unordered_map<int, std::shared_ptr<Task>> watched_ CATCHUP_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace catchup
