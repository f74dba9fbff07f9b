#include "host/daemon/threads/reactor.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "host/base/shortage.h"

namespace catchup {
namespace {

// An idle loop still looks around this often; nothing depends on it.
constexpr std::chrono::seconds kLongestWait{60};

constexpr std::size_t kEventsAtOnce = 64;

}  // namespace

Result<std::unique_ptr<Reactor>> Reactor::Create() {
  std::unique_ptr<Reactor> reactor(new Reactor);
  reactor->epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  reactor->wake_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!reactor->epoll_.valid() || !reactor->wake_.valid()) {
    return Status::FromErrno("create the host's event loop (epoll_create1, eventfd)", errno);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = reactor->wake_.get();
  if (epoll_ctl(reactor->epoll_.get(), EPOLL_CTL_ADD, reactor->wake_.get(), &event) != 0) {
    return Status::FromErrno("create the host's event loop (epoll_ctl)", errno);
  }
  CATCHUP_ASSIGN_OR_RETURN(reactor->thread_, StartThread([loop = reactor.get()] { loop->Run(); }));
  return reactor;
}

Reactor::~Reactor() { Stop(); }

void Reactor::Stop() {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
  }
  Wake();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Reactor::Wake() {
  const std::uint64_t one = 1;
  // Fails only when as many wake-ups are pending as a counter holds.
  (void)!write(wake_.get(), &one, sizeof one);
}

bool Reactor::EndsSleep(Clock::time_point due) {
  if (due >= sleeps_until_) {
    return false;
  }
  sleeps_until_ = kAwake;
  return true;
}

void Reactor::Post(Task task) {
  bool wake;
  {
    const MutexLock lock(&mutex_);
    posted_.push_back(std::move(task));
    // This lies before any time that it could sleep until.
    wake = EndsSleep(kAwake + Clock::duration(1));
  }
  // The lock is not held, since the loop takes it first when it wakes.
  if (wake) {
    Wake();
  }
}

Reactor::TimerId Reactor::After(std::chrono::nanoseconds delay, Task task) {
  const Clock::time_point due = Clock::now() + delay;
  TimerId id;
  bool wake;
  {
    const MutexLock lock(&mutex_);
    id = next_timer_++;
    timer_places_.emplace(id, timers_.emplace(due, Timer{id, std::move(task)}));
    wake = EndsSleep(due);
  }
  if (wake) {
    Wake();
  }
  return id;
}

void Reactor::Cancel(TimerId id) {
  const MutexLock lock(&mutex_);
  const auto found = timer_places_.find(id);
  if (found != timer_places_.end()) {
    timers_.erase(found->second);
    timer_places_.erase(found);
  }
}

Status Reactor::Watch(int fd, Task task) {
  const MutexLock lock(&mutex_);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return Status::FromErrno("watch a descriptor (epoll_ctl)", errno);
  }
  watched_[fd] = std::make_shared<Task>(std::move(task));
  return {};
}

void Reactor::Unwatch(int fd) {
  const MutexLock lock(&mutex_);
  if (watched_.erase(fd) != 0) {
    // It was added, so it can be removed.
    (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
}

int Reactor::FallAsleep() {
  const MutexLock lock(&mutex_);
  if (!posted_.empty()) {
    return 0;
  }
  const Clock::time_point now = Clock::now();
  sleeps_until_ = now + kLongestWait;
  if (!timers_.empty()) {
    sleeps_until_ = std::min(sleeps_until_, timers_.begin()->first);
  }
  // Rounded up, so that the loop does not spin through the last millisecond.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(sleeps_until_ - now).count();
  return static_cast<int>(std::max<std::int64_t>(ms, 0));
}

void Reactor::WakeUp() {
  const MutexLock lock(&mutex_);
  sleeps_until_ = kAwake;
}

void Reactor::RunDue() {
  std::vector<Task> due;
  {
    const MutexLock lock(&mutex_);
    due.swap(posted_);
  }
  for (Task& task : due) {
    task();
  }
  while (true) {
    Task task;
    {
      const MutexLock lock(&mutex_);
      if (stopping_ || timers_.empty() || timers_.begin()->first > Clock::now()) {
        return;
      }
      task = std::move(timers_.begin()->second.task);
      timer_places_.erase(timers_.begin()->second.id);
      timers_.erase(timers_.begin());
    }
    task();
  }
}

void Reactor::Run() {
  std::array<epoll_event, kEventsAtOnce> events;
  while (true) {
    const int count =
        epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), FallAsleep());
    CATCHUP_CHECK(count >= 0 || errno == EINTR);
    WakeUp();
    for (int i = 0; i < count; ++i) {
      std::shared_ptr<Task> task;
      if (events[static_cast<std::size_t>(i)].data.fd == wake_.get()) {
        std::uint64_t pending;
        (void)!read(wake_.get(), &pending, sizeof pending);
        continue;
      }
      {
        const MutexLock lock(&mutex_);
        const auto found = watched_.find(events[static_cast<std::size_t>(i)].data.fd);
        if (found != watched_.end()) {
          task = found->second;
        }
      }
      if (task != nullptr) {
        (*task)();
      }
    }
    RunDue();
    const MutexLock lock(&mutex_);
    if (stopping_) {
      return;
    }
  }
}

}  // namespace catchup
