#include "host/daemon/watch/lock_watch.h"

#include <utility>

#include "host/base/log.h"
#include "host/base/test_seams.h"

namespace catchup {
namespace {

constexpr std::chrono::seconds kInterval{2};

}  // namespace

LockWatch::LockWatch(StateDirectory* state, WorkerPool* worker, Reactor* reactor, OnLost on_lost)
    : state_(*state), worker_(*worker), reactor_(*reactor), on_lost_(std::move(on_lost)) {}

void LockWatch::Look(Clock::time_point now) {
  on_reactor_.AssertHeld();
  if (asked_ || lost_ || now < next_) {
    return;
  }
  asked_ = true;
  next_ = now + FixedWait(kInterval);
  worker_.Post([this] {
    reactor_.Post([this, kept = state_.KeepLock()] {
      on_reactor_.AssertHeld();
      OnAnswer(kept);
    });
  });
}

void LockWatch::OnAnswer(const Result<bool>& kept) {
  asked_ = false;
  if (kept.ok()) {
    if (*kept) {
      Log(LogLevel::kWarn, "Lock of the state directory made again: it was removed",
          "Host.LookAfterLock", "", {{"directory", state_.path().string()}});
    }
    return;
  }
  // Anything else is not to be told now.
  lost_ = kept.status().code() == Status::Code::kNotFound ||
          kept.status().code() == Status::Code::kInUse;
  if (lost_) {
    on_lost_(kept.status());
  }
}

}  // namespace catchup
