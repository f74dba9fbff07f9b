#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "host/base/check.h"

// Locks whose use clang checks: what a lock guards says so where it is declared, a function that
// needs it held says so too, and a build with clang's -Wthread-safety (tests/lint.sh) refuses what
// does not keep to that. With gcc the words mean nothing.
//
//   Mutex mutex_;
//   std::deque<Job> jobs_ CATCHUP_GUARDED_BY(mutex_);
//   void RunNext() CATCHUP_REQUIRES(mutex_);
//
// The check does not see through a lambda, so a wait is a loop, not a predicate:
//
//   while (jobs_.empty()) {
//     changed_.Wait(&mutex_);
//   }
//
// What one thread alone touches needs no lock and says whose it is by a Role in the lock's place.

#if defined(__clang__)
#define CATCHUP_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define CATCHUP_THREAD_ATTRIBUTE(x)
#endif

// On a member: used with this Mutex held, or in this Role. PT, on a pointer: what it points to is.
#define CATCHUP_GUARDED_BY(x) CATCHUP_THREAD_ATTRIBUTE(guarded_by(x))
#define CATCHUP_PT_GUARDED_BY(x) CATCHUP_THREAD_ATTRIBUTE(pt_guarded_by(x))

// On a function: its caller holds these, or must not hold them.
#define CATCHUP_REQUIRES(...) CATCHUP_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define CATCHUP_EXCLUDES(...) CATCHUP_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

// On a function: it takes them, gives them back, or proves that they are held.
#define CATCHUP_ACQUIRE(...) CATCHUP_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define CATCHUP_RELEASE(...) CATCHUP_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define CATCHUP_ASSERT_HELD(...) CATCHUP_THREAD_ATTRIBUTE(assert_capability(__VA_ARGS__))

namespace catchup {

// A lock, not recursive. Hold it by a MutexLock rather than by Lock and Unlock.
class CATCHUP_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() CATCHUP_ACQUIRE() { mutex_.lock(); }
  void Unlock() CATCHUP_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

// Holds a Mutex for as long as it lives, but for what lies between Unlock and Lock.
class CATCHUP_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) CATCHUP_ACQUIRE(mutex) : mutex_(mutex) { mutex_->Lock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  ~MutexLock() CATCHUP_RELEASE() {
    if (held_) {
      mutex_->Unlock();
    }
  }

  void Unlock() CATCHUP_RELEASE() {
    held_ = false;
    mutex_->Unlock();
  }
  void Lock() CATCHUP_ACQUIRE() {
    mutex_->Lock();
    held_ = true;
  }

 private:
  Mutex* const mutex_;
  bool held_ = true;
};

// Lets threads wait until another changes something under a Mutex. Waits may end without cause, so
// they stand in a loop around what is waited for.
class CondVar {
 public:
  void Wait(Mutex* mutex) CATCHUP_REQUIRES(mutex) {
    std::unique_lock lock(mutex->mutex_, std::adopt_lock);
    changed_.wait(lock);
    lock.release();
  }

  // False when `deadline` has passed.
  bool WaitUntil(Mutex* mutex, std::chrono::steady_clock::time_point deadline)
      CATCHUP_REQUIRES(mutex) {
    std::unique_lock lock(mutex->mutex_, std::adopt_lock);
    const bool in_time = changed_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }

  void NotifyOne() { changed_.notify_one(); }
  void NotifyAll() { changed_.notify_all(); }

 private:
  std::condition_variable changed_;
};

// What only one thread does: the reactor, a worker. It has no lock to take; it is held by the first
// thread that says so, for as long as the Role lives.
//
//   Role on_reactor_;
//   bool asked_ CATCHUP_GUARDED_BY(on_reactor_) = false;
//   void OnAnswer() CATCHUP_REQUIRES(on_reactor_);
//
//   reactor->Post([this] {
//     on_reactor_.AssertHeld();
//     OnAnswer();
//   });
class CATCHUP_THREAD_ATTRIBUTE(capability("role")) Role {
 public:
  Role() = default;
  Role(const Role&) = delete;
  Role& operator=(const Role&) = delete;

  // First line of what that thread calls. Aborts on any other one.
  void AssertHeld() CATCHUP_ASSERT_HELD() {
    const std::thread::id self = std::this_thread::get_id();
    std::thread::id holder;
    CATCHUP_CHECK(holder_.compare_exchange_strong(holder, self) || holder == self);
  }

 private:
  std::atomic<std::thread::id> holder_{};
};

}  // namespace catchup
