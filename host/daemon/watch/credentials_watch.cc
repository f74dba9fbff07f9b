#include "host/daemon/watch/credentials_watch.h"

#include <utility>

#include "host/base/log.h"
#include "host/base/test_seams.h"

namespace catchup {
namespace {

constexpr std::chrono::seconds kInterval{2};

}  // namespace

CredentialsWatch::CredentialsWatch(std::shared_ptr<Credentials> credentials, WorkerPool* worker,
                                   Reactor* reactor, std::function<void()> changed)
    : credentials_(std::move(credentials)),
      worker_(*worker),
      reactor_(*reactor),
      changed_(std::move(changed)),
      changes_(credentials_ == nullptr ? 0 : credentials_->changes()) {}

void CredentialsWatch::Look(Clock::time_point now) {
  on_reactor_.AssertHeld();
  if (credentials_ == nullptr || asked_ || now < next_) {
    return;
  }
  asked_ = true;
  next_ = now + FixedWait(kInterval);
  worker_.Post([this] {
    reactor_.Post([this, changes = credentials_->LookForChange()] {
      on_reactor_.AssertHeld();
      asked_ = false;
      if (changes != std::exchange(changes_, changes)) {
        Log(LogLevel::kInfo, "Credentials changed", "Host.LookAfterCredentials", "",
            {{"origin", credentials_->origin()}});
        changed_();
      }
    });
  });
}

}  // namespace catchup
