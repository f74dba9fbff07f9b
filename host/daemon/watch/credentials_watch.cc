#include "host/daemon/watch/credentials_watch.h"

#include <string>
#include <utility>
#include <vector>

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

// Wrong ones are warned of at once: what is open at the server goes on with the old ones, so that
// nobody would hear of it before the next call.
void CredentialsWatch::LogChange() const {
  std::vector<LogField> fields = {{"origin", credentials_->origin()}};
  const std::string fault = credentials_->fault();
  if (!fault.empty()) {
    fields.push_back({"reason", fault});
  }
  Log(fault.empty() ? LogLevel::kInfo : LogLevel::kWarn, "Credentials changed",
      "Host.LookAfterCredentials", "", fields);
}

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
        LogChange();
        changed_();
      }
    });
  });
}

}  // namespace catchup
